"""What passes between pairs of CPUs: the matrix of all pairs, and the cost by what the two CPUs share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid, processes_of
from fencepost.analysis.runs.regimes import LEAST_STEP, InPlace
from fencepost.analysis.runs.row import Regime, Row, cost_text
from fencepost.analysis.stats.interval import Floats, Interval, pooled
from fencepost.analysis.stats.modes import Mode, find_modes, of_modes

RELATIONS = ("same_core", "same_l2", "same_l3", "same_package", "same_numa", "cross_numa")
"""Nearest first; others stand after these."""


@dataclass(frozen=True)
class Matrix:
    """Cost between CPUs. `ns[i, j]` from `cpus[i]` to `cpus[j]`, NaN where the pair was not measured; symmetric where
    only one direction was. `pairs` of `all_pairs` were measured. Of a pair that was at several distances it has the
    figure of the one that held longest; `several` says whether there is such a pair. `least` and `most` are over all.
    """

    cpus: list[int]
    ns: Floats
    pairs: int
    all_pairs: int
    several: bool
    least: float
    most: float


@dataclass(frozen=True)
class Relation:
    """All pairs of one relation: their cost, with the nearest and the farthest pair. Of several `regimes` the cost is
    that of the one that held longest. Of several `modes` it is without bounds.
    """

    name: str
    pairs: int
    ns: Interval
    nearest: float
    farthest: float
    regimes: tuple[Regime, ...] = ()
    modes: tuple[Mode, ...] = ()

    def text(self) -> str:
        """The cost, or that of each regime or mode by itself."""
        return cost_text(self.ns, self.regimes, self.modes)


def matrix(analysis: Analysis, kernel: str, share: float = 1.0, **wanted: object) -> Matrix | None:
    """`share` of the time of each pair of CPUs, of the rows with these parameters; None where there are none."""
    table = grid(analysis, kernel)
    rows = [table.rows[place] for place in _pairs(table, wanted)]
    if not rows:
        return None
    cpus = sorted({int(cpu) for row in rows for cpu in row.cpus})
    place = {cpu: i for i, cpu in enumerate(cpus)}
    ns = np.full((len(cpus), len(cpus)), math.nan)
    for row in rows:
        a, b = (place[int(cpu)] for cpu in row.cpus[:2])
        ns[a, b] = row.time.value * share
        if math.isnan(ns[b, a]):
            ns[b, a] = ns[a, b]
    known = len({frozenset(row.cpus) for row in rows})
    usable = len(analysis.run["plan"]["cpus"])
    every = _figures(rows, share)
    several = any(row.regimes for row in rows)
    return Matrix(cpus, ns, known, usable * (usable - 1) // 2, several, min(every), max(every))


def relations(analysis: Analysis, kernel: str, share: float = 1.0, **wanted: object) -> list[Relation]:
    """The same by relation of the two CPUs, nearest first: in each process the median over the pairs."""
    table = grid(analysis, kernel)
    found: dict[str, list[int]] = {}
    for place in _pairs(table, wanted):
        found.setdefault(relation_of(table.rows[place]), []).append(place)
    order = {name: i for i, name in enumerate(RELATIONS)}
    result = []
    for name in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        places = found[name]
        rows = [table.rows[place] for place in places]
        each = _figures(rows, share)
        middle = [
            float(np.median(process[np.isfinite(process)])) if np.isfinite(process).any() else math.nan
            for process in table.ns[:, places] * share
        ]
        pairs = len({frozenset(row.cpus) for row in rows})
        regimes = _regimes(analysis, rows, share)
        modes = () if regimes else _modes(rows, table.ns[:, places] * share)
        ns = max(regimes, key=lambda regime: regime.share).time if regimes else of_modes(pooled(middle), modes)
        result.append(Relation(name, pairs, ns, min(each), max(each), regimes, modes))
    return result


def _modes(rows: Sequence[Row], ns: Floats) -> tuple[Mode, ...]:
    """The modes of all values of these rows, `ns` of shape (rounds, rows); none where each row has its own and steady.

    The two directions of one process may have met two modes, and then nobody has seen the figure between them. Two
    steady directions that differ by less than two places do are no modes: their middle stands for both.
    """
    modes = find_modes(ns)
    apart = any(upper.ns >= LEAST_STEP * lower.ns for lower, upper in itertools.pairwise(modes))
    return tuple(modes) if apart or any(row.modes for row in rows) else ()


def _regimes(analysis: Analysis, rows: Sequence[Row], share: float) -> tuple[Regime, ...]:
    """The regimes of most of these rows: in each process the median over the rows that met it; else none."""
    told = [row for row in rows if row.regimes]
    if len(told) * 2 <= len(rows):
        return ()
    name = {(row.case, regime.distance_ns): regime.name for row in told for regime in row.regimes}
    found: dict[str, dict[int, list[InPlace]]] = {}
    met = processes_of(analysis, [row.case for row in told])
    for case, process, places in zip(met["case"], met["round"], met["places"], strict=True):
        for place in places:
            found.setdefault(name[case, place.distance_ns], {}).setdefault(process, []).append(place)
    batches = {one: sum(place.batches for places in item.values() for place in places) for one, item in found.items()}
    result = []
    for one, item in found.items():
        time = pooled([float(np.median([place.ns for place in several])) * share for several in item.values()])
        apart = [regime.distance_ns for row in told for regime in row.regimes if regime.name == one]
        result.append(Regime(one, float(np.median(apart)), batches[one] / sum(batches.values()), time))
    return tuple(sorted(result, key=lambda regime: regime.distance_ns))


def _figures(rows: Sequence[Row], share: float) -> list[float]:
    """The figures of these rows, each regime's or mode's by itself."""
    return [
        value * share
        for row in rows
        for value in [regime.time.value for regime in row.regimes]
        or [mode.ns for mode in row.modes]
        or [row.time.value]
    ]


def relation_of(row: Row) -> str:
    """The name of the relation of a row's CPUs, as `Relation` has it; a topology may not tell it."""
    return str(row.relation or "not known")


def words(relation: str) -> str:
    """A relation's name in words."""
    return relation.replace("_", " ").replace("l2", "L2").replace("l3", "L3").replace("numa", "NUMA")


def _pairs(table: Grid, wanted: dict[str, object]) -> list[int]:
    # A kernel without one of these parameters has all its pairs in the picture.
    return [
        place
        for place, row in enumerate(table.rows)
        if len(set(row.cpus)) == 2 and all(row.parameter(name) in (None, str(value)) for name, value in wanted.items())
    ]
