"""The ladder at the report's top: what things cost here. Each topic names its own rungs.

A few rungs are headlines: the terminal, the gallery and its entries show only these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Regime, Row, cost_text
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.numbers import nanoseconds

# Each headline is the plainest of its kind, one for each thing that a design is weighed by: computing (an addition),
# the nearest and the farthest load, an atomic operation, a misprediction, reading the counter, asking for the time, a
# line and an item to another CPU, entering Linux, a new page, a new process. A rung that only varies one of these is
# in the report's ladder and no headline: a multiplication, a fenced reading, a mutex, a thread in place of a process.
MOST_HEADLINES = 12
"""Headlines that a run may have: as many as fit on one screen, and into one table for several machines."""


@dataclass(frozen=True)
class Rung:
    """One thing and its price: `ns` and `cycles` with their bounds, NaN where not known. `headline` rungs are shown
    outside of the report too. Of a rung with `modes` or `regimes` no figure is the mean of several.
    """

    label: str
    measured_as: str
    ns: Interval
    cycles: Interval = UNKNOWN
    modes: tuple[Mode, ...] = ()
    headline: bool = False
    regimes: tuple[Regime, ...] = ()
    basis: str | None = None
    """Which figure it is: ``alone`` or ``as found``; None in runs without witnesses."""

    def text(self) -> str:
        """The time with its interval; of several modes each by itself: ``46 ns (60%) or 210 ns (40%)``."""
        return cost_text(self.ns, self.regimes, self.modes)

    def short(self) -> str:
        """The time, or that of each mode, with three digits."""
        return " or ".join(nanoseconds(value, 3) for value in [mode.ns for mode in self.modes] or [self.ns.value])

    def each(self) -> list[Rung]:
        """The rung, or one for each of its regimes, which are named with their shares."""
        if not self.regimes:
            return [self]
        longest = max(self.regimes, key=lambda regime: regime.share)
        return [
            replace(
                self,
                label=f"{self.label}: {regime.name} ({regime.share:.0%})",
                ns=regime.time,
                # These two are of the figure that stands for the row.
                cycles=self.cycles if regime is longest else UNKNOWN,
                modes=self.modes if regime is longest else (),
                regimes=(),
            )
            for regime in self.regimes
        ]


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
        row.modes,
        headline,
        row.regimes,
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
