"""What has to be planted in stored rows for each verdict on coroutines."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def slower(times: Change) -> Plant:
    """A round trip by longjmp takes so many times as long."""

    def plant(run: Stored) -> Stored:
        return run.scale(times, "coroutine/switch", by="longjmp", coroutines=1)

    return plant


PLANTED: Planted = {
    "coroutine/cooperative": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: slower(in_turn(1.0, 100.0)),
        Outcome.REFUTED: slower(100.0),
    },
}
