"""The memory hierarchy as a dependent load sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from fencepost.analysis.draw.bars import bars, forest
from fencepost.analysis.draw.figure import Bar, Figure, Group, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.memory.measures import knees, walks
from fencepost.analysis.topics.pictures import bars_by, lines_by, shows
from fencepost.analysis.topics.rungs import Pick, step, with_values
from fencepost.analysis.topics.topic import Topic
from fencepost.bench.caches import caches


def _pages(row: Row) -> str:
    order = row.parameter("order") or "random"
    return f"{row.parameter('pages') or ''} pages".strip() + (f", {order}" if order != "random" else "")


CHASE = lines_by(
    "memory/chase",
    "size",
    title="A dependent load, by the size of what it walks through",
    says="From {first} ({first_of}) to {most} ({most_of}). Each step up is a level of the hierarchy left behind.",
    unit="load",
    caption="A dependent load by size",
    groups=_pages,
    group_heading="pages",
    x_label="size of the buffer",
    x_format=size,
    marks=("cache sizes that the machine states", lambda analysis: caches(analysis.machine)),
    columns={"cycles": lambda row: row.cycles.text(), "remarks": lambda row: row.remarks()},
)


FAULT = bars_by(
    "memory/fault",
    "access",
    title="The first touch of a page",
    says="{each}. Memory that was asked for arrives when it is touched, page by page.",
    unit="page",
    caption="A page by what touches it",
    heading="touched by",
    labels={
        "write": "write, first touch",
        "read": "read, first touch",
        "populate": "had at once (populate)",
        "again": "write, second touch",
        "huge": "write, first touch of a huge page",
    },
    metrics={"faults_per_page": "minor faults a page"},
    order="dearest",
)


COW = bars_by(
    "memory/cow",
    "write",
    title="A write to a page that others may still read",
    says="From {least} ({least_of}) to {most} ({most_of}). A fork copies no page: the first write to each page pays.",
    unit="page",
    caption="The first write to a page, by who shares it",
    heading="shared",
    labels={
        "copy": "with a living child (copied)",
        "reuse": "with a child that has ended",
        "zero": "with all, as the page of zeros",
        "resident": "with nobody",
    },
    groups=lambda row: f"{row.parameter('pages')} pages",
    group_heading="pages",
    metrics={"faults_per_page": "minor faults a page"},
)


CALLS = {
    "untouched": "map, unmap",
    "touched": "map, write to a page, unmap",
    "mprotect": "make read-only and writable again, write",
    "dontneed": "give a page back, write to it",
}


MAP = bars_by(
    "memory/map",
    "call",
    title="Calls that change a mapping",
    says="From {least} ({least_of}) to {most} ({most_of}). Without a touch there are addresses and no pages.",
    unit="turn",
    caption="A turn of calls on a mapping of which one page at most is in memory",
    heading="calls",
    labels=CALLS,
    groups=lambda row: f"a mapping of {size(size_bytes(str(row.parameters['size'])))}",
    group_heading="size",
    metrics={"faults_per_turn": "minor faults a turn", "resident_kib": "memory before it is touched"},
)


SHOOTDOWN = bars_by(
    "memory/shootdown",
    "call",
    title="Cost of another CPU when a mapping changes",
    says="{each}. Where no page was in memory, no other CPU has to forget one.",
    unit="turn",
    caption="A turn of calls while the process runs on another CPU, less the same turn while another process does",
    heading="calls",
    labels=CALLS,
    metrics={
        "shootdowns_per_turn": "interrupts of the other CPU",
        "control_shootdowns": "beside another process",
    },
)


INVALID = bars_by(
    "memory/invalid",
    "access",
    title="An access that is not allowed, up to the end of its signal",
    says="From {least} ({least_of}) to {most} ({most_of}). Most of it is the signal, as the one that is sent shows.",
    unit="access",
    caption="An access by what is done where",
    heading="access",
    labels={
        "read_null": "read of address 0",
        "write_null": "write to address 0",
        "call_null": "call of address 0",
        "write_text": "write to instructions",
        "run_data": "call of data",
        "read_kernel": "read of an address of the kernel's",
        "raise": "no access, the signal is sent",
        "allowed": "allowed accesses",
    },
    metrics={"signals_per_access": "signals an access"},
    order="dearest",
)


SEGMENTS = {
    "text_at": "text",
    "data_at": "data",
    "bss_at": "bss",
    "heap_at": "heap",
    "mappings_at": "mappings",
    "stack_at": "stack",
}


@shows("memory/layout")
def layout(analysis: Analysis) -> Figure | None:
    """The address space of fresh processes: where each segment begins, low addresses to the left."""
    row = next(iter(analysis.decided("memory/layout")), None)
    found = {word: row.metric(name) for name, word in SEGMENTS.items() if name in row.metrics} if row else {}
    if row is None or not found:
        return None
    order = row.metric("in_order_pct")
    return forest(
        "memory-layout",
        "The address space of a process",
        f"{order.text('%')} of fresh processes have text, data, bss, heap, mappings and stack in this order. "
        f"The kernel has the addresses above. Of 20 processes {row.metric('places').text()} had different stacks.",
        table(
            "Where the segments of fresh processes begin, median over rounds",
            ("segment", "TiB", "as an address"),
            [(word, at.text(), f"0x{int(at.value * 2**40):012x}") for word, at in found.items()],
        ),
        [Point(word, *at[:3]) for word, at in found.items()],
        x_label="address, TiB",
        from_zero=True,
    )


OVERCOMMIT = bars_by(
    "memory/overcommit",
    "ask",
    value="times_memory",
    title="Memory that is promised and never touched",
    says="{each}. A promise takes no memory. Touched pages do.",
    unit="memory of the machine",
    caption="Promised memory, over the memory that this process may have",
    heading="asked for",
    labels={
        "pieces": "16 pieces of half of the memory",
        "block": "one block of twice the memory",
        "noreserve": "the same with MAP_NORESERVE",
    },
    metrics={"accepted_gib": "GiB", "resident_kib": "KiB in memory", "policy": "vm.overcommit_memory"},
)


FILE = bars_by(
    "memory/file",
    "access",
    title="The first touch of a page of a file",
    says="{each}. One fault may bring several pages, so the price of a page and of a fault differ.",
    unit="page",
    caption="A page of a mapped file by where it is",
    heading="page",
    labels={
        "around": "in the page cache, one after the other",
        "apart": "in the page cache, 64 KiB apart",
        "major": "on the device, 64 KiB apart",
        "again": "touched before",
    },
    metrics={"minor_per_page": "minor faults a page", "major_per_page": "major faults a page"},
)


KSM = bars_by(
    "memory/ksm",
    "content",
    title="A write to a page that was offered for merging",
    says="{each}. Merged pages are copied at the first write, as after a fork.",
    unit="page",
    caption="A write to a page, by whether the kernel found an equal one",
    heading="pages",
    labels={"equal": "equal, merged into one", "different": "different, not merged"},
    metrics={"merged_pct": "merged", "faults_per_page": "minor faults a page", "waited_ms": "waited for ksmd"},
)


def _stated_entries(analysis: Analysis) -> list[tuple[str, float]]:
    """Entries of both levels of the TLB as CPUID states them."""
    rows = [*walks(analysis, "packed"), *walks(analysis, "huge")]
    found = [(word, rows[0].metric(f"stated_{word.lower()}").value) for word in ("L1", "L2")] if rows else []
    return [(word, entries) for word, entries in found if math.isfinite(entries)]


WALKS = lines_by(
    "memory/tlb",
    "pages",
    value="added_ns",
    title="A load, by the number of pages in use",
    says="{each}. Beyond the reach of the TLB each load waits for a translation.",
    unit="load",
    caption="Added cost of a load where each is on a separate page",
    groups=lambda row: {"huge": "minus as many loads on huge pages", "packed": "minus as many loads on few pages"}.get(
        str(row.parameter("control")), ""
    ),
    group_heading="figure",
    x_label="pages",
    x_word="pages",
    marks=("entries of the TLB that CPUID states", _stated_entries),
    metrics={"small_ns": "on small pages", "control_ns": "control"},
)


@shows("memory/tlb")
def tlb(analysis: Analysis) -> Figure | None:
    """Loads over pages, with the knees in words."""
    figure, found = WALKS(analysis), knees(analysis)
    if figure is None or not found:
        return figure
    words = ("Translations begin to cost something", "They begin to cost a walk of the page tables")
    said = [f"{word} {knee.text()}." for word, knee in zip(words, found, strict=False)]
    return replace(figure, description=" ".join([figure.description, *said]))


BANDWIDTH = bars_by(
    "memory/bandwidth",
    "op",
    value="gb_per_s",
    title="Memory that threads move",
    says="From {least} ({least_of}) to {most} ({most_of}). One core cannot have enough lines under way for all.",
    unit="team of threads",
    caption="Bytes a second that the program reads and writes, all threads together",
    heading="done",
    labels={
        "read": "read",
        "copy": "copy",
        "triad": "triad (two arrays into a third)",
        "stream": "store around the caches",
    },
    groups="threads",
    group_labels=lambda threads: "one thread" if threads == "1" else f"{threads} threads",
    metrics={"peak_pct": "of the devices' peak", "cache_times": "times the last caches"},
)


LOADS = {"read": "while they read memory", "stream": "while they write around the caches"}


@shows("memory/loaded")
def loaded(analysis: Analysis) -> Figure | None:
    """A load from memory while others move memory, under the same load while they spin."""
    rows = analysis.decided("memory/loaded")
    if not rows:
        return None
    groups, cells = [], []
    for row in rows:
        busy, idle = row.metric("loaded_ns"), row.metric("idle_ns")
        others = f"{len(row.cpus) - 1} other {'thread' if len(row.cpus) == 2 else 'threads'}"
        words = ("while they spin", LOADS[str(row.parameter("load"))])
        groups.append(
            Group(
                others,
                [Bar(word, *at[:3], place) for place, (word, at) in enumerate(zip(words, (idle, busy), strict=True))],
            )
        )
        more, moved = row.metric("added_pct").text("%"), row.metric("load_gb_per_s").text()
        cells.append((others, words[1], busy.text("ns"), idle.text("ns"), more, moved))
    return bars(
        "memory-loaded",
        "A load from memory beside threads that move memory",
        " ".join(
            f"Beside {others} it takes {busy} {words}, and {idle} while they spin."
            for others, words, busy, idle, *_ in cells
        )
        + " Queues to memory grow with what is moved.",
        table(
            "A load from memory, while other threads move memory and while they spin",
            ("beside", "the load", "loaded", "not loaded", "more", "moved meanwhile, GB/s"),
            cells,
        ),
        groups,
        x_label="ns per load",
    )


NUMA = bars_by(
    "memory/numa",
    "memory",
    value="load_ns",
    title="A load from memory by its node",
    says="From {least} ({least_of}) to {most} ({most_of}). Another node's memory is behind a link.",
    unit="load",
    caption="A load from memory by the node of the thread and the node of the memory",
    heading="memory",
    labels=lambda node: f"from memory of node {node}",
    groups=lambda row: f"a thread on node {row.parameter('thread')}",
    group_heading="thread",
)


def _by_size(choose: Callable[..., Row]) -> Pick:
    def pick(rows: Sequence[Row]) -> Row | None:
        known = [
            row
            for row in rows
            if math.isfinite(size_bytes(row.parameter("size"))) and row.parameter("order") in (None, "random")
        ]
        return choose(known, key=lambda row: size_bytes(row.parameter("size"))) if known else None

    return pick


def _sized(label: str) -> Callable[[Row], str]:
    def say(row: Row) -> str:
        return f"{label} ({size(size_bytes(row.parameter('size')))}, {row.parameter('pages')} pages)"

    return say


TOPIC = Topic(
    "memory",
    figures=(CHASE, tlb, BANDWIDTH, loaded, NUMA, FAULT, COW, MAP, SHOOTDOWN, INVALID, layout, OVERCOMMIT, FILE, KSM),
    rungs=(
        step(_sized("load from the first-level cache"), "memory/chase", _by_size(min), headline=True),
        step(_sized("load from the largest buffer"), "memory/chase", _by_size(max), headline=True),
        step("touch a page for the first time", "memory/fault", with_values(access="write"), headline=True),
    ),
)
