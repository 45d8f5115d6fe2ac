"""Lost additions of algorithms that order loads and stores, and the price of order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid, per_process
from fencepost.analysis.stats.interval import Interval, pooled
from fencepost.analysis.topics.orders import NOT_ENOUGH


@dataclass(frozen=True)
class Loss:
    """Additions lost by an algorithm in one order, and the price of a section in ns."""

    algorithm: str
    order: str
    case: str
    lost: float
    sections: float
    per_million: Interval
    ns: Interval

    @property
    def may_lose(self) -> bool:
        """Whether the order is not enough, so that losses are no failure."""
        return self.order in NOT_ENOUGH


def losses(analysis: Analysis) -> list[Loss]:
    """``order/peterson`` and ``order/dekker`` by order."""
    found = []
    for algorithm in ("peterson", "dekker"):
        for row in grid(analysis, f"order/{algorithm}").rows:
            case = row.case
            lost, sections = (float(per_process(analysis, case, name).sum()) for name in ("lost", "sections"))
            rate = pooled(per_process(analysis, case, "lost_per_million"))
            ns = row.time
            found.append(Loss(algorithm, str(row.parameter("order")), case, lost, sections, rate, ns))
    return found


def break_even(analysis: Analysis) -> Interval:
    """Fast turns for each slow one from which on ``order/membarrier`` pays: slow / (fenced - fast), by process."""
    table = grid(analysis, "order/membarrier")
    places = {name: table.find(side=name) for name in ("fast", "fenced", "slow")}
    if None in places.values():
        return pooled([])
    ticks = [
        per_process(analysis, str(table.rows[place].case), "turn_ticks")
        for place in places.values()
        if place is not None
    ]
    if len({len(series) for series in ticks}) != 1:
        return pooled([])
    fast, fenced, slow = ticks
    return pooled(slow / np.where(fenced > fast, fenced - fast, np.nan))
