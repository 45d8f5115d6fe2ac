"""The out-of-order window, from two misses at growing distance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.distances import at_distances, interval_of_known
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import Floats, Interval, column_medians

SECOND_MISS = 0.5
"""The window's knee is where half of the second miss shows: 1.5 times the time of one miss."""


@dataclass(frozen=True)
class Window:
    """Time of an iteration against the distance of its two misses, and where the second one shows (NaN: nowhere up
    to the last k).
    """

    fill: str
    k: Floats
    ns: Floats
    low: Floats
    high: Floats
    knee: Interval
    last_fit: float
    first_miss: float


def windows(analysis: Analysis) -> list[Window]:
    """The out-of-order window by filler: in each process the k at which 1.5 times the time of the nearest loads is
    passed for good; none where that shows in no more than half of the processes.
    """
    found = []
    for row in analysis.kernel("pipeline/window"):
        data = at_distances(analysis, row.case)
        if data is None or len(data.k) < 4:
            continue
        knees = np.array([_knee(data.k, values) for values in data.ns])
        if np.isfinite(knees).mean() <= 0.5:  # what a few disturbed processes show is not where the window ends
            knees[:] = math.nan
        middle = column_medians(data.ns)
        where = _knee_index(middle)
        bounds = [interval_of_known(column) for column in data.ns.T]
        found.append(
            Window(
                row.parameter("fill") or row.case,
                data.k,
                middle,
                np.array([item.low for item in bounds]),
                np.array([item.high for item in bounds]),
                interval_of_known(knees),
                float(data.k[where - 1]) if where else math.nan,
                float(data.k[where]) if where else math.nan,
            )
        )
    return found


def _knee_index(ns: Floats) -> int:
    """Index of the first distance from which on the second miss shows; 0 where it never does, or at once."""
    if not np.isfinite(ns).all():
        return 0
    above = ns > (1 + SECOND_MISS) * float(np.median(ns[:3]))
    if not above[-1] or above.all():
        return 0
    return int(len(above) - np.argmin(above[::-1]))


def _knee(k: Floats, ns: Floats) -> float:
    i = _knee_index(ns)
    if not i:
        return math.nan
    threshold = (1 + SECOND_MISS) * float(np.median(ns[:3]))
    return float(np.interp(threshold, [ns[i - 1], ns[i]], [k[i - 1], k[i]]))
