"""What is computed of the freezes of an allocator."""

from __future__ import annotations

from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import per_process
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.text.numbers import count, plain

COVERAGE = 0.95


@dataclass(frozen=True)
class Stalls:
    """Freezes of one case over all processes, and the share that stalled, in per cent, with exact bounds."""

    row: Row
    stalled: int
    freezes: int
    pct: Interval

    @property
    def size(self) -> str:
        """The size of its blocks."""
        return str(self.row.parameters["size"])

    def text(self) -> str:
        """``0 of 500 with 1000 bytes (at most 0.74 %)``."""
        bound = f"at most {plain(self.pct.high, 2)} %" if not self.stalled else self.pct.text("%")
        return f"{count(self.stalled)} of {count(self.freezes)} with {self.size} bytes ({bound})"


def stalls(analysis: Analysis, library: str) -> list[Stalls]:
    """The freezes of a library, by size."""
    found = []
    for row in analysis.decided("alloc/freeze"):
        if row.has(library=library):
            stalled, freezes = (int(per_process(analysis, row.case, name).sum()) for name in ("stalls", "freezes"))
            found.append(Stalls(row, stalled, freezes, exact_share(stalled, freezes)))
    return found


def exact_share(events: int, trials: int) -> Interval:
    """A share in per cent with its exact interval (Clopper and Pearson); unknown without a trial."""
    if trials < 1:
        return UNKNOWN
    from scipy import special

    tail = (1 - COVERAGE) / 2
    low = special.betaincinv(events, trials - events + 1, tail) if events else 0.0
    high = special.betaincinv(events + 1, trials - events, 1 - tail) if events < trials else 1.0
    return Interval(100 * events / trials, 100 * float(low), 100 * float(high), COVERAGE, trials)
