"""How far two samples lie apart: the rank-sum test of Wilcoxon, Mann and Whitney, and the bounds that belong to it.

The test asks how often a value of the new sample exceeds one of the old. If nothing has changed, both samples come from
one distribution, and each order of their values is as likely as any other. So the test is exact, whatever that
distribution looks like. Its bounds are differences of a new and an old value (Hodges and Lehmann). They hold the shift
between two distributions that are alike but for a shift.

H. B. Mann, D. R. Whitney, On a test of whether one of two random variables is stochastically larger than the other,
Ann. Math. Statist. 18 (1947). J. L. Hodges, E. L. Lehmann, Estimates of location based on rank tests, Ann. Math.
Statist. 34 (1963).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.interval import Floats, middle_of

MOST_EXACT = 10_000
"""Pairs of an old and a new value, up to which the distribution is counted out: in less than a second. Beyond, the
normal distribution has the same errors to three digits."""


@functools.cache
def _cumulative(old: int, new: int) -> Floats:
    """P(U <= u) for u = 0 … old × new, where U counts the pairs in which the new value is smaller: shape (pairs + 1,).

    The counts of orders by U are the coefficients of a Gaussian binomial: the product of (1 - q^(old + i)) / (1 - q^i).
    """
    pairs = old * new
    if pairs > MOST_EXACT:
        from scipy.special import ndtr

        spread = math.sqrt(pairs * (old + new + 1) / 12)
        return np.asarray(ndtr((np.arange(pairs + 1) + 0.5 - pairs / 2) / spread), float)
    orders = np.zeros(pairs + 1)
    orders[0] = 1
    for i in range(1, new + 1):
        factor = old + i
        if factor <= pairs:
            orders[factor:] -= orders[:-factor].copy()
        for start in range(i):  # division: each coefficient adds the one i places before it
            orders[start::i] = np.cumsum(orders[start::i])
    total = np.cumsum(orders)
    return np.asarray(total / total[-1], float)


class Shift:
    """The shift from `old` to `new`, each of shape (values,).

    Parameters
    ----------
    old_steps, new_steps
        how far each value may be off; of the same shapes.
    """

    def __init__(self, old: Floats, new: Floats, old_steps: Floats, new_steps: Floats) -> None:
        apart, off = new[:, None] - old[None, :], new_steps[:, None] + old_steps[None, :]
        self._sizes = len(old), len(new)
        self._lowest: npt.NDArray[np.float64] = np.sort((apart - off).ravel())
        self._highest: npt.NDArray[np.float64] = np.sort((apart + off).ravel())
        self.middle = middle_of(apart.ravel())
        """The median of all differences."""

    def bounds(self, error: float) -> tuple[float, float]:
        """Bounds of the shift, each wrong with a probability of at most `error`; infinite where there are too few
        values.
        """
        place = int(np.searchsorted(_cumulative(*self._sizes), error, side="right")) - 1
        if place < 0:
            return -math.inf, math.inf
        return float(self._lowest[place]), float(self._highest[-1 - place])

    def p_beyond(self, limit: float) -> float:
        """The smallest error at which the bounds lie above `limit`, or below -`limit`; 1 where none does."""
        cumulative = _cumulative(*self._sizes)
        below = int(np.searchsorted(self._lowest, limit, side="right"))
        above = len(self._highest) - int(np.searchsorted(self._highest, -limit, side="left"))
        return float(min(cumulative[below], cumulative[above]))


@functools.cache
def fewest_values(error: float) -> int:
    """The smallest number of values in each of two samples that can decide anything at this error: then all of one must
    exceed all of the other.
    """
    values = 1
    while 1 / math.comb(2 * values, values) > error:
        values += 1
    return values
