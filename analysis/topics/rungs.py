"""The ladder at the report's top: what things cost here, cheapest first. Each topic names its own rungs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval


@dataclass(frozen=True)
class Rung:
    """One thing and its price: `ns` and `cycles` with their bounds, NaN where not known."""

    label: str
    measured_as: str
    ns: Interval
    cycles: Interval = UNKNOWN
    modes: int = 0


Step = Callable[[Analysis], Rung | None]


Pick = Callable[[Sequence[Row]], Row | None]


def step(label: str | Callable[[Row], str], kernel: str, pick: Pick, *, cycles: bool = True) -> Step:
    """The rung of the row that `pick` takes among the measured ones of a kernel. Without `cycles` for a thread that
    sleeps: it spends none.
    """

    def find(analysis: Analysis) -> Rung | None:
        row = pick(analysis.measured(kernel))
        return row_rung(label if isinstance(label, str) else label(row), row, cycles=cycles) if row else None

    return find


def row_rung(label: str, row: Row, *, cycles: bool = True) -> Rung:
    """A row as it stands."""
    return Rung(
        label,
        row.case,
        row.time,
        row.cycles if cycles else UNKNOWN,
        len(row.modes),
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
    return lambda rows: pick([row for row in rows if row.alone])


def first(rows: Sequence[Row]) -> Row | None:
    """The first row, of a kernel that has one."""
    return rows[0] if rows else None
