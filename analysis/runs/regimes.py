"""Regimes of cases on several CPUs: batches sorted by how far the CPUs were apart, not by their values.

A host may run two virtual CPUs now on cores that share a cache, now on cores that do not. The round trip of one line,
taken just before and just after each batch, tells the places apart. Each place gets a figure of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fencepost.analysis.runs.rounds import Round
from fencepost.analysis.runs.row import regime_names
from fencepost.analysis.runs.visits import rows_by_code
from fencepost.analysis.stats.interval import Floats

LEAST_STEP = 1.5
"""Two places whose round trips differ by a smaller factor are one: a neighbour in the same cache makes as much."""

LEAST_SHARE = 0.05
"""A place that held for less of the run is no regime: its batches are left out."""

NEAR_CENTRE = 1.25
"""A batch belongs to a place when its round trip differs from the place's by no more than this factor. In between lie
batches during which the place changed."""

CLEAN_SHARE = 0.6
"""At least so many of a group's batches are near its centre; otherwise the group is a wide spread and not a place."""

FEWEST_BATCHES = 3
"""Of a process in one place. The median of fewer may be a batch during which something else happened."""


class InPlace(NamedTuple):
    """A case in one process and one place: the place's round trip, the median per operation, and the batches."""

    distance_ns: float
    ns: float
    batches: int


@dataclass(frozen=True)
class TeamBatches:
    """All batches of a case in one process: values and round trips, each of shape (rows,), in ns."""

    case: str
    round: int
    pair: tuple[int, int]
    value_ns: Floats
    distance_ns: Floats


def places_of(distance_ns: Floats) -> list[float]:
    """The places that round trips tell apart, by their centres in ascending order; one where there is no clear step."""
    logs = np.sort(np.log(distance_ns[np.isfinite(distance_ns) & (distance_ns > 0)]))
    return [math.exp(centre) for centre in _split(logs, len(logs))]


def _split(logs: Floats, total: int) -> list[float]:
    if not len(logs):
        return []
    cut = _best_cut(logs)
    if cut is not None:
        parts = (logs[:cut], logs[cut:])
        centres = [float(np.median(part)) for part in parts]
        clean = all(
            len(part) >= LEAST_SHARE * total and np.mean(np.abs(part - centre) <= math.log(NEAR_CENTRE)) >= CLEAN_SHARE
            for part, centre in zip(parts, centres, strict=True)
        )
        if clean and centres[1] - centres[0] >= math.log(LEAST_STEP):
            return [*_split(parts[0], total), *_split(parts[1], total)]
    return [float(np.median(logs))]


def _best_cut(logs: Floats) -> int | None:
    """Where two groups are tightest around their means (Otsu's criterion); None for fewer than two values."""
    n = len(logs)
    if n < 2:
        return None
    sums = np.cumsum(logs)[:-1]
    sizes = np.arange(1, n)
    between = (sums / sizes - (sums[-1] + logs[-1] - sums) / (n - sizes)) ** 2 * sizes * (n - sizes)
    return int(np.argmax(between)) + 1


def in_places(batches: Iterable[TeamBatches]) -> dict[tuple[str, int], tuple[InPlace, ...]]:
    """By case and round: its figure in each place in which the process had enough batches.

    Places are those of a pair of CPUs over the whole run: one where the CPUs stayed where they were. A case with fewer
    batches in each process than a figure takes is in none, and keeps the figure over all of them.
    """
    every = list(batches)
    able = {one.case for one in every if len(one.value_ns) >= FEWEST_BATCHES}
    by_pair: dict[tuple[int, int], list[TeamBatches]] = {}
    for one in every:
        if one.case in able:
            by_pair.setdefault(one.pair, []).append(one)
    found: dict[tuple[str, int], tuple[InPlace, ...]] = {}
    for ones in by_pair.values():
        places = places_of(np.concatenate([one.distance_ns for one in ones]))
        found |= {(one.case, one.round): _sorted_into(one, places) for one in ones}
    return found


