"""Cases of one kernel side by side, round by round.

A difference or a ratio of two cases is taken in each process first, where both met the same machine; median and
interval over processes come last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.clock import believable_clock
from fencepost.analysis.stats.interval import Floats, Interval, measured_together, pooled, quotient

if TYPE_CHECKING:
    import pandas as pd


def ratio(analysis: Analysis, above: str, below: str) -> Interval:
    """Ratio of the ns of two cases: per round, then median and interval over rounds. Rounds that lack one of them
    are left out.
    """
    frame = analysis.processes
    good = frame[frame["status"] == "ok"]
    a, b = (good[good["case"] == case].set_index("round") for case in (above, below))
    both = a.index.intersection(b.index)
    events = {case["case"] for case in analysis.run["plan"]["cases"] if case["kind"] == "events"}
    times, steps = ([side.loc[both, name].to_numpy(float) for side in (a, b)] for name in ("ns", "resolution_ns"))
    return quotient(*times, *(step * (case not in events) for case, step in zip((above, below), steps, strict=True)))


def per_process(analysis: Analysis, case: str, metric: str) -> Floats:
    """A metric of a case, one value a process that knows it, shape (processes,)."""
    return known_values(list(processes_of(analysis, [case])["metrics"]), metric)


def known_values(processes: Sequence[Mapping[str, float]], metric: str) -> Floats:
    values = np.array([process.get(metric, math.nan) for process in processes], float)
    known: Floats = values[np.isfinite(values)]
    return known


@dataclass(frozen=True)
class Grid:
    """Measured cases of a kernel: `rows`, and `ns` and `cycles` of shape (rounds, rows); NaN where
    a round lacks a case, and in `cycles` where its core clock is not to be believed. `steps`: by how many ns each of
    `ns` may be off for the steps of the tick counter (`fencepost.analysis.stats.resolution`), 0 of event kernels.
    """

    rows: Sequence[Row]
    ns: Floats
    cycles: Floats
    steps: Floats

    def find(self, **wanted: object) -> int | None:
        """Place of the first row whose parameters have these values."""
        for place, row in enumerate(self.rows):
            if row.has(**wanted):
                return place
        return None

    def difference(self, more: int, less: int) -> tuple[Interval, Interval]:
        """By how many ns, and by how many cycles, one row exceeds another, paired by round. Both may be off by their
        steps, and in opposite directions: the bounds allow for the sum.
        """
        both = measured_together(self.ns[:, more], self.ns[:, less])
        ns, cycles, steps = (values[both] for values in (self.ns, self.cycles, self.steps))
        off = steps[:, more] + steps[:, less]
        # Cycles are ns times the clock of their process; where that is not known, neither is the difference.
        with np.errstate(divide="ignore", invalid="ignore"):
            hz = np.fmax(cycles[:, more] / ns[:, more], cycles[:, less] / ns[:, less])
        return pooled(ns[:, more] - ns[:, less], off), pooled(cycles[:, more] - cycles[:, less], off * hz)

    def ratio(self, above: int, below: int) -> Interval:
        """How many times the time of one row another takes, see `quotient`."""
        return quotient(self.ns[:, above], self.ns[:, below], self.steps[:, above], self.steps[:, below])

    @property
    def in_cycles(self) -> bool:
        """Whether every row has cycles that more than half of its processes vouch for."""
        return bool(self.rows) and all(row.cycles.known for row in self.rows)

    @property
    def unit(self) -> str:
        """``cycles`` where every row has them, else ``ns``."""
        return "cycles" if self.in_cycles else "ns"

    @property
    def values(self) -> Floats:
        """`cycles` or `ns`, whichever `unit` says."""
        return self.cycles if self.in_cycles else self.ns

    def interval(self, place: int) -> Interval:
        """Value and bounds of a row in `unit`, as the table of all rows has them."""
        row = self.rows[place]
        return row.cycles if self.in_cycles else row.time

    def bounds(self, place: int) -> tuple[float, float, float]:
        """Value and bounds of a row in `unit`, as the table of all rows has them."""
        return self.interval(place)[:3]


def grid(analysis: Analysis, kernel: str) -> Grid:
    """All measured cases of a kernel, without twins."""
    found = analysis.measured(kernel)
    places = {row.case: place for place, row in enumerate(found)}
    good = processes_of(analysis, list(places))
    rounds = {number: place for place, number in enumerate(sorted(set(good["round"])))}
    shape = (len(rounds), len(found))
    ns, cycles, steps = (np.full(shape, math.nan) for _ in range(3))
    if len(good):
        i = [rounds[number] for number in good["round"]]
        j = [places[case] for case in good["case"]]
        ns[i, j] = good["ns"].to_numpy(float)
        cycles[i, j] = ns[i, j] * core_hz(good) / 1e9
        steps[i, j] = good["resolution_ns"].to_numpy(float)
    steps[:, [row.kind == "events" for row in found]] = 0
    return Grid(found, ns, cycles, steps)


def processes_of(analysis: Analysis, cases: Sequence[str]) -> pd.DataFrame:
    """Rows of `Analysis.processes` of these cases that were measured."""
    places = [analysis.measured_places[case] for case in dict.fromkeys(cases) if case in analysis.measured_places]
    return analysis.processes.iloc[np.sort(np.concatenate(places)) if places else []]


def core_hz(rows: pd.DataFrame) -> Floats:
    """The core clock beside each process's case, shape (processes,); NaN where its chains do not read 3.0 +- 5 %."""
    return clock_of(rows["chain_ratio"].to_numpy(float), rows["core_hz"].to_numpy(float))


def clock_of(chain_ratio: Floats, core_hz: Floats) -> Floats:
    """`core_hz` where `chain_ratio`, of the same shape, is as it must be; elsewhere NaN."""
    return np.where(believable_clock(chain_ratio), core_hz, math.nan)
