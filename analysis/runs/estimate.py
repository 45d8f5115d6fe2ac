"""From medians per process to estimates: median over processes, its order-statistic interval, floor, modes, cycles,
noise floor.

A process is the unit of replication: batches of one process share an address-space layout, allocations and a machine's
mood, and tests between batches call identical code different in most trials. So n is always a number of processes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fencepost.analysis.runs.columns import places_by
from fencepost.analysis.runs.energy import ENERGY_METRICS
from fencepost.analysis.runs.hardware import HARDWARE_METRICS
from fencepost.analysis.runs.model import Histogram, Reduced
from fencepost.analysis.runs.regimes import InPlace, pairs_of, place_names
from fencepost.analysis.runs.row import MANY_RUNS_COLUMNS, Metric, Regime, Row, counted, frame_of
from fencepost.analysis.runs.twins import Twin, noise_floor
from fencepost.analysis.runs.witnesses import has_alone, why_never_alone
from fencepost.analysis.stats.clock import believable_clock
from fencepost.analysis.stats.interval import (
    FEWEST_PROCESSES,
    UNKNOWN,
    Floats,
    Interval,
    interval_of,
    median,
)
from fencepost.analysis.stats.modes import find_modes, of_modes
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, DescribedJson, MachineJson, RunJson, UnmeasurableJson, turns_of

if TYPE_CHECKING:
    import pandas as pd

NOISY_SHARE = 0.20
"""A larger share of disturbed batches marks a row as noisy."""


LOADED_PCT = "loaded_pct"


ENGINE_METRICS: tuple[DescribedJson, ...] = (
    {
        "name": "raw_round_trip_ns",
        "unit": "ns",
        "summary": "a line handed over and back, measured beside this case",
    },
    {"name": "xraw", "unit": "1", "summary": "the case's time over that round trip: comparable with another hour's"},
    {"name": "operation_ticks", "unit": "ticks", "summary": "the operation alone, its control not subtracted"},
    {"name": "control_ticks", "unit": "ticks", "summary": "the control alone"},
    {"name": LOADED_PCT, "unit": "%", "summary": "windows in which every background load ran"},
    *HARDWARE_METRICS,
    *ENERGY_METRICS,
)
"""Metrics that a case has whatever its kernel: two with several CPUs, two with a control, one with a load, those that
the hardware counted, and the power of the package."""


QUANTILES = (0.5, 0.9, 0.99, 0.999)


@dataclass(frozen=True)
class Analysis:
    """A run with everything that is derived from it. `rows`: see `estimate_cases`."""

    reduced: Reduced
    rows: tuple[Row, ...]
    twins: list[Twin]

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.reduced.folder

    @property
    def run(self) -> RunJson:
        """run.json."""
        return self.reduced.run

    @property
    def machine(self) -> MachineJson:
        """machine.json."""
        return self.reduced.machine

    @property
    def processes(self) -> pd.DataFrame:
        """Medians per process, see `fencepost.analysis.runs.medians.process_medians`."""
        return self.reduced.processes

    @functools.cached_property
    def place_names(self) -> dict[tuple[int, int], dict[float, str]]:
        """See `fencepost.analysis.runs.regimes.place_names`."""
        columns = (self.reduced.by_process[name] for name in ("case", "places"))
        return place_names(pairs_of(self.run["plan"]["cases"]), zip(*columns, strict=True))

    @functools.cached_property
    def measured_places(self) -> dict[str, npt.NDArray[np.intp]]:
        """By case, the places of its rows in `processes` that were measured: asked for by the hundred."""
        good = np.flatnonzero(self.reduced.by_process["status"] == "ok")
        return {case: good[places] for case, places in places_by(self.reduced.by_process["case"][good]).items()}

    @functools.cached_property
    def in_regimes(self) -> dict[str, Analysis]:
        """What `fencepost.analysis.runs.in_regime` made of the run, by regime: each of many claims asks for the same
        few.
        """
        return {}

    def column(self, name: str) -> Floats:
        """A column of `processes` as numbers, shape (processes,)."""
        return self.reduced.by_process.numbers(name)

    @property
    def rounds(self) -> int:
        """Complete rounds."""
        return len(self.reduced.by_round)

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

    def kernel(self, *names: str) -> tuple[Row, ...]:
        """Rows of these kernels without twins, measured or not."""
        return tuple(row for row in self.rows if row.kernel in names and row.twin_of is None)

    def measured(self, *kernels: str) -> tuple[Row, ...]:
        """Rows of these kernels that have a time, without twins; of all kernels, with twins, where none is named."""
        return tuple(row for row in (self.kernel(*kernels) if kernels else self.rows) if row.measured)

    def decided(self, *kernels: str) -> tuple[Row, ...]:
        """Rows of these kernels that tell something: a time, or counts without a time. Without twins."""
        return tuple(row for row in self.kernel(*kernels) if row.measured or (row.kind == "counts" and row.rounds))

    def topic(self, name: str) -> tuple[Row, ...]:
        """Rows of a topic, twins and unmeasured ones among them."""
        return tuple(row for row in self.rows if row.topic == name)

    @functools.cached_property
    def by_case(self) -> dict[str, Row]:
        """Rows by case."""
        return {row.case: row for row in self.rows}

    def as_frame(self) -> pd.DataFrame:
        """All rows as a frame, for notebooks: one row a case, see `fencepost.analysis.runs.row.COLUMNS`."""
        return frame_of(self.rows)


def analyse(folder: Path | str) -> Analysis:
    """Reduce and estimate one run folder. Raises `RunFolderError` where it is damaged."""
    # Only now, as its imports take longer than an answer from a run that was estimated before.
    from fencepost.analysis.runs.medians import reduce_run

    return analysis_of(reduce_run(folder))


def analysis_of(reduced: Reduced) -> Analysis:
    """Estimate what was reduced."""
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


def estimate_cases(reduced: Reduced) -> tuple[Row, ...]:
    """One row a case of the plan, in the plan's order, and one for each that could not be measured (its ``reason``
    says why).
    """
    plan = reduced.run["plan"]
    frame = reduced.processes
    groups = frame.groupby("case", observed=True).indices if len(frame) else {}
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    numbers = [int(number) for number in reduced.workers.get("round", ())]
    imported = schema.IMPORTED in reduced.run
    pairs = pairs_of(plan["cases"])
    names = place_names(pairs, zip(columns["case"], columns["places"], strict=True)) if len(frame) else {}
    rows = [
        _estimate_case(
            case,
            columns,
            np.asarray(groups.get(case["case"], []), np.int64),
            # A file of another tool need not have each benchmark in every process.
            len(groups.get(case["case"], [])) if imported else turns_of(case, numbers),
            reduced.histograms.get(case["case"]),
            reduced.machine,
            names.get(pairs[case["case"]], {}) if case["case"] in pairs else {},
        )
        for case in plan["cases"]
    ]
    rows += [_unmeasurable(item) for item in plan["unmeasurable"]]
    return tuple(rows)


def _unmeasurable(item: UnmeasurableJson) -> Row:
    """The row of a case that could not be measured."""
    place, flags = tuple(item["cpus"]), ("not_measurable",)
    return Row(
        item["case"], item["kernel"], item["parameters"], place, item["unit"], reason=item["reason"], flags=flags
    )


def _described(case: CaseJson, **more: Any) -> Row:
    """What the plan says of a case."""
    return Row(
        case["case"],
        case["kernel"],
        case["parameters"],
        tuple(case["cpus"]),
        case["unit"],
        case.get("relation"),
        case.get("summary") or "",
        case["kind"],
        case["once"],
        case["twin_of"],
        case.get("paired", False),
        **more,
    )


def _estimate_case(
    case: CaseJson,
    columns: Mapping[str, npt.NDArray[Any]],
    where: npt.NDArray[np.int64],
    planned: int,
    histogram: Histogram | None,
    machine: MachineJson,
    names: Mapping[float, str],
) -> Row:
    """The row of a case from its places `where` in the `columns` of the processes; it was to be in `planned` rounds.
    `names`: those of the distances at which its CPUs were in this run, where there are several.
    """
    described = functools.partial(
        _described, case, counts=counted(case.get("counts") or [], columns["counts"][where].tolist())
    )
    status = columns["status"][where]
    without = _without_figures(status, columns["reason"][where])
    if without is not None:
        flag, reason = without
        return described(reason=reason, flags=(flag,))
    good = where[status == "ok"]
    metrics = _metrics(case.get("metrics") or [], columns["metrics"][good], columns["tick_hz"][good].astype(float))
    flags = {
        "incomplete": len(good) < planned,
        "once": bool(case["once"]),
        "unloaded": LOADED_PCT in metrics and metrics[LOADED_PCT].interval.value < 100 * (1 - NOISY_SHARE),
    }
    if case["kind"] == "counts":
        return described(rounds=len(good), flags=_those_found(flags), metrics=metrics)
    measured = {name: columns[name][good].astype(float) for name in _TIMED}
    regimes = _regimes(columns["places"][good], names)
    flags["regimes"] = bool(regimes)
    never_alone = why_never_alone(case, columns["metrics"][good], machine)
    described = functools.partial(described, metrics=metrics, regimes=regimes, never_alone=never_alone)
    return _timed_row(described, case, measured, flags, histogram, can_be_alone=never_alone is None)


def _without_figures(status: npt.NDArray[Any], reasons: npt.NDArray[Any]) -> tuple[str, str] | None:
    """The flag of a case that has no figures, and the reason; None where it has some.

    `status` and `reasons` are those of its processes.
    """
    failed = status == "failed"
    if failed.any():
        # A kernel that did its work wrongly once may have done so unseen in other processes: none of its figures is
        # published.
        return "failed", f"failed in {int(failed.sum())} of {len(status)} rounds: {reasons[failed][0]}"
    if (status == "ok").any():
        return None
    if len(status):
        return "not_measurable", str(reasons[0])
    return "not_measured", "no complete round has this case"


def _those_found(flags: Mapping[str, bool]) -> tuple[str, ...]:
    return tuple(sorted(name for name, found in flags.items() if found))


_MOSTLY = ("low_overlap", "hand_over_drift", "short")
"""Flags of batches that a row has where more than `NOISY_SHARE` of its batches have them."""


_SHARES = {"free": "free_pct", "neighbour": "neighbour_pct", "clock_moved": "clock_pct"}
"""Columns of shares of batches that the witnesses tell, and the fields of a row that they become."""


_TIMED = (
    "ns",
    "found_ns",
    "alone_ns",
    *_SHARES,
    "floor_ns",
    "core_hz",
    "chain_ratio",
    "resolution_ns",
    "batches",
    "disturbed",
    "migrated",
    *_MOSTLY,
)
"""Columns of the processes that the row of a timed case is made of."""


def _timed_row(
    described: Callable[..., Row],
    case: Mapping[str, Any],
    measured: Mapping[str, Floats],
    flags: Mapping[str, bool],
    histogram: Histogram | None,
    *,
    can_be_alone: bool,
) -> Row:
    """The row of a case that takes time, from the columns `_TIMED` of the processes that measured it."""
    ns, core = measured["ns"], measured["core_hz"]
    resolution = median(measured["resolution_ns"])
    modes = find_modes(ns, resolution)
    # An event is shown as it was read, with its quantiles; only a time per operation claims to be finer than a reading.
    steps = np.zeros(len(ns)) if case["kind"] == "events" else measured["resolution_ns"]
    told = np.isfinite(ns)
    time = interval_of(ns[told], steps=steps[told])
    believable = told & believable_clock(measured["chain_ratio"]) & np.isfinite(core)
    processes = int(told.sum())
    cycles, known = _cycles(ns[believable], steps[believable], core[believable], processes, resolution * median(core))
    alone = can_be_alone and has_alone(int(np.isfinite(measured["alone_ns"]).sum()), len(ns))
    batches = measured["batches"]
    disturbed = float(np.average(measured["disturbed"], weights=batches)) if batches.sum() else math.nan
    found = {
        **flags,
        "no_cycles": not known,
        "noisy": disturbed > NOISY_SHARE,
        "migrated": bool((measured["migrated"] > 0).any()),
        **{name: float(np.mean(measured[name])) > NOISY_SHARE for name in _MOSTLY},
        "modes": bool(modes),
        "never_quiet": can_be_alone and not alone and bool(np.isfinite(measured["free"]).any()),
        "few_rounds": len(ns) < FEWEST_PROCESSES and not flags["once"],
        "few_cycles": FEWEST_PROCESSES > cycles.n > 0 and len(ns) >= FEWEST_PROCESSES,
    }
    return described(
        time=of_modes(time, modes),
        found=interval_of(measured["found_ns"], steps=steps),
        alone=alone,
        **_shares(measured),
        cycles=cycles,
        # The smallest difference of all is no cost that was ever seen.
        # Of several threads it is a moment at which the others stood.
        floor_ns=math.nan if case.get("paired") or len(case["cpus"]) > 1 else float(np.min(measured["floor_ns"])),
        core_hz=median(core),
        rounds=len(ns),
        batches=int(batches.sum()),
        disturbed_pct=disturbed * 100,
        resolution_ns=resolution,
        flags=_those_found(found),
        modes=tuple(modes),
        quantiles=pooled_quantiles(histogram) if histogram is not None else {},
    )


def _shares(measured: Mapping[str, Floats]) -> dict[str, float]:
    """The shares of batches that the witnesses tell, in per cent, over all processes that know them."""
    shares = {}
    for column, name in _SHARES.items():
        values, batches = measured[column], measured["batches"]
        known = np.isfinite(values) & (batches > 0)
        shares[name] = float(np.average(values[known], weights=batches[known])) * 100 if known.any() else math.nan
    return shares


def _regimes(processes: Sequence[Sequence[InPlace]], names: Mapping[float, str]) -> tuple[Regime, ...]:
    """A row's figure in each place that any of its processes met, the nearest first; none where there was one place."""
    distances = sorted({place.distance_ns for places in processes for place in places})
    total = sum(place.batches for places in processes for place in places)
    if len(distances) < 2:
        return ()
    regimes = []
    for distance in distances:
        here = [place for places in processes for place in places if place.distance_ns == distance]
        time = interval_of(np.array([place.ns for place in here]))
        regimes.append(Regime(names[distance], distance, sum(place.batches for place in here) / total, time))
    return tuple(regimes)


