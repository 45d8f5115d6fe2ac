"""Cases of one kernel side by side, round by round.

A difference or a ratio of two cases is taken in each process first, where both met the same machine; median and
interval over processes come last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fencepost.analysis.estimate import CHAIN_RATIO, CHAIN_TOLERANCE, Analysis, Interval, interval_of, records

Floats = npt.NDArray[np.float64]
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0.0, 0)


@dataclass(frozen=True)
class Grid:
    """Measured cases of a kernel: `rows` as `records` gives them, `ns` and `cycles` of shape (rounds, rows); NaN where
    a round lacks a case, and in `cycles` where its core clock is not to be believed. `steps`: by how many ns each of
    `ns` may be off for the steps of the tick counter (`fencepost.analysis.steps`), 0 of event kernels.
    """

    rows: Sequence[Mapping[str, Any]]
    ns: Floats
    cycles: Floats
    steps: Floats

    def find(self, **wanted: object) -> int | None:
        """Place of the first row whose parameters have these values."""
        for place, row in enumerate(self.rows):
            if all(str(row["parameters"].get(name)) == str(value) for name, value in wanted.items()):
                return place
        return None

    def difference(self, more: int, less: int) -> tuple[Interval, Interval]:
        """By how many ns, and by how many cycles, one row exceeds another, paired by round. Both may be off by their
        steps, and in opposite directions: the bounds allow for the sum.
        """
        steps = self.steps[:, more] + self.steps[:, less]
        # Cycles are ns times the clock of their process; where that is not known, neither is the difference.
        with np.errstate(divide="ignore", invalid="ignore"):
            hz = np.fmax(self.cycles[:, more] / self.ns[:, more], self.cycles[:, less] / self.ns[:, less])
        return (
            pooled(self.ns[:, more] - self.ns[:, less], steps),
            pooled(self.cycles[:, more] - self.cycles[:, less], steps * hz),
        )

    def ratio(self, above: int, below: int) -> Interval:
        """How many times the time of one row another takes, see `quotient`."""
        return quotient(self.ns[:, above], self.ns[:, below], self.steps[:, above], self.steps[:, below])

    @property
    def in_cycles(self) -> bool:
        """Whether every row has cycles that more than half of its processes vouch for."""
        return bool(self.rows) and all(math.isfinite(row["cycles"]) for row in self.rows)

    @property
    def unit(self) -> str:
        """``cycles`` where every row has them, else ``ns``."""
        return "cycles" if self.in_cycles else "ns"

    @property
    def values(self) -> Floats:
        """`cycles` or `ns`, whichever `unit` says."""
        return self.cycles if self.in_cycles else self.ns

    def bounds(self, place: int) -> tuple[float, float, float]:
        """Value and bounds of a row in `unit`, as the table of all rows has them."""
        row, unit = self.rows[place], self.unit
        return row[unit], row[f"{unit}_low"], row[f"{unit}_high"]


def grid(analysis: Analysis, kernel: str) -> Grid:
    """All measured cases of a kernel, without twins."""
    rows = analysis.kernel(kernel)
    found = records(rows[rows["ns"].notna()])
    places = {row["case"]: place for place, row in enumerate(found)}
    good = processes_of(analysis, list(places))
    rounds = {number: place for place, number in enumerate(sorted(set(good["round"])))}
    shape = (len(rounds), len(found))
    ns, cycles, steps = (np.full(shape, math.nan) for _ in range(3))
    if len(good):
        i = [rounds[number] for number in good["round"]]
        j = [places[case] for case in good["case"]]
        ns[i, j] = good["ns"].to_numpy(float)
        cycles[i, j] = ns[i, j] * core_hz(good) / 1e9
        steps[i, j] = good["resolution_ns"].to_numpy(float)
    steps[:, [row["kind"] == "events" for row in found]] = 0
    return Grid(found, ns, cycles, steps)


def processes_of(analysis: Analysis, cases: Sequence[str]) -> pd.DataFrame:
    """Rows of `Analysis.processes` of these cases that were measured."""
    places = [analysis.measured_places[case] for case in dict.fromkeys(cases) if case in analysis.measured_places]
    return analysis.processes.iloc[np.sort(np.concatenate(places)) if places else []]


def core_hz(rows: pd.DataFrame) -> Floats:
    """The core clock beside each process's case, shape (processes,); NaN where its chains do not read 3.0 +- 5 %."""
    ratio = rows["chain_ratio"].to_numpy(float)
    believable = np.abs(ratio / CHAIN_RATIO - 1) <= CHAIN_TOLERANCE
    return np.where(believable, rows["core_hz"].to_numpy(float), math.nan)


