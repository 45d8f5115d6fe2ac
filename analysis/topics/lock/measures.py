"""Figures of locks: where it spends less to sleep than to spin."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.curves import crossings

BRIEF = "lock/brief_wait"
SLEEPERS = ("semaphore", "mutex")


def crossovers(analysis: Analysis) -> list[tuple[str, float]]:
    """For each lock that lets its waiter sleep, the time in us for which a lock is held from which sleeping spends less
    than spinning; nothing where the lines do not cross in what was measured. Between two points the logarithms are
    taken as straight lines.
    """
    spent = {
        (row.parameter("by"), row.number("held_us")): row.metric("spent_ns").value
        for row in analysis.measured(BRIEF)
        if "spent_ns" in row.metrics
    }
    found = []
    for sleeper in SLEEPERS:
        held = sorted(us for by, us in spent if by == sleeper and ("spin", us) in spent)
        pairs = [(spent["spin", us], spent[sleeper, us]) for us in held]
        ratios = [math.log(spin / sleep) if spin > 0 and sleep > 0 else math.nan for spin, sleep in pairs]
        first, _ = crossings(np.log(np.array(held)), np.array(ratios), 0.0)
        if math.isfinite(first):
            found.append((sleeper, math.exp(first)))
    return found
