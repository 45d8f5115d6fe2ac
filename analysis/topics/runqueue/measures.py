"""How the price of a turn grows with the number of tasks, and where two structures cost the same."""

from __future__ import annotations

import itertools
import math

from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.stats.interval import COVERAGE, Interval, pooled

TICK = "runqueue/tick"
PICK = "runqueue/pick"
REMOVE = "runqueue/remove"
HEIGHT = "runqueue/height"

IN_CACHE = 1.5
"""Up to so many times what the control takes with the fewest tasks, the tasks are in the core's own cache: beyond it a
load takes three times as long or more."""


def sizes(grid: Grid, by: str) -> dict[int, int]:
    """Places of the rows of a structure by their number of tasks, the fewest first. Not those with ascending keys."""
    found = {
        int(row.number("tasks")): place
        for place, row in enumerate(grid.rows)
        if row.has(by=by) and row.parameter("keys") in (None, "random")
    }
    return dict(sorted(found.items()))


def cached(grid: Grid) -> list[int]:
    """Numbers of tasks that the core's own cache holds, as the control tells: the fewest, and those that follow."""
    touched = {tasks: grid.rows[place].time.value for tasks, place in sizes(grid, "touch").items()}
    found: list[int] = []
    for tasks, value in touched.items():
        if value > IN_CACHE * next(iter(touched.values())):
            break
        found.append(tasks)
    return found


def slope(grid: Grid, by: str, fewest: int, most: int) -> Interval:
    """By which power of the number of tasks the time of a structure grows between two numbers: 0 for none, 1 for in
    proportion. From the ratio of the two in each process; median and interval over processes.
    """
    places = sizes(grid, by)
    if fewest not in places or most not in places:
        return pooled([])
    ratio = grid.ratio(places[most], places[fewest])
    value, low, high = (math.log(end) / math.log(most / fewest) for end in ratio[:3])
    return ratio._replace(value=value, low=low, high=high)


def crossing(grid: Grid, by: str, other: str) -> Interval:
    """With how many tasks `by` begins to cost more than `other`: straight between the logarithms of the ratios.

    Its bounds are where the upper ends of the ratios cross, and the lower ends. NaN where they do not.
    """
    first, second = sizes(grid, by), sizes(grid, other)
    both = [tasks for tasks in first if tasks in second]
    ratios = [grid.ratio(first[tasks], second[tasks]) for tasks in both]
    found = {
        name: _first_above_one(both, [getattr(ratio, end) for ratio in ratios])
        for name, end in (("value", "value"), ("low", "high"), ("high", "low"))
    }
    least = min((ratio.n for ratio in ratios), default=0)
    return Interval(found["value"], found["low"], found["high"], COVERAGE, least)


def _first_above_one(tasks: list[int], ratios: list[float]) -> float:
    for (before, low), (after, high) in itertools.pairwise(zip(tasks, ratios, strict=True)):
        if low <= 1 < high:
            part = -math.log(low) / (math.log(high) - math.log(low))
            return math.exp(math.log(before) + part * (math.log(after) - math.log(before)))
    return math.nan
