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


def says_it_has(value: Change) -> Plant:
    """/proc/uptime says that it has so many bytes."""
    return lambda run: run.put("stated_bytes", value, "kernel/file", file="uptime")


PLANTED: Planted = {
    "kernel/copy": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: a_kib(0.0, "file"),
        Outcome.UNDECIDED: lambda run: run.put("spread", in_turn(1.0, 1.5), "kernel/copy", by="null"),
        Outcome.REFUTED: a_kib(0.0, "pipe", "file", "vm"),
    },
    "kernel/pseudo": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("copy_ns", 1e4, "kernel/maps"),
        Outcome.UNDECIDED: says_it_has(in_turn(0.0, 18.0)),
        Outcome.REFUTED: says_it_has(18.0),
    },
    "kernel/sysfs": {
        Outcome.CONFIRMED: lambda run: run.scale(0.5, "kernel/file", file="sysfs"),
        Outcome.DEPENDS: lambda run: run.scale(4.0, "kernel/file", file="sysfs"),
        Outcome.UNDECIDED: lambda run: run.put("followed_pct", in_turn(0.0, 100.0), "kernel/file", file="sysfs"),
        Outcome.REFUTED: lambda run: run.put("followed_pct", 0.0, "kernel/file", file="sysfs"),
    },
    "kernel/dentry": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.put("empty_spread", in_turn(1.0, 1.5), "kernel/path"),
        Outcome.REFUTED: lambda run: run.put("component_ns", -2.0, "kernel/path"),
    },
}
