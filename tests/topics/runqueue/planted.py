"""What has to be planted in stored rows for each verdict on run queues."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

TICK = "runqueue/tick"
PICK = "runqueue/pick"
REMOVE = "runqueue/remove"
HEIGHT = "runqueue/height"


def grows(times: Change, kernel: str, by: str) -> Plant:
    """With 1000 tasks a structure takes so many times as long as it is stored with."""
    return lambda run: run.scale(times, kernel, by=by, tasks=1000)


def passing_over(share: Change) -> Plant:
    """A heap passes over a task in so many of its turns, in %."""
    return lambda run: run.put("passed_over_pct", share, TICK, by="heap", tasks=100)


def high(levels: Change, tree: str, *orders: str) -> Plant:
    """A tree gets so many levels in these orders."""

    def plant(run: Stored) -> Stored:
        for order in orders:
            run = run.put("height", levels, HEIGHT, tree=tree, order=order)
        return run

    return plant


def coloured(share: Change) -> Plant:
    """So many of the trees of random histories could be coloured, in %."""
    return lambda run: run.put("coloured_pct", share, HEIGHT, tree="avl", order="random")


PLANTED: Planted = {
    "runqueue/constant": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: grows(in_turn(1.0, 10.0), TICK, "bitmap"),
        Outcome.REFUTED: grows(10.0, TICK, "bitmap"),
    },
    "runqueue/list_to_tree": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: grows(in_turn(0.01, 1.0), TICK, "list"),
        Outcome.REFUTED: grows(0.01, TICK, "list"),
    },
    "runqueue/neediest": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: passing_over(in_turn(0.0, 3.0)),
        Outcome.REFUTED: passing_over(3.0),
    },
    "runqueue/blocked": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: grows(in_turn(1.0, 10.0), REMOVE, "bitmap"),
        Outcome.REFUTED: grows(10.0, REMOVE, "bitmap"),
    },
    "runqueue/query": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: grows(in_turn(1.0, 10.0), PICK, "rb"),
        Outcome.REFUTED: grows(10.0, PICK, "rb"),
    },
    "runqueue/avl_height": {
        Outcome.CONFIRMED: high(10.0, "avl", "random", "fibonacci"),
        Outcome.UNDECIDED: high(in_turn(10.0, 14.0), "avl", "random", "fibonacci"),
        Outcome.REFUTED: as_stored,
    },
    "runqueue/rb_height": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: high(in_turn(17.0, 21.0), "rb", "ascending"),
        Outcome.REFUTED: lambda run: run.fail("21 levels are more than the bound, 19.93", HEIGHT, tree="rb"),
    },
    "runqueue/worst_case": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: high(in_turn(17.0, 13.0), "rb", "ascending", "fibonacci"),
        Outcome.REFUTED: high(14.0, "rb", "ascending", "fibonacci"),
    },
    "runqueue/avl_is_rb": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: coloured(in_turn(100.0, 99.0)),
        Outcome.REFUTED: coloured(99.0),
    },
}
