"""What the notes say a memory barrier is for."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import upper_bound
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known
from fencepost.analysis.topics.litmus.measures import CONTROL
from fencepost.analysis.topics.order.measures import losses


@claim(
    "order/barrier",
    "為了讓資料一致，需要memory barrier",
    "For data to be consistent, a memory barrier is needed",
    ["order/peterson"],
    "Peterson's algorithm loses additions without a full fence, and none with it",
)
def barrier(analysis: Analysis) -> Verdict:
    """Losses without, with a bound for the loss with; and both prices."""
    found = [item for item in losses(analysis) if item.algorithm == "peterson"]
    both = f"needs order={CONTROL} and a full fence in one run."
    without = known(next((item for item in found if item.order == CONTROL), None), both)
    fenced = known([item for item in found if not item.may_lose], both)
    sections = sum(item.sections for item in fenced)
    figure = (
        f"without: {count(without.lost)} of {count(without.sections)} additions lost, {without.ns.ns_text()} a "
        f"section; with a full fence: {count(sum(item.lost for item in fenced))} of {count(sections)} lost (at most "
        f"{plain(upper_bound(sections) * 1e6, 2)} in a million), "
        + ", ".join(f"{item.order} {item.ns.ns_text()}" for item in fenced)
    )
    if any(item.lost for item in fenced):
        return Verdict(Outcome.REFUTED, figure, "Additions were lost under a full fence too.")
    if not without.lost:
        return Verdict(Outcome.DEPENDS, figure, "Nothing was lost without it in these trials, which is no proof.")
    weak = next((item for item in found if item.order == "c11_acq_rel"), None)
    also = f" Acquire and release are not enough: {count(weak.lost)} lost." if weak and weak.lost else ""
    return Verdict(Outcome.CONFIRMED, figure, f"Without a barrier both threads come in at once.{also}")
