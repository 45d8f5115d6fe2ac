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
    a round lacks a case, and in `cycles` where its core clock is not to be believed.
    """

    rows: Sequence[Mapping[str, Any]]
    ns: Floats
    cycles: Floats

    def find(self, **wanted: object) -> int | None:
        """Place of the first row whose parameters have these values."""
        for place, row in enumerate(self.rows):
            if all(str(row["parameters"].get(name)) == str(value) for name, value in wanted.items()):
                return place
        return None

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
    ns, cycles = np.full(shape, math.nan), np.full(shape, math.nan)
    if len(good):
        i = [rounds[number] for number in good["round"]]
        j = [places[case] for case in good["case"]]
        ns[i, j] = good["ns"].to_numpy(float)
        cycles[i, j] = ns[i, j] * core_hz(good) / 1e9
    return Grid(found, ns, cycles)


def processes_of(analysis: Analysis, cases: Sequence[str]) -> pd.DataFrame:
    """Rows of `Analysis.processes` of these cases that were measured."""
    frame = analysis.processes
    rows: pd.DataFrame = frame[frame["case"].isin(cases) & (frame["status"] == "ok")]
    return rows


def core_hz(rows: pd.DataFrame) -> Floats:
    """The core clock beside each process's case, shape (processes,); NaN where its chains do not read 3.0 +- 5 %."""
    ratio = rows["chain_ratio"].to_numpy(float)
    believable = np.abs(ratio / CHAIN_RATIO - 1) <= CHAIN_TOLERANCE
    return np.where(believable, rows["core_hz"].to_numpy(float), math.nan)


def pooled(values: npt.ArrayLike) -> Interval:
    """Median and interval over the processes that know a value; nothing where that is half of them or less."""
    array = np.asarray(values, float).ravel()
    known = array[np.isfinite(array)]
    return interval_of(known) if len(known) * 2 > len(array) else UNKNOWN


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
