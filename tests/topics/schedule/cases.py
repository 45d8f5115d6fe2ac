"""Cases of the topic schedule with a known truth."""

from __future__ import annotations

from runs.write import Case

SHARES = {"equal": (1.0, 1.0), "nice1": (1.25, 1.249), "nice5": (3.05, 3.057), "fifo": (18.0, 19.0)}
LATE_NS = {"other": (110e3, 45e3), "idle": (65e3, 7e6), "fifo": (60e3, 32e3), "deadline": (66e3, 39e3)}
DELAY_NS = {"nobody": 60e3, "user": 35e3, "getppid": 40e3, "read": 38e3, "fsync": 40e3}
MISSED = {"70": (0.0, 0.0), "90": (0.0, 12.0), "100": (0.0, 50.0), "102": (100.0, 100.0)}


def share_cases() -> list[Case]:
    """schedule/share: two of four pairs by weight, one alike, one real-time."""
    return [
        Case(
            "schedule/share",
            {"pair": pair, "window_ms": "1200"},
            ns=1e9 / (1 + ratio),
            unit="window",
            kind="events",
            metrics={
                "ratio": ratio,
                "expected_ratio": due,
                "second_pct": 100 / (1 + ratio),
                "had_pct": 98.0,
                "virtual_ratio": 1.0,
            },
            metric_noise=0.0,
        )
        for pair, (ratio, due) in SHARES.items()
    ]


def clock_cases() -> list[Case]:
    """schedule/virtual_clock: a clock that ticks once every N ticks."""
    return [
        Case(
            "schedule/virtual_clock",
            {"spinners": str(count), "window_ms": "400"},
            ns=4e8 / count,
            unit="window",
            kind="events",
            metrics={"rate_times_n": 1.0, "fair": 1.01, "had_pct": 98.0},
            metric_noise=0.0,
        )
        for count in (1, 2, 4)
    ]


def wakeup_cases() -> list[Case]:
    """schedule/wakeup: a halted CPU wakes later than one that is busy."""
    return [
        Case(
            "schedule/wakeup",
            {"policy": policy, "beside": beside, "period_us": "1000"},
            ns=ns,
            unit="wake-up",
            kind="events",
            metrics={"missed": 0.0} | ({"loaded_pct": 100.0} if beside == "spinner" else {}),
            metric_noise=0.0,
        )
        for policy, both in LATE_NS.items()
        for beside, ns in zip(("nobody", "spinner"), both, strict=True)
    ]


def realtime_cases() -> list[Case]:
    """schedule/realtime: EDF up to 100 %, RMS up to its bound."""
    return [
        Case(
            "schedule/realtime",
            {"utilisation_pct": use, "tasks": "4"},
            unit="set",
            kind="counts",
            metrics={"edf_missed_pct": edf, "rms_missed_pct": rms, "bound_pct": 75.7},
            metric_noise=0.0,
        )
        for use, (edf, rms) in MISSED.items()
    ]


def preempt_cases() -> list[Case]:
    """schedule/preempt: a read of 64 MiB takes 2 ms and is left at once."""
    return [
        Case(
            "schedule/preempt",
            {"victim": victim},
            ns=ns,
            unit="wake-up",
            kind="events",
            metrics={"missed": 0.0, "call_ns": 2e6 if victim == "read" else 200.0, "turns": 9.0},
            metric_noise=0.0,
        )
        for victim, ns in DELAY_NS.items()
    ]


def migrate_cases() -> list[Case]:
    """schedule/migrate: loads after a move take three times as long."""
    return [
        Case(
            "schedule/migrate",
            {"to": "other", "touched": touched},
            ns=20e3 + 2 * lines * 10,
            unit="hop",
            kind="events",
            metrics={
                "hop_ns": 20e3,
                "stay_ns": 1e3,
                "loads_hop_ns": 30.0 * lines + 1,
                "loads_stay_ns": 10.0 * lines + 1,
                "footprint_bytes": 64.0 * lines,
            },
            metric_noise=0.0,
            cpus=(1, 0),
        )
        for touched, lines in (("0", 0), ("256KiB", 4096))
    ]


def balance_cases() -> list[Case]:
    """schedule/rebalance: three spinners are moved, and pinned ones are not."""
    return [
        Case(
            "schedule/rebalance",
            {"spinners": spinners, "window_ms": "2500"},
            ns=1e9,
            unit="window",
            kind="events",
            metrics={"fair": fair, "migrations_per_s": moves, "had_pct": 98.0},
            metric_noise=0.0,
            cpus=(1, 0),
        )
        for spinners, fair, moves in (("two", 1.0, 0.0), ("three", 1.1, 7.0), ("pinned", 2.0, 0.0))
    ]
