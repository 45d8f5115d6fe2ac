"""Where a measured curve crosses a level, and the line through its points."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.stats.interval import Floats, Interval


def crossings(x: Floats, y: Floats, level: float) -> tuple[float, float]:
    """Where a line drawn through points first rises above `level`, and where it last falls below; NaN where it does
    not. Shapes (points,); NaN in `y` are skipped.
    """
    known = np.isfinite(y)
    x, above = x[known], (y - level)[known]
    first = last = math.nan
    for i in range(len(x) - 1):
        a, b = above[i], above[i + 1]
        at = float(x[i] + (x[i + 1] - x[i]) * a / (a - b)) if a != b else float(x[i])
        if a <= 0 < b and math.isnan(first):
            first = at
        if a > 0 >= b:
            last = at
    return first, last


def between(knee: Interval, x: Floats, widest: float) -> Interval:
    """A knee on a logarithmic axis, no surer than the measured points around it allow: where these lie further apart
    than the factor `widest`, they are the interval, and their middle the value.
    """
    lower, upper = x[x <= knee.value], x[x > knee.value]
    if not knee.n or not len(lower) or not len(upper) or upper.min() <= widest * lower.max():
        return knee
    low, high = float(lower.max()), float(upper.min())
    return Interval(math.sqrt(low * high), low, high, knee.coverage, knee.n)


def line_through(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and intercept of the straight line with the least squares of vertical distances."""
    (spread, together), _ = np.cov(x, y, bias=True)
    slope = float(together / spread)
    return slope, float(np.mean(y)) - slope * float(np.mean(x))
