"""Cases of the topic branch with a known truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from runs.write import CORE_HZ, CYCLE, TICK_HZ, Case

COINS = tuple(range(0, 65, 8))


def penalty_case(cycles: float = 18.0, counted: bool = False, slots: str = "shuffled", **changes: Any) -> Case:
    """Blocks of 64 branches with k coins: 60 cycles and `cycles` for each of k / 2 mispredictions. With `counted` the
    hardware counted them, and saw three quarters of them.
    """
    ticks = TICK_HZ / CORE_HZ
    metrics = {f"k{k}_ticks": (60 + cycles * (k / 2 * (0.75 if counted else 1))) * ticks for k in COINS}
    if counted:
        metrics |= {f"k{k}_misses": 0.75 * k / 2 + 0.01 for k in COINS}
    usual = Case("branch/penalty", {"slots": slots}, ns=170, unit="block", kind="events", metrics=metrics)
    return replace(usual, **changes)


def loaded_cases(penalties: Mapping[int, float]) -> list[Case]:
    """Buffers by size, and the cycles that a misprediction costs there."""
    return [
        Case(
            "branch/penalty_loaded",
            {"size": size, "contents": contents},
            ns=(5 + (cycles / 2 if contents == "random" else 0)) * CYCLE,
        )
        for size, cycles in penalties.items()
        for contents in ("zero", "random")
    ]


def capacity_cases(knee: float, floor: float = 2.0, ceiling: float = 12.0) -> list[Case]:
    """Steady cost by period: `floor` up to `knee`, `ceiling` from twice that on."""
    return [
        Case(
            "branch/capacity",
            {"period": 2**power},
            ns=(floor + (ceiling - floor) * float(np.clip(np.log2(2**power / knee), 0, 1))) * CYCLE,
        )
        for power in range(4, 21)
    ]


def learning_case(n: int, first: float = 12.0, last: float = 3.0) -> Case:
    """Cycles an element, falling from `first` at the first pass to `last` at the third."""
    ticks = TICK_HZ / CORE_HZ
    metrics = {f"pass{p}_ticks": (last + max(0.0, (first - last) * (3 - p) / 2)) * ticks for p in (1, 2, 3, 10, 100)}
    return Case("branch/learning", {"n": n}, ns=first * n * CYCLE, kind="events", metrics=metrics)


def pattern_cases(random: float = 12.0, cmov: float = 1.5, learnt: float = 1.0) -> list[Case]:
    """Cycles an element by taken rate: random outcomes rise from `learnt` to `random` at 50 % and fall again."""
    cases = []
    for pct in range(0, 101, 10):
        for pattern in ("sorted", "random"):
            cycles = learnt + ((random - learnt) * (1 - abs(pct - 50) / 50) if pattern == "random" else 0)
            for form, value in {"branch": cycles, "cmov": cmov}.items():
                parameters = {"pattern": pattern, "taken_pct": pct, "form": form}
                cases.append(Case("branch/pattern", parameters, ns=value * CYCLE))
    return cases


def likely_cases(correct: float = 0.5, wrong: float = 2.0) -> list[Case]:
    """The loop with `unlikely`, by how it compares with no hint where the hint is right and where it is wrong."""
    factors = {"plain": (1, 1), "likely": (1, 1), "unlikely": (correct, wrong), "even": (1, 1)}
    return [
        Case(
            "branch/likely",
            {"hint": hint, "data": data},
            ns=2 * CYCLE * (by_data[data == "true"] if data != "random" else 6),
        )
        for hint, by_data in factors.items()
        for data in ("false", "true", "random")
    ]


def footprint_cases() -> list[Case]:
    """Taken jumps that no longer fit from 8192 on."""
    return [
        Case(
            "branch/footprint",
            {"jumps": jumps, "kind": kind},
            ns=CYCLE * (0.5 if kind == "never" else 1 if jumps < 8192 else 14),
        )
        for jumps in (64, 1024, 8192, 16384)
        for kind in ("never", "taken")
    ]


def branch_cases() -> list[Case]:
    """All kernels of the topic branch."""
    return [
        *pattern_cases(),
        penalty_case(),
        penalty_case(slots="first"),
        *loaded_cases({16 << 10: 22, 1 << 20: 30}),
        *capacity_cases(8192),
        *map(learning_case, (1000, 4000)),
        *footprint_cases(),
        *likely_cases(),
    ]
