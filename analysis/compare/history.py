"""Runs of one machine over time: where a row changed for good, how surely, and whether the machine changed with it.

The unit is a run: one median a row and run. Within a run everything shares an hour of the machine, so its processes say
nothing about the next run; what runs of unchanged code differ by is what a change must exceed.

Method: for each place to cut a series of logarithms in two, the sum of one side as a standard score; the best of them
is tested against the best of permutations of the series (scipy.stats.permutation_test), which need no model of noise
and keep the false rate where runs are exchangeable. What is found is cut there, and both parts are looked at again
(binary segmentation). Where there is no step, a stretch in between is looked for in the same way. Values far out are
drawn in before. Source: Csorgo and Horvath, Limit Theorems in Change-Point Analysis (1997), section 1.4, for the
standardised sums; Antoch and Huskova, Permutation tests in change point analysis, Statistics & Probability Letters 53
(2001), for their permutations; Olshen and others, Biostatistics 5 (2004), for stretches.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fencepost.analysis.compare.collected import FILE as DATABASE
from fencepost.analysis.compare.collected import Collected, CollectedRun
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.labels import NO_MACHINE, MachineIdentity, identities
from fencepost.analysis.stats.changes import (
    COVERAGE,
    FALSE_RATE,
    FEWEST_RUNS,
    beyond,
    cut_interval,
    find_cuts,
    ratio_bounds,
)
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Floats, interval_of
from fencepost.bench.labels import run_folders

DEFAULT_FLOOR_PCT = 1.0
"""The margin of comparisons, in place of the noise floor where no run has an A/A row."""


ALIKE = 0.25
"""A row moved with the machine where its step differs from the machine's by less than this share of it."""


FEWEST_ALIKE = 4


POINTS_AT_ONCE = 2_000_000
"""Figures of rows in runs. They take some 200 MB."""


class HistoryError(ValueError):
    """The folder does not hold what a history needs."""


class TooFewRunsError(HistoryError):
    """No machine has as many runs as a history takes."""


@dataclass(frozen=True)
class Run:
    """One run: where it is in time, and what it was made with."""

    id: str
    created: datetime
    machine: str
    made_with: Mapping[str, str]
    noise_floor_pct: float
    identity: MachineIdentity = NO_MACHINE


Numbered: TypeAlias = Sequence[tuple[int, Run]]
"""Runs with their numbers in the database."""


@dataclass(frozen=True)
class RowSeries:
    """One row over time: shape (runs in which it was measured,); `run` holds indices of the machine's runs."""

    case: str
    kernel: str
    control: bool
    run: npt.NDArray[np.int64]
    ns: Floats
    low: Floats
    high: Floats
    basis: str = "as found"
    """Which figures of its runs these are: ``alone`` where every run has them."""


@dataclass(frozen=True)
class Change:
    """One change: the first run after it, as index of the machine's runs, with the bounds of its interval; the ratio of
    the levels after and before, with its interval.
    """

    case: str
    at: int
    earliest: int
    latest: int
    before_ns: float
    after_ns: float
    ratio: float
    low: float
    high: float
    p: float
    kind: str = "row"
    basis: str = "as found"
    net_ratio: float = math.nan
    """`ratio` over that of the machine, where both changed."""


@dataclass(frozen=True)
class MachineShift:
    """A change of the machine: its controls moved, or most of its rows did, alike."""

    at: int
    ratio: float
    cases: tuple[str, ...]
    because: str


@dataclass(frozen=True)
class RunMark:
    """Something that a run was made with differently than the one before it."""

    at: int
    what: str
    before: str
    after: str


@dataclass(frozen=True)
class MachineHistory:
    """All runs of one machine, in the order of time."""

    key: str
    runs: Sequence[Run]
    series: list[RowSeries]
    floor_pct: float
    changes: list[Change]
    shifts: list[MachineShift]
    marks: list[RunMark]

    def marks_at(self, change: Change) -> list[RunMark]:
        """Marks that the interval of `change` holds."""
        return [mark for mark in self.marks if change.earliest <= mark.at <= change.latest]

    def since(self, time: datetime) -> MachineHistory:
        """The same runs, with those changes only that may lie at `time` or after it."""
        changes = [change for change in self.changes if self.runs[change.latest].created >= time]
        shifts = [shift for shift in self.shifts if self.runs[shift.at].created >= time]
        return replace(self, changes=changes, shifts=shifts)

    @property
    def rows_changed(self) -> bool:
        """Whether a row changed by more than the machine did."""
        return any(change.kind != "machine" for change in self.changes)