def _cycles(ns: Floats, steps: Floats, core_hz: Floats, processes: int, step_hz: float) -> tuple[Interval, bool]:
    """Cycles of the processes whose core clock is known, and whether these are more than half of all `processes`."""
    # Less than half of the processes is no longer a median over processes, but over those that happened to suit.
    if len(ns) * 2 <= processes:
        return UNKNOWN, False
    values = ns * core_hz / 1e9
    found = interval_of(values, steps=steps * core_hz / 1e9)
    return of_modes(found, find_modes(values, step_hz / 1e9)), True


def _metrics(
    described: Sequence[DescribedJson], values: Sequence[Mapping[str, float]], tick_hz: Floats
) -> dict[str, Metric]:
    about = {item["name"]: item for item in (*described, *ENGINE_METRICS)}
    present = {name for process in values for name in process}  # most cases have few of the engine's
    names = [*(name for name in about if name in present), *sorted(present - set(about))]
    found: dict[str, Metric] = {}
    for name in names:
        series = np.array([process.get(name, math.nan) for process in values], float)
        known = np.isfinite(series)
        if not known.any():
            continue
        words = about.get(name, {"name": name, "unit": "", "summary": ""})
        ns = interval_of(series[known] / tick_hz[known] * 1e9) if name.endswith("_ticks") else None
        found[name] = Metric(interval_of(series[known]), words["unit"], words["summary"], ns)
    return found


