"""Starting processes and threads, and the memory that they take along."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import ns_with_bounds, size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.pictures import bars_by, shows
from fencepost.analysis.topics.process.measures import slope
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
    caption="A child by the call that makes it, with the time until the call returned and until the end of the wait",
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


HOW = {
    "fork": "fork",
    "clone3": "clone3",
    "vfork": "vfork",
    "thread": "thread",
    "fork_exec": "fork and exec",
    "vfork_exec": "vfork and exec",
    "posix_spawn": "posix_spawn",
    "vfork_static": "vfork and exec of a program without a loader",
}


def _memory(row: Row) -> str:
    touched = size_bytes(str(row.parameters["touched"]))
    return f"{size(touched)} on {row.parameters['pages']} pages" if touched else "nothing touched"


def _once(rows: Sequence[Row]) -> list[Row]:
    """Without rows that differ by name alone: where nothing was touched, pages have no size."""
    return [row for row in rows if size_bytes(str(row.parameters["touched"])) or row.has(pages="small")]


CREATE = bars_by(
    "process/create",
    "how",
    title="A child of a small process, by how it is made",
    says="From {least} ({least_of}) to {most} ({most_of}). A fork copies the tables of its parent's pages.",
    unit="child",
    heading="made by",
    labels=HOW,
    groups=_memory,
    group_heading="parent's memory",
    where=_once,
    metrics={"call_ns": "call, ns", "rest_ns": "end and wait, ns", "fork_ratio": "over the fork beside it"},
)


@shows("process/create")
def slopes(analysis: Analysis) -> Figure | None:
    """What each MiB of the parent's memory adds, by how the child is made and on which pages the memory lies."""
    found = grid(analysis, "process/create")
    prices = {
        f"{label}, {pages} pages": price
        for how, label in HOW.items()
        for pages in ("small", "huge")
        if (price := slope(found, how=how, pages=pages)) is not None
    }
    if len(prices) < 2:
        return None
    least, most = (choose(prices, key=lambda label: prices[label].value) for choose in (min, max))
    title = "Added cost of a child for each MiB of its parent"
    return forest(
        "process-create-memory",
        title,
        f"From {prices[least].text('µs')} ({least}) to {prices[most].text('µs')} ({most}) for each MiB that the parent "
        "has touched.",
        table(title, ("made by", "µs for each MiB"), [(label, price.text()) for label, price in prices.items()]),
        [Point(label, *price[:3]) for label, price in prices.items()],
        x_label="µs for each MiB",
        from_zero=min(price.value for price in prices.values()) >= 0,
    )


SMP = bars_by(
    "process/smp",
    "work",
    value="times_one",
    title="Work of two CPUs at once, over the work of one",
    says="{each}. A kernel that ran on one CPU only would answer one call at a time.",
    unit="times as many",
    heading="work",
    labels={"call": "system calls", "user": "a loop in user mode"},
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
        "own": "has memory",
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
    figures=(SPAWN, CREATE, slopes, SMP, PEEK, TRACE),
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
