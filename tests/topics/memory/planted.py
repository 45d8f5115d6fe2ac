"""What has to be planted in stored rows for each verdict on memory."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def invalid(value: Change, *kinds: str) -> Plant:
    """So many signals an access of these kinds."""

    def plant(run: Stored) -> Stored:
        for kind in kinds:
            run = run.put("signals_per_access", value, "memory/invalid", access=kind)
        return run

    return plant


def promised(pieces: Change, noreserve: Change) -> Plant:
    """So many times the memory is accepted in pieces, and with MAP_NORESERVE."""
    return lambda run: run.put("times_memory", pieces, "memory/overcommit", ask="pieces").put(
        "times_memory", noreserve, "memory/overcommit", ask="noreserve"
    )


def read_from_device(value: Change) -> Plant:
    """So many major faults a page that was dropped."""
    return lambda run: run.put("major_per_page", value, "memory/file", access="major")


def merged(equal: Change, different: Change) -> Plant:
    """So many per cent of equal and of different pages are merged."""
    return lambda run: run.put("merged_pct", equal, "memory/ksm", content="equal").put(
        "merged_pct", different, "memory/ksm", content="different"
    )


def translations(packed: Change, huge: Change) -> Plant:
    """So many nanoseconds a load on 256 pages costs more than each of its controls."""
    return lambda run: run.put("added_ns", packed, "memory/tlb", pages=256, control="packed").put(
        "added_ns", huge, "memory/tlb", pages=256, control="huge"
    )


PLANTED: Planted = {
    "memory/lazy": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("faults_per_page", 1 / 512, "memory/fault", access="write"),
        Outcome.UNDECIDED: lambda run: run.put("faults_per_page", in_turn(0, 0.1), "memory/fault", access="again"),
        Outcome.REFUTED: lambda run: run.put("faults_per_page", 0.0, "memory/fault", access="write"),
    },
    "memory/on_demand": {
        Outcome.CONFIRMED: lambda run: run.scale(2.0, "memory/fault", access="write"),
        Outcome.DEPENDS: as_stored,
        # The stored read and the copy after it take 4.88 us together, the first write 3.00 us.
        Outcome.UNDECIDED: lambda run: run.scale(4.88 / 3.0, "memory/fault", access="write"),
        Outcome.REFUTED: lambda run: run.put("faults_per_page", 0.0, "memory/fault", access="write"),
    },
    "memory/not_mapped": {
        Outcome.CONFIRMED: as_stored,
        # The stored mapping of 1 GiB takes 1.9 times as long as that of 4 KiB.
        Outcome.DEPENDS: lambda run: run.scale(8.0, "memory/map", call="untouched", size=1 << 30),
        Outcome.UNDECIDED: lambda run: run.scale(4.0 / 1.9, "memory/map", call="untouched", size=1 << 30),
        Outcome.REFUTED: lambda run: run.put("resident_kib", 1 << 20, "memory/map", call="untouched", size=1 << 30),
    },
    "memory/minor": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("minor_pct", 80.0, "memory/layout"),
        Outcome.UNDECIDED: lambda run: run.put("minor_pct", in_turn(100.0, 90.0), "memory/layout"),
        Outcome.REFUTED: lambda run: run.put("minor_pct", 20.0, "memory/layout"),
    },
    "memory/translation": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: translations(2.4, 2.4),
        Outcome.UNDECIDED: translations(in_turn(0.0, 2.4), 0.0),
        Outcome.REFUTED: translations(0.0, 0.0),
    },
    "memory/null": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: invalid(0.0, "call_null"),
        Outcome.UNDECIDED: invalid(in_turn(1.0, 0.9), "read_null"),
        Outcome.REFUTED: lambda run: run.fail("count signals: 0 signals instead of 64", "memory/invalid"),
    },
    "memory/text": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: invalid(in_turn(1.0, 0.9), "write_text"),
        Outcome.REFUTED: invalid(0.0, "write_text"),
    },
    "memory/data": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: invalid(in_turn(0.0, 0.5), "allowed"),
        Outcome.REFUTED: invalid(0.0, "run_data"),
    },
    "memory/layout": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("places", 1.0, "memory/layout"),
        Outcome.UNDECIDED: lambda run: run.put("in_order_pct", in_turn(100.0, 95.0), "memory/layout"),
        Outcome.REFUTED: lambda run: run.fail("count in_order: 19 processes instead of 20", "memory/layout"),
    },
    "memory/overcommit": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: promised(0.5, 2.0),
        Outcome.UNDECIDED: promised(in_turn(0.5, 1.5), 2.0),
        Outcome.REFUTED: promised(0.5, 0.0),
    },
    "memory/major": {
        Outcome.CONFIRMED: read_from_device(0.0),
        Outcome.DEPENDS: read_from_device(0.5),
        Outcome.UNDECIDED: read_from_device(in_turn(0.0, 1.0)),
        Outcome.REFUTED: as_stored,
    },
    "memory/ksm": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: merged(50.0, 0.0),
        Outcome.UNDECIDED: merged(in_turn(100.0, 90.0), 0.0),
        Outcome.REFUTED: merged(0.0, 0.0),
    },
}
