"""The figures of a stored run that are compared: one value a process, with the steps of the tick counter."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.regimes import NEAR_CENTRE, InPlace, pair_of
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import median, middle_of
from fencepost.analysis.stats.resolution import log_step, ordered_bounds, step_of_events
from fencepost.analysis.stats.shift import Shift
from fencepost.analysis.stats.verdict import bound_rank

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ProcessTimes:
    """One case of a run: a value a process, in ns, and how far each may be off by the steps of the tick counter."""

    ns: Floats
    step_ns: Floats

    # A p-value is searched for among the bounds at many errors, so what they share is made once.

    @functools.cached_property
    def logs(self) -> Floats:
        """Logarithms of the values."""
        return np.log(self.ns)

    @functools.cached_property
    def steps(self) -> Floats:
        """How far each of `logs` may be off."""
        return log_step(self.step_ns, self.ns)

    @functools.cached_property
    def middle(self) -> float:
        """Median of `logs`."""
        return middle_of(self.logs)

    @functools.cached_property
    def step(self) -> float:
        """Median of `steps`."""
        return middle_of(self.steps)

    @functools.cached_property
    def _by_rank(self) -> dict[int, tuple[float, float]]:
        return {}

    def bounds(self, error: float) -> tuple[float, float]:
        """Bounds of the median of `logs`, each wrong with a probability of at most `error`."""
        rank = bound_rank(len(self), error)
        if rank not in self._by_rank:
            self._by_rank[rank] = ordered_bounds(self.logs, rank, self.steps)
        return self._by_rank[rank]

    def __len__(self) -> int:
        return len(self.ns)


def steady(ns: Floats) -> ProcessTimes:
    """A series of means over so many readings that the counter's steps have gone."""
    return ProcessTimes(ns, np.zeros(len(ns)))


def series_of_run(run: Analysis) -> dict[str, ProcessTimes]:
    """Per case the figures of its processes, those of `Row.basis`; without twins and cases measured once."""
    return {
        row.case: times
        for row in _compared_rows(run)
        if (times := _times(run, row, _column(run, row, "ns"))) is not None
    }


def cases_of_run(run: Analysis) -> set[str]:
    """The cases of `series_of_run`."""
    return {row.case for row in _compared_rows(run) if np.isfinite(_column(run, row, "ns")).any()}


def alike(sides: Sequence[tuple[Analysis, str]]) -> list[ProcessTimes | None]:
    """A case of several runs by figures of one kind: alone where all of them have it so, else by what was found.

    `sides`: each run with the name of the case in it.
    """
    rows = [(run, run.by_case[case]) for run, case in sides]
    alone = all(row.alone for _, row in rows)
    return [_times(run, row, _column(run, row, "found_ns" if row.alone and not alone else "ns")) for run, row in rows]


@dataclass(frozen=True)
class PairedTimes:
    """One case of two runs, by figures of one kind: ``alone``, ``as found``, or at one distance, such as ``near``.

    Those alone are at one clock, that of the old run: they count cycles.
    """

    old: ProcessTimes
    new: ProcessTimes
    basis: str

    @functools.cached_property
    def shift(self) -> Shift:
        """The logarithm of the new over the old."""
        return Shift(self.old.logs, self.new.logs, self.old.steps, self.new.steps)

    @property
    def usable(self) -> bool:
        """Whether all readings are above zero, so that they have ratios."""
        return bool((self.old.ns > 0).all() and (self.new.ns > 0).all())


def pairs_of_runs(old: Analysis, new: Analysis) -> dict[str, PairedTimes | None]:
    """The common cases by like figures: alone with alone, near with near; None where the runs have none alike.

    What is alone in both takes a number of cycles, and is compared by it: a core whose clock differs by a per cent from
    one process to the next says nothing of the code, and the clock is a control of its own.

    A case that is not alone in both runs is compared by what was found, in both. A case whose CPUs were at several
    distances is compared at the one that both runs met most; not at all where one of the runs does not know distances.
    """
    first = {row.case: row for row in _compared_rows(old)}
    return {row.case: _pair(old, new, first[row.case], row) for row in _compared_rows(new) if row.case in first}


def _compared_rows(run: Analysis) -> list[Row]:
    return [
        row
        for row in run.rows
        if row.reason is None
        and row.twin_of is None
        and not row.once
        and row.kind != "counts"
        and row.case in run.measured_places
    ]


def _pair(old: Analysis, new: Analysis, first: Row, second: Row) -> PairedTimes | None:
    if first.alone and second.alone:
        clock_hz = median(_column(old, first, "core_hz"))
        return _paired(
            "alone",
            *(
                (run, row, _column(run, row, "alone_ns") * _column(run, row, "core_hz") / clock_hz)
                for run, row in ((old, first), (new, second))
            ),
        )
    places = [_places(run, row) for run, row in ((old, first), (new, second))]
    if not all(places):
        # What was found pools the distances of one run, and the other does not say at which it was.
        if any(len(one) > 1 for one in places):
            return None
        return _paired(
            "as found", *((run, row, _column(run, row, "found_ns")) for run, row in ((old, first), (new, second)))
        )
    alike = [
        (min(_batches(before), _batches(after)), before, after)
        for before in places[0].values()
        for distance, after in places[1].items()
        if abs(math.log(distance / before[0].distance_ns)) <= math.log(NEAR_CENTRE)
    ]
    if not alike:
        return None
    _, before, after = max(alike, key=lambda item: item[0])
    return _paired(
        _place_name((old, first, before[0]), (new, second, after[0])),
        *(
            (run, row, np.array([place.ns for place in one]))
            for run, row, one in ((old, first, before), (new, second, after))
        ),
    )


def _paired(basis: str, *sides: tuple[Analysis, Row, Floats]) -> PairedTimes | None:
    times = [_times(*side) for side in sides]
    return None if times[0] is None or times[1] is None else PairedTimes(times[0], times[1], basis)


def _column(run: Analysis, row: Row, name: str) -> Floats:
    return run.column(name)[run.measured_places[row.case]]


def _times(run: Analysis, row: Row, ns: Floats) -> ProcessTimes | None:
    """The series of a case; None where no process knows it."""
    known = np.isfinite(ns)
    if not known.any():
        return None
    step_ns = _column(run, row, "resolution_ns")
    if row.kind == "events":
        quantum = median(run.reduced.by_round.numbers("quantum_ticks"))
        step_ns = step_ns * step_of_events(_column(run, row, "ticks"), quantum) / quantum
    # Of the processes that met one distance the steps are the same. Of what another tool measured none is known.
    steps = step_ns[known] if len(step_ns) == len(ns) else np.full(int(known.sum()), np.median(step_ns))
    return ProcessTimes(ns[known], np.where(np.isnan(steps), 0.0, steps))


def _places(run: Analysis, row: Row) -> dict[float, list[InPlace]]:
    """By distance, the figures of the processes that met it; nothing of a case without distances."""
    found: dict[float, list[InPlace]] = {}
    for places in run.reduced.by_process["places"][run.measured_places[row.case]]:
        for place in places:
            found.setdefault(place.distance_ns, []).append(place)
    return dict(sorted(found.items()))


def _place_name(*sides: tuple[Analysis, Row, InPlace]) -> str:
    """The name of a place in the run that knows more places of these CPUs; ``as found`` where both know one."""
    named = [(run.place_names.get(pair_of(row.cpus), {}), place.distance_ns) for run, row, place in sides]
    names, distance_ns = max(named, key=lambda item: len(item[0]))
    return names.get(distance_ns, "as found")


def _batches(places: list[InPlace]) -> int:
    return sum(place.batches for place in places)
