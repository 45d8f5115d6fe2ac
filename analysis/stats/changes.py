"""Change points in a series of runs: where a level shifts, how sure that is, and by how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fencepost.analysis.stats.interval import Floats

FALSE_RATE = 0.01
"""Chance that a row of which nothing changed shows a change, at most."""


STEP_RATE = 0.009
"""Of this, what is spent on steps; the rest is for stretches that come and go."""


COVERAGE = 0.95


FEWEST_RUNS = 10
"""Of fewer, no cut can be told from chance at `FALSE_RATE`: ten have 252 ways to be cut in the middle."""


FEWEST_IN_PART = 3
"""Runs on each side of a cut: two that are slow together happen too often."""


FEW_PERMUTATIONS, PERMUTATIONS = 199, 9999


FAR_OUT = 5.0
"""In median absolute deviations: 3.4 standard deviations of normal noise."""


LONG = 200
"""Runs. Of a longer series, permutations are tried in growing batches until the answer is known, and stretches have
lengths of a geometric grid."""


LONG_PERMUTATIONS, STRETCH_LENGTHS, FIRST_BATCH, BATCH_VALUES = 1999, 40, 8, 4_000_000


NEAREST = 1000
"""Runs on each side of a cut that its interval and ratio are made of: pairs of more fill the memory."""


RESAMPLES = 999


def beyond(low: float, high: float, floor_pct: float) -> bool:
    return low > 1 + floor_pct / 100 or high < 1 / (1 + floor_pct / 100)


def find_cuts(values: Floats, begin: int, end: int) -> list[tuple[int, float]]:
    """Cuts of ``values[begin:end]`` with the p-value of each."""
    part = values[begin:end]
    if len(part) < FEWEST_RUNS:
        return []
    clipped = _clipped(part)
    p = _chance(clipped, _best_score, STEP_RATE)
    if p is not None:
        cut = begin + FEWEST_IN_PART + int(np.argmax(_scores(clipped)))
        return [*find_cuts(values, begin, cut), (cut, p), *find_cuts(values, cut, end)]
    # A level that comes and goes may hide from a single cut: both its sides look alike.
    p = _chance(clipped, _best_bump, FALSE_RATE - STEP_RATE)
    if p is None:
        return []
    first, last = (begin + edge for edge in _bump(clipped))
    inner = find_cuts(values, first, last)
    return [*find_cuts(values, begin, first), (first, p), *inner, (last, p), *find_cuts(values, last, end)]


def _clipped(values: Floats) -> Floats:
    """`values` with those far out drawn in, so that one run that went wrong neither makes nor hides a change."""
    # Not by scipy, whose import takes a second.
    middle = float(np.median(values))
    spread = float(np.median(np.abs(values - middle)))
    if spread == 0:
        return values
    clipped: Floats = np.clip(values, middle - FAR_OUT * spread, middle + FAR_OUT * spread)
    return clipped


def _scores(values: Floats, axis: int = -1) -> Floats:
    """Absolute standard score of the sum before each cut; cuts go along the last axis, from `FEWEST_IN_PART` on."""
    values = np.moveaxis(np.asarray(values, float), axis, -1)
    n = values.shape[-1]
    deviations = values - values.mean(axis=-1, keepdims=True)
    size = np.arange(1, n)
    # Variance of the sum of k of n numbers drawn without replacement.
    spread = np.sqrt(size * (n - size) / (n * (n - 1)) * (deviations**2).sum(axis=-1, keepdims=True))
    sums = np.abs(np.cumsum(deviations, axis=-1)[..., :-1])
    scores = np.divide(sums, spread, out=np.zeros_like(sums), where=spread > 0)
    kept: Floats = scores[..., FEWEST_IN_PART - 1 : n - FEWEST_IN_PART]
    # Sums in another order differ in their last bits, and equal scores must be equal.
    return np.round(kept, 9)


def _best_score(values: Floats, axis: int = -1) -> Floats:
    best: Floats = _scores(values, axis).max(axis=-1)
    return best


def _bumps(values: Floats) -> Iterator[tuple[int, Floats]]:
    """Lengths of stretches with a part before and one after, and the standard scores of all of that length."""
    n = values.shape[-1]
    deviations = values - values.mean(axis=-1, keepdims=True)
    total = (deviations**2).sum(axis=-1, keepdims=True)
    sums = np.cumsum(deviations, axis=-1)[..., FEWEST_IN_PART - 1 : n - FEWEST_IN_PART]
    for size in _lengths(n):
        spread = np.sqrt(size * (n - size) / (n * (n - 1)) * total)
        inside = np.abs(sums[..., size:] - sums[..., :-size])
        yield size, np.round(np.divide(inside, spread, out=np.zeros_like(inside), where=spread > 0), 9)


def _lengths(n: int) -> list[int]:
    """Lengths of the stretches that are looked at."""
    most = n - 2 * FEWEST_IN_PART
    if n <= LONG:
        return list(range(FEWEST_IN_PART, most + 1))
    found: list[int] = np.unique(np.geomspace(FEWEST_IN_PART, most, STRETCH_LENGTHS).astype(int)).tolist()
    return found


def _best_bump(values: Floats, axis: int = -1) -> Floats:
    values = np.moveaxis(np.asarray(values, float), axis, -1)
    best = np.zeros(values.shape[:-1])
    for _, scores in _bumps(values):
        best = np.maximum(best, scores.max(axis=-1))
    return best


def _bump(values: Floats) -> tuple[int, int]:
    """Begin and end of the stretch with the best score."""
    found = [(float(scores.max()), int(scores.argmax()), size) for size, scores in _bumps(values)]
    _, begin, size = max(found)
    first, last = FEWEST_IN_PART + begin, FEWEST_IN_PART + begin + size
    if len(values) <= LONG or size < 4 * FEWEST_IN_PART:
        return first, last
    # The grid knows the edges of a long stretch roughly: each is the best step of its half.
    middle = (first + last) // 2
    halves = values[:middle], values[middle:]
    before, after = (FEWEST_IN_PART + int(np.argmax(_scores(half))) for half in halves)
    return before, middle + after


def _chance(values: Floats, statistic: Callable[..., Floats], rate: float) -> float | None:
    """Share of the permutations of `values` that score as well; None where it is above `rate`.

    Few permutations tell most series from changed ones; only what passes is asked again, so that the rate holds.
    """
    if len(values) > LONG:
        return _chance_of_long(values, statistic, rate)
    from scipy import stats  # a second, which a history that was kept does without

    p = 1.0
    for permutations, enough in ((FEW_PERMUTATIONS, 10 * rate), (PERMUTATIONS, rate)):
        result = stats.permutation_test(
            (values,),
            statistic,
            permutation_type="pairings",
            vectorized=True,
            n_resamples=permutations,
            batch=2000,
            alternative="greater",
            random_state=np.random.default_rng(1979),
        )
        p = float(result.pvalue)
        if p > enough:
            return None
    return p


def _chance_of_long(values: Floats, statistic: Callable[..., Floats], rate: float) -> float | None:
    """As `_chance`, with permutations until so many score as well that the share is above `rate` whatever follows.

    Source: Besag and Clifford, Sequential Monte Carlo p-values, Biometrika 78 (1991).
    """
    generator, observed = np.random.default_rng(1979), float(statistic(values))
    allowed = math.floor(rate * (LONG_PERMUTATIONS + 1) + 1e-9) - 1
    done, reached, batch = 0, 0, FIRST_BATCH
    while done < LONG_PERMUTATIONS:
        size = min(batch, LONG_PERMUTATIONS - done, max(1, BATCH_VALUES // len(values)))
        shuffled = generator.permuted(np.broadcast_to(values, (size, len(values))), axis=1)
        reached += int(np.count_nonzero(statistic(shuffled) >= observed))
        if reached > allowed:
            return None
        done, batch = done + size, 2 * batch
    return (reached + 1) / (LONG_PERMUTATIONS + 1)


def cut_interval(before: Floats, after: Floats) -> tuple[int, int]:
    """Interval of the cut: both levels are resampled and cut again."""
    further = max(len(before) - NEAREST, 0)
    before, after = before[further:], after[:NEAREST]
    generator = np.random.default_rng(1979)
    parts = [generator.choice(_clipped(part), (RESAMPLES, len(part))) for part in (before, after)]
    scores = _scores(np.concatenate(parts, axis=1))
    cuts = FEWEST_IN_PART + np.argmax(scores, axis=1)
    low, high = np.quantile(cuts, ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2), method="closest_observation")
    return further + min(int(low), len(before)), further + max(int(high), len(before))


def ratio_bounds(before: Floats, after: Floats) -> tuple[float, float]:
    """Interval of the ratio of two levels, given as logarithms: all ratios that the Mann-Whitney test does not refuse.

    Source: Lehmann, Nonparametrics (1975), section 2.6. The cut was chosen where the difference is large, so the ratio
    is a little too far from 1; the interval does not know of that.
    """
    from scipy import stats  # a second, which a history that was kept does without

    before, after = before[-NEAREST:], after[:NEAREST]
    differences = np.sort((after[:, None] - before[None, :]).ravel())

    def accepted(shift: float, side: Any) -> bool:
        p = float(stats.mannwhitneyu(after - shift, before, alternative=side).pvalue)
        return p > (1 - COVERAGE) / 2

    def outermost(ordered: Floats, side: Any) -> float:
        # Just beyond a difference the test sees one pair less on that side; p grows inwards, so the edge is bisected.
        step = math.copysign(1e-12, ordered[-1] - ordered[0])
        refused, taken = -1, len(ordered) - 1
        while taken - refused > 1:
            middle = (refused + taken) // 2
            if accepted(float(ordered[middle]) + step, side):
                taken = middle
            else:
                refused = middle
        return float(ordered[taken])

    if differences[0] == differences[-1]:
        return math.exp(differences[0]), math.exp(differences[0])
    low, high = outermost(differences, "greater"), outermost(differences[::-1], "less")
    return math.exp(low), math.exp(high)
