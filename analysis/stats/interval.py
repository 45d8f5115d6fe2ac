"""Medians with order-statistic intervals, and arithmetic on them."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.resolution import ordered_bounds
from fencepost.analysis.text.numbers import ns_with_bounds, with_bounds


def column_medians(values: Floats) -> Floats:
    return np.array(
        [
            float(np.median(column[np.isfinite(column)])) if np.isfinite(column).any() else math.nan
            for column in values.T
        ]
    )


Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COVERAGE = 0.95


FEWEST_PROCESSES = 6
"""The smallest n whose [min, max] covers the median with at least 95 %: 1 - 2 * 0.5**6 = 96.9 %."""


class TooFewProcessesWarning(UserWarning):
    """Fewer than six processes: no interval of the median reaches 95 %."""


class Interval(NamedTuple):
    """Median with the bounds of its interval (NaN where there is none), the coverage of these bounds and n."""

    value: float
    low: float
    high: float
    coverage: float
    n: int

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there are bounds."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def over(self, divisor: float) -> Interval:
        """In a unit that is `divisor` times as large."""
        return self._replace(value=self.value / divisor, low=self.low / divisor, high=self.high / divisor)

    def text(self, unit: str = "") -> str:
        """``3.004 [3.001, 3.010] unit``, without the brackets where there is no interval."""
        return with_bounds(self.value, self.low, self.high, unit)

    def ns_text(self) -> str:
        """An interval in ns, in the unit that suits it: ``12.03 ns [12.01, 12.05]``."""
        return ns_with_bounds(self.value, self.low, self.high)


@functools.cache
def interval_ranks(n: int, coverage: float = COVERAGE) -> tuple[int, float]:
    """Rank k such that [k-th smallest, k-th largest] of n values covers the median, and the coverage reached.

    The number of values below the median is binomial (n, 1/2), whatever the distribution, so the coverage is
    ``1 - 2 P(B <= k - 1)``: the largest k that keeps it at `coverage` or more gives the narrowest symmetric interval. k
    = 0 where even [min, max] does not reach it (n < 6 for 95 %). Source: David and Nagaraja, Order Statistics, 3rd ed.,
    section 7.1.
    """
    from scipy import special  # a fifth of the time of an answer that needs no new interval

    rank, reached = 0, 0.0
    for k in range(1, n // 2 + 1):
        covered = float(1 - 2 * special.bdtr(k - 1, n, 0.5))
        if covered < coverage:
            break
        rank, reached = k, covered
    return rank, reached


def median_interval(values: npt.ArrayLike, coverage: float = COVERAGE) -> Interval:
    """Median and its order-statistic interval; needs no model of the distribution.

    Parameters
    ----------
    values
        shape (n,), one value a process, in any unit; NaN is left out.
    coverage
        least probability with which the interval holds the true median, between 0 and 1.

    Returns
    -------
    Interval
        in the unit of `values`. Six values give [min, max] (96.9 %), twenty give [6th, 15th] (95.9 %).

    Warns
    -----
    TooFewProcessesWarning
        when n is too small for `coverage`: the bounds are NaN.
    """
    array = np.asarray(values, float).ravel()
    result = interval_of(array[~np.isnan(array)], coverage)
    if math.isnan(result.low):
        message = (
            f"{result.n} processes give no {coverage:.0%} interval of the median; {FEWEST_PROCESSES} are "
            "needed for 95 %"
        )
        warnings.warn(message, TooFewProcessesWarning, stacklevel=2)
    return result


def interval_of(values: Floats, coverage: float = COVERAGE, *, steps: npt.ArrayLike = 0.0) -> Interval:
    """`median_interval` of values that hold no NaN, without its warning; its bounds allow for `steps`, by which each
    value may be off whatever the others are (`fencepost.analysis.stats.resolution`).
    """
    n = len(values)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0.0, 0)
    ordered = np.sort(values)
    middle = float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)
    rank, reached = interval_ranks(n, coverage)
    if rank == 0:
        return Interval(middle, math.nan, math.nan, 0.0, n)
    return Interval(middle, *ordered_bounds(values, rank, steps), reached, n)


def middle_of(values: Floats) -> float:
    """The median of values without NaN, shape (n,). For so few as processes are, numpy.median takes ten times as
    long.
    """
    ordered, n = np.sort(values), len(values)
    return float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)


def median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return middle_of(known) if len(known) else math.nan


def upper_bound(trials: float) -> float:
    """Largest rate that no event in so many trials leaves possible, with 95 % confidence (Clopper and Pearson, exact,
    one-sided: for no event a quantile of the beta distribution). For equal trials; where processes differ it speaks of
    their mean.
    """
    if trials < 1:
        return math.nan
    from scipy import special

    return float(special.betaincinv(1, int(trials), 0.95))


UNKNOWN = Interval(math.nan, math.nan, math.nan, 0.0, 0)


def pooled(values: npt.ArrayLike, steps: npt.ArrayLike = 0.0) -> Interval:
    """Median and interval over the processes that know a value; nothing where that is half of them or less. `steps`: by
    how much each value may be off for the steps of the tick counter, see `fencepost.analysis.stats.resolution`.
    """
    array = np.asarray(values, float).ravel()
    known = np.isfinite(array)
    off = np.broadcast_to(np.asarray(steps, float), array.shape)
    off = np.where(np.isnan(off), 0.0, off)
    return interval_of(array[known], steps=off[known]) if known.sum() * 2 > len(array) else UNKNOWN


def measured_together(first: Floats, second: Floats) -> npt.NDArray[np.bool_]:
    """The processes in which both of two series are known, where these are enough for an interval; else all of them.

    A figure *alone* is not known in a process without quiet batches. What the witness leaves out says nothing against
    the other processes, so that it does not count among them.
    """
    both: npt.NDArray[np.bool_] = np.isfinite(first) & np.isfinite(second)
    return both if both.sum() >= FEWEST_PROCESSES else np.ones(len(both), bool)


def quotient(above: Floats, below: Floats, above_steps: Floats, below_steps: Floats) -> Interval:
    """Ratio of two series, paired by process, its bounds widened by the steps of both; processes in which the divisor
    is not positive know none. Without bounds where the divisor may be nothing, for all that its steps say.
    """
    both = measured_together(above, below)
    above, below, above_steps, below_steps = (part[both] for part in (above, below, above_steps, below_steps))
    ratio = above / np.where(below > 0, below, math.nan)
    least = np.asarray(below - below_steps, float)
    # The farthest that (a + s) / (b - t) can lie from a / b.
    off = (above_steps + np.abs(ratio) * below_steps) / np.where(least > 0, least, math.nan)
    found = pooled(ratio, np.where(least > 0, off, math.inf))
    return found if math.isfinite(found.high - found.low) else found._replace(low=math.nan, high=math.nan)


def columns_of(intervals: Iterable[Interval]) -> tuple[Floats, Floats, Floats]:
    """Values, lower and upper bounds of several intervals, each of shape (intervals,)."""
    every = list(intervals)
    value, low, high = (np.array([interval[part] for interval in every], float) for part in range(3))
    return value, low, high


def without_bounds(interval: Interval) -> Interval:
    """The median alone."""
    return interval._replace(low=math.nan, high=math.nan, coverage=0.0)


def scaled(interval: Interval, factor: float) -> Interval:
    """The interval of a figure times a positive number."""
    return interval._replace(value=interval.value * factor, low=interval.low * factor, high=interval.high * factor)


def above(interval: Interval, limit: float) -> bool:
    """Whether the whole interval (the median alone, where there is none) lies above a limit."""
    return (interval.value if math.isnan(interval.low) else interval.low) > limit


def below(interval: Interval, limit: float) -> bool:
    """Whether the whole interval (the median alone, where there is none) lies below a limit."""
    return (interval.value if math.isnan(interval.high) else interval.high) < limit