def _sorted_into(one: TeamBatches, places: Sequence[float]) -> tuple[InPlace, ...]:
    found = []
    for place in places:
        inside = np.sort(one.value_ns[np.abs(np.log(one.distance_ns / place)) <= math.log(NEAR_CENTRE)])
        n = len(inside)
        if n >= FEWEST_BATCHES:
            # np.median takes ten times as long for so few.
            found.append(InPlace(place, float(inside[(n - 1) // 2] + inside[n // 2]) / 2, n))
    return tuple(found)


def moved_pairs(
    pairs: Mapping[str, tuple[int, int]], found: Mapping[tuple[str, int], Sequence[InPlace]]
) -> set[tuple[int, int]]:
    """The pairs of CPUs that were in several places. `pairs`: by case; `found`: as `in_places` gives it."""
    return set(place_names(pairs, ((case, places) for (case, _), places in found.items())))


def place_names(
    pairs: Mapping[str, tuple[int, int]], found: Iterable[tuple[str, Sequence[InPlace]]]
) -> dict[tuple[int, int], dict[float, str]]:
    """The names of the places of each pair of CPUs that was in several, by their distances, the nearest first.

    A place has one name in all rows of a pair, also in a row that did not meet every place. `pairs`: by case; `found`:
    the places of each case and process.
    """
    distances: dict[tuple[int, int], set[float]] = {}
    for case, places in found:
        if places:
            distances.setdefault(pairs[case], set()).update(place.distance_ns for place in places)
    return {
        pair: dict(zip(sorted(those), regime_names(len(those)), strict=True))
        for pair, those in distances.items()
        if len(those) > 1
    }


def main_places(
    pairs: Mapping[str, tuple[int, int]], found: Mapping[tuple[str, int], Sequence[InPlace]]
) -> dict[tuple[int, int], float]:
    """By pair of CPUs the place that held for most of its batches: of it are the figures that stand for a whole row."""
    batches: dict[tuple[int, int], dict[float, int]] = {}
    for (case, _), places in found.items():
        of_pair = batches.setdefault(pairs[case], {})
        for place in places:
            of_pair[place.distance_ns] = of_pair.get(place.distance_ns, 0) + place.batches
    return {pair: max(counts, key=counts.__getitem__) for pair, counts in batches.items() if counts}


def pair_of(cpus: Sequence[int]) -> tuple[int, int]:
    """The two CPUs of a case whose distance is measured, the lower first. `cpus`: all of the case, as planned."""
    first, second = sorted(cpus[:2])
    return int(first), int(second)


def pairs_of(cases: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """By case of the plan, for those on several CPUs: the two CPUs whose distance is measured."""
    return {case["case"]: pair_of(case["cpus"]) for case in cases if len(case["cpus"]) > 1}


def team_batches(item: Round, planned: Mapping[str, Mapping[str, Any]]) -> list[TeamBatches]:
    """The cases of several CPUs in a round, with the round trips beside their batches; none of older versions."""
    if "distance_ticks" not in item.rows.column_names:
        return []
    cases = item.rows.column("case").combine_chunks()
    names: list[str] = cases.dictionary.to_pylist()
    codes = cases.indices.to_numpy()
    thread, ticks, overhead, operations, distance = (
        item.rows.column(name).to_numpy()
        for name in ("thread", "ticks", "overhead_ticks", "operations", "distance_ticks")
    )
    scale = 1e9 / item.record["worker"]["tick_hz"]
    # Worker 0 alone has the round trip of the batch. Its row comes first, and those of the others follow it.
    leads = np.maximum.accumulate(np.where(thread == 0, np.arange(len(thread)), 0))
    trips = distance.astype(float)[leads] * scale
    value = (ticks - overhead) / operations * scale
    found = []
    for name, rows in zip(names, rows_by_code(codes, len(names)), strict=True):
        case = planned.get(name)
        if case is None or len(case["cpus"]) < 2 or case["once"] or not len(rows) or thread[rows[0]] != 0:
            continue
        if np.isfinite(trips[rows]).any():
            found.append(TeamBatches(name, item.number, pair_of(case["cpus"]), value[rows], trips[rows]))
    return found
