"""What is computed of walks over pages."""

from __future__ import annotations

from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count

HALF_A_LOAD = 0.5
"""So many loads from the nearest cache a translation must cost to be seen. From the second level of a TLB it costs 7
cycles on x86-64, and such a load 4 or 5.
"""

WALK = 2.0
"""So many times the cost of the second level is a walk of the page tables, at least: 15 to 25 cycles with warm tables.
"""


@dataclass(frozen=True)
class Knee:
    """Up to `low` pages a translation surely costs less than the limit, from `high` on it surely costs more."""

    low: int
    high: int

    def text(self) -> str:
        """``between 32 and 64 pages``."""
        return f"between {count(self.low)} and {count(self.high)} pages"


def walks(analysis: Analysis, control: str) -> list[Row]:
    """The rows of memory/tlb that have this control, by their pages."""
    rows = [row for row in analysis.decided("memory/tlb") if row.has(control=control)]
    return sorted(rows, key=_pages)


def seen_from_ns(analysis: Analysis) -> float:
    """What a translation costs at least where it is seen; NaN without rows."""
    rows = walks(analysis, "packed")
    return rows[0].metric("control_ns").value * HALF_A_LOAD if rows else float("nan")


def knees(analysis: Analysis) -> list[Knee]:
    """Where translations begin to cost something, and where they begin to cost a walk; none where that is not seen."""
    rows = walks(analysis, "packed")
    first = _knee(rows, seen_from_ns(analysis))
    beyond = [row for row in rows if first and _pages(row) > first.high]
    # Right after the knee some translations still hit the first level: the next size tells the price of the second.
    second = _knee(rows, WALK * beyond[0].metric("added_ns").value) if beyond else None
    return [knee for knee in (first, second) if knee]


def _knee(rows: list[Row], limit: float) -> Knee | None:
    """The last of the sizes that lie below the limit without a gap, and the first of those that lie above it."""
    sides = [side(row.metric("added_ns"), limit) for row in rows]
    above = len(sides)
    while above and sides[above - 1] is Side.ABOVE:
        above -= 1
    below = next((place for place, where in enumerate(sides) if where is not Side.BELOW), len(sides))
    if not 0 < below <= above < len(rows):
        return None
    return Knee(_pages(rows[below - 1]), _pages(rows[above]))


def _pages(row: Row) -> int:
    return int(row.parameters["pages"])