def pooled(values: npt.ArrayLike, steps: npt.ArrayLike = 0.0) -> Interval:
    """Median and interval over the processes that know a value; nothing where that is half of them or less. `steps`: by
    how much each value may be off for the steps of the tick counter, see `fencepost.analysis.steps`.
    """
    array = np.asarray(values, float).ravel()
    known = np.isfinite(array)
    off = np.broadcast_to(np.asarray(steps, float), array.shape)
    off = np.where(np.isnan(off), 0.0, off)
    return interval_of(array[known], steps=off[known]) if known.sum() * 2 > len(array) else UNKNOWN


def quotient(above: Floats, below: Floats, above_steps: Floats, below_steps: Floats) -> Interval:
    """Ratio of two series, paired by process, its bounds widened by the steps of both; processes in which the divisor
    is not positive know none. Without bounds where the divisor may be nothing, for all that its steps say.
    """
    ratio = above / np.where(below > 0, below, math.nan)
    least = np.asarray(below - below_steps, float)
    # The farthest that (a + s) / (b - t) can lie from a / b.
    off = (above_steps + np.abs(ratio) * below_steps) / np.where(least > 0, least, math.nan)
    found = pooled(ratio, np.where(least > 0, off, math.inf))
    return found if math.isfinite(found.high - found.low) else found._replace(low=math.nan, high=math.nan)


def scaled(interval: Interval, factor: float) -> Interval:
    """The interval of a figure times a positive number."""
    return interval._replace(value=interval.value * factor, low=interval.low * factor, high=interval.high * factor)


def crossings(x: Floats, y: Floats, level: float) -> tuple[float, float]:
    """Where a line drawn through points first rises above `level`, and where it last falls below; NaN where it does
    not. Shapes (points,); NaN in `y` are skipped.
    """
    known = np.isfinite(y)
    x, above = x[known], (y - level)[known]
    first = last = math.nan
    for i in range(len(x) - 1):
        a, b = above[i], above[i + 1]
        at = float(x[i] + (x[i + 1] - x[i]) * a / (a - b)) if a != b else float(x[i])
        if a <= 0 < b and math.isnan(first):
            first = at
        if a > 0 >= b:
            last = at
    return first, last


def between(knee: Interval, x: Floats, widest: float) -> Interval:
    """A knee on a logarithmic axis, no surer than the measured points around it allow: where these lie further apart
    than the factor `widest`, they are the interval, and their middle the value.
    """
    lower, upper = x[x <= knee.value], x[x > knee.value]
    if not knee.n or not len(lower) or not len(upper) or upper.min() <= widest * lower.max():
        return knee
    low, high = float(lower.max()), float(upper.min())
    return Interval(math.sqrt(low * high), low, high, knee.coverage, knee.n)


def above(interval: Interval, limit: float) -> bool:
    """Whether the whole interval (the median alone, where there is none) lies above a limit."""
    return (interval.value if math.isnan(interval.low) else interval.low) > limit


def below(interval: Interval, limit: float) -> bool:
    """Whether the whole interval (the median alone, where there is none) lies below a limit."""
    return (interval.value if math.isnan(interval.high) else interval.high) < limit
