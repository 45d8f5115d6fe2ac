"""On which side of a limit a figure lies, once the noise of its run is allowed for."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum

from fencepost.analysis.stats.interval import Interval


class Side(IntEnum):
    """Where a figure lies. `TOUCHES`: the noise and the interval leave it open."""

    BELOW = -1
    TOUCHES = 0
    ABOVE = 1


def side(interval: Interval, limit: float, noise: float = 0.0, base: float = math.nan) -> Side:
    """Side of a limit on which the whole interval lies. An interval without bounds is on neither.

    Parameters
    ----------
    interval, limit
        in one unit.
    noise
        share by which the same code differs from itself (0.02: 2 %). It widens the limit by that factor both ways.
    base
        what the noise is a share of, where that is not the limit: a difference is as noisy as the larger of the two
        figures that it is taken of.
    """
    widest, least = limit * (1 + noise), limit / (1 + noise)
    if not math.isnan(base):
        widest, least = limit + base * noise, limit - base * noise
    if interval.low > widest:
        return Side.ABOVE
    return Side.BELOW if interval.high < least else Side.TOUCHES


def within(interval: Interval, low: float, high: float, noise: float = 0.0) -> bool:
    """Whether the whole interval lies between two limits, with the noise to spare: what "the same" takes."""
    return side(interval, low, noise) is Side.ABOVE and side(interval, high, noise) is Side.BELOW


def reach(effects_pct: Iterable[Interval]) -> float:
    """Largest factor, less 1, that the intervals of A/A rows (in per cent) leave possible between two figures of the
    same code; 0 where none has an interval.
    """
    factors = [1 + end / 100 for effect in effects_pct for end in effect[1:3] if math.isfinite(end)]
    return max((max(factor, 1 / factor) - 1 for factor in factors if factor > 0), default=0.0)
