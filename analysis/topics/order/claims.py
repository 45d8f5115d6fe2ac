"""What the notes say a memory barrier is for."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval, upper_bound
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, claim, known, measure
from fencepost.analysis.topics.control import Control
from fencepost.analysis.topics.order.measures import losses
from fencepost.analysis.topics.orders import NOT_ENOUGH, PLAIN


def _lost_fenced(analysis: Analysis) -> Interval:
    """Additions that were lost under a full fence, in the worst row."""
    rows = [row for row in analysis.measured("order/peterson") if row.parameter("order") not in NOT_ENOUGH]
    return max((row.metric("lost") for row in rows), key=lambda lost: lost.value, default=UNKNOWN)


def _under_a_fence(row: Row) -> Outcome | None:
    """Losses under a full fence fail the case. Without one they are expected, so a failure there is another fault."""
    return None if row.parameter("order") in NOT_ENOUGH else Outcome.REFUTED


@claim(
    "order/barrier",
    "為了讓資料一致，需要memory barrier",
    "For data to be consistent, a memory barrier is needed",
    ["order/peterson"],
    "Peterson's algorithm loses additions without a full fence, and none with it",
    _under_a_fence,
    control=Control("under a full fence the same loop loses nothing", _lost_fenced, "additions", below=0.5),
)
def barrier(analysis: Analysis) -> Verdict:
    """Losses without, with a bound for the loss with; and both prices."""
    found = [item for item in losses(analysis) if item.algorithm == "peterson"]
    both = f"needs order={PLAIN} and a full fence in one run."
    without = known(next((item for item in found if item.order == PLAIN), None), both)
    fenced = known([item for item in found if not item.may_lose], both)
    sections = sum(item.sections for item in fenced)
    figure = (
        f"without: {count(without.lost)} of {count(without.sections)} additions lost, {without.ns.ns_text()} a "
        f"section; with a full fence: {count(sum(item.lost for item in fenced))} of {count(sections)} lost (at most "
        f"{plain(upper_bound(sections) * 1e6, 2)} in a million), "
        + ", ".join(f"{item.order} {item.ns.ns_text()}" for item in fenced)
    )
    number = measure(without.per_million, "in a million", 0.0)
    if not without.lost:
        number = Measure(0.0, 0.0, upper_bound(without.sections) * 1e6, "in a million", (0.0,))
        because = "Nothing was lost without it in these trials. That proves nothing."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    weak = next((item for item in found if item.order == "c11_acq_rel"), None)
    also = f" Acquire and release are not enough: {count(weak.lost)} lost." if weak and weak.lost else ""
    return Verdict(Outcome.CONFIRMED, figure, f"Without a barrier both threads come in at once.{also}", number)
