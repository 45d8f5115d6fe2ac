"""What the notes say of memory."""

from __future__ import annotations

from collections.abc import Mapping

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import (
    Outcome,
    Verdict,
    claim,
    known,
    measure,
    needs,
    noise_of,
    refuted,
    row_of,
    time_of,
)
from fencepost.analysis.topics.control import Control, first_row, metric_of
from fencepost.analysis.topics.memory.measures import seen_from_ns

ONE = 0.05
"""So far from 1 and from 0 may the faults a page be: what else a process does has some too."""

FEWEST = 0.001
"""Faults a page of memory that comes by huge pages, the most at once: 1 in 512 on x86-64."""

ABOUT = 4.0
"""So many times as dear may 262144 pages of addresses be: a large mapping may need page tables that a small one shares
with its neighbours.
"""

TABLES = 64.0
"""From here on something is done for each part of the mapping. Its page tables alone would be 512."""

TAKEN_KIB = 1024.0
"""Memory that a mapping of 1 GiB may take, a thousandth of it: the process allocates beside it."""


MORE_PCT = 50.0
"""More than half is what "more common" takes."""

MOST_PCT = 99.0
"""One major fault for a hundred minor ones: a program that comes from its device for the first time has as many."""

ALL_PCT = 99.0
"""All of 20 processes: one of them would be 5 %."""


def _few_pages(analysis: Analysis) -> Interval:
    """What a load on 16 small pages takes more than on few, over the least that is seen."""
    row = first_row(analysis, "memory/tlb", pages=16, control="packed")
    return row.metric("added_ns").over(seen_from_ns(analysis)) if row else UNKNOWN


ALLOWED = Control(
    "allowed accesses bring no signal",
    metric_of("memory/invalid", "signals_per_access", access="allowed"),
    "signals",
    below=ONE,
)
"""Of the claims on accesses that are forbidden."""


@claim(
    "memory/lazy",
    "lazy allocation之所以能成功 要歸功minor page fault",
    "That lazy allocation works is owed to the minor page fault",
    ["memory/fault"],
    "a page has one minor fault when it is written to first, and none when it is written to again",
    control=Control(
        "a second write to the page has no fault",
        metric_of("memory/fault", "faults_per_page", access="again"),
        "faults",
        below=ONE,
    ),
)
@needs("memory/fault", access=("write", "again"))
def lazy(analysis: Analysis) -> Verdict:
    """Faults as the kernel counted them, and their price."""
    faults, prices = {}, {}
    for access in ("write", "again"):
        row = row_of(analysis, "memory/fault", access=access)
        faults[access] = row.metric("faults_per_page")
        prices[access] = row.time.ns_text()
    figure = f"{faults['write'].text()} faults a page at the first write, {faults['again'].text()} at the next"
    said = f"The first write to a page takes {prices['write']}, the second {prices['again']}."
    number = measure(faults["write"], "faults", 1 - ONE, 1 + ONE)
    # Counts of the kernel: the noise of times has no part in them.
    some, one, more = (side(faults["write"], limit) for limit in (FEWEST, 1 - ONE, 1 + ONE))
    if Side.BELOW is some or more is Side.ABOVE:
        because = f"Faults and first touches do not belong together here. {said}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if (some, one) == (Side.ABOVE, Side.BELOW):
        because = f"Memory comes with the first touch, but several pages at once. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    if Side.TOUCHES in (some, one, more):
        because = f"Processes differ in how many faults a page had. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"Memory comes with the first touch, one fault a page. {said}", number)


