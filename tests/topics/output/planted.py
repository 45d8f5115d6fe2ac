"""What has to be planted in stored rows for each verdict on output."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

KEPT_NS = 2600.0
"""Of a record, about as stored."""


def lost(full: Change) -> Plant:
    """So many per cent of what was in the buffer."""
    return lambda run: run.put("lost_pct", full, "output/loss", buffer="full")


def record(factor: Change) -> Plant:
    """A record takes so many times what it took."""
    return lambda run: run.scale(factor, "output/kmsg")


PLANTED: Planted = {
    "output/printk": {
        Outcome.CONFIRMED: record(4.0),
        Outcome.DEPENDS: lambda run: record(4.0)(run).put("null_ns", 1e6, "output/kmsg"),
        Outcome.UNDECIDED: record(in_turn(0.05, 4.0)),
        Outcome.REFUTED: record(0.02),
    },
    "output/buffer": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lost(50.0),
        Outcome.UNDECIDED: lost(in_turn(100.0, 0.0)),
        Outcome.REFUTED: lost(0.0),
    },
}