@dataclass(frozen=True)
class History:
    """What a folder of runs says; `notes` are sentences on runs that were left out."""

    folder: Path
    machines: list[MachineHistory]
    notes: list[str] = field(default_factory=list)


def history(folder: Path | str, patterns: Sequence[str] = (), *, processes: int | None = None) -> History:
    """The history of a folder of run folders.

    Parameters
    ----------
    folder
        holds run folders; those of each machine are a history of their own.
    patterns
        kernels or cases to look at (names, globs of kernels, topics); none means all. Controls are always read.
    processes
        how many read side by side; by default one a usable CPU when there are more than eight runs.

    Raises
    ------
    TooFewRunsError
        when it holds no machine with `FEWEST_RUNS` readable runs.
    HistoryError
        when it holds no runs at all, or none of the rows asked for.
    """
    base = Path(folder)
    require_runs(base)
    with Collected(base, processes=processes) as collected:
        return history_of(collected, base, patterns)


def require_runs(base: Path) -> None:
    """Raise `HistoryError` where a folder has no runs, and never had any."""
    if not (base / kept.FOLDER / DATABASE).is_file() and not run_folders(base):
        raise _no_runs(base)


def _no_runs(base: Path) -> HistoryError:
    return HistoryError(f"{base}: has no runs yet. `fencepost run` makes the first run in results/runs")


def history_of(collected: Collected, base: Path, patterns: Sequence[str] = ()) -> History:
    """The history of runs that are collected, see `history`."""
    if not collected.runs:
        raise _no_runs(base)
    notes: list[str] = []
    usable: list[CollectedRun] = []
    for one in collected.runs:
        if one.note:
            notes.append(one.note)
        elif one.complete_rounds < FEWEST_PROCESSES:
            few = f"{one.complete_rounds} complete rounds are too few for a median with an interval"
            notes.append(f"{one.folder}: left out, {few}")
        else:
            usable.append(one)
    ids = identities(one.machine for one in usable)
    names = {machine: str(machine) for machine in ids}
    read: list[tuple[int, Run]] = []
    for machine, one in zip(ids, usable, strict=True):
        created = datetime.fromisoformat(one.created)
        read.append((one.no, Run(one.id, created, names[machine], one.made_with, one.noise_floor_pct, machine)))
    read.sort(key=lambda item: (item[1].created, item[1].id))
    by_machine: dict[str, list[tuple[int, Run]]] = {}
    for item in read:
        by_machine.setdefault(item[1].machine, []).append(item)
    cases = {
        no: (name, kernel, control)
        for no, name, kernel, control in collected.cases()
        if not patterns or control or _wanted(name, kernel, patterns)
    }
    enough = {key: own for key, own in by_machine.items() if len(own) >= FEWEST_RUNS}
    for key, own in by_machine.items():
        if key not in enough:
            notes.append(f"{key}: {_runs(len(own))}, too few; a history takes {FEWEST_RUNS}")
    machines = [one for group in _groups(enough, len(cases)) for one in _machines(group, collected, cases)]
    if not machines:
        most = max(map(len, by_machine.values()), default=0)
        reason = f"; {notes[0]}" if not read and notes else ""
        raise TooFewRunsError(
            f"{base}: {_runs(most)} of one machine that can be used, and a history takes {FEWEST_RUNS}: "
            f"of fewer, no change can be told from chance at {FALSE_RATE:.0%}{reason}"
        )
    if patterns and not any(_wanted(one.case, one.kernel, patterns) for machine in machines for one in machine.series):
        raise HistoryError(f"{base}: no row of these runs is called {' or '.join(patterns)}; see `fencepost list`")
    return History(base, machines, notes)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _groups(machines: Mapping[str, Numbered], cases: int) -> Iterator[dict[str, Numbered]]:
    """Machines whose figures are read at once: each reading looks at the figures of all."""
    group: dict[str, Numbered] = {}
    points = 0
    for key, runs in machines.items():
        if group and points + len(runs) * cases > POINTS_AT_ONCE:
            yield group
            group, points = {}, 0
        group[key] = runs
        points += len(runs) * cases
    if group:
        yield group


