"""What it costs to resume a coroutine, by how it is done and by how many there are."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.topics.pictures import bars_by, lines_by
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

KERNEL = "coroutine/switch"

BY = {
    "call": "a call of a function",
    "jump": "own assembly, by a jump",
    "ret": "own assembly, by a return",
    "jump_fp": "by a jump, with the control words of floating point",
    "longjmp": "setjmp and longjmp",
    "swapcontext": "swapcontext",
    "boost": "Boost.Context",
}


def _stacks(row: Row) -> str:
    by = str(row.parameter("by"))
    return BY.get(by, by) + ("" if row.has(stacks="coloured") else ", all stacks at one place in their pages")


SWITCH = bars_by(
    KERNEL,
    "by",
    where={"coroutines": 1, "stacks": "coloured"},
    labels=BY,
    title="Resume a coroutine and come back",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="round trip",
    caption="A round trip to one coroutine",
    heading="by",
    columns={"cycles": lambda row: row.cycles.text(), "remarks": lambda row: row.remarks()},
)


MANY = lines_by(
    KERNEL,
    "coroutines",
    name="coroutine-many",
    title="Resume one of many coroutines in turn",
    says="From {least} ({least_of}) to {most} ({most_of}). Where the stacks leave a cache, round trips get dearer.",
    unit="round trip",
    caption="A round trip by the number of coroutines",
    groups=_stacks,
    group_heading="by",
    x_label="coroutines",
    x_word="coroutines",
)


TOPIC = Topic(
    "coroutine",
    figures=(SWITCH, MANY),
    rungs=(
        step("resume a coroutine and come back", KERNEL, with_values(by="jump", coroutines=1, stacks="coloured")),
        step("the same by swapcontext", KERNEL, with_values(by="swapcontext", coroutines=1, stacks="coloured")),
    ),
)
