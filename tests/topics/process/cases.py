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
