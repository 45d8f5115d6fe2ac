"""What has to be planted in stored rows for each verdict on processes that talk to each other."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

TICKS = 10000.0
"""Of a message by pipe on one CPU, where it is planted."""


def messages(found: Change, awake: Change) -> Plant:
    """A message between two CPUs takes so many times one on one CPU."""

    def plant(run: Stored) -> Stored:
        run = run.put("operation_ticks", TICKS, "ipc/switch", by="pipe", partner="process")
        for value, change in (("no", found), ("yes", awake)):
            ticks = (lambda number, change=change: TICKS * change(number)) if callable(change) else TICKS * change
            run = run.put("operation_ticks", ticks, "ipc/across", by="pipe", awake=value)
        return run

    return plant


def socket(times: Change) -> Plant:
    """A message over a socket takes so many ticks, one over a pipe TICKS."""
    return lambda run: run.put("operation_ticks", TICKS, "ipc/switch", by="pipe", partner="process").put(
        "operation_ticks", times, "ipc/switch", by="unix_stream", partner="process"
    )


def between_processes(ns: float) -> Plant:
    """A switch by yield between processes takes so many ns more than one between threads."""
    return lambda run: run.add_to({"by": "yield", "partner": "thread"}, ns, "ipc/switch", by="yield", partner="process")


def pages(small: Change, large: Change) -> Plant:
    """4 KiB and 64 KiB as bytes cost so many times what they cost as pages."""
    return lambda run: run.put("r4096", small, "ipc/zero_copy", by="vmsplice").put(
        "r65536", large, "ipc/zero_copy", by="vmsplice"
    )


PLANTED: Planted = {
    "ipc/zero_copy": {
        Outcome.CONFIRMED: pages(3.0, 6.0),
        Outcome.DEPENDS: pages(1.0, 6.0),
        Outcome.UNDECIDED: pages(1.0, in_turn(0.5, 1.5)),
        Outcome.REFUTED: pages(0.2, 0.5),
    },
    "ipc/taskset": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: messages(2.0, 0.9),
        Outcome.UNDECIDED: messages(2.0, in_turn(0.9, 1.1)),
        Outcome.REFUTED: messages(0.5, 0.4),
    },
    "ipc/domain_socket": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: socket(in_turn(0.9 * TICKS, 1.1 * TICKS)),
        Outcome.REFUTED: socket(0.5 * TICKS),
    },
    "ipc/borrowed_mm": {
        Outcome.CONFIRMED: between_processes(1000.0),
        Outcome.UNDECIDED: lambda run: run.scale(in_turn(0.5, 2.0), "ipc/switch", by="yield", partner="process"),
        Outcome.REFUTED: between_processes(-700.0),
    },
}
