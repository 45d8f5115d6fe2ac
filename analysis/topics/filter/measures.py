"""Where two stages pay."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.stats.interval import Floats, Interval, pooled

KERNEL = "filter/bloom"


def hits_that_pay(grid: Grid, keys: int) -> Interval:
    """Up to which share of hits, in %, two stages cost less than the set alone: between 0 and 100, straight between the
    shares that were measured. Median and interval over processes.
    """
    places = {
        hits: tuple(grid.find(by=by, hits_pct=hits, keys=keys) for by in ("set", "two_stages"))
        for hits in sorted({int(row.number("hits_pct")) for row in grid.rows})
    }
    known = {hits: pair for hits, pair in places.items() if None not in pair}
    saved = [grid.ns[:, pair[0]] - grid.ns[:, pair[1]] for pair in known.values()]
    return pooled([_first_zero(np.array(list(known), float), process) for process in np.array(saved).T])


def _first_zero(hits: Floats, saved: Floats) -> float:
    """Where `saved` is no longer above 0; NaN where it is not known everywhere."""
    if not len(saved) or not np.isfinite(saved).all():
        return math.nan
    if saved[0] <= 0:
        return float(hits[0])
    for place in range(1, len(hits)):
        if saved[place] <= 0:
            part = saved[place - 1] / (saved[place - 1] - saved[place])
            return float(hits[place - 1] + part * (hits[place] - hits[place - 1]))
    return float(hits[-1])
