"""Several hosts with several runs each: spread between and within hosts, and hosts that differ from the others.

Values are logarithms of times in a cube of shape (hosts, runs, cases). A run that a host has not, and a case that a run
has not, is NaN.

Spread: random effects of hosts and of runs within hosts, by the method of moments (analysis of variance). The interval
of the spread between hosts is that of Thomas and Hultquist, Annals of Statistics 6 (1978), for unequal numbers of runs;
Searle, Casella and McCulloch, Variance Components (1992), section 3.6, has the formulas for equal ones.

Hosts that differ: see `apart`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from fencepost.analysis.stats.interval import COVERAGE, Floats

Cube = npt.NDArray[np.float64]

FALSE_RATE = 0.01
"""Fleets of equal hosts in which a host is named."""

_TESTED_AT = FALSE_RATE / 2
"""Half of it, as the correlation of cases is only estimated."""

FEWEST_HOSTS = 6
"""Of fewer, no host can be told from the others: the middle of the others is hardly known."""

FLEETS, MOST_DRAWN = 1000, 50_000_000
"""Fleets that are drawn, or fewer where they have more values than this. Not fewer than `FEWEST_FLEETS`."""
FEWEST_FLEETS = 399

FINEST = 1e-4
"""A spread below 0.01 % counts as that: a counter's steps make equal values of equal hosts."""

_MAD = 1.4826
"""Standard deviation over median absolute deviation, of normal values."""
_MEDIAN = math.pi / 2
"""Variance of a median over that of a mean, of many normal values."""
_WINSORISED, _WINSORISED_SPREAD = 0.2, 0.642
"""Share at each end, and the standard deviation that is left of normal values."""
_NEAR, _NEAR_SPREAD = 3.0, 0.9866
"""Values farther out than this many spreads are left out of a spread, and the standard deviation of normal values that
is left."""
_FAR = 3.0
"""Values farther out than this many standard deviations say no more of the correlation of cases."""
_TAIL = 0.999
_LEAST_LEFT = 0.1
"""Of a case that is nearly all level, what is left is not enlarged more than ten times."""
_SHIFTS = (2.0, 3.0, 5.0)
"""In spreads. Two shifts next to each other lose little against one between them."""
_LARGEST_LOG = 500.0
"""Larger exponents do not fit into a float."""
_LEVEL, _LARGEST, _OF_ALL, _NUMBERS = 0, 1, 2, 4
"""Places of the numbers of a host, and how many there are for each sign."""
_FEWEST_CASES = 8
"""Of fewer cases there is no common level to be told from them."""


class Spread(NamedTuple):
    """Of each case, shape (cases,): standard deviations of logarithms, so 0.01 is 1 %. NaN where it cannot be known."""

    between: Floats
    low: Floats
    high: Floats
    within: Floats
    p: Floats
    """Chance of such a ratio of the two, if hosts did not differ."""