@claim(
    "memory/on_demand",
    "呼叫時不會佔用實體記憶體，只維護虛擬地址 真正需要時才分配實體記憶體 (Copy-on-Write)",
    "A call takes no physical memory, only addresses; memory is allocated when it is needed (copy-on-write)",
    ["memory/fault", "memory/cow"],
    "the first write to fresh memory has a fault, and costs at least as much as a read and the copy after it",
    control=Control(
        "a write to a page that is there has no fault",
        metric_of("memory/cow", "faults_per_page", write="resident", pages="small"),
        "faults",
        below=ONE,
    ),
)
@needs("memory/fault", access=("write", "read"))
@needs("memory/cow", write="zero", pages="small")
def on_demand(analysis: Analysis) -> Verdict:
    """A copy on write needs a page that a read has mapped. Fresh memory has no such page.

    Without a copy it is cheaper, because Linux maps a cleared page at once.
    """
    fresh, read = (row_of(analysis, "memory/fault", access=access) for access in ("write", "read"))
    copied = row_of(analysis, "memory/cow", write="zero", pages="small")
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


@claim(
    "memory/not_mapped",
    "作業系統告訴mmu 在某些page可以不用馬上對應 (virtual address)",
    "The operating system tells the MMU that some pages need not be mapped at once (virtual address)",
    ["memory/map"],
    "to map and unmap 1 GiB that nobody touches costs about as much as 4 KiB, and takes no memory",
    control=Control(
        "a page that is touched has its fault",
        metric_of("memory/map", "faults_per_turn", call="touched", size=4 << 10),
        "faults",
        1 - ONE,
        1 + ONE,
    ),
)
@needs("memory/map", call="untouched", size=(4 << 10, 1 << 30))
def not_mapped(analysis: Analysis) -> Verdict:
    """The price of 262144 pages against that of one."""
    small, large = (row_of(analysis, "memory/map", call="untouched", size=size) for size in (4 << 10, 1 << 30))
    resident = large.metric("resident_kib")
    dearer = ratio(analysis, large.case, small.case)
    figure = f"1 GiB {large.time.ns_text()}, 4 KiB {small.time.ns_text()}: {dearer.text()} times as much"
    said = f"A mapping of 1 GiB that nobody has touched takes {resident.text('KiB')} of memory."
    number = measure(dearer, "1", ABOUT, TABLES)
    noise = noise_of(analysis, "memory/map")
    about, tables = (side(dearer, limit, noise) for limit in (ABOUT, TABLES))
    taken = side(resident, TAKEN_KIB)
    if taken is Side.ABOVE or tables is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"The pages are there before they are needed. {said}", number)
    if Side.TOUCHES in (taken, about, tables):
        because = f"{said} Within the noise of this run it is open how the price goes with the size."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if about is Side.ABOVE:
        because = f"{said} More addresses cost more, but far less than their pages would."
        return Verdict(Outcome.DEPENDS, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"{said} Addresses cost next to nothing.", number)


@claim(
    "memory/null",
    "多數的作業系統會去設定mmu， 把這個區域標示為不可讀不可寫不可執行",
    "Most operating systems set the MMU up so that this area (address 0) can be neither read nor written nor executed",
    ["memory/invalid"],
    "a read, a write and a call of address 0 end in SIGSEGV, each time, and allowed accesses never do",
    failure=refuted,
    control=ALLOWED,
)
@needs("memory/invalid", access=("read_null", "write_null", "call_null", "allowed"))
def null(analysis: Analysis) -> Verdict:
    """Signals that three kinds of access to address 0 bring."""
    return _forbidden(analysis, {"read": "read_null", "write": "write_null", "call": "call_null"})


@claim(
    "memory/text",
    "text segment: 機械碼 (ro)",
    "Text segment: machine code, read-only",
    ["memory/invalid"],
    "a write to the program's own instructions ends in SIGSEGV, and reading and calling them never does",
    failure=refuted,
    control=ALLOWED,
)
@needs("memory/invalid", access=("write_text", "allowed"))
def text(analysis: Analysis) -> Verdict:
    """Signals that writes to instructions bring."""
    return _forbidden(analysis, {"write to instructions": "write_text"})


