"""The ladder at the report's top: what things cost here, cheapest first. Each topic names its own rungs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import records

NOTHING = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Rung:
    """One thing and its price: `ns` and `cycles` are value and bounds, NaN where not known."""

    label: str
    measured_as: str
    ns: tuple[float, float, float]
    cycles: tuple[float, float, float] = NOTHING
    modes: int = 0


Step = Callable[[Analysis], Rung | None]


Row = Mapping[str, Any]


Pick = Callable[[Sequence[Row]], Row | None]


def step(label: str | Callable[[Row], str], kernel: str, pick: Pick, *, cycles: bool = True) -> Step:
    """The rung of the row that `pick` takes among the measured ones of a kernel. Without `cycles` for a thread that
    sleeps: it spends none.
    """

    def find(analysis: Analysis) -> Rung | None:
        rows = analysis.kernel(kernel)
        row = pick(records(rows[rows["ns"].notna()]))
        return row_rung(label if isinstance(label, str) else label(row), row, cycles=cycles) if row else None

    return find


def row_rung(label: str, row: Row, *, cycles: bool = True) -> Rung:
    """A row as it stands."""
    return Rung(
        label,
        row["case"],
        (row["ns"], row["ns_low"], row["ns_high"]),
        (row["cycles"], row["cycles_low"], row["cycles_high"]) if cycles else NOTHING,
        len(row["modes"]),
    )


def with_values(**wanted: object) -> Pick:
    """The first row whose parameters have these values."""

    def pick(rows: Sequence[Row]) -> Row | None:
        fits = (
            row for row in rows if all(str(row["parameters"].get(name)) == str(value) for name, value in wanted.items())
        )
        return next(fits, None)

    return pick


def alone(**wanted: object) -> Pick:
    """The first row of a single thread whose parameters have these values."""
    pick = with_values(**wanted)
    return lambda rows: pick([row for row in rows if len(row["cpus"]) == 1])


def first(rows: Sequence[Row]) -> Row | None:
    """The first row, of a kernel that has one."""
    return rows[0] if rows else None
