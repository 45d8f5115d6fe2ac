"""What has to be planted in stored rows for each verdict on processes."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def slowdowns(compute: Change, io: Change) -> Plant:
    """Work takes so many times as long beside a tracer."""
    return lambda run: run.put("slowdown", compute, "process/trace", work="compute").put(
        "slowdown", io, "process/trace", work="io"
    )


PLANTED: Planted = {
    "process/ptrace": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.scale(0.01, "process/peek", by="peekdata"),
        Outcome.UNDECIDED: lambda run: run.scale(in_turn(0.01, 1.0), "process/peek", by="peekdata"),
        Outcome.REFUTED: lambda run: run.fail("byte 0 is 1 instead of 3", "process/peek", by="peekdata"),
    },
    "process/uml": {
        Outcome.CONFIRMED: slowdowns(1.0, 60.0),
        Outcome.DEPENDS: slowdowns(1.0, 5.0),
        Outcome.UNDECIDED: slowdowns(1.5, 60.0),
        Outcome.REFUTED: slowdowns(1.0, 1.0),
    },
    "process/vfork": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("waited_pct", 100.0, "process/spawn", how="fork"),
        Outcome.UNDECIDED: lambda run: run.put("waited_pct", in_turn(100, 80), "process/spawn", how="vfork"),
        Outcome.REFUTED: lambda run: run.put("waited_pct", 60.0, "process/spawn", how="vfork"),
    },
}
