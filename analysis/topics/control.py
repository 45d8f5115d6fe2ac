"""Controls: a figure of the same run that shows that an experiment can tell, beside each sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import COVERAGE, FEWEST_PROCESSES, UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

Reading = Callable[[Analysis], Interval]
"""Reads the figure of a control from a run; unknown where the run has no such row."""


class Shown(NamedTuple):
    """A control with its figure from one run. `holds` is None where the run leaves it open.

    `measured` is False where the run has no such figure.
    """

    says: str
    figure: str
    holds: bool | None
    measured: bool

    @property
    def text(self) -> str:
        """One sentence: the control, whether it holds, and its figure."""
        word = {True: "holds", False: "fails", None: "is open"}[self.holds]
        if not self.measured:
            return f"The control was not measured: {self.says}."
        return f"The control {word}: {self.says} ({self.figure})."


@dataclass(frozen=True)
class Control:
    """What must be seen in the same run before a sentence is decided.

    `says` is one statement without a full stop. It holds where the whole interval of the figure that `reads` gives, in
    `unit`, lies above `above` and below `below`.
    """

    says: str
    reads: Reading
    unit: str = ""
    above: float = -math.inf
    below: float = math.inf

    def shown(self, analysis: Analysis) -> Shown:
        """The control in this run."""
        found = self.reads(analysis)
        if not found.known:
            return Shown(self.says, "", None, measured=False)
        sides = side(found, self.above), side(found, self.below)
        figure = found.ns_text() if self.unit == "ns" else found.text(self.unit)
        if found.low == found.high:  # the same in all processes
            figure = f"{count(found.value)} {self.unit}".strip()
        failed = sides[0] is Side.BELOW or sides[1] is Side.ABOVE
        return Shown(self.says, figure, False if failed else sides == (Side.ABOVE, Side.BELOW) or None, measured=True)


def first_row(analysis: Analysis, kernel: str, *, cpus: object = 0, **wanted: object) -> Row | None:
    """The first row of a kernel with these parameters and so many CPUs of its own; None where there is none."""
    rows = (row for row in analysis.decided(kernel) if row.has(**wanted))
    own = (row for row in rows if not cpus or (len(row.cpus) == cpus and row.relation != OVERSUBSCRIBED))
    return next(own, None)


def metric_of(kernel: str, name: str, **wanted: object) -> Reading:
    """Read a metric of a row."""

    def read(analysis: Analysis) -> Interval:
        row = first_row(analysis, kernel, **wanted)
        return row.metric(name) if row else UNKNOWN

    return read


def time_of_row(kernel: str, **wanted: object) -> Reading:
    """Read the time of a row, in ns."""

    def read(analysis: Analysis) -> Interval:
        row = first_row(analysis, kernel, **wanted)
        return row.time if row else UNKNOWN

    return read


def count_of(kernel: str, name: str, **wanted: object) -> Reading:
    """Read a count of a row. It has bounds from as many processes on as an interval takes."""

    def read(analysis: Analysis) -> Interval:
        row = first_row(analysis, kernel, **wanted)
        if row is None or name not in row.counts:
            return UNKNOWN
        found = row.counts[name]
        value = float(found.found)
        end = value if found.processes >= FEWEST_PROCESSES else math.nan
        return Interval(value, end, end, COVERAGE, found.processes)

    return read


def times_of(kernel: str, above: dict[str, object], below: dict[str, object]) -> Reading:
    """Read how many times the time of one row of a kernel another takes, process by process.

    ``cpus`` in `above` and `below` is the number of CPUs.
    """

    def read(analysis: Analysis) -> Interval:
        rows = [first_row(analysis, kernel, **wanted) for wanted in (above, below)]
        return ratio(analysis, rows[0].case, rows[1].case) if rows[0] and rows[1] else UNKNOWN

    return read


def over(above: Reading, below: Reading) -> Reading:
    """Read a quotient of two readings that are not paired: its bounds are the furthest apart."""

    def read(analysis: Analysis) -> Interval:
        return quotient_of(above(analysis), below(analysis))

    return read


def quotient_of(above: Interval, below: Interval) -> Interval:
    """A quotient of two figures that were not taken in pairs: the bounds furthest apart."""
    if not (above.known and below.known and below.value > 0):
        return UNKNOWN
    low, high = above.low / below.high, above.high / below.low if below.low > 0 else math.nan
    return Interval(above.value / below.value, low, high, above.coverage, min(above.n, below.n))


def largest(*readings: Reading) -> Reading:
    """Read the largest of several figures."""

    def read(analysis: Analysis) -> Interval:
        known = [found for found in (reading(analysis) for reading in readings) if found.known]
        return max(known, key=lambda found: found.value) if known else UNKNOWN

    return read


def spread_of(kernel: str, **wanted: object) -> Reading:
    """Read how wide the interval of a row's time is, in per cent of the time."""
    read_time = time_of_row(kernel, **wanted)

    def read(analysis: Analysis) -> Interval:
        time = read_time(analysis)
        if not time.bounded:
            return time._replace(value=math.nan) if time.known else UNKNOWN
        width = (time.high - time.low) / time.value * 100
        return Interval(width, width, width, time.coverage, time.n)

    return read
