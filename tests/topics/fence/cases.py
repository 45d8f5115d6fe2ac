"""Cases of the topic fence with a known truth."""

from __future__ import annotations

from collections.abc import Mapping

from runs.write import Case

FENCE_NS: Mapping[str, tuple[float, float, float]] = {
    "compiler": (0, 0, 0),
    "sfence": (0, 0.3, 0),
    "mfence": (15, 160, 12),
    "lock_add": (2, 6, 0),
}


def fence_cases(added: Mapping[str, tuple[float, float, float]] = FENCE_NS) -> list[Case]:
    """What each fence adds to a turn: alone, with load misses under way, in a chain."""
    turns = {"bare": 0.27, "load_miss": 9.0, "chain": 8.0}
    return [
        Case("fence/cost", {"fence": fence, "context": context}, ns=turn + more[place], process_noise=0.0, noise=0.001)
        for fence, more in {"none": (0, 0, 0), **added}.items()
        for place, (context, turn) in enumerate(turns.items())
    ]
