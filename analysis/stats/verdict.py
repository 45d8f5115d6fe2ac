"""Verdicts on ratios: *changed*, *same* or *undecided*, with errors that are bounded whatever the noise looks like.

The unit is the logarithm of one round's ratio. All that is used of it is on which side of a limit it lies, and how many
of n independent rounds do is binomial, whatever their distribution: so nothing here assumes a shape, a variance or a
scale. The bounds of an interval are order statistics for the same reason, and an interval lies beyond the margin
exactly when the sign test against the margin rejects. What the steps of the tick counter leave open is no part of the
noise: every round is an interval as wide as that, and only all of it counts as beyond or within a limit. See
docs/statistics.md.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fencepost.analysis.stats.binomial import at_least, at_most, quantile
from fencepost.analysis.stats.resolution import ordered_bounds

Floats = npt.NDArray[np.float64]

ROW_ERROR = 0.01
"""Largest probability of a wrong claim on one row: *changed* where the true effect is within the margin, or *same*
where it is beyond."""


REPORT_ERROR = 0.05
"""Largest probability of any wrong claim of a kind in one report, over all its rows (Holm)."""


POWER = 0.9
"""How probable a decision is with as many more rounds as an undecided row asks for, if those so far are typical."""


MOST_ROUNDS = 100_000


class ChangeVerdict(enum.StrEnum):
    """What is claimed of a row."""

    CHANGED = "changed"
    SAME = "same"
    UNDECIDED = "undecided"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Decision:
    """The verdict on one row. `ratio`, `low`, `high`: new over old; `error` is the one-sided error of each bound,
    `more` how many more rounds an undecided row wants (None: no number of rounds would help, see `reason`).
    `step`: by what factor less 1 each bound lies further out than the rounds alone would have it, because the tick
    counter moves in steps.
    """

    ratio: float
    low: float
    high: float
    verdict: ChangeVerdict
    rounds: int
    error: float
    more: int | None = 0
    reason: str = ""
    step: float = 0.0


def bound_rank(n: int, error: float) -> int:
    """The largest k for which the k-th smallest of n values lies above their true median with a probability of at most
    `error`; 0 where even the smallest does not.

    The number of values below the median is binomial (n, 1/2): P(the k-th smallest exceeds it) = P(B <= k - 1).
    """
    return _ranks(n, error)


@functools.cache
def _ranks(n: int, error: float) -> int:
    k = int(np.nan_to_num(quantile(error, n, 0.5)))
    while k > 0 and at_most(k - 1, n, 0.5) > error:
        k -= 1
    while k < n and at_most(k, n, 0.5) <= error:
        k += 1
    return k


def fewest_rounds(error: float) -> int:
    """The smallest number of rounds that can decide anything at this error: then all of them must agree."""
    return math.ceil(math.log2(1 / error) - 1e-9)


def bounds_at(logs: Floats, error: float, steps: npt.ArrayLike = 0.0) -> tuple[float, float]:
    """Order-statistic bounds of the median, each wrong with a probability of at most `error`; infinite where there are
    too few values. `steps`: how far each value may be off whatever the others are, see
    `fencepost.analysis.stats.resolution`.
    """
    return ordered_bounds(logs, bound_rank(len(logs), error), steps)


def p_changed(logs: Floats, limit: float, steps: npt.ArrayLike = 0.0) -> float:
    """How probable so many rounds beyond `limit` (on one side) are at most, if the true median is within +-`limit`.

    The sign test against the nearer edge of the margin. Both edges cannot be the truth at once, so that the smaller of
    the two is a p-value without any correction as long as `limit` is above 0.
    """
    n = len(logs)
    beyond = max(_above(logs, limit, steps), _above(-logs, limit, steps))
    return at_least(beyond, n, 0.5)


def p_same(logs: Floats, limit: float, steps: npt.ArrayLike = 0.0) -> float:
    """How probable so many rounds within +-`limit` are at most, if the true median is beyond it: two one-sided sign
    tests, of which the larger counts.
    """
    n = len(logs)
    inside = min(_above(logs, -limit, steps), _above(-logs, -limit, steps))
    return at_least(inside, n, 0.5)


def _above(logs: Floats, limit: float, steps: npt.ArrayLike) -> int:
    """Rounds that lie above a limit whatever the counter's steps hide."""
    return int(np.sum(logs - np.asarray(steps, float) > limit))


def holm_errors(p_values: Sequence[float], row: float = ROW_ERROR, report: float = REPORT_ERROR) -> list[float]:
    """At which error each row is tested, so that a report makes a wrong claim with a probability of at most `report`.

    Holm's step-down procedure: the smallest p-value is held against report / m, the next against report / (m - 1), and
    so on; where one fails, all after it are tested at its error, at which they fail too. No row's error exceeds `row`.
    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).
    """
    errors = [0.0] * len(p_values)
    stopped: float | None = None
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        error = min(row, report / (len(p_values) - step)) if stopped is None else stopped
        errors[place] = error
        if stopped is None and p_values[place] > error:
            stopped = error
    return errors


