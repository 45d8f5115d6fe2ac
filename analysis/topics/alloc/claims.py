"""What the notes say of malloc."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs

MOST_PCT = 90.0
"""So many blocks lie in the heap where that is the way of the library. A few may have found room elsewhere."""

FEW_PCT = 10.0
"""No more of them where it is not."""


@claim(
    "alloc/sbrk_mmap",
    "用sbrk (set break) 和mmap實作",
    "Implemented with sbrk (set break) and mmap",
    ["alloc/steps"],
    "small blocks lie in the heap that brk makes, and blocks above the threshold of 128 KiB do not",
)
@needs("alloc/steps", threshold="fixed")
def sbrk_mmap(analysis: Analysis) -> Verdict:
    """Where blocks of 1000 bytes and of 1 MiB lie."""
    row = _row(analysis, threshold="fixed")
    small, large = row.metric("small_in_heap_pct"), row.metric("large_in_heap_pct")
    figure = f"in the heap: {small.text('%')} of blocks of 1000 bytes, {large.text('%')} of 1 MiB"
    said = f"The largest block in the heap has {row.metric('heap_to').text()} bytes."
    free = next((row for row in analysis.decided("alloc/steps") if row.has(threshold="dynamic")), None)
    if free is not None:
        said += f" Where blocks were freed before, it has {free.metric('heap_to').text()}."
    number = measure(small, "%", MOST_PCT)
    brk, mmap = side(small, MOST_PCT), side(large, FEW_PCT)
    if brk is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"This library does not use brk. {said}", number)
    if Side.TOUCHES in (brk, mmap):
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in where blocks lie. {said}", number)
    if mmap is Side.ABOVE:
        return Verdict(Outcome.DEPENDS, figure, f"Large blocks come from the heap as well. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Small blocks come by brk, large ones by mmap. {said}", number)


def _row(analysis: Analysis, **wanted: object) -> Row:
    return next(row for row in analysis.decided("alloc/steps") if row.has(**wanted))
