"""Starting processes and threads, and the memory that they take along."""

from __future__ import annotations

from fencepost.analysis.text.numbers import size, size_bytes
from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic


def _touched(bytes_: str) -> str:
    return f"{size(size_bytes(bytes_))} more in memory" if size_bytes(bytes_) else "as the process is"


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
    groups="touched",
    group_heading="touched before",
    group_labels=_touched,
    metrics={
        "resident_mib": "process in memory",
        "returned_ns": "call returned after",
        "waited_pct": "child ended before",
    },
)


TOPIC = Topic(
    "process",
    figures=(SPAWN,),
    rungs=(
        step("start a thread and wait for it", "process/spawn", with_values(how="thread", touched=0), cycles=False),
        step(
            "fork a process and wait for it",
            "process/spawn",
            with_values(how="fork", touched=0),
            cycles=False,
            headline=True,
        ),
    ),
)
