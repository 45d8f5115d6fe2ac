"""Cases of the topic runqueue with a known truth."""

from __future__ import annotations

import math

from runs.write import Case

TASKS = (10, 100, 1000, 10000)
IN_CACHE = 1000


def turn_ns(by: str, tasks: int) -> float:
    """Flat, with the logarithm, or in proportion. List and red-black tree cross between 10 and 100 tasks."""
    beside = {"touch": 7.0, "bitmap": 15.0, "list": 4.0 + 1.4 * tasks}.get(by, 10.0 * math.log2(tasks))
    return beside + (0.0 if tasks <= IN_CACHE else 20.0)


def tick_cases() -> list[Case]:
    """runqueue/tick."""
    return [
        Case(
            "runqueue/tick",
            {"by": by, "tasks": tasks, "keys": "random"},
            ns=turn_ns(by, tasks),
            unit="turn",
            process_noise=0.002,
            metrics={"passed_over_pct": 80.0 if by == "bitmap" else 0.0, "comparisons": 3.0},
        )
        for by in ("touch", "bitmap", "rb", "avl", "heap", "list")
        for tasks in TASKS
    ]
