"""What the notes say of memory."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, needs

ONE = 0.05
"""So far from 1 and from 0 may the faults a page be: what else a process does has some too."""


@claim(
    "memory/lazy",
    "lazy allocation之所以能成功 要歸功minor page fault",
    "That lazy allocation works is owed to the minor page fault",
    ["memory/fault"],
    "a page has one minor fault when it is written to first, and none when it is written to again",
)
@needs("memory/fault", access=("write", "again"))
def lazy(analysis: Analysis) -> Verdict:
    """Faults as the kernel counted them, and their price."""
    faults, prices = {}, {}
    for access in ("write", "again"):
        row = next(row for row in analysis.measured("memory/fault") if row.has(access=access))
        faults[access] = row.metric("faults_per_page")
        prices[access] = row.time.ns_text()
    figure = f"{faults['write'].text()} faults a page at the first write, {faults['again'].text()} at the next"
    said = f"The first write to a page takes {prices['write']}, the second {prices['again']}."
    if abs(faults["write"][0] - 1) > ONE or faults["again"][0] > ONE:
        return Verdict(Outcome.DEPENDS, figure, f"Pages came otherwise than one by one at their first touch. {said}")
    return Verdict(Outcome.CONFIRMED, figure, f"Memory comes with the first touch, one fault a page. {said}")
