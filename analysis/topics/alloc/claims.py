"""What the notes say of malloc."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import UNKNOWN
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.alloc.measures import stalls
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, claim, measure, needs, refuted, row_of
from fencepost.analysis.topics.control import Control, count_of, metric_of

MOST_PCT = 90.0
"""So many blocks lie in the heap where that is the way of the library. A few may have found room elsewhere."""

FEW_PCT = 10.0
"""No more of them where it is not."""


RARE_PCT = 1.0
"""A lock-free allocator never stalls. Of none in so many freezes as a run has, this share is what stays possible."""

SEEN_PCT = 10.0
"""An allocator with locks stalls in 20 to 50 % of freezes where its caches do not hold the size."""


FILLED_PCT = 80.0
"""New slabs are filled so far. Each CPU keeps a slab or two that it has just begun, and others use the cache too."""

OBJECTS = 16384
"""That csrc/kernels/alloc/slab.c makes. Some of them find places that were free before."""

SOME_FILLED_PCT = 30.0
"""Of slabs with a single object each, it would be 5 %."""


@claim(
    "alloc/sbrk_mmap",
    "用sbrk (set break) 和mmap實作",
    "Implemented with sbrk (set break) and mmap",
    ["alloc/steps"],
    "small blocks lie in the heap that brk makes, and blocks above the threshold of 128 KiB do not",
    control=Control(
        "blocks of the largest size in the heap lie in it in another process, too",
        count_of("alloc/steps", "below", threshold="fixed"),
        "blocks",
        above=0.5,
    ),
)
@needs("alloc/steps", threshold="fixed")
def sbrk_mmap(analysis: Analysis) -> Verdict:
    """Where blocks of 1000 bytes and of 1 MiB lie."""
    row = row_of(analysis, "alloc/steps", threshold="fixed")
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


@claim(
    "alloc/lock_free",
    "mimalloc: microsoft research, truly lock free",
    "mimalloc by Microsoft Research is truly lock-free",
    ["alloc/freeze"],
    "another thread goes on wherever in mimalloc a thread is stopped, and with libc it often does not",
    control=Control(
        f"a stop in libc, which has locks, stops the other thread in more than {SEEN_PCT:.0f} % of freezes",
        lambda analysis: max(
            (item.pct for item in stalls(analysis, "libc")), key=lambda pct: pct.value, default=UNKNOWN
        ),
        "%",
        above=SEEN_PCT,
    ),
)
@needs("alloc/freeze", library="mimalloc", because="needs mimalloc (the package libmimalloc2.0).")
@needs("alloc/freeze", library="libc")
def lock_free(analysis: Analysis) -> Verdict:
    """Stalls of mimalloc, against those of a library with locks."""
    own, control = stalls(analysis, "mimalloc"), stalls(analysis, "libc")
    seen = max(control, key=lambda item: item.pct.value)
    figure = "; ".join(
        f"{name}: {', '.join(item.text() for item in found)}" for name, found in (("mimalloc", own), ("libc", control))
    )
    worst = max(own, key=lambda item: item.pct.high)
    number = Measure(worst.pct.value, worst.pct.low, worst.pct.high, "%", (RARE_PCT,))
    sides = [side(item.pct, RARE_PCT) for item in own]
    said = f"A stop in libc with {seen.size} bytes stops the other thread in {seen.pct.text('%')} of freezes."
    if all(where is Side.ABOVE for where in sides):
        return Verdict(Outcome.REFUTED, figure, f"A thread that stops also stops the other one. {said}", number)
    if Side.ABOVE in sides:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the size of the blocks. {said}", number)
    if Side.TOUCHES in sides:
        return Verdict(Outcome.UNDECIDED, figure, f"Too few freezes to say that none stalls. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"The other thread always went on. {said}", number)


@claim(
    "alloc/slab",
    "跟buddy先叫一些記憶體，然後再分給process，中盤商",
    "It asks the buddy allocator for some memory first and then hands it on to processes: a middleman",
    ["alloc/slab"],
    "objects of the kernel come in whole slabs of several, and each slab is filled before the next comes",
    failure=refuted,
    control=Control(
        f"the cache made room for nearly all of the {OBJECTS} objects that were made",
        metric_of("alloc/slab", "objects_grown"),
        "objects",
        above=0.9 * OBJECTS,
    ),
)
@needs("alloc/slab")
def slab(analysis: Analysis) -> Verdict:
    """How far the slabs are filled that many objects took."""
    row = row_of(analysis, "alloc/slab")
    filled, each = row.metric("filled_pct"), row.metric("objects_per_slab")
    figure = f"{filled.text('%')} of the room of {row.metric('slabs_grown').text()} new slabs was needed"
    said = f"A slab has {each.text()} objects on {row.metric('pages_per_slab').text()} pages."
    number = measure(filled, "%", SOME_FILLED_PCT, FILLED_PCT)
    some, most, several = side(filled, SOME_FILLED_PCT), side(filled, FILLED_PCT), side(each, 1.5)
    if several is Side.BELOW or some is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"Objects do not share what was asked for. {said}", number)
    if Side.TOUCHES in (some, most, several):
        return Verdict(Outcome.UNDECIDED, figure, f"Others used this cache meanwhile. {said}", number)
    if most is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"Slabs are shared, and many places stay free. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Memory comes slab by slab, and objects one by one. {said}", number)
