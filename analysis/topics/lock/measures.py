"""Figures of locks: where it spends less to sleep than to spin."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import processes_of
from fencepost.analysis.stats.curves import crossings
from fencepost.analysis.stats.interval import UNKNOWN, Floats, Interval, pooled
from fencepost.analysis.text.numbers import plain

BRIEF = "lock/brief_wait"
SLEEPERS = ("semaphore", "mutex")


def spent(analysis: Analysis) -> dict[tuple[str, float], Floats]:
    """Processor time of a wait in ns by lock and by how many us it is held, a value for each round; NaN where it is not
    known.
    """
    rows = [row for row in analysis.measured(BRIEF) if "spent_ns" in row.metrics]
    found = {}
    for row in rows:
        each = processes_of(analysis, [row.case]).set_index("round")["metrics"]
        found[str(row.parameter("by")), row.number("held_us")] = np.array(
            [each.get(number, {}).get("spent_ns", math.nan) for number in range(1, analysis.rounds + 1)], float
        )
    return found


def crossover(analysis: Analysis, sleeper: str) -> Interval:
    """The time in us for which a lock is held from which sleeping spends less than spinning: of each process, then
    median and interval. Not known where the lines of half the processes do not cross in what was measured. Between two
    points the logarithms are taken as straight lines.
    """
    times = spent(analysis)
    held = sorted(us for by, us in times if by == sleeper and ("spin", us) in times)
    if len(held) < 2:
        return UNKNOWN
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(np.array([times["spin", us] / times[sleeper, us] for us in held]))
    places = np.log(np.array(held))
    return pooled([math.exp(crossings(places, each, 0.0)[0]) for each in ratios.T])


def crossovers(analysis: Analysis) -> list[tuple[str, float]]:
    """For each lock that lets its waiter sleep its name with the interval of `crossover`, and the value."""
    found = [(sleeper, crossover(analysis, sleeper)) for sleeper in SLEEPERS]
    return [(f"{sleeper} [{plain(us.low, 3)}, {plain(us.high, 3)}]", us.value) for sleeper, us in found if us.known]
