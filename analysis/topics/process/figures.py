"""Starting processes and threads, and the memory that they take along."""

from __future__ import annotations

import math

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import ns_with_bounds, size, size_bytes
from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

PARENTS = {"small": "a small process", "interpreter": "the interpreter"}


def _parent(row: Row) -> str:
    """The parent of a row, and what it touched before."""
    touched = size_bytes(str(row.parameters["touched"]))
    more = f"{size(touched)} more in memory"
    parent = row.parameters.get("parent")
    if parent is None:  # of a run from before there was a choice
        return more if touched else "as the process is"
    name = PARENTS[str(parent)]
    return f"{name}, {more}" if touched else name


def _fork(row: Row) -> str:
    """The headline. Memory is rounded up to a power of two: figures of one name are of processes much alike."""
    resident = row.metric("resident_mib").value
    # A published folder keeps the name under which its number was published, from before there was a choice.
    if "parent" not in row.parameters or not resident > 0:
        return "fork a process and wait for it"
    most = 2.0 ** math.ceil(math.log2(resident))
    return f"fork a process with up to {size(round(most * 2**20))} resident and wait for it"


SPAWN = bars_by(
    "process/spawn",
    "how",
    title="A child that does nothing, waited for",
    says="From {least} ({least_of}) to {most} ({most_of}). A fork copies the tables of all pages that are there.",
    unit="child",
    caption="A child by the call that makes it: until it was waited for, until the call returned, and how often the "
    "child had ended by then",
    heading="made by",
    labels={"fork": "fork, wait", "vfork": "vfork, wait", "thread": "thread, join"},
    groups=_parent,
    group_heading="parent",
    metrics={
        "resident_mib": "resident memory",
        "returned_ns": "call returned after",
        "waited_pct": "child ended before",
    },
)


PEEK = bars_by(
    "process/peek",
    "by",
    title="A reading of 4 KiB of another process",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="reading",
    heading="by",
    labels={
        "peekdata": "ptrace, word by word",
        "mem": "/proc/PID/mem",
        "vm": "process_vm_readv",
        "own": "memory of its own",
    },
    metrics={"b8_ns": "8 bytes, ns", "b65536_ns": "64 KiB, ns"},
)


TRACE = bars_by(
    "process/trace",
    "work",
    value="slowdown",
    title="Work that another process stops at each system call",
    says="{each}. User Mode Linux runs its programs so.",
    unit="times as long",
    heading="work",
    labels={"compute": "computing", "call": "a system call", "io": "a write and a read"},
    metrics={"stops_per_operation": "stops an operation"},
    columns={
        "traced": lambda row: ns_with_bounds(*row.ns_of("operation_ticks")[:3]),
        "alone": lambda row: ns_with_bounds(*row.ns_of("control_ticks")[:3]),
    },
)


TOPIC = Topic(
    "process",
    figures=(SPAWN, PEEK, TRACE),
    rungs=(
        step("start a thread and wait for it", "process/spawn", with_values(how="thread", touched=0), cycles=False),
        step(
            _fork,
            "process/spawn",
            with_values(how="fork", touched=0),
            cycles=False,
            headline=True,
        ),
    ),
)
