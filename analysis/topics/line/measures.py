"""Cache lines between CPUs: the matrix of pairs, distances by relation, and staircases of false sharing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid, ratio
from fencepost.analysis.stats.interval import UNKNOWN, Floats, Interval, columns_of, pooled

RELATIONS = ("same_core", "same_l2", "same_l3", "same_package", "same_numa", "cross_numa")
"""Nearest first; others stand after these."""


SHARED = 1.5
"""Words share a line where access costs at least this many times what it does at the largest distance."""


# ---- who is how far ----


@dataclass(frozen=True)
class Matrix:
    """One-way cost between CPUs: half a round trip, by definition. `ns[i, j]` from `cpus[i]` to `cpus[j]`, NaN where
    the pair was not measured; symmetric where only one direction was.
    """

    cpus: list[int]
    ns: Floats
    pairs: int
    all_pairs: int


@dataclass(frozen=True)
class Relation:
    """All pairs of one relation: one-way cost, with the nearest and the farthest pair."""

    name: str
    pairs: int
    ns: Interval
    nearest: float
    farthest: float


def matrix(analysis: Analysis, variant: str = "load_store") -> Matrix | None:
    """``line/pingpong`` of one variant without pause."""
    table = grid(analysis, "line/pingpong")
    rows = [table.rows[place] for place in _pairs(table, variant)]
    if not rows:
        return None
    cpus = sorted({int(cpu) for row in rows for cpu in row.cpus})
    place = {cpu: i for i, cpu in enumerate(cpus)}
    ns = np.full((len(cpus), len(cpus)), math.nan)
    for row in rows:
        a, b = (place[int(cpu)] for cpu in row.cpus[:2])
        ns[a, b] = row.time.value / 2
        if math.isnan(ns[b, a]):
            ns[b, a] = ns[a, b]
    known = len({frozenset(row.cpus) for row in rows})
    usable = len(analysis.run["plan"]["cpus"])
    return Matrix(cpus, ns, known, usable * (usable - 1) // 2)


def _pairs(table: Grid, variant: str) -> list[int]:
    return [
        place
        for place, row in enumerate(table.rows)
        if row.parameter("variant") == variant and row.parameter("pause") in (None, "no") and len(set(row.cpus)) == 2
    ]


def relations(analysis: Analysis, variant: str) -> list[Relation]:
    """One-way costs by relation, nearest first: in each process the median over the pairs."""
    table = grid(analysis, "line/pingpong")
    found: dict[str, list[int]] = {}
    for place in _pairs(table, variant):
        found.setdefault(str(table.rows[place].relation or "not known"), []).append(place)
    order = {name: i for i, name in enumerate(RELATIONS)}
    result = []
    for name in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        places = found[name]
        rows = [table.rows[place] for place in places]
        each = [row.time.value / 2 for row in rows]
        middle = [
            float(np.median(process[np.isfinite(process)])) if np.isfinite(process).any() else math.nan
            for process in table.ns[:, places] / 2
        ]
        pairs = len({frozenset(row.cpus) for row in rows})
        result.append(Relation(name, pairs, pooled(middle), min(each), max(each)))
    return result


# ---- where sharing ends ----


@dataclass(frozen=True)
class Staircase:
    """Cost of an access by the distance of two words; `ends`: the smallest distance from which on nothing is shared.
    `factor`: the smallest distance against the largest. `against_alone`: the largest against nobody beside.
    """

    op: str
    stride: Floats
    ns: Floats
    low: Floats
    high: Floats
    ends: Interval
    last_shared: float
    factor: Interval
    alone: Interval
    against_alone: Interval


def staircases(analysis: Analysis) -> list[Staircase]:
    """``line/false_sharing`` by operation, beside ``line/alone``."""
    table, control = grid(analysis, "line/false_sharing"), grid(analysis, "line/alone")
    found = []
    for op in dict.fromkeys(str(row.parameter("op")) for row in table.rows):
        places = [place for place, row in enumerate(table.rows) if str(row.parameter("op")) == op]
        places.sort(key=lambda place: table.rows[place].number("stride"))
        stride = np.array([table.rows[place].number("stride") for place in places])
        values = table.ns[:, places]
        ends = [_sharing_ends(stride, process) for process in values]
        rows = [table.rows[place] for place in places]
        place = control.find(op={"reader_writer": "load"}.get(op, op))
        nobody = None if place is None else control.rows[place]
        beside = ratio(analysis, rows[-1].case, nobody.case) if nobody else UNKNOWN
        edge = pooled(ends)
        shared = stride[stride < edge.value] if edge.n else stride[:0]
        found.append(
            Staircase(
                op,
                stride,
                *columns_of(row.time for row in rows),
                edge,
                float(shared.max()) if len(shared) else math.nan,
                table.ratio(places[0], places[-1]),
                nobody.time if nobody else UNKNOWN,
                beside,
            )
        )
    return found


def _sharing_ends(stride: Floats, ns: Floats) -> float:
    if not np.isfinite(ns).all() or ns[0] < SHARED * ns[-1]:
        return math.nan
    shared = ns > math.sqrt(ns[0] * ns[-1])
    return float(stride[len(shared) - int(np.argmax(shared[::-1]))])
