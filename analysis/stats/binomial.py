"""The binomial distribution: what sign tests and order statistics are made of.

As `scipy.stats.binom`, whose import takes longer than an answer from a run that was estimated before. Even
`scipy.special` is imported late, because an answer that was kept asks nothing here.
"""

from __future__ import annotations


def at_most(k: int, n: int, share: float) -> float:
    """Probability of at most `k` of `n`, each with the probability `share`."""
    from scipy import special

    return 0.0 if k < 0 else float(special.bdtr(k, n, share))


def at_least(k: int, n: int, share: float) -> float:
    """Probability of at least `k` of `n`, each with the probability `share`."""
    from scipy import special

    return 1.0 if k <= 0 else float(special.bdtrc(k - 1, n, share))


def quantile(error: float, n: int, share: float) -> float:
    """The number of `n` that is not exceeded with the probability `error`, between whole numbers; NaN where even 0 is
    too many.
    """
    from scipy import special

    return float(special.bdtrik(error, n, share))
