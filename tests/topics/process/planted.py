"""What has to be planted in stored rows for each verdict on processes."""

from __future__ import annotations

import math

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def slowdowns(compute: Change, io: Change) -> Plant:
    """Work takes so many times as long beside a tracer."""
    return lambda run: run.put("slowdown", compute, "process/trace", work="compute").put(
        "slowdown", io, "process/trace", work="io"
    )


def memory_adds(ns: float, how: str, pages: str) -> Plant:
    """A child of a parent with memory takes so many ns more than one without."""
    return lambda run: run.add_to(
        {"how": how, "touched": 0, "pages": pages}, ns, "process/create", how=how, touched=64 << 20, pages=pages
    )


def clone(times: Change) -> Plant:
    """A clone3 takes so many times the fork beside it."""
    return lambda run: run.put("fork_ratio", times, "process/create", how="clone3")


PLANTED: Planted = {
    "process/fork": {
        Outcome.CONFIRMED: clone(1.0),
        Outcome.DEPENDS: lambda run: memory_adds(9e6, "vfork", "small")(clone(1.0)(run)),
        Outcome.UNDECIDED: clone(in_turn(0.9, 1.1)),
        Outcome.REFUTED: lambda run: memory_adds(-9e4, "fork", "small")(clone(1.0)(run)),
    },
    "process/mode": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.put("signals_per_attempt", in_turn(1.0, 0.9), "process/mode"),
        Outcome.REFUTED: lambda run: run.fail("count cli: 0 signals instead of 64", "process/mode"),
    },
    "process/smp": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.put("times_one", in_turn(1.0, 2.0), "process/smp", work="user"),
        Outcome.REFUTED: lambda run: run.put("times_one", 1.0, "process/smp", work="call"),
    },
    "process/zombie": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("slab_kib", math.nan, "process/zombie"),
        Outcome.UNDECIDED: lambda run: run.put("slab_kib", in_turn(-1.0, 1.0), "process/zombie"),
        Outcome.REFUTED: lambda run: run.fail("count left: 1 children instead of 0", "process/zombie"),
    },
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
        Outcome.UNDECIDED: lambda run: run.put("waited_pct", in_turn(100, 80), "process/spawn", how="vfork"),
        Outcome.REFUTED: lambda run: run.put("waited_pct", 60.0, "process/spawn", how="vfork"),
    },
}
