"""What has to be planted in stored rows for each verdict on events."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def faults(per_page: Change) -> Plant:
    """So many page faults a page are counted."""
    return lambda run: run.put("counted_per_event", per_page, "perf/software", event="page_faults")


def moves(count: Change, which: str) -> Plant:
    """So many moves of this kind are counted."""
    return lambda run: run.put("migrations", count, "perf/migrations", moves=which)


def blocks(count: Change, files: str = "made") -> Plant:
    """So many blocks are counted in each turn of this loop."""
    return lambda run: run.put("blocks_per_file", count, "perf/tracepoint", files=files)


def hardware(instructions: Change) -> Plant:
    """So many instructions are counted by the CPU for each that there was. These rows were written by hand: no
    machine of those that left the others has such counters.
    """
    return lambda run: run.put("counted_per_event", instructions, "perf/hardware", event="instructions")


PLANTED: Planted = {
    "perf/hardware": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: hardware(in_turn(1.0, 1.5)),
        Outcome.REFUTED: hardware(0.5),
    },
    "perf/tracepoint": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: blocks(2.0, "none"),
        Outcome.REFUTED: blocks(0.0),
    },
    "perf/software": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: faults(in_turn(1.0, 1.001)),
        Outcome.REFUTED: faults(1023 / 1024),
    },
    "perf/taskset": {
        Outcome.CONFIRMED: as_stored,
        # A free thread that stayed: the control is not seen.
        Outcome.UNDECIDED: moves(0.0, "free"),
        Outcome.REFUTED: moves(2.0, "pinned"),
    },
}
