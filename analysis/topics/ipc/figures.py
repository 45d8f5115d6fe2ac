"""What it costs to go from one thread to another."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import ns_with_bounds, size, size_bytes
from fencepost.analysis.topics.pictures import bars_by
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
    title="From one thread to another, without the calls that bring it about",
    says="From {least} ({least_of}) to {most} ({most_of}). On two CPUs it is no switch but the waking of another CPU.",
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


TOPIC = Topic(
    "ipc",
    figures=(SWITCH, WORKING_SET),
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