def estimate_runs(
    folders: Iterable[Path | str], *, processes: int | None = None, executor: Executor | None = None
) -> pd.DataFrame:
    """Estimates of many runs, reduced side by side; memory is bounded by the estimates, not by the batches.
    `processes` and `executor`: see `process_medians`.

    Returns
    -------
    pandas.DataFrame
        one row a run and case: ``run``, ``case``, ``kernel`` (categoricals), ``ns``, ``ns_low``, ``ns_high``,
        ``cycles``, ``floor_ns``, ``rounds``, ``batches``, ``noise_floor_pct`` of its run.
    """
    import pandas as pd

    from fencepost.analysis.runs.medians import map_runs

    frames = list(map_runs(_narrow, list(folders), processes=processes, executor=executor))
    if not frames:
        return pd.DataFrame(columns=list(_OF_MANY_RUNS))
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole.astype(dict.fromkeys(("run", "case", "kernel"), "category"))


_OF_MANY_RUNS = ("run", *MANY_RUNS_COLUMNS, "noise_floor_pct")


def _narrow(folder: Path) -> pd.DataFrame:
    analysis = analyse(folder)
    frame = frame_of(analysis.rows, MANY_RUNS_COLUMNS)
    frame = frame.assign(run=analysis.run["id"], noise_floor_pct=analysis.noise_floor_pct)
    narrow: pd.DataFrame = frame[list(_OF_MANY_RUNS)]
    return narrow
