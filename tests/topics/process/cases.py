"""Cases of the topic process with a known truth."""

from __future__ import annotations

from runs.write import Case


def process_cases(vfork_waits: float = 100.0, fork_waits: float = 0.0) -> list[Case]:
    """The topic process; shares of children that ended before the call returned, in percent.

    The interpreter has 16 MiB more than the small process.
    """
    kinds = {"fork": (300e3, 27.0, fork_waits), "vfork": (25e3, 0.0, vfork_waits), "thread": (19e3, 0.0, 0.0)}
    return [
        Case(
            "process/spawn",
            {"how": how, "touched": touched, "parent": parent},
            ns=ns + (mib + own) * slope * 1e3,
            unit="child",
            kind="events",
            metrics={"waited_pct": waits, "returned_ns": ns / 2, "resident_mib": 1.4 + own + mib},
            metric_noise=0.0,
        )
        for how, (ns, slope, waits) in kinds.items()
        for touched, mib in (("0", 0), ("64MiB", 64))
        for parent, own in (("small", 0), ("interpreter", 16))
    ]


def peek_cases() -> list[Case]:
    """process/peek: a word with each call, and all with one."""
    truth = {"peekdata": (1900.0, 1e6), "mem": (1600.0, 1500.0), "vm": (1750.0, 1900.0), "own": (4.0, 75.0)}
    return [
        Case(
            "process/peek",
            {"by": by},
            ns=page,
            unit="reading of 4 KiB",
            kind="events",
            metrics={"b8_ns": word, "b4096_ns": page, "b65536_ns": 16 * page},
            metric_noise=0.0,
        )
        for by, (word, page) in truth.items()
    ]


def trace_cases(io: float = 60.0) -> list[Case]:
    """process/trace: computing is not hindered."""
    truth = {"compute": (1000.0, 1.0, 0.0), "call": (200.0, 90.0, 2.0), "io": (1200.0, io, 4.0)}
    return [
        Case(
            "process/trace",
            {"work": work},
            ns=ns * (slowdown - 1),
            unit="operation",
            kind="events",
            metrics={"slowdown": slowdown, "stops_per_operation": stops},
            metric_noise=0.0,
        )
        for work, (ns, slowdown, stops) in truth.items()
    ]


def create_cases() -> list[Case]:
    """process/create: 32 MiB on small pages take a fork 50 us each, on huge ones 0.5."""
    return [
        Case(
            "process/create",
            {"how": how, "touched": touched, "pages": pages},
            ns=ns + mib * 1e3 * slope / (100 if pages == "huge" else 1),
            unit="child",
            kind="events",
            metrics={"call_ns": ns / 2, "rest_ns": ns / 2, "resident_mib": 1.4 + mib, "fork_ratio": 1.0},
            metric_noise=0.0,
        )
        for how, ns, slope in (("fork", 200e3, 50.0), ("clone3", 200e3, 50.0), ("vfork", 30e3, 0.0))
        for touched, mib in (("0", 0), ("32MiB", 32))
        for pages in ("small", "huge")
    ]


def smp_cases() -> list[Case]:
    """process/smp: two CPUs make twice the calls."""
    return [
        Case(
            "process/smp",
            {"work": work},
            ns=1.0,
            unit="call",
            kind="events",
            metrics={"times_one": times},
            metric_noise=0.0,
            cpus=(1, 0),
        )
        for work, times in (("call", 1.9), ("user", 2.0))
    ]
