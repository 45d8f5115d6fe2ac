"""The ladder at the report's top: what things cost here. Each topic names its own rungs.

A few rungs are headlines: the terminal, the gallery and its entries show only these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval

# Each headline is the plainest of its kind, one for each thing that a design is weighed by: computing (an addition),
# the nearest and the farthest load, an atomic operation, a misprediction, reading the counter, asking for the time, a
# line and an item to another CPU, entering Linux, a new page, a new process. A rung that only varies one of these is
# in the report's ladder and no headline: a multiplication, a fenced reading, a mutex, a thread in place of a process.
MOST_HEADLINES = 12
"""Headlines that a run may have: as many as fit on one screen, and into one table for several machines."""


@dataclass(frozen=True)
class Rung:
    """One thing and its price: `ns` and `cycles` with their bounds, NaN where not known. `headline` rungs are shown
    outside of the report too.
    """

    label: str
    measured_as: str
    ns: Interval
    cycles: Interval = UNKNOWN
    modes: int = 0
    headline: bool = False


Step = Callable[[Analysis], Rung | None]


Pick = Callable[[Sequence[Row]], Row | None]


def step(
    label: str | Callable[[Row], str], kernel: str, pick: Pick, *, cycles: bool = True, headline: bool = False
) -> Step:
    """The rung of the row that `pick` takes among the measured ones of a kernel. Without `cycles` for a thread that
    sleeps: it spends none.
    """

    def find(analysis: Analysis) -> Rung | None:
        row = pick(analysis.measured(kernel))
        if row is None:
            return None
        return row_rung(label if isinstance(label, str) else label(row), row, cycles=cycles, headline=headline)

    return find


def row_rung(label: str, row: Row, *, cycles: bool = True, headline: bool = False) -> Rung:
    """A row as it stands."""
    return Rung(
        label,
        row.case,
        row.time,
        row.cycles if cycles else UNKNOWN,
        len(row.modes),
        headline,
    )


def with_values(**wanted: object) -> Pick:
    """The first row whose parameters have these values."""

    def pick(rows: Sequence[Row]) -> Row | None:
        fits = (row for row in rows if row.has(**wanted))
        return next(fits, None)

    return pick


def alone(**wanted: object) -> Pick:
    """The first row of a single thread whose parameters have these values."""
    pick = with_values(**wanted)
    return lambda rows: pick([row for row in rows if row.single])


def first(rows: Sequence[Row]) -> Row | None:
    """The first row, of a kernel that has one."""
    return rows[0] if rows else None