def decide(
    logs: Mapping[str, npt.ArrayLike],
    margin: float,
    *,
    noise_floor: Mapping[str, float] | None = None,
    steps: Mapping[str, npt.ArrayLike] | None = None,
) -> dict[str, Decision]:
    """Verdicts on the rows of one report.

    Parameters
    ----------
    logs
        per row: logarithms of the ratio new / old, one a round, shape (rounds,); NaN is left out.
    margin
        ratios between 1 / (1 + margin) and 1 + margin count as the same; above 0.
    noise_floor
        per row: the largest effect that identical code like it showed in the same run, as a share. Nothing smaller is
        called changed, and nothing is called the same within a margin smaller than it.
    steps
        per row: how far each of `logs` may be off by the steps of the tick counter, in the same shape; none, where a
        row is not in it.

    Returns
    -------
    dict
        by row. *changed*: the whole interval is beyond the margin (and beyond the noise floor); *same*: it is inside.
        Claims of either kind are a family of their own under Holm, and the interval shown is the one at the error of
        the family that decided; an undecided row shows the wider of the two.
    """
    if not margin > 0:
        raise ValueError(f"a margin of {margin} has no inside")
    rows = {name: _known(values, (steps or {}).get(name, 0.0)) for name, values in logs.items()}
    inner = math.log1p(margin)
    outer = {name: math.log1p(max(margin, (noise_floor or {}).get(name, 0.0))) for name in rows}
    changed = holm_errors([p_changed(values, outer[name], step) for name, (values, step) in rows.items()])
    same = holm_errors([p_same(values, inner, step) for values, step in rows.values()])
    return {
        name: _decide_row(*row, inner, outer[name], *errors)
        for (name, row), *errors in zip(rows.items(), changed, same, strict=True)
    }


def _known(values: npt.ArrayLike, steps: npt.ArrayLike) -> tuple[Floats, Floats]:
    array = np.asarray(values, float).ravel()
    known = np.isfinite(array)
    return array[known], np.broadcast_to(np.asarray(steps, float), array.shape)[known]


def _decide_row(
    logs: Floats, steps: Floats, inner: float, outer: float, changed_error: float, same_error: float
) -> Decision:
    n = len(logs)
    if n == 0:
        nothing = "no round has both sides"
        return Decision(math.nan, math.nan, math.nan, ChangeVerdict.UNDECIDED, 0, changed_error, None, nothing)
    middle, step = float(np.median(logs)), float(np.median(steps))

    def decision(verdict: ChangeVerdict, error: float, more: int | None = 0, reason: str = "") -> Decision:
        low, high = bounds_at(logs, error, steps)
        shown = [math.exp(value) if math.isfinite(value) else math.nan for value in (middle, low, high)]
        return Decision(shown[0], shown[1], shown[2], verdict, n, error, more, reason, math.expm1(step))

    low, high = bounds_at(logs, changed_error, steps)
    if low > outer or high < -outer:
        return decision(ChangeVerdict.CHANGED, changed_error)
    low, high = bounds_at(logs, same_error, steps)
    if outer <= inner and -inner < low and high < inner:
        return decision(ChangeVerdict.SAME, same_error)
    more = rounds_wanted(logs, inner, outer, changed_error, same_error, steps)
    reason = "" if more is not None else why_never(middle, step, inner, outer)
    return decision(ChangeVerdict.UNDECIDED, min(changed_error, same_error), more, reason)


def why_never(middle: float, step: float, inner: float, outer: float) -> str:
    """Why no number of rounds decides a row with this effect. All are logarithms of ratios; `inner` is the margin,
    `outer` what the effect had to exceed.
    """
    counter = "one step of the counter" + (f" ({math.expm1(step) * 100:.2g} %)" if math.isfinite(step) else "")
    if step >= inner and abs(middle) <= outer + step:
        return f"the margin is below {counter}"
    if step > 0 and any(abs(abs(middle) - limit) <= step for limit in (inner, outer)):
        return f"the effect lies within {counter} of the margin"
    return "the effect lies at the margin, or below the noise floor"


def rounds_wanted(
    logs: Floats,
    inner: float,
    outer: float,
    changed_error: float,
    same_error: float,
    steps: npt.ArrayLike = 0.0,
) -> int | None:
    """How many more rounds would decide this row with a probability of `POWER`, if the rounds so far are typical; None
    where none up to `MOST_ROUNDS` would.
    """
    n = len(logs)
    targets = [(_above(side, outer, steps), changed_error) for side in (logs, -logs)]
    if outer <= inner:
        targets.append((min(_above(side, -inner, steps) for side in (logs, -logs)), same_error))
    # The shares are those of a coin seen n times: moved half a round towards the middle, so that none is 0 or 1.
    found = [_rounds_for((count + 0.5) / (n + 1), error) for count, error in targets]
    known = [rounds for rounds in found if rounds is not None]
    return max(1, min(known) - n) if known else None


def _rounds_for(share: float, error: float) -> int | None:
    """The smallest number of rounds of which enough lie on one side, where `share` of all do."""
    if share <= 0.5:
        return None

    def enough(n: int) -> bool:
        k = bound_rank(n, error)
        return k > 0 and at_most(k - 1, n, 1 - share) >= POWER

    high = fewest_rounds(error)
    while not enough(high):
        high *= 2
        if high > MOST_ROUNDS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
