"""What it costs to go from one thread to another."""

from __future__ import annotations

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import count, nanoseconds, ns_with_bounds, plain, size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.ipc.measures import SIZES
from fencepost.analysis.topics.pictures import bars_by, shows
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

WAYS = {
    "pipe": "pipe",
    "eventfd": "eventfd",
    "futex": "futex",
    "semaphore": "semaphore",
    "condition": "condition variable",
    "unix_stream": "unix socket, stream",
    "unix_seqpacket": "unix socket, seqpacket",
    "yield": "sched_yield",
    "signal": "signal, taken by sigwaitinfo",
}

PLACEMENTS = {
    "threads": "threads on one CPU",
    "processes": "processes on one CPU",
    "found": "two CPUs, as found",
    "awake": "two CPUs, kept awake",
}


def _placement(row: Row) -> str:
    """One of three placements, and on one CPU also who the other is."""
    if row.kernel == "ipc/across":
        return "awake" if row.has(awake="yes") else "found"
    return "threads" if row.has(partner="thread") else "processes"


SWITCH = bars_by(
    ("ipc/switch", "ipc/across"),
    "by",
    title="Messages between threads, without their calls",
    says="From {least} ({least_of}) to {most} ({most_of}). On two CPUs it is the wake-up of the other CPU.",
    unit="switch",
    caption="A switch by what brings it about: half of a round trip, less the same calls alone",
    heading="by",
    labels=WAYS,
    groups=_placement,
    group_heading="placement",
    group_labels=PLACEMENTS,
    metrics={"switches_per_message": "switches a message", "involuntary_pct": "the woken preempted its waker"},
    columns={
        "whole message": lambda row: ns_with_bounds(*row.ns_of("operation_ticks")[:3]),
        "calls alone": lambda row: ns_with_bounds(*row.ns_of("control_ticks")[:3]),
    },
)


WORKING_SET = bars_by(
    "ipc/working_set",
    "touched",
    title="A switch between processes that use memory",
    says="{each}. The same memory is used by one process in the control, so what a cache has no room for is not here.",
    unit="switch",
    caption="A switch by the memory that each side writes to before it",
    heading="each writes to",
    labels=lambda touched: size(size_bytes(touched)) if size_bytes(touched) else "nothing",
    columns={
        "whole message": lambda row: ns_with_bounds(*row.ns_of("operation_ticks")[:3]),
        "by one alone": lambda row: ns_with_bounds(*row.ns_of("control_ticks")[:3]),
    },
)


THROUGHPUT = bars_by(
    "ipc/throughput",
    lambda row: f"blocks of {size(row.number('block'))}, room of {size(row.number('room'))}",
    value="gib_s",
    title="Bytes from one process to another on another CPU",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="GiB/s",
    heading="blocks and room",
    groups="by",
    group_heading="through",
    group_labels={"pipe": "a pipe", "unix_stream": "a unix socket"},
    metrics={"room_bytes": "room that Linux gave, bytes"},
)


HANDED_OVER = {
    "vmsplice": "vmsplice",
    "vmsplice_huge": "vmsplice, a huge page",
    "splice": "splice from a file",
    "sendfile": "sendfile to a socket",
    "uring": "io_uring, one call",
}


@shows("ipc/zero_copy")
def zero_copy(analysis: Analysis) -> Figure | None:
    """How many times as dear the copy is, by size: above 1 it pays to hand pages over."""
    found = {
        HANDED_OVER.get(by, by): (row, [row.metric(f"r{bytes_}") for bytes_ in SIZES])
        for row in analysis.measured("ipc/zero_copy")
        if (by := row.parameter("by")) is not None
    }
    found = {way: (row, ratios) for way, (row, ratios) in found.items() if all(ratio.value > 0 for ratio in ratios)}
    if not found:
        return None
    each = "; ".join(
        f"{way} {plain(ratios[0].value, 3)} at {size(SIZES[0])}, {plain(ratios[-1].value, 3)} at {size(SIZES[-1])}"
        for way, (_, ratios) in found.items()
    )
    return lines(
        "ipc-zero-copy",
        "Bytes that are copied, over pages that are handed over",
        f"So many times as long as with pages a transfer takes with bytes: {each}. Above 1 pages are cheaper.",
        table(
            "A transfer as bytes over the same transfer as pages, and the size from which pages are cheaper",
            ("by", *(size(bytes_) for bytes_ in SIZES), "pays from, bytes"),
            [
                (way, *(ratio.text() for ratio in ratios), row.metric("pays_from_bytes").text())
                for way, (row, ratios) in found.items()
            ],
        ),
        [Series(way, np.array(SIZES, float), *columns_of(ratios)) for way, (_, ratios) in found.items()],
        x=Axis("bytes", log=True, write=size, ticks=[float(bytes_) for bytes_ in SIZES]),
        y=Axis("copied / handed over", from_zero=True),
    )


MANY = bars_by(
    "ipc/many",
    lambda row: f"{len(row.cpus) // 2} to {len(row.cpus) // 2} on {count(len(set(row.cpus)))} CPUs",
    title="A message where many send to many",
    says="{each}.",
    unit="message",
    caption="A message on its way, by the number of those who send and receive",
    heading="senders to receivers",
    groups=lambda row: row.parameter("through") or "pipe",
    group_heading="through",
    group_labels={"pipe": "a pipe", "unix_stream": "a unix socket"},
    columns={
        "p50": lambda row: nanoseconds(row.quantiles.get("p50"), 3),
        "p99": lambda row: nanoseconds(row.quantiles.get("p99"), 3),
    },
)


TOPIC = Topic(
    "ipc",
    figures=(SWITCH, WORKING_SET, THROUGHPUT, zero_copy, MANY),
    rungs=(
        step(
            "switch to another process on the same CPU",
            "ipc/switch",
            with_values(by="pipe", partner="process"),
            cycles=False,
        ),
        step("wake a process on another CPU", "ipc/across", with_values(by="pipe", awake="no"), cycles=False),
    ),
)