def _machines(
    group: Mapping[str, Numbered], collected: Collected, cases: Mapping[int, tuple[str, str, bool]]
) -> Iterator[MachineHistory]:
    points = collected.points([no for runs in group.values() for no, _ in runs], list(cases))
    begin = 0
    for key, runs in group.items():
        own = (points["place"] >= begin) & (points["place"] < begin + len(runs))
        part = {name: values[own] for name, values in points.items()}
        part["place"] = part["place"] - begin
        begin += len(runs)
        yield _machine(key, [run for _, run in runs], part, cases)


def _machine(
    key: str, runs: list[Run], points: Mapping[str, Any], cases: Mapping[int, tuple[str, str, bool]]
) -> MachineHistory:
    """The history of one machine from the figures of its runs, as `Collected.points` gives them."""
    where, firsts = np.unique(points["row"], return_index=True)
    series = []
    for no, begin, end in zip(where.tolist(), firsts.tolist(), [*firsts.tolist()[1:], len(points["row"])], strict=True):
        own = {name: np.ma.filled(values[begin:end], math.nan) for name, values in points.items() if name != "row"}
        alone = own["alone"].astype(bool)
        # Like with like: where a run has no figure alone, the others stand by what was found as well.
        found = alone & (not alone.all())
        ns, low, high = (np.where(found, own[f"found_{name}"], own[name]) for name in ("ns", "ns_low", "ns_high"))
        basis = "alone" if alone.all() else "as found"
        series.append(RowSeries(*cases[no], own["place"].astype(np.int64), ns, low, high, basis=basis))
    floors = [run.noise_floor_pct for run in runs if math.isfinite(run.noise_floor_pct)]
    floor = float(np.median(floors)) if floors else DEFAULT_FLOOR_PCT
    changes = [change for one in series for change in changes_of(one, floor)]
    shifts = machine_shifts(series, changes)
    return MachineHistory(key, runs, series, floor, _attribute(changes, shifts, floor), shifts, _marks(runs))


def _wanted(case: str, kernel: str, patterns: Sequence[str]) -> bool:
    topic = kernel.partition("/")[0]
    return any(pattern in (case, topic) or fnmatch.fnmatchcase(kernel, pattern) for pattern in patterns)


def _marks(runs: Sequence[Run]) -> list[RunMark]:
    return [
        RunMark(index, what, before.made_with[what], after.made_with[what])
        for index, (before, after) in enumerate(itertools.pairwise(runs), 1)
        if before.made_with is not after.made_with
        for what in after.made_with
        # A file that was not there before is not another one.
        if before.made_with.get(what, after.made_with[what]) != after.made_with[what]
    ]


# ---- change points of one series ----


def changes_of(series: RowSeries, floor_pct: float = 0.0) -> list[Change]:
    """Changes of one row, in the order of time.

    A cut counts where chance makes one as clear in at most `FALSE_RATE` of series, and where the whole interval of its
    ratio lies beyond `floor_pct` (per cent).
    """
    values = np.log(series.ns)
    found = find_cuts(values, 0, len(values))
    while True:
        # A level goes from one change to the next; where one falls below the floor, its neighbours' levels grow.
        edges = [0, *(cut for cut, _ in found), len(values)]
        changes = [
            _change(series, values, (edges[position], cut, edges[position + 2]), p)
            for position, (cut, p) in enumerate(found)
        ]
        small = [position for position, change in enumerate(changes) if not beyond(change.low, change.high, floor_pct)]
        if not small:
            return changes
        smallest = min(small, key=lambda position: abs(math.log(changes[position].ratio)))
        del found[smallest]