@claim(
    "memory/data",
    "data segment: data (rw)",
    "Data segment: data, read and write",
    ["memory/invalid"],
    "to run data as instructions ends in SIGSEGV, and reading and writing it never does",
    failure=refuted,
    control=ALLOWED,
)
@needs("memory/invalid", access=("run_data", "allowed"))
def data(analysis: Analysis) -> Verdict:
    """Signals that calls into data bring."""
    return _forbidden(analysis, {"call of data": "run_data"})


@claim(
    "memory/layout",
    "kernel | stack-> | memory  | <-heap | bss     | data    | text    |",
    "From high to low addresses: kernel, stack, memory mappings, heap, bss, data, text",
    ["memory/layout", "memory/invalid"],
    "fresh processes have text < data < bss < heap < mappings < stack, and reading a kernel address ends in SIGSEGV",
    failure=lambda row: Outcome.REFUTED if row.kernel == "memory/layout" else None,
    control=ALLOWED,
)
@needs("memory/layout")
@needs("memory/invalid", access="read_kernel")
def layout(analysis: Analysis) -> Verdict:
    """The order of the segments, and who owns the addresses above the stack."""
    row = row_of(analysis, "memory/layout")
    order, places = row.metric("in_order_pct"), row.metric("places")
    kernel = row_of(analysis, "memory/invalid", access="read_kernel").metric("signals_per_access")
    figure = f"{order.text('%')} of processes have their segments in this order"
    said = (
        f"Of 20 processes {places.text()} have different stacks. "
        f"A read of an address of the kernel's brings {kernel.text()} signals."
    )
    number = measure(order, "%", ALL_PCT)
    sides = side(order, ALL_PCT), side(kernel, 1 - ONE)
    if Side.BELOW in sides:
        return Verdict(Outcome.REFUTED, figure, f"Some processes have another layout. {said}", number)
    if Side.TOUCHES in sides:
        return Verdict(Outcome.UNDECIDED, figure, f"Rounds differ in their layouts. {said}", number)
    if side(places, 1.5) is Side.BELOW:
        because = f"All processes had the same addresses, so one layout was seen. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"Each of them is as in the picture. {said}", number)


@claim(
    "memory/overcommit",
    "malloc overcommit",
    "malloc overcommits",
    ["memory/overcommit"],
    "requests for more memory than there is are accepted, as long as nobody touches it",
    control=Control(
        "nothing of it comes into memory",
        metric_of("memory/overcommit", "resident_kib", ask="pieces"),
        "KiB",
        below=TAKEN_KIB,
    ),
)
@needs("memory/overcommit", ask=("pieces", "noreserve"))
def overcommit(analysis: Analysis) -> Verdict:
    """What was promised, in multiples of what there is."""
    pieces, noreserve = (
        row_of(analysis, "memory/overcommit", ask=ask).metric("times_memory") for ask in ("pieces", "noreserve")
    )
    policy = row_of(analysis, "memory/overcommit", ask="pieces").metric("policy")
    figure = f"in pieces {pieces.text()} times the memory, with MAP_NORESERVE {noreserve.text()} times"
    said = f"vm.overcommit_memory is {policy.text()}, and none of it came into memory."
    number = measure(pieces, "times", 1.0)
    more = {name: side(found, 1.0) for name, found in (("pieces", pieces), ("noreserve", noreserve))}
    if more["pieces"] is Side.ABOVE:
        return Verdict(Outcome.CONFIRMED, figure, f"More is promised than there is. {said}", number)
    if Side.TOUCHES in more.values():
        return Verdict(Outcome.UNDECIDED, figure, f"Rounds differ in what was promised. {said}", number)
    if more["noreserve"] is Side.ABOVE:
        because = f"Only a request that says so may ask for more than there is. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    return Verdict(Outcome.REFUTED, figure, f"No more is promised than there is. {said}", number)


