"""From medians per process to estimates: median over processes, its order-statistic interval, floor, modes, cycles,
noise floor.

A process is the unit of replication: batches of one process share an address-space layout, allocations and a machine's
mood, and tests between batches call identical code different in most trials. So n is always a number of processes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fencepost.analysis.runs.medians import map_runs, reduce_run
from fencepost.analysis.runs.model import Histogram, Reduced
from fencepost.analysis.runs.row import counted
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Floats, Interval, interval_of, median
from fencepost.analysis.stats.modes import find_modes
from fencepost.bench import schema

NOISY_SHARE = 0.20
"""A larger share of disturbed batches marks a row as noisy."""


CHAIN_RATIO = 3.0


CHAIN_TOLERANCE = 0.05
"""Cycles are believed where a dependent imul (3 cycles) takes 3.0 +- 5 % of a dependent add (1 cycle)."""


ENGINE_METRICS: tuple[dict[str, str], ...] = (
    {
        "name": "raw_round_trip_ns",
        "unit": "ns",
        "summary": "a line handed over and back, measured beside this case",
    },
    {"name": "xraw", "unit": "1", "summary": "the case's time over that round trip: comparable with another hour's"},
    {"name": "operation_ticks", "unit": "ticks", "summary": "the operation alone, its control not subtracted"},
    {"name": "control_ticks", "unit": "ticks", "summary": "the control alone"},
)
"""Metrics that a case has whatever its kernel: the first two with several CPUs, the last two with a control."""


QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Twin:
    """An A/A pair: the same code under two names, and by how much per cent the two differ."""

    case: str
    original: str
    effect_pct: Interval


@dataclass(frozen=True)
class Analysis:
    """A run with everything that is derived from it. `rows`: see `estimate_cases`."""

    reduced: Reduced
    rows: pd.DataFrame
    twins: list[Twin]

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.reduced.folder

    @property
    def run(self) -> dict[str, Any]:
        """run.json."""
        return self.reduced.run

    @property
    def machine(self) -> dict[str, Any]:
        """machine.json."""
        return self.reduced.machine

    @property
    def processes(self) -> pd.DataFrame:
        """Medians per process, see `fencepost.analysis.runs.medians.process_medians`."""
        return self.reduced.processes

    @functools.cached_property
    def measured_places(self) -> dict[str, npt.NDArray[np.intp]]:
        """By case, the places of its rows in `processes` that were measured: asked for by the hundred."""
        good = np.flatnonzero(self.processes["status"] == "ok")
        groups = self.processes.iloc[good].groupby("case", observed=True).indices
        return {str(case): good[places] for case, places in groups.items()}

    @property
    def rounds(self) -> int:
        """Complete rounds."""
        return len(self.reduced.workers)

    @property
    def planned_rounds(self) -> int:
        """Rounds that the plan asked for."""
        return int(self.run["plan"]["rounds"])

    @property
    def noise_floor_pct(self) -> float:
        """Largest effect of an A/A row in per cent; NaN where the run has none."""
        effects = [abs(twin.effect_pct.value) for twin in self.twins if not math.isnan(twin.effect_pct.value)]
        return max(effects, default=math.nan)

    @property
    def noise_reach_pct(self) -> float:
        """The largest effect that the intervals of the A/A rows still allow, in per cent; NaN where none has an
        interval.
        """
        ends = [abs(end) for twin in self.twins for end in twin.effect_pct[1:3] if not math.isnan(end)]
        return max(ends, default=math.nan)

    def kernel(self, *names: str) -> pd.DataFrame:
        """Rows of these kernels without twins."""
        return self.rows[self.rows["kernel"].isin(names) & self.rows["twin_of"].isna()]


def analyse(folder: Path | str) -> Analysis:
    """Reduce and estimate one run folder. Raises `RunFolderError` where it is damaged."""
    reduced = reduce_run(folder)
    return Analysis(reduced, estimate_cases(reduced), noise_floor(reduced))


def pooled_quantiles(histogram: Histogram) -> dict[str, float]:
    """Quantiles of all events of a case, in ns: min, p50, p90, p99, p99_9, max; ``distinct`` values of the tick
    counter; ``events``.

    A quantile q is the smallest value that at least the share q of events does not exceed. Events of all processes are
    pooled, so these say what happens, not how sure it is: the interval of the row comes from medians per process.
    """
    ns, count = histogram.ns, histogram.count
    total = int(count.sum())
    if total == 0:
        return {}
    reached = np.cumsum(count)
    names = ("p50", "p90", "p99", "p99_9")
    where = [min(int(np.searchsorted(reached, math.ceil(q * total))), len(ns) - 1) for q in QUANTILES]
    found = {name: float(ns[i]) for name, i in zip(names, where, strict=True)}
    return {"min": float(ns[0]), **found, "max": float(ns[-1]), "distinct": len(ns), "events": total}


def noise_floor(reduced: Reduced) -> list[Twin]:
    """A/A rows: for each twin the median over rounds of ``twin / original - 1`` in per cent, with its interval.

    Rounds in which either was not measured, or reads zero or less, are left out.
    """
    planned = {case["case"]: case for case in reduced.run["plan"]["cases"]}
    pairs = {name: case["twin_of"] for name, case in planned.items() if case["twin_of"]}
    frame = reduced.processes
    wanted = frame[frame["case"].isin([*pairs, *pairs.values()]) & (frame["status"] == "ok")]
    times, steps = (
        wanted.pivot_table(index="round", columns="case", values=values, observed=True, dropna=False)
        if len(wanted)
        else pd.DataFrame()
        for values in ("ns", "resolution_ns")
    )
    twins = []
    for twin, original in pairs.items():
        ratios, allowed = np.empty(0), np.empty(0)
        if twin in times and original in times:
            a, b = times[twin].to_numpy(float), times[original].to_numpy(float)
            fine = (a > 0) & (b > 0)
            ratios = (a[fine] / b[fine] - 1) * 100
            allowed = np.zeros(len(ratios))
            if planned[twin]["kind"] != "events":
                shares = (steps[[twin, original]] / times[[twin, original]]).to_numpy(float)[fine].sum(axis=1)
                allowed = (ratios + 100) * shares
        twins.append(Twin(twin, original, interval_of(ratios, steps=allowed)))
    return twins


ROW_COLUMNS = (
    "case",
    "kernel",
    "parameters",
    "cpus",
    "relation",
    "unit",
    "summary",
    "kind",
    "once",
    "twin_of",
    "paired",
    "reason",
    "ns",
    "ns_low",
    "ns_high",
    "coverage",
    "cycles",
    "cycles_low",
    "cycles_high",
    "floor_ns",
    "core_hz",
    "rounds",
    "batches",
    "disturbed_pct",
    "resolution_ns",
    "flags",
    "modes",
    "metrics",
    "counts",
    "quantiles",
)


def estimate_cases(reduced: Reduced) -> pd.DataFrame:
    """One row a case of the plan, in the plan's order, and one for each that could not be measured (``reason`` says
    why).

    Columns: those of `ROW_COLUMNS`. ``ns``, ``ns_low``, ``ns_high``: median over processes and its interval; NaN bounds
    where fewer than six processes or several modes (``modes``, list of `Mode`). ``cycles``: by the core clock that each
    process measured beside the case, only where its chains read 3.0 +- 5 %. ``floor_ns``: the smallest batch.
    ``metrics``: name to dict of value, low, high, unit, summary and, for ticks, the same in ns. ``counts``: name to
    `Counted`; a case of the kind ``counts`` has no time. ``quantiles``: of event
    kernels, see `pooled_quantiles`. ``paired``: the time is an operation less its control; it may be negative and has
    no floor. ``flags``: sorted names, see `fencepost.analysis.report.warnings`.
    """
    plan = reduced.run["plan"]
    frame = reduced.processes
    groups = frame.groupby("case", observed=True).indices if len(frame) else {}
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    rounds = len(reduced.workers)
    imported = schema.IMPORTED in reduced.run
    rows = [
        _estimate_case(
            case,
            columns,
            np.asarray(groups.get(case["case"], []), np.int64),
            # A file of another tool need not have each benchmark in every process.
            len(groups.get(case["case"], [])) if imported else rounds,
            reduced.histograms.get(case["case"]),
        )
        for case in plan["cases"]
    ]
    for item in plan["unmeasurable"]:
        described = {name: item.get(name) for name in ("case", "kernel", "parameters", "cpus", "unit", "reason")}
        nothing: dict[str, Any] = {"flags": ["not_measurable"], "modes": [], "metrics": {}, "counts": {}}
        rows.append(_EMPTY_ROW | nothing | described)
    frame = pd.DataFrame(rows, columns=list(ROW_COLUMNS))
    for name in _NAMES_OR_NONE:  # pandas would turn None into NaN
        frame[name] = pd.Series([row[name] for row in rows], dtype=object)
    return frame


_NAMES_OR_NONE = ("reason", "relation", "twin_of", "quantiles")


_NUMBERS = (
    "ns",
    "ns_low",
    "ns_high",
    "coverage",
    "cycles",
    "cycles_low",
    "cycles_high",
    "floor_ns",
    "core_hz",
    "disturbed_pct",
    "resolution_ns",
)


_EMPTY_ROW: dict[str, Any] = {
    **dict.fromkeys(_NUMBERS, math.nan),
    "rounds": 0,
    "batches": 0,
    "relation": None,
    "summary": "",
    "kind": "loop",
    "once": False,
    "twin_of": None,
    "paired": False,
    "reason": None,
    "quantiles": None,
}


def _estimate_case(
    case: Mapping[str, Any],
    columns: Mapping[str, Any],
    where: npt.NDArray[np.int64],
    rounds: int,
    histogram: Histogram | None,
) -> dict[str, Any]:
    row = _EMPTY_ROW | {"flags": [], "modes": [], "metrics": {}}
    row |= {
        name: case.get(name)
        for name in ("case", "kernel", "parameters", "cpus", "relation", "unit", "kind", "once", "twin_of")
    }
    row["summary"] = case.get("summary") or ""
    row["paired"] = bool(case.get("paired"))
    row["counts"] = counted(case.get("counts") or [], columns["counts"][where])
    status = columns["status"][where]
    failed = status == "failed"
    good = where[status == "ok"]
    expected = min(rounds, 1) if case["once"] else rounds
    if failed.any():
        # A kernel that did its work wrongly once may have done so unseen in other processes: none of its figures is
        # published.
        reason = columns["reason"][where[failed]][0]
        return row | {"reason": f"failed in {int(failed.sum())} of {len(where)} rounds: {reason}", "flags": ["failed"]}
    if not len(good):
        if len(where):
            return row | {"reason": str(columns["reason"][where[0]]), "flags": ["not_measurable"]}
        return row | {"reason": "no complete round holds this case", "flags": ["not_measured"]}
    if case["kind"] == "counts":
        lacking = {"incomplete": len(good) < expected, "once": bool(case["once"])}
        return row | {"rounds": len(good), "flags": sorted(name for name, found in lacking.items() if found)}
    ns = columns["ns"][good].astype(float)
    resolution = median(columns["resolution_ns"][good].astype(float))
    modes = find_modes(ns, resolution)
    # An event is shown as it was read, with its quantiles; only a time per operation claims to be finer than a reading.
    steps = np.zeros(len(ns)) if case["kind"] == "events" else columns["resolution_ns"][good].astype(float)
    central = interval_of(ns, steps=steps)
    flags = set()
    core, ratio = columns["core_hz"][good].astype(float), columns["chain_ratio"][good].astype(float)
    believable = np.abs(ratio / CHAIN_RATIO - 1) <= CHAIN_TOLERANCE
    timed = believable & np.isfinite(core)
    cycles_values = (ns * core / 1e9)[timed]
    cycles = interval_of(cycles_values, steps=(steps * core / 1e9)[timed])
    # Less than half of the processes is no longer a median over processes, but over those that happened to suit.
    if len(cycles_values) * 2 <= len(ns):
        cycles = interval_of(np.empty(0))
        flags.add("no_cycles")
    cycles_bounds = (
        (math.nan, math.nan)
        if find_modes(cycles_values, resolution * median(core) / 1e9)
        else (cycles.low, cycles.high)
    )
    batches = columns["batches"][good].astype(float)
    disturbed = (
        float(np.average(columns["disturbed"][good].astype(float), weights=batches)) if batches.sum() else math.nan
    )
    bounds = (math.nan, math.nan) if modes else (central.low, central.high)
    checks = {
        "noisy": disturbed > NOISY_SHARE,
        "migrated": bool((columns["migrated"][good] > 0).any()),
        "low_overlap": float(np.mean(columns["low_overlap"][good])) > NOISY_SHARE,
        "hand_over_drift": float(np.mean(columns["hand_over_drift"][good])) > NOISY_SHARE,
        "short": float(np.mean(columns["short"][good])) > NOISY_SHARE,
        "modes": bool(modes),
        "few_rounds": len(good) < FEWEST_PROCESSES and not case["once"],
        "few_cycles": FEWEST_PROCESSES > cycles.n > 0 and len(good) >= FEWEST_PROCESSES,
        "incomplete": len(good) < expected,
        "once": bool(case["once"]),
    }
    flags |= {name for name, found in checks.items() if found}
    return row | {
        "ns": central.value,
        "ns_low": bounds[0],
        "ns_high": bounds[1],
        "coverage": math.nan if modes or not central.coverage else central.coverage,
        "cycles": cycles.value,
        "cycles_low": cycles_bounds[0],
        "cycles_high": cycles_bounds[1],
        # The smallest difference of all is no cost that was ever seen.
        "floor_ns": math.nan if row["paired"] else float(np.min(columns["floor_ns"][good])),
        "core_hz": median(core),
        "rounds": len(good),
        "batches": int(batches.sum()),
        "disturbed_pct": disturbed * 100,
        "resolution_ns": resolution,
        "flags": sorted(flags),
        "modes": modes,
        "metrics": _metrics(
            case.get("metrics") or [], columns["metrics"][good], columns["tick_hz"][good].astype(float)
        ),
        "quantiles": pooled_quantiles(histogram) if histogram is not None else None,
    }


def _metrics(
    described: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, float]], tick_hz: Floats
) -> dict[str, dict[str, Any]]:
    about = {item["name"]: item for item in (*described, *ENGINE_METRICS)}
    names = [*about, *sorted({name for process in values for name in process} - set(about))]
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        series = np.array([process.get(name, math.nan) for process in values], float)
        known = np.isfinite(series)
        if not known.any():
            continue
        interval = interval_of(series[known])
        words = about.get(name, {})
        entry: dict[str, Any] = {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}
        entry |= {"unit": words.get("unit", ""), "summary": words.get("summary", "")}
        if name.endswith("_ticks"):
            ns = interval_of(series[known] / tick_hz[known] * 1e9)
            entry |= {"ns": ns.value, "ns_low": ns.low, "ns_high": ns.high}
        found[name] = entry
    return found


def estimate_runs(folders: Iterable[Path | str], *, processes: int | None = None) -> pd.DataFrame:
    """Estimates of many runs, reduced side by side; memory is bounded by the estimates, not by the batches.

    Returns
    -------
    pandas.DataFrame
        one row a run and case: ``run``, ``case``, ``kernel`` (categoricals), ``ns``, ``ns_low``, ``ns_high``,
        ``cycles``, ``floor_ns``, ``rounds``, ``batches``,
        ``noise_floor_pct`` of its run.
    """
    frames = list(map_runs(_narrow, list(folders), processes=processes))
    if not frames:
        return pd.DataFrame(columns=list(_NARROW))
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    for name in ("run", "case", "kernel"):
        whole[name] = whole[name].astype("category")
    return whole


_NARROW = (
    "run",
    "case",
    "kernel",
    "ns",
    "ns_low",
    "ns_high",
    "cycles",
    "floor_ns",
    "rounds",
    "batches",
    "noise_floor_pct",
)


def _narrow(folder: Path) -> pd.DataFrame:
    analysis = analyse(folder)
    frame = analysis.rows.assign(run=analysis.run["id"], noise_floor_pct=analysis.noise_floor_pct)
    narrow: pd.DataFrame = frame[list(_NARROW)]
    return narrow
