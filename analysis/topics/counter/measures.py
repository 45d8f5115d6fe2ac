"""Counters: cost against exactness, and the threshold of a sloppy one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.curves import between, crossings
from fencepost.analysis.stats.interval import Floats, Interval, columns_of, pooled
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

# ---- counters ----


@dataclass(frozen=True)
class CounterPoint:
    """A counter as a reader of one word meets it: ns an increment with all threads, and by how many increments a
    quick reading was off at most (`bound`: could be off).
    """

    name: str
    case: str
    ns: Interval
    error: Interval
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
            points.append(CounterPoint(kind, row.case, row.time, Interval(0.0, 0.0, 0.0, 1.0, row.time.n), 0.0, 0.0))
    for threshold in dict.fromkeys(str(row.parameter("threshold")) for row in errors.rows):
        cost, error = _largest_team(sloppy, threshold=threshold), _largest_team(errors, threshold=threshold)
        if cost is None or error is None or math.isnan(error.metric("max_error").value):
            continue
        points.append(
            CounterPoint(
                f"sloppy {threshold}",
                cost.case,
                cost.time,
                error.metric("max_error"),
                error.metric("p99_error").value,
                error.metric("bound").value,
            )
        )
    points.sort(key=lambda point: (point.ns.value, point.error.value))
    best, marked = math.inf, []
    for point in points:
        marked.append(replace(point, front=point.error.value < best))
        best = min(best, point.error.value)
    return marked


def _largest_team(table: Grid, **wanted: object) -> Row | None:
    rows = [row for row in table.rows if row.relation != OVERSUBSCRIBED and row.has(**wanted)]
    return max(rows, key=lambda row: len(row.cpus), default=None)


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
        if row.relation != OVERSUBSCRIBED:
            teams.setdefault(len(row.cpus), []).append(place)
    found = []
    for threads, places in sorted(teams.items()):
        places.sort(key=lambda place: table.rows[place].number("threshold"))
        if len(places) < 3:
            continue
        threshold = np.array([table.rows[place].number("threshold") for place in places])
        values = table.ns[:, places]
        rows = [table.rows[place] for place in places]
        # Costs fall with the threshold: where they last fall below twice the end.
        knees = [2 ** crossings(np.log2(threshold), process, 2 * process[-1])[1] for process in values]
        found.append(
            Sloppy(
                threads,
                threshold,
                *columns_of(row.time for row in rows),
                table.ratio(places[0], places[-1]),
                between(pooled(knees), threshold, 4),
            )
        )
    return found