@claim(
    "memory/major",
    "major: memory找不到去swap找",
    "Major fault: what is not found in memory is looked for in swap",
    ["memory/file"],
    "a page that is not in memory comes from swap alone, so a page of a file that was dropped has no major fault",
    control=Control(
        "a page of the file that is in memory has no major fault",
        metric_of("memory/file", "major_per_page", access="apart"),
        "faults",
        below=ONE,
    ),
)
@needs("memory/file", access=("major", "apart"))
def major(analysis: Analysis) -> Verdict:
    """Major faults of pages that no swap ever held."""
    dropped, cached = (row_of(analysis, "memory/file", access=access) for access in ("major", "apart"))
    faults, control = dropped.metric("major_per_page"), cached.metric("major_per_page")
    figure = f"{faults.text()} major faults a page of a file that was dropped, {control.text()} of one that was not"
    dearer = ratio(analysis, dropped.case, cached.case)
    said = f"A major fault takes {dropped.time.ns_text()}, {dearer.text()} times a minor one of the same file."
    number = measure(faults, "faults", ONE, 1 - ONE)
    none, all_of_them = side(faults, ONE), side(faults, 1 - ONE)
    if Side.TOUCHES in (none, all_of_them):
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what was in memory. {said}", number)
    if none is Side.BELOW:
        return Verdict(Outcome.CONFIRMED, figure, f"Files cause no major fault here. {said}", number)
    if all_of_them is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"Some pages of the file were read, and some were not. {said}", number)
    because = f"Swap is one place of two. Pages of files that are not in memory are read as well. {said}"
    return Verdict(Outcome.REFUTED, figure, because, number)


@claim(
    "memory/ksm",
    "ksm: kernel samepage merge",
    "KSM: kernel samepage merging",
    ["memory/ksm"],
    "all equal pages that are offered are merged and copied at the next write, and different pages never are",
    failure=refuted,
    control=Control(
        "pages that differ are not merged",
        metric_of("memory/ksm", "merged_pct", content="different"),
        "%",
        below=100 - ALL_PCT,
    ),
)
@needs("memory/ksm", content=("equal", "different"))
def ksm(analysis: Analysis) -> Verdict:
    """Pages that were merged, and what a write to them costs."""
    equal, different = (row_of(analysis, "memory/ksm", content=content) for content in ("equal", "different"))
    merged, others = equal.metric("merged_pct"), different.metric("merged_pct")
    faults = equal.metric("faults_per_page")
    figure = f"merged: {merged.text('%')} of equal pages, {others.text('%')} of different ones"
    said = (
        f"A write to a merged page has {faults.text()} faults and takes {equal.time.ns_text()}. "
        f"To another it takes {different.time.ns_text()}."
    )
    number = measure(merged, "%", ALL_PCT)
    every, some = side(merged, ALL_PCT), side(merged, 100 - ALL_PCT)
    if some is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"Equal pages are not merged. {said}", number)
    if Side.TOUCHES in (every, some, side(faults, 1 - ONE)):
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what was merged. {said}", number)
    if every is Side.BELOW:
        return Verdict(
            Outcome.DEPENDS, figure, f"Some equal pages were merged, and others were not yet. {said}", number
        )
    return Verdict(Outcome.CONFIRMED, figure, f"Equal pages become one, until somebody writes. {said}", number)


