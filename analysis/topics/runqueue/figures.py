"""What a turn costs, by the structure of the run queue and the number of tasks."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.pictures import bars_by, lines_by
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


PICK = lines_by(
    "runqueue/pick",
    "tasks",
    title="See which task is next",
    says="From {least} ({least_of}) to {most} ({most_of}). All but the scan know who is first.",
    unit="look",
    caption="A look by the number of tasks",
    groups="by",
    group_labels=BY,
    group_heading="run queue",
    x_label="tasks that are ready",
    x_word="tasks",
)


REMOVE = lines_by(
    "runqueue/remove",
    "tasks",
    title="A task blocks and becomes ready again",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="task",
    caption="A task out and in, by the number of tasks",
    groups="by",
    group_labels=BY,
    group_heading="run queue",
    x_label="tasks that are ready",
    x_word="tasks",
)


def _order(row: Row) -> str:
    return f"{row.parameter('keys')} keys, up to {count(row.number('tasks'))} tasks"


ENQUEUE = bars_by(
    "runqueue/enqueue",
    "by",
    labels=BY,
    groups=_order,
    title="Add a task to a run queue that fills up",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="task",
    caption="A task that is added",
    heading="run queue",
    group_heading="filled with",
    metrics={"comparisons": "comparisons", "rotations": "rotations", "height": "height"},
)


FILL = bars_by(
    "runqueue/fill",
    "by",
    labels=BY,
    groups=_order,
    value="task_ns",
    title="Add a task to a run queue of very many",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="task",
    caption="A task that is added, of a thousand timed together",
    heading="run queue",
    group_heading="filled with",
)


def _nodes(row: Row) -> str:
    return f"{BY.get(str(row.parameter('tree')))}, {count(row.number('tasks'))} nodes"


HEIGHT = bars_by(
    "runqueue/height",
    "order",
    labels={"random": "random keys", "ascending": "ascending keys", "fibonacci": "level by level of a Fibonacci tree"},
    groups=_nodes,
    value="height",
    title="Levels of search trees",
    says="From {least} ({least_of}) to {most} ({most_of}). Red-black trees are highest with ascending keys, and AVL "
    "trees are lowest.",
    unit="tree",
    caption="Height by the order in which keys come",
    heading="order",
    group_heading="tree",
    metrics={"least": "a full tree has", "bound": "the bound", "coloured_pct": "could be coloured"},
)


TOPIC = Topic(
    "runqueue",
    figures=(TICK, PICK, REMOVE, ENQUEUE, FILL, HEIGHT),
    rungs=(step("pick the next of 1000 tasks and put it back", "runqueue/tick", with_values(by="rb", tasks=1000)),),
)
