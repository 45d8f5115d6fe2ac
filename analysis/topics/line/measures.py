"""Cache lines between CPUs: the matrix of pairs, distances by relation, and staircases of false sharing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid, ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Floats, Interval, columns_of, pooled
from fencepost.analysis.topics import pairs
from fencepost.analysis.topics.pairs import Matrix, Relation

SHARED = 1.5
"""Words share a line where access costs at least this many times what it does at the largest distance."""


# ---- who is how far ----


PINGPONG = "line/pingpong"
"""The kernel whose round trips say who is how far."""

ONE_WAY = 0.5
"""Of a round trip, by definition here."""


def matrix(analysis: Analysis, variant: str = "load_store") -> Matrix | None:
    """One-way costs between CPUs: `PINGPONG` of one variant without pause."""
    return pairs.matrix(analysis, PINGPONG, ONE_WAY, variant=variant, pause="no")


def relations(analysis: Analysis, variant: str) -> list[Relation]:
    """One-way costs by relation of the two CPUs, nearest first."""
    return pairs.relations(analysis, PINGPONG, ONE_WAY, variant=variant, pause="no")


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
    rows: list[Row]
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
                rows,
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