def _forbidden(analysis: Analysis, kinds: Mapping[str, str]) -> Verdict:
    """Whether these accesses always bring a signal. `kinds`: how each is called, and its value of ``access``."""
    rows = {name: row_of(analysis, "memory/invalid", access=access) for name, access in kinds.items()}
    control = row_of(analysis, "memory/invalid", access="allowed").metric("signals_per_access")
    signals = {name: row.metric("signals_per_access") for name, row in rows.items()}
    prices = ", ".join(f"a {name} with its signal takes {row.time.ns_text()}" for name, row in rows.items())
    figure = ", ".join(f"{name} {found.text()}" for name, found in signals.items()) + " signals an access"
    least = min(signals.values(), key=lambda found: found.value)
    number = measure(least, "signals", 1 - ONE)
    said = f"{prices[0].upper()}{prices[1:]}. Allowed accesses bring {control.text()} signals."
    sides = [side(found, 1 - ONE) for found in signals.values()]
    if all(found is Side.BELOW for found in sides):
        because = f"An access that is forbidden ends as one that is not. {said}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if Side.TOUCHES in sides:
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what brought a signal. {said}", number)
    if Side.BELOW in sides:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the kind of access. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Each access ended in SIGSEGV. {said}", number)


@claim(
    "memory/minor",
    "minor: 最常見, caching找不到, mmap",
    "Minor page faults are the most common: not in the cache, mmap",
    ["memory/layout", "memory/file"],
    "nearly all page faults of fresh processes are minor, on a system that counts major ones where they are made",
    control=Control(
        "a page that was dropped from the cache has a major fault",
        metric_of("memory/file", "major_per_page", access="major"),
        "faults",
        above=1 - ONE,
    ),
)
@needs("memory/layout")
@needs("memory/file", access="major")
def minor(analysis: Analysis) -> Verdict:
    """Faults of 20 shells from their start to their end; the control is a page that was dropped from the cache."""
    fresh, dropped = row_of(analysis, "memory/layout"), row_of(analysis, "memory/file", access="major")
    known("minor_pct" in fresh.metrics, "This run has no faults of fresh processes.")
    share, faults, control = fresh.metric("minor_pct"), fresh.metric("minor_faults"), dropped.metric("major_per_page")
    figure = f"{share.text('%')} of the page faults of a fresh process are minor, of {faults.text()}"
    said = f"A page that was dropped from the cache has {control.text()} major faults."
    number = measure(share, "%", MORE_PCT, MOST_PCT)
    more, most = side(share, MORE_PCT), side(share, MOST_PCT)
    if more is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"Fewer than half are minor. {said}", number)
    if Side.TOUCHES in (more, most):
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in their faults. {said}", number)
    if most is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"More are minor, but major ones are common too. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Nearly all are minor. {said}", number)


@claim(
    "memory/translation",
    "virtual address -> ipa -> physical address",
    "An address of a process is translated to an intermediate address, and that to a physical one",
    ["memory/tlb"],
    "256 small pages cost more than as many lines on few pages, and a guest's huge pages do not save that. So there is "
    "a second translation below that of the guest",
    control=Control("16 pages, which fit into each TLB, add less than can be seen", _few_pages, "of that", below=1.0),
)
@needs("memory/tlb", pages=16, control="packed")
@needs("memory/tlb", pages=256, control=("packed", "huge"))
def translation(analysis: Analysis) -> Verdict:
    """256 pages are beyond the first level of any TLB, and within the second."""
    packed, huge = (
        row_of(analysis, "memory/tlb", pages=256, control=control).metric("added_ns") for control in ("packed", "huge")
    )
    limit, half = seen_from_ns(analysis), packed.value / 2
    figure = (
        f"a load on 256 small pages takes {packed.text('ns')} more than on few pages, and {huge.text('ns')} more than "
        "on huge ones"
    )
    number = measure(packed, "ns", limit)
    seen, saved = side(packed, limit), side(huge, half)
    if seen is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, "Translations cost nothing here.", number)
    if Side.TOUCHES in (seen, saved):
        return Verdict(Outcome.UNDECIDED, figure, "Processes differ in what translations cost.", number)
    if saved is Side.ABOVE:
        because = "Huge pages save the cost: one translation is seen. Without a hypervisor there is no second."
        return Verdict(Outcome.DEPENDS, figure, because, number)
    because = "Huge pages of this guest do not save it: a second translation, on small pages, decides."
    return Verdict(Outcome.CONFIRMED, figure, because, number)
