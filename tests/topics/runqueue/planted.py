"""What has to be planted in stored rows for each verdict on run queues."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

TICK = "runqueue/tick"


def grows(times: Change) -> Plant:
    """With 1000 tasks a turn of the bitmap takes so many times as long as it does."""
    return lambda run: run.scale(times, TICK, by="bitmap", tasks=1000)


def tree_as_flat(run: Stored) -> Stored:
    """A turn of a red-black tree takes as long with 1000 tasks as with 10."""
    for tasks in (100, 1000):
        run = run.add_to({"by": "rb", "tasks": 10}, 0.0, TICK, by="rb", tasks=tasks)
    return run


def faster_list(times: Change) -> Plant:
    """With 1000 tasks a turn of the list takes so many times what it is stored with."""
    return lambda run: run.scale(times, TICK, by="list", tasks=1000)


def passing_over(share: Change) -> Plant:
    """A heap passes over a task in so many of its turns, in %."""
    return lambda run: run.put("passed_over_pct", share, TICK, by="heap", tasks=100)


PLANTED: Planted = {
    "runqueue/constant": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: grows(in_turn(1.0, 10.0)),
        Outcome.REFUTED: grows(10.0),
    },
    "runqueue/list_to_tree": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: faster_list(in_turn(0.01, 1.0)),
        Outcome.REFUTED: faster_list(0.01),
    },
    "runqueue/neediest": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: passing_over(in_turn(0.0, 3.0)),
        Outcome.REFUTED: passing_over(3.0),
    },
}
