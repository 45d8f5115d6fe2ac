"""What the notes say of memory."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, noise_of, time_of

ONE = 0.05
"""So far from 1 and from 0 may the faults a page be: what else a process does has some too."""

FEWEST = 0.001
"""Faults a page of memory that comes by huge pages, the most at once: 1 in 512 on x86-64."""


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
    number = measure(faults["write"], "faults", 1 - ONE, 1 + ONE)
    # Counts of the kernel: the noise of times has no part in them.
    some, one, more = (side(faults["write"], limit) for limit in (FEWEST, 1 - ONE, 1 + ONE))
    again = side(faults["again"], ONE)
    if Side.BELOW is some or Side.ABOVE in (more, again):
        because = f"Faults and first touches do not belong together here. {said}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if (some, one, again) == (Side.ABOVE, Side.BELOW, Side.BELOW):
        because = f"Memory comes with the first touch, but several pages at once. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    if Side.TOUCHES in (some, one, more, again):
        because = f"Processes differ in how many faults a page had. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"Memory comes with the first touch, one fault a page. {said}", number)


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
    both = read.time.value + copied.time.value
    number = measure(fresh.time, "ns", both)
    there = side(faults, 1 - ONE)
    if there is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"{said} Memory was there before it was needed.", number)
    dear = side(time_of(fresh), both, noise_of(analysis, "memory/fault", "memory/cow"))
    if Side.TOUCHES in (there, dear):
        because = f"{said} Within the noise of this run it is open whether it costs as much as a read and a copy."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if dear is Side.BELOW:
        because = f"{said} Memory comes when it is needed. Nothing is copied: a read and a copy cost more."
        return Verdict(Outcome.DEPENDS, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"{said} It costs as much as a read and the copy after it.", number)


def _row(analysis: Analysis, kernel: str, **wanted: str) -> Row:
    return next(row for row in analysis.measured(kernel) if row.has(**wanted))
