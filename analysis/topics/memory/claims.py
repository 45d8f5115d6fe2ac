"""What the notes say of memory."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import below
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
        row = _row(analysis, "memory/fault", access=access)
        faults[access] = row.metric("faults_per_page")
        prices[access] = row.time.ns_text()
    figure = f"{faults['write'].text()} faults a page at the first write, {faults['again'].text()} at the next"
    said = f"The first write to a page takes {prices['write']}, the second {prices['again']}."
    if abs(faults["write"][0] - 1) > ONE or faults["again"][0] > ONE:
        return Verdict(Outcome.DEPENDS, figure, f"Pages came otherwise than one by one at their first touch. {said}")
    return Verdict(Outcome.CONFIRMED, figure, f"Memory comes with the first touch, one fault a page. {said}")


@claim(
    "memory/on_demand",
    "呼叫時不會佔用實體記憶體，只維護虛擬地址 真正需要時才分配實體記憶體 (Copy-on-Write)",
    "A call takes no physical memory, only addresses; memory is allocated when it is needed (copy-on-write)",
    ["memory/fault", "memory/cow"],
    "the first write to fresh memory has a fault, and costs at least as much as a read and the copy after it",
)
@needs("memory/fault", access=("write", "read"))
@needs("memory/cow", write="zero", pages="small")
def on_demand(analysis: Analysis) -> Verdict:
    """A copy on write needs a page that a read has mapped. Fresh memory has no such page.

    Without a copy it is cheaper, because Linux maps a cleared page at once.
    """
    fresh, read = (_row(analysis, "memory/fault", access=access) for access in ("write", "read"))
    copied = _row(analysis, "memory/cow", write="zero", pages="small")
    faults = fresh.metric("faults_per_page")
    figure = (
        f"first write {fresh.time.ns_text()}, first read {read.time.ns_text()}, "
        f"write after that read {copied.time.ns_text()}"
    )
    said = f"The first write to fresh memory has {faults.text()} faults a page."
    if faults.value < 1 - ONE:
        return Verdict(Outcome.REFUTED, figure, f"{said} Memory was there before it was needed.")
    both = read.time.value + copied.time.value
    if below(fresh.time, both):
        because = f"{said} Memory comes when it is needed. Nothing is copied: a read and a copy cost more."
        return Verdict(Outcome.DEPENDS, figure, because)
    return Verdict(Outcome.CONFIRMED, figure, f"{said} It costs as much as a read and the copy after it.")


def _row(analysis: Analysis, kernel: str, **wanted: str) -> Row:
    return next(row for row in analysis.measured(kernel) if row.has(**wanted))