def spread_of(values: Cube, coverage: float = COVERAGE) -> Spread:
    """Spread between and within hosts.

    Parameters
    ----------
    values
        logarithms, shape (hosts, runs, cases).
    """
    count = np.isfinite(values).sum(1).astype(float)
    filled = np.where(np.isfinite(values), values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(count > 0, filled.sum(1) / count, np.nan)
        rest = np.where(np.isfinite(values), values - means[:, None], 0.0)
        hosts, total = (count > 0).sum(0), count.sum(0)
        free = total - hosts
        within = np.where(free > 0, (rest**2).sum((0, 1)) / free, np.nan)
        harmonic = hosts / np.where(count > 0, 1 / count, 0.0).sum(0)
        middle = np.where(count > 0, means, 0.0).sum(0) / hosts
        of_means = np.where(count > 0, (means - middle) ** 2, 0.0).sum(0) / (hosts - 1)
        known = (hosts > 1) & (free > 0)
        between = np.where(known, np.maximum(of_means - within / harmonic, 0), np.nan)
        ratio = harmonic * of_means / within
        tail, degrees = (1 - coverage) / 2, np.maximum(hosts - 1, 1)
        bounds = []
        for side in (1 - tail, tail):
            of_ratio = special.fdtri(degrees, np.maximum(free, 1), side)
            scale = 2 * special.gammaincinv(degrees / 2, side) * harmonic  # of chi squared
            bounds.append(np.maximum(degrees * (harmonic * of_means - of_ratio * within) / scale, 0))
        p = np.where(known, special.fdtrc(degrees, np.maximum(free, 1), ratio), np.nan)
        low, high = (np.where(known, np.sqrt(bound), np.nan) for bound in bounds)
        return Spread(np.sqrt(between), low, high, np.sqrt(within), p)


def host_values(values: Cube) -> Floats:
    """Each host's middle, shape (hosts, cases): the mean of its runs without a quarter at each end, of three or four
    runs without the first and the last. So one run that went wrong does not move it.
    """
    ordered = np.sort(values, axis=1)
    count = np.isfinite(values).sum(1, keepdims=True)
    cut = np.where(count < 3, 0, np.maximum(count // 4, 1))
    place = np.arange(values.shape[1])[None, :, None]
    middle = (place >= cut) & (place < count - cut)
    total = np.where(middle, ordered, 0.0).sum(1)
    number = middle.sum(1)
    found: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return found


def median_along(values: Cube, axis: int) -> Floats:
    """The median along an axis; NaN counts as absent."""
    ordered = np.sort(values, axis=axis)
    count = np.isfinite(values).sum(axis, keepdims=True)
    last = np.maximum(count - 1, 0)
    middle = (np.take_along_axis(ordered, last // 2, axis) + np.take_along_axis(ordered, (last + 1) // 2, axis)) / 2
    found: Floats = np.squeeze(middle, axis)
    return found


@dataclass(frozen=True)
class Apart:
    """A host that differs from the others: in `cases`, or as a whole where there are none.

    `p` is the chance that any host of a fleet of equal hosts differs as much.
    """

    host: int
    slower: bool
    cases: tuple[int, ...]
    alone: tuple[int, ...]
    """Those of the cases that would name the host each by itself."""
    p: float


def apart(values: Floats, weights: Floats | None = None, *, rate: float = _TESTED_AT, seed: int = 1) -> list[Apart]:
    """Hosts that differ from the others, with at most `rate` of fleets in which equal hosts are named.

    Each value is set in relation to the median over hosts and to the spread of its case. A host is then described by
    numbers: the median over its cases (its level), the largest value beyond that level, and two likelihood ratios. One
    is of the values, the other of what is left of them without the level. They ask how much more likely the values are
    if some cases are shifted, on average over how many and how far. Each number is scaled by its tail, and the largest
    one is the host's score. The same is done with fleets of equal hosts that are drawn from a normal distribution with
    the correlation of cases that the fleet has. A host is named where at most `rate` of these fleets have a host with
    such a score: so hosts, cases and numbers are all accounted for. The step from one largest value to many small ones
    is that of Donoho and Jin, Annals of Statistics 32 (2004), the average of likelihood ratios that of Walther, From
    Probability to Statistics and Back (2013); the largest of many under one drawing is that of Westfall and Young,
    Resampling-Based Multiple Testing (1993).

    Parameters
    ----------
    values
        logarithms, shape (hosts, cases); NaN where a host has not measured a case.
    weights
        standard deviation of each value in relation to that of the others, shape (hosts, cases); by default all are 1.
    seed
        of the drawing.
    """
    hosts, cases = values.shape
    if hosts < FEWEST_HOSTS or not cases:
        return []
    scores = _scores(values, weights)
    middle, tail, largest = _drawn(scores, np.isfinite(values), (seed, math.ceil(1 / rate)))
    scaled = (_numbers(scores) - middle) / tail
    p = (1 + (largest[None, :] >= scaled.max(1)[:, None]).sum(1)) / (len(largest) + 1)
    threshold = np.sort(largest)[-max(int(rate * (len(largest) + 1)), 1)]
    rest = _beyond(scores, _levels(scores))
    found = []
    for host in map(int, np.flatnonzero(p <= rate)):
        sign, place = divmod(int(scaled[host].argmax()), _NUMBERS)
        outward = (scores if place == _OF_ALL else rest)[host] * (1 - 2 * sign)
        own = () if place == _LEVEL else _shifted(outward)
        first = sign * _NUMBERS + _LARGEST
        single = (rest[host] * (1 - 2 * sign) - middle[first]) / tail[first] >= threshold
        found.append(Apart(host, sign == 0, own, tuple(case for case in own if single[case]), float(p[host])))
    return found


def _scores(values: Floats, weights: Floats | None = None) -> Floats:
    """Distance from the median over hosts, in spreads of the case; 0 where there is no value. Hosts are the last but
    one axis.
    """
    rest = values - np.expand_dims(median_along(values, -2), -2)
    if weights is not None:
        rest = rest / weights
    spread = _spread_of_near(rest)
    scores = _as_normal(rest / np.maximum(spread, FINEST))
    return np.where(np.isfinite(scores), scores, 0.0)


def _as_normal(ratios: Floats) -> Floats:
    """Ratios to a spread that comes from as many hosts, as values of the normal distribution with equal chances.

    The ratios of few hosts have heavier tails, those of t. The formula is Wallace's, Annals of Mathematical Statistics
    30 (1959).
    """
    free = ratios.shape[-2] - 1
    scale = (8 * free + 1) / (8 * free + 3)
    found: Floats = np.copysign(scale * np.sqrt(free * np.log1p(ratios**2 / free)), ratios)
    return found


def _spread_of_near(rest: Floats) -> Floats:
    """The spread over hosts, the last but one axis, so that a fifth of them may be slow.

    First of values winsorised by a fifth at each end, then of those within `_NEAR` of these spreads. The second step is
    that of Rousseeuw and Leroy, Robust Regression and Outlier Detection (1987): it knows the spread of equal hosts
    nearly as well as the standard deviation does.
    """
    ordered = np.sort(rest, axis=-2)
    count = np.isfinite(rest).sum(-2, keepdims=True)
    cut = np.maximum(np.ceil(_WINSORISED * count).astype(int), 1)
    low = np.take_along_axis(ordered, np.minimum(cut, ordered.shape[-2] - 1), -2)
    high = np.take_along_axis(ordered, np.maximum(count - 1 - cut, 0), -2)
    clipped = np.clip(rest, low, np.maximum(low, high))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a case that no host has
        first = np.nanstd(clipped, axis=-2, keepdims=True) / _WINSORISED_SPREAD
        near = np.where(np.abs(rest) <= _NEAR * first, rest, np.nan)
        spread: Floats = np.sqrt(np.nanmean(near**2, axis=-2, keepdims=True)) / _NEAR_SPREAD
    return spread


def _levels(scores: Floats) -> Floats:
    """What all cases of a host have in common, such as a slower clock."""
    return np.median(scores, axis=-1) if scores.shape[-1] >= _FEWEST_CASES else np.zeros(scores.shape[:-1])


def _beyond(scores: Floats, levels: Floats) -> Floats:
    """What is left without the level, in spreads of its own: where cases move together, less is left."""
    rest = scores - levels[..., None]
    spread = _spread_of_near(rest - np.expand_dims(median_along(rest, -2), -2))
    return _as_normal(rest / np.maximum(spread, _LEAST_LEFT))


def _shares(cases: int) -> list[float]:
    """Shares of cases that may be shifted: one case, four, sixteen, … and up to half of them."""
    return [4**power / cases for power in range(6) if power == 0 or 4**power <= cases / 2]


def _likelihoods(scores: Floats) -> Floats:
    """Logarithm of how much more likely the scores of a host are if a share of them is shifted upwards.

    The average over shares and shifts, so that neither has to be known. Shape (…, cases) to (…).
    """
    logs = []
    for shift in _SHIFTS:
        more = np.expm1(np.minimum(shift * scores - shift**2 / 2, _LARGEST_LOG))
        logs += [np.log1p(share * more).sum(-1) for share in _shares(scores.shape[-1])]
    average = np.logaddexp.reduce(np.stack(logs), axis=0) - math.log(len(logs))
    found: Floats = np.sqrt(2 * np.maximum(average, 0))
    return found


def _shifted(scores: Floats) -> tuple[int, ...]:
    """The cases that are more likely shifted than not, the largest first; at least one. Shape (cases,).

    Of the share and the shift that fit best.
    """
    shares = _shares(len(scores))
    more = [np.minimum(shift * scores - shift**2 / 2, _LARGEST_LOG) for shift in _SHIFTS]
    fits = [(np.log1p(share * np.expm1(log)).sum(), share, at) for at, log in enumerate(more) for share in shares]
    _, share, at = max(fits)
    order = np.argsort(-scores, kind="stable")
    number = int((more[at] + math.log(share) > math.log1p(-share)).sum())
    return tuple(map(int, order[: max(number, 1)]))


def _numbers(scores: Floats) -> Floats:
    """What a host is described by, see `apart`; then all of that with the other sign."""
    level = _levels(scores)
    rest = _beyond(scores, level)
    numbers = []
    for sign in (1, -1):
        numbers += [sign * level, (sign * rest).max(-1), _likelihoods(sign * scores), _likelihoods(sign * rest)]
    return np.stack(numbers, axis=-1)


def _drawn(scores: Floats, known: npt.NDArray[np.bool_], seed_and_fewest: tuple[int, int]) -> tuple[Floats, ...]:
    """Of fleets of equal hosts: the middle and the tail of each number, and the largest score of each fleet."""
    hosts, cases = scores.shape
    seed, fewest = seed_and_fewest
    fleets = max(min(FLEETS, MOST_DRAWN // (hosts * cases)), FEWEST_FLEETS, fewest)
    generator = np.random.default_rng(seed)
    draw = _drawer(scores, generator)
    at_once = max(1, 2_000_000 // (hosts * cases))
    numbers = []
    for begin in range(0, fleets, at_once):
        values = draw(min(at_once, fleets - begin))
        values[:, ~known] = np.nan
        # Their spread is 1, so that the finest spread plays no part.
        numbers.append(_numbers(_scores(values)))
    every = np.concatenate(numbers)
    flat = every.reshape(-1, every.shape[-1])
    middle = np.median(flat, axis=0)
    tail = np.maximum(np.quantile(flat, _TAIL, axis=0) - middle, FINEST)
    return middle, tail, ((every - middle) / tail).max((1, 2))


def _drawer(scores: Floats, generator: np.random.Generator) -> Callable[[int], Floats]:
    """Draws so many fleets with the correlation between cases that the scores have, shrunk towards none.

    The share of the shrinking is that of Ledoit and Wolf, Journal of Multivariate Analysis 88 (2004).
    """
    hosts, cases = scores.shape
    near = np.clip(scores, -_FAR, _FAR)
    near = near - near.mean(0)
    spread = np.sqrt((near**2).mean(0))
    near = near / np.where(spread > 0, spread, 1.0)
    among = near @ near.T / hosts  # its square sums are those of the correlation matrix
    squares = float((among**2).sum())
    apart_ = squares - cases  # squared distance from the unit matrix
    error = float(((near**2).sum(1) ** 2).sum()) / hosts**2 - squares / hosts
    shrunk = 1.0 if apart_ <= 0 else min(max(error / apart_, 0.0), 1.0)

    def draw(fleets: int) -> Floats:
        own = generator.standard_normal((fleets, hosts, cases))
        if shrunk == 1:
            return own
        common = generator.standard_normal((fleets, hosts, hosts)) @ (near / math.sqrt(hosts))
        both: Floats = math.sqrt(1 - shrunk) * common + math.sqrt(shrunk) * own
        return both

    return draw


# ---- how much a host differs ----


def group_ratio(values: Cube, host: int, cases: Sequence[int]) -> tuple[float, float, int]:
    """How far a host lies from the middle of all, over some cases: the mean of its logarithms, its standard error, and
    the degrees of freedom of that error.

    The error is that of runs: a host's cases are looked at run by run, so that it does not matter whether they move
    together. The spread of runs is pooled over hosts.

    Parameters
    ----------
    cases
        none means all; their median is taken then, see `apart`.
    """
    own = values[:, :, list(cases)] if len(cases) else values
    middle = median_along(host_values(own), 0)
    rest = own - middle
    by_run = np.nanmean(rest, -1) if len(cases) else median_along(rest, 2)
    value = host_values(by_run[:, :, None])[:, 0]
    count = np.isfinite(by_run).sum(1)
    free = int((count - 1)[count > 1].sum())
    squares = np.nansum((by_run - np.nanmean(by_run, 1, keepdims=True))[count > 1] ** 2)
    of_run = float(squares) / free if free else math.nan
    others = float((_MAD * np.median(np.abs(value - np.median(value)))) ** 2)
    error = math.sqrt(of_run * of_middle(count[host]) / count[host] + others * _MEDIAN / len(values))
    return float(value[host]), error, free


def of_middle(count: int) -> float:
    """Variance of the middle of so many runs, see `host_values`, over that of their mean (normal values)."""
    return 1.0 if count < 3 else 1.35 if count < 5 else 1.2
