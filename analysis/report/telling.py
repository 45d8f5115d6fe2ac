"""Which rows of a long table are shown, and which are folded."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.table import MOST_TELLING


def telling(rows: Sequence[Row]) -> tuple[int, ...]:
    """Places of the rows that tell most of a topic: together they span what it costs.

    The first two are the cheapest and the dearest. Then comes, again and again, the row that lies farthest from those,
    as a ratio of times: first of kernels that none of them belongs to, then of any. Twins, and rows without a positive
    time, come in last, in their order.
    """
    logs = {
        place: math.log(row.time.value) for place, row in enumerate(rows) if row.time.value > 0 and row.twin_of is None
    }
    if not logs:
        return tuple(range(len(rows)))[:MOST_TELLING]
    chosen = list(dict.fromkeys([min(logs, key=logs.__getitem__), max(logs, key=logs.__getitem__)]))
    nearest = {place: min(abs(log - logs[other]) for other in chosen) for place, log in logs.items()}
    while len(chosen) < min(MOST_TELLING, len(logs)):
        kernels = {rows[place].kernel for place in chosen}
        left = [place for place in logs if place not in chosen]
        new = [place for place in left if rows[place].kernel not in kernels]
        farthest = max(new or left, key=nearest.__getitem__)
        chosen.append(farthest)
        for place, log in logs.items():
            nearest[place] = min(nearest[place], abs(log - logs[farthest]))
    rest = [place for place in range(len(rows)) if place not in logs]
    return tuple(sorted([*chosen, *rest[: MOST_TELLING - len(chosen)]]))
