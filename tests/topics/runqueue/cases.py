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


def change_cases() -> list[Case]:
    """runqueue/pick, remove and enqueue: a look takes 5 ns of all but the scan, a change 10 ns and the logarithm."""
    looks = [
        Case("runqueue/pick", {"by": by, "tasks": tasks}, ns=tasks if by == "scan" else 5.0, unit="look")
        for by in ("bitmap", "rb", "scan")
        for tasks in (10, 1000)
    ]
    removals = [
        Case("runqueue/remove", {"by": by, "tasks": tasks}, ns=turn_ns(by, tasks), unit="task")
        for by in ("touch", "bitmap", "rb")
        for tasks in (10, 1000)
    ]
    additions = [
        Case(
            "runqueue/enqueue",
            {"by": by, "tasks": 1000, "keys": keys},
            ns=50.0,
            unit="task",
            metrics={"comparisons": 8.7, "rotations": 0.6, "height": 12.0},
        )
        for by in ("rb", "avl")
        for keys in ("random", "ascending")
    ]
    fillings = [
        Case(
            "runqueue/fill",
            {"by": by, "tasks": 100000, "keys": "random"},
            ns=1000 * task_ns,
            unit="1000 tasks",
            kind="events",
            metrics={"task_ns": task_ns, "footprint_bytes": 1.28e7},
            metric_noise=0.0,
        )
        for by, task_ns in (("touch", 20.0), ("rb", 300.0))
    ]
    return [*looks, *removals, *additions, *fillings]


HEIGHTS = {
    ("rb", "random"): 13.0,
    ("rb", "ascending"): 17.0,
    ("rb", "fibonacci"): 14.0,
    ("avl", "random"): 12.0,
    ("avl", "ascending"): 10.0,
    ("avl", "fibonacci"): 14.0,
}


def height_cases() -> list[Case]:
    """runqueue/height of 1000 nodes, as it is on each machine."""
    return [
        Case(
            "runqueue/height",
            {"tree": tree, "tasks": 1000, "order": order, "operations": 10000},
            unit="tree",
            kind="counts",
            metrics={
                "height": height,
                "least": 10.0,
                "bound": 19.93 if tree == "rb" else 14.03,
                **({"coloured_pct": 100.0} if tree == "avl" else {}),
            },
            metric_noise=0.0,
            counts={"sound": 100},
        )
        for (tree, order), height in HEIGHTS.items()
    ]
