"""What has to be planted in stored rows for each verdict on interrupts."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, in_turn

from fencepost.analysis.topics.claim import Outcome


def added(call: Change, timer: Change) -> Plant:
    """So many interrupts a system call, and so many a second by the timer."""
    return lambda run: run.put("added_per_call", call, "interrupt/rate").put("added_by_timer", timer, "interrupt/rate")


PLANTED: Planted = {
    "interrupt/software": {
        Outcome.CONFIRMED: added(0.0, 1000.0),
        Outcome.DEPENDS: added(0.1, 1000.0),
        Outcome.UNDECIDED: added(0.0, in_turn(0.0, 1000.0)),
        Outcome.REFUTED: added(1.0, 1000.0),
    },
}
