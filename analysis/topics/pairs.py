"""What passes between pairs of CPUs: the matrix of all pairs, and the cost by what the two CPUs share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.stats.interval import Floats, Interval, pooled

RELATIONS = ("same_core", "same_l2", "same_l3", "same_package", "same_numa", "cross_numa")
"""Nearest first; others stand after these."""


@dataclass(frozen=True)
class Matrix:
    """Cost between CPUs. `ns[i, j]` from `cpus[i]` to `cpus[j]`, NaN where the pair was not measured; symmetric where
    only one direction was. `pairs` of `all_pairs` were measured.
    """

    cpus: list[int]
    ns: Floats
    pairs: int
    all_pairs: int


@dataclass(frozen=True)
class Relation:
    """All pairs of one relation: their cost, with the nearest and the farthest pair."""

    name: str
    pairs: int
    ns: Interval
    nearest: float
    farthest: float


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
    return Matrix(cpus, ns, known, usable * (usable - 1) // 2)


def relations(analysis: Analysis, kernel: str, share: float = 1.0, **wanted: object) -> list[Relation]:
    """The same by relation of the two CPUs, nearest first: in each process the median over the pairs."""
    table = grid(analysis, kernel)
    found: dict[str, list[int]] = {}
    for place in _pairs(table, wanted):
        found.setdefault(str(table.rows[place].relation or "not known"), []).append(place)
    order = {name: i for i, name in enumerate(RELATIONS)}
    result = []
    for name in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        places = found[name]
        rows = [table.rows[place] for place in places]
        each = [row.time.value * share for row in rows]
        middle = [
            float(np.median(process[np.isfinite(process)])) if np.isfinite(process).any() else math.nan
            for process in table.ns[:, places] * share
        ]
        pairs = len({frozenset(row.cpus) for row in rows})
        result.append(Relation(name, pairs, pooled(middle), min(each), max(each)))
    return result


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