def _change(series: RowSeries, values: Floats, edges: tuple[int, int, int], p: float) -> Change:
    begin, cut, end = edges
    before, after = values[begin:cut], values[cut:end]
    earliest, latest = cut_interval(before, after)
    low, high = ratio_bounds(before, after)
    levels = (math.exp(interval_of(before).value), math.exp(interval_of(after).value))
    where = series.run
    return Change(
        series.case,
        int(where[cut]),
        int(where[begin + earliest]),
        int(where[begin + latest]),
        *levels,
        levels[1] / levels[0],
        low,
        high,
        p,
        basis=series.basis,
    )


# ---- the machine, or the row? ----


def machine_shifts(series: Sequence[RowSeries], changes: Sequence[Change]) -> list[MachineShift]:
    """Changes of the machine: a control moved, or at least half of all rows (and four) did, in one direction.

    Changes that are one run apart are the same.
    """
    controls = {one.case for one in series if one.control}
    shifts: list[MachineShift] = []
    for at in sorted({change.at for change in changes}):
        if shifts and at - shifts[-1].at <= 1:
            continue
        near = [change for change in changes if at <= change.at <= at + 1]
        for up in (True, False):
            moved = [change for change in near if (change.ratio > 1) is up]
            own = [change for change in moved if change.case in controls]
            if own:
                because = "control cases moved"
            elif len(moved) >= max(FEWEST_ALIKE, len(series) / 2):
                own, because = moved, f"{len(moved)} of {len(series)} rows moved"
            else:
                continue
            ratio = float(np.exp(np.median([math.log(change.ratio) for change in own])))
            place = int(np.median([change.at for change in own]))
            shifts.append(MachineShift(place, ratio, tuple(change.case for change in own), because))
            break
    return shifts


def _attribute(changes: Iterable[Change], shifts: Sequence[MachineShift], floor_pct: float) -> list[Change]:
    found = []
    for change in changes:
        shift = next((shift for shift in shifts if abs(shift.at - change.at) <= 1), None)
        if shift is None:
            found.append(change)
            continue
        own, machine = math.log(change.ratio), math.log(shift.ratio)
        alike = change.case in shift.cases or abs(own - machine) <= max(
            math.log1p(floor_pct / 100), ALIKE * abs(machine)
        )
        kind = "machine" if alike else "row and machine"
        found.append(replace(change, kind=kind, net_ratio=math.exp(own - machine)))
    return found


# ---- for programs and for the eye ----


def as_json(found: History, pictures: Mapping[str, str]) -> dict[str, object]:
    """The history as plain data; runs are named by their ids, `pictures` by the machine that they show."""
    return {
        "folder": str(found.folder),
        "false_rate": FALSE_RATE,
        "coverage": COVERAGE,
        "machines": [_machine_as_json(machine, pictures.get(machine.key)) for machine in found.machines],
        "notes": found.notes,
    }


def _machine_as_json(machine: MachineHistory, picture: str | None) -> dict[str, object]:
    def run(index: int) -> str:
        return machine.runs[index].id

    return {
        "machine": machine.key,
        "noise_floor_pct": machine.floor_pct,
        "rows": len(machine.series),
        "runs": [{"run": one.id, "created_utc": one.created.isoformat(), **one.made_with} for one in machine.runs],
        "changes": [
            {
                "case": change.case,
                "kind": change.kind,
                "basis": change.basis,
                "last_before": run(change.at - 1),
                "first_after": run(change.at),
                "earliest": run(change.earliest),
                "latest": run(change.latest),
                "before_ns": change.before_ns,
                "after_ns": change.after_ns,
                "ratio": change.ratio,
                "low": change.low,
                "high": change.high,
                "net_ratio": change.net_ratio,
                "p": change.p,
                "made_differently": [mark.what for mark in machine.marks_at(change)],
            }
            for change in machine.changes
        ],
        "machine_shifts": [
            {"first_after": run(shift.at), "ratio": shift.ratio, "because": shift.because, "cases": list(shift.cases)}
            for shift in machine.shifts
        ],
        "made_differently": [
            {"first_after": run(mark.at), "what": mark.what, "before": mark.before, "after": mark.after}
            for mark in machine.marks
        ],
        "picture": picture,
    }
