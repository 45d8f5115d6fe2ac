"""A run as it was while the CPUs of its cases were at one distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.regimes import pairs_of
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Floats, scaled
from fencepost.analysis.stats.modes import find_modes, of_modes


def regimes_met(analysis: Analysis, *kernels: str) -> dict[str, float]:
    """Names of the regimes of these kernels' rows, with their shares of the batches, the nearest first."""
    batches: dict[str, float] = {}
    for row in analysis.measured(*kernels):
        for regime in row.regimes:
            batches[regime.name] = batches.get(regime.name, 0.0) + regime.share * row.batches
    return {name: number / sum(batches.values()) for name, number in batches.items()}


def in_regime(analysis: Analysis, name: str) -> Analysis:
    """The run with the times of this regime in place of those that stand for the whole row.

    Rows of pairs of CPUs that stayed in one place are as they were. A row that did not meet the regime has no time.
    """
    if name not in analysis.in_regimes:
        analysis.in_regimes[name] = _in_regime(analysis, name)
    return analysis.in_regimes[name]


def _in_regime(analysis: Analysis, name: str) -> Analysis:
    processes = analysis.processes
    pairs = pairs_of(analysis.run["plan"]["cases"])
    wanted = {
        pair: distance
        for pair, names in analysis.place_names.items()
        for distance, known in names.items()
        if known == name
    }
    ns = processes["ns"].to_numpy(float, copy=True)
    met: dict[str, list[int]] = {}
    columns = (processes[column].to_numpy() for column in ("case", "places"))
    for i, (case, places) in enumerate(zip(*columns, strict=True)):
        if places and pairs[case] in wanted:
            here = (place.ns for place in places if place.distance_ns == wanted[pairs[case]])
            ns[i] = next(here, np.nan)
            met.setdefault(case, []).append(i)
    rows = tuple(
        _row(row, wanted[pairs[row.case]], ns[met[row.case]]) if row.case in met else row for row in analysis.rows
    )
    return replace(
        analysis, reduced=replace(analysis.reduced, by_process=Columns.of(processes.assign(ns=ns))), rows=rows
    )


def _row(row: Row, distance_ns: float, ns: Floats) -> Row:
    """A row at this distance, from its times in the processes, shape (processes,), NaN where one did not meet it."""
    regime = next((regime for regime in row.regimes if regime.distance_ns == distance_ns), None)
    time = UNKNOWN if regime is None else regime.time
    if not row.regimes and np.isfinite(ns).any():
        time = row.time
    modes = tuple(find_modes(ns, row.resolution_ns))
    time = of_modes(time, modes)
    # The clock of a core is the same at any distance.
    cycles = scaled(time, row.core_hz / 1e9) if row.cycles.known else UNKNOWN
    metrics = dict(row.metrics)
    if regime is not None and "xraw" in metrics:
        metrics["xraw"] = replace(metrics["xraw"], interval=regime.xraw)
    return replace(row, time=time, cycles=cycles, modes=modes, regimes=(), metrics=metrics)
