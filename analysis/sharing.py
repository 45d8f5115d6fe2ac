"""What the rows of line, lock and counter say together: who is how far, where sharing ends, what a crowd costs.

Everything is computed per process first; the interval over processes comes last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fencepost.analysis import derive
from fencepost.analysis.estimate import Analysis, Interval
from fencepost.analysis.paired import UNKNOWN, Floats, Grid, between, crossings, grid, pooled

OVERSUBSCRIBED = "oversubscribed"
"""In place of a relation: more threads than CPUs."""
RELATIONS = ("same_core", "same_l2", "same_l3", "same_package", "same_numa", "cross_numa")
"""Nearest first; others stand after these."""
NOTHING = (math.nan, math.nan, math.nan)
SHARED = 1.5
"""Words share a line where access costs at least this many times what it does at the largest distance."""


def _bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats, Floats]:
    ns, low, high = (np.array([row[name] for row in rows], float) for name in ("ns", "ns_low", "ns_high"))
    return ns, low, high


def value_of(row: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """A metric with its bounds, NaN where the row has none."""
    item = row["metrics"].get(metric)
    return NOTHING if item is None else (item["value"], item["low"], item["high"])


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
    cpus = sorted({int(cpu) for row in rows for cpu in row["cpus"]})
    place = {cpu: i for i, cpu in enumerate(cpus)}
    ns = np.full((len(cpus), len(cpus)), math.nan)
    for row in rows:
        a, b = (place[int(cpu)] for cpu in row["cpus"][:2])
        ns[a, b] = row["ns"] / 2
        if math.isnan(ns[b, a]):
            ns[b, a] = ns[a, b]
    known = len({frozenset(row["cpus"]) for row in rows})
    usable = len(analysis.run["plan"]["cpus"])
    return Matrix(cpus, ns, known, usable * (usable - 1) // 2)


def _pairs(table: Grid, variant: str) -> list[int]:
    return [
        place
        for place, row in enumerate(table.rows)
        if row["parameters"].get("variant") == variant
        and str(row["parameters"].get("pause", "no")) == "no"
        and len(set(row["cpus"])) == 2
    ]


def relations(analysis: Analysis, variant: str) -> list[Relation]:
    """One-way costs by relation, nearest first: in each process the median over the pairs."""
    table = grid(analysis, "line/pingpong")
    found: dict[str, list[int]] = {}
    for place in _pairs(table, variant):
        found.setdefault(str(table.rows[place]["relation"] or "not known"), []).append(place)
    order = {name: i for i, name in enumerate(RELATIONS)}
    result = []
    for name in sorted(found, key=lambda name: (order.get(name, len(order)), name)):
        places = found[name]
        rows = [table.rows[place] for place in places]
        each = [row["ns"] / 2 for row in rows]
        middle = [
            float(np.median(process[np.isfinite(process)])) if np.isfinite(process).any() else math.nan
            for process in table.ns[:, places] / 2
        ]
        pairs = len({frozenset(row["cpus"]) for row in rows})
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
    alone: tuple[float, float, float]
    against_alone: Interval


def staircases(analysis: Analysis) -> list[Staircase]:
    """``line/false_sharing`` by operation, beside ``line/alone``."""
    table, control = grid(analysis, "line/false_sharing"), grid(analysis, "line/alone")
    found = []
    for op in dict.fromkeys(str(row["parameters"].get("op")) for row in table.rows):
        places = [place for place, row in enumerate(table.rows) if str(row["parameters"].get("op")) == op]
        places.sort(key=lambda place: float(table.rows[place]["parameters"]["stride"]))
        stride = np.array([float(table.rows[place]["parameters"]["stride"]) for place in places])
        values = table.ns[:, places]
        ends = [_sharing_ends(stride, process) for process in values]
        rows = [table.rows[place] for place in places]
        place = control.find(op={"reader_writer": "load"}.get(op, op))
        nobody = None if place is None else control.rows[place]
        beside = derive.ratio(analysis, rows[-1]["case"], nobody["case"]) if nobody else UNKNOWN
        edge = pooled(ends)
        shared = stride[stride < edge.value] if edge.n else stride[:0]
        found.append(
            Staircase(
                op,
                stride,
                *_bounds(rows),
                edge,
                float(shared.max()) if len(shared) else math.nan,
                table.ratio(places[0], places[-1]),
                (nobody["ns"], nobody["ns_low"], nobody["ns_high"]) if nobody else NOTHING,
                beside,
            )
        )
    return found


def _sharing_ends(stride: Floats, ns: Floats) -> float:
    if not np.isfinite(ns).all() or ns[0] < SHARED * ns[-1]:
        return math.nan
    shared = ns > math.sqrt(ns[0] * ns[-1])
    return float(stride[len(shared) - int(np.argmax(shared[::-1]))])


# ---- what a crowd costs ----


@dataclass(frozen=True)
class Crowd:
    """Cost of an operation by the number of threads, and the share of the slowest over that of the fastest."""

    name: str
    threads: Floats
    ns: Floats
    low: Floats
    high: Floats
    fairness: Floats
    rows: list[Mapping[str, Any]]
    places: list[int]


def crowds(table: Grid, by: str, **wanted: object) -> list[Crowd]:
    """Rows with these values by number of threads, one line a value of the parameter `by`."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(table.rows):
        if all(str(row["parameters"].get(name)) == str(value) for name, value in wanted.items()):
            found.setdefault(str(row["parameters"].get(by)), []).append(place)
    result = []
    for name, places in found.items():
        places.sort(key=lambda place: len(table.rows[place]["cpus"]))
        rows = [table.rows[place] for place in places]
        result.append(
            Crowd(
                name,
                np.array([len(row["cpus"]) for row in rows], float),
                *_bounds(rows),
                np.array([1.0 if len(row["cpus"]) == 1 else value_of(row, "fairness")[0] for row in rows]),
                rows,
                places,
            )
        )
    return result


