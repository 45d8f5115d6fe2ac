"""How the price of a turn grows with the number of tasks, and where two structures cost the same."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.stats.interval import Floats, Interval, pooled

TICK = "runqueue/tick"

IN_CACHE = 1.5
"""Up to so many times what the control takes with the fewest tasks, the tasks are in the core's own cache: beyond it a
load takes three times as long or more."""


def sizes(grid: Grid, by: str) -> dict[int, int]:
    """Places of the rows of a structure by their number of tasks, the fewest first. Drawn keys."""
    found = {int(row.number("tasks")): place for place, row in enumerate(grid.rows) if row.has(by=by, keys="random")}
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
    """With how many tasks a turn of `by` begins to cost more than one of `other`: straight between the logarithms of
    what was measured. A process in which they do not cross knows none. Median and interval over processes.
    """
    first, second = sizes(grid, by), sizes(grid, other)
    tasks = [number for number in first if number in second]
    ratios = np.log(grid.ns[:, [first[number] for number in tasks]] / grid.ns[:, [second[number] for number in tasks]])
    return pooled([_first_zero(np.log(tasks), process) for process in ratios])


def _first_zero(tasks: Floats, ratios: Floats) -> float:
    for place in range(1, len(ratios)):
        low, high = ratios[place - 1], ratios[place]
        if low <= 0 < high:
            return float(np.exp(tasks[place - 1] + (tasks[place] - tasks[place - 1]) * -low / (high - low)))
    return math.nan
