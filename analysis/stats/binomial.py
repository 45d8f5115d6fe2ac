"""The binomial distribution: what sign tests and order statistics are made of.

As `scipy.stats.binom`, whose import takes longer than an answer from a run that was estimated before.
"""

from __future__ import annotations

from scipy import special


def at_most(k: int, n: int, share: float) -> float:
    """Probability of at most `k` of `n`, each with the probability `share`."""
    return 0.0 if k < 0 else float(special.bdtr(k, n, share))


def at_least(k: int, n: int, share: float) -> float:
    """Probability of at least `k` of `n`, each with the probability `share`."""
    return 1.0 if k <= 0 else float(special.bdtrc(k - 1, n, share))


def quantile(error: float, n: int, share: float) -> float:
    """The number of `n` that is not exceeded with the probability `error`, between whole numbers; NaN where even 0 is
    too many.
    """
    return float(special.bdtrik(error, n, share))
