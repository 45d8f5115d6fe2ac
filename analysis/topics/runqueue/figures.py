"""What a turn costs, by the structure of the run queue and the number of tasks."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.topics.pictures import lines_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

BY = {
    "touch": "no queue, any task",
    "bitmap": "bitmap of lists, O(1)",
    "rb": "red-black tree",
    "avl": "AVL tree",
    "heap": "binary heap",
    "skip": "skip list",
    "pairing": "pairing heap",
    "list": "sorted list",
    "scan": "scan of a list",
}


def _structure(row: Row) -> str:
    by = str(row.parameter("by"))
    return BY.get(by, by) + ("" if row.has(keys="random") else ", ascending keys")


TICK = lines_by(
    "runqueue/tick",
    "tasks",
    title="A turn of a scheduler",
    says="From {least} ({least_of}) to {most} ({most_of}). A flat line is O(1). Where the line of no queue rises, "
    "tasks leave the cache.",
    unit="turn",
    caption="A turn by the number of tasks",
    groups=_structure,
    group_heading="run queue",
    x_label="tasks that are ready",
    x_word="tasks",
)


TOPIC = Topic(
    "runqueue",
    figures=(TICK,),
    rungs=(step("pick the next of 1000 tasks and put it back", TICK.kernels[0], with_values(by="rb", tasks=1000)),),
)