def on_own_cpus(crowd: Crowd) -> list[int]:
    """Indices of the points at which each thread has a CPU of its own."""
    return [i for i, row in enumerate(crowd.rows) if row["relation"] != OVERSUBSCRIBED]


def step(table: Grid, crowd: Crowd) -> tuple[int, Interval]:
    """The largest number of threads with CPUs of their own, and what an operation costs with it against alone."""
    own = on_own_cpus(crowd)
    if len(own) < 2:
        return 0, UNKNOWN
    first, last = crowd.places[own[0]], crowd.places[own[-1]]
    return int(crowd.threads[own[-1]]), table.ratio(last, first)


def slope(table: Grid, crowd: Crowd) -> Interval:
    """What each further thread adds to an operation, in ns, from two threads with CPUs of their own on; nothing with
    fewer than three such points.
    """
    own = [i for i in on_own_cpus(crowd) if crowd.threads[i] >= 2]
    if len(own) < 3:
        return UNKNOWN
    x = crowd.threads[own]
    places = [crowd.places[i] for i in own]
    # A slope is a sum of the values by these weights, and may be off by the steps by their amounts.
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return pooled(table.ns[:, places] @ weights, table.steps[:, places] @ np.abs(weights))


# ---- counters ----


@dataclass(frozen=True)
class CounterPoint:
    """A counter as a reader of one word meets it: ns an increment with all threads, and by how many increments a
    quick reading was off at most (`bound`: could be off).
    """

    name: str
    case: str
    ns: tuple[float, float, float]
    error: tuple[float, float, float]
    p99: float
    bound: float
    front: bool = False


EXACT_KINDS = ("atomic", "cas", "mutex")
"""Counters of which one word is the truth."""


def counter_points(analysis: Analysis) -> list[CounterPoint]:
    """Counters that one load reads, cheapest first; those on the front are cheaper than all that are as exact."""
    increments, sloppy, errors = (grid(analysis, f"counter/{name}") for name in ("increment", "sloppy", "error"))
    points = []
    for kind in EXACT_KINDS:
        row = _largest_team(increments, kind=kind)
        if row is not None:
            points.append(
                CounterPoint(kind, row["case"], (row["ns"], row["ns_low"], row["ns_high"]), (0.0, 0.0, 0.0), 0.0, 0.0)
            )
    for threshold in dict.fromkeys(str(row["parameters"].get("threshold")) for row in errors.rows):
        cost, error = _largest_team(sloppy, threshold=threshold), _largest_team(errors, threshold=threshold)
        if cost is None or error is None or math.isnan(value_of(error, "max_error")[0]):
            continue
        points.append(
            CounterPoint(
                f"sloppy {threshold}",
                cost["case"],
                (cost["ns"], cost["ns_low"], cost["ns_high"]),
                value_of(error, "max_error"),
                value_of(error, "p99_error")[0],
                value_of(error, "bound")[0],
            )
        )
    points.sort(key=lambda point: (point.ns[0], point.error[0]))
    best, marked = math.inf, []
    for point in points:
        marked.append(replace(point, front=point.error[0] < best))
        best = min(best, point.error[0])
    return marked


def _largest_team(table: Grid, **wanted: object) -> Mapping[str, Any] | None:
    rows = [
        row
        for row in table.rows
        if row["relation"] != OVERSUBSCRIBED
        and all(str(row["parameters"].get(name)) == str(value) for name, value in wanted.items())
    ]
    return max(rows, key=lambda row: len(row["cpus"]), default=None)


@dataclass(frozen=True)
class Sloppy:
    """Cost of an increment by threshold, for one number of threads; `knee`: from this threshold on it is less than
    twice what it is at the largest.
    """

    threads: int
    threshold: Floats
    ns: Floats
    low: Floats
    high: Floats
    gain: Interval
    knee: Interval


def sloppy(analysis: Analysis) -> list[Sloppy]:
    """``counter/sloppy`` by number of threads, fewest first; teams that share CPUs are left out."""
    table = grid(analysis, "counter/sloppy")
    teams: dict[int, list[int]] = {}
    for place, row in enumerate(table.rows):
        if row["relation"] != OVERSUBSCRIBED:
            teams.setdefault(len(row["cpus"]), []).append(place)
    found = []
    for threads, places in sorted(teams.items()):
        places.sort(key=lambda place: float(table.rows[place]["parameters"]["threshold"]))
        if len(places) < 3:
            continue
        threshold = np.array([float(table.rows[place]["parameters"]["threshold"]) for place in places])
        values = table.ns[:, places]
        rows = [table.rows[place] for place in places]
        # Costs fall with the threshold: where they last fall below twice the end.
        knees = [2 ** crossings(np.log2(threshold), row, 2 * row[-1])[1] for row in values]
        found.append(
            Sloppy(
                threads,
                threshold,
                *_bounds(rows),
                table.ratio(places[0], places[-1]),
                between(pooled(knees), threshold, 4),
            )
        )
    return found
