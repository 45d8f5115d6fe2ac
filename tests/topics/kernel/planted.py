"""What has to be planted in stored rows for each verdict on the way into Linux and back."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def a_kib(value: Change, *ways: str) -> Plant:
    """So many ns for a further KiB by these ways."""

    def plant(run: Stored) -> Stored:
        for by in ways:
            run = run.put("kib_ns", value, "kernel/copy", by=by)
        return run

    return plant


PLANTED: Planted = {
    "kernel/copy": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: a_kib(0.0, "file"),
        Outcome.UNDECIDED: lambda run: run.put("spread", in_turn(1.0, 1.5), "kernel/copy", by="null"),
        Outcome.REFUTED: a_kib(0.0, "pipe", "file", "vm"),
    },
}
