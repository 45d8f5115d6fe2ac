"""Memory that a program asks its C library for."""

from __future__ import annotations

from fencepost.analysis.draw.bars import bars
from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import size
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.pictures import bars_by, lines_by, shows
from fencepost.analysis.topics.topic import Topic


def _kind(row: Row) -> str:
    """Whether a block is touched, and where large ones come from."""
    threshold = {"fixed": "fixed threshold", "dynamic": "as found"}
    return f"{row.parameter('touch')}, {threshold.get(str(row.parameter('threshold')), '')}"


SIZE = lines_by(
    "alloc/size",
    "size",
    value="pair_ns",
    title="A block of memory and its return, by its size",
    says="{each}. The faults say whether a block came with fresh pages.",
    unit="pair",
    caption="One malloc and its free",
    groups=_kind,
    group_heading="block",
    x_label="size of the block",
    x_format=size,
    metrics={"faults_per_pair": "minor faults a pair"},
)


STEPS = bars_by(
    "alloc/steps",
    "threshold",
    value="heap_to",
    title="Where malloc changes its way",
    says="{each}. Up to this size blocks come from the heap, above from mmap.",
    unit="largest block in the heap",
    caption="The sizes at which malloc changes its way, found by halving an interval",
    heading="threshold",
    labels={"fixed": "fixed at its default", "dynamic": "as found: it follows the largest block that was freed"},
    metrics={
        "cached_to": "kept as it is up to, bytes",
        "small_in_heap_pct": "1000 bytes in the heap",
        "large_in_heap_pct": "1 MiB in the heap",
    },
)


FREEZE = bars_by(
    "alloc/freeze",
    "library",
    value="stalled_pct",
    title="A thread stopped in the middle of its allocator",
    says="{each} of freezes held another thread up. An allocator without locks never does.",
    unit="freezes that stalled, median over processes",
    caption="Freezes in which the other thread came to a stop, in each process",
    heading="library",
    groups=lambda row: f"blocks of {row.parameters['size']} bytes",
    group_heading="size",
    metrics={
        "freezes": "freezes",
        "stalls": "stalled",
        "control_stalls": "stalled without a freeze",
        "left_out": "without a CPU",
    },
)


ORDERS = {
    "at_once": "freed at once",
    "lifo": "last first",
    "fifo": "first first",
    "random": "in a drawn order",
    "steady": "replaced one by one",
    "handed": "by another thread",
}


def _pattern(row: Row) -> str:
    """The order in which blocks are freed, and what else the row has."""
    order = ORDERS.get(str(row.parameter("pattern")), "")
    return f"{order}, {row.parameters['size']} bytes, {row.parameters['live']} live"


PATTERN = bars_by(
    "alloc/pattern",
    "library",
    title="A block by who gives it, and by the order in which blocks are freed",
    says="From {least} ({least_of}) to {most} ({most_of}) for 1000 blocks. A pool only takes the next equal block.",
    unit="1000 blocks",
    caption="1000 blocks, each allocated, written to and freed",
    heading="library",
    labels={"pool": "a pool of equal blocks"},
    groups=_pattern,
    group_heading="freed",
    metrics={"resident_kib": "memory of the process, KiB"},
)


@shows("alloc/slab")
def slab(analysis: Analysis) -> Figure | None:
    """Objects that the kernel was made to keep, and the room that came for them."""
    row = next(iter(analysis.decided("alloc/slab")), None)
    if row is None:
        return None
    grown, slabs, filled = (row.metric(name) for name in ("objects_grown", "slabs_grown", "filled_pct"))
    each, pages = row.metric("objects_per_slab"), row.metric("pages_per_slab")
    shown = {"slabs that came": slabs, "objects for which they have room": grown}
    return bars(
        "alloc-slab",
        "Objects of the kernel come in slabs",
        f"{slabs.text()} slabs came, each with {each.text()} objects on {pages.text()} pages. "
        f"{filled.text('%')} of their room was needed.",
        table("Slabs for 16384 objects", ("what", "number"), [(word, found.text()) for word, found in shown.items()]),
        [Group("", [Bar(word, *found[:3], place, found.text()) for place, (word, found) in enumerate(shown.items())])],
        x_label="number",
        x_scale="log",
        least=max(1.0, slabs.value / 3),
    )


TOPIC = Topic("alloc", figures=(SIZE, STEPS, PATTERN, FREEZE, slab))
