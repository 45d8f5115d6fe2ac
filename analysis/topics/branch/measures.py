"""What the rows of the topic branch say together: the price of a misprediction, what the predictor keeps, break-even.

Everything is computed per process first; the interval over processes comes last.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial.polynomial import polyfit

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, core_hz, grid, processes_of
from fencepost.analysis.stats.curves import between, crossings
from fencepost.analysis.stats.interval import Interval, pooled, scaled
from fencepost.analysis.text.numbers import size_bytes

Floats = npt.NDArray[np.float64]

LOST = 1.5
"""A pattern counts as lost where its steady cost is this many times that of a learnt one; below, no knee is sought."""

_BLOCK = re.compile(r"k(\d+)_ticks")


_PASS = re.compile(r"pass(\d+)_ticks")


@dataclass(frozen=True)
class Penalty:
    """The price of one misprediction as the slope of a line through blocks with known mispredictions.

    `coins`, `misses`: k and the number of mispredictions in the block, half of k or as counted (`counted`). `block`,
    `block_low`, `block_high`: the block's cost in `unit`; `fit`, `fit_low`, `fit_high`: the lines of all processes,
    their median and interval at each k; `residual`, `residual_low`, `residual_high`: what the line of each process
    leaves over. All of shape (levels,).
    """

    slots: str
    case: str
    unit: str
    counted: bool
    coins: Floats
    misses: Floats
    block: Floats
    block_low: Floats
    block_high: Floats
    fit: Floats
    fit_low: Floats
    fit_high: Floats
    residual: Floats
    residual_low: Floats
    residual_high: Floats
    ns: Interval
    cycles: Interval
    r_squared: Interval


def penalties(analysis: Analysis) -> list[Penalty]:
    """``branch/penalty``: per process the line of block cost on mispredictions (least squares), whose slope
    is the price of one. The number of mispredictions in a block of k coins is k / 2 whatever the predictor does; where
    the hardware counted them, it is the count.
    """
    found = []
    for row in analysis.kernel("branch/penalty"):
        good = processes_of(analysis, [row.case])
        names = sorted(
            {int(match[1]) for metrics in good["metrics"] for match in map(_BLOCK.fullmatch, metrics) if match}
        )
        if len(names) < 3:
            continue
        coins = np.array(names, float)
        ticks = _metrics(good["metrics"].tolist(), [f"k{k}_ticks" for k in names])
        seen = _metrics(good["metrics"].tolist(), [f"k{k}_misses" for k in names])
        ns = ticks / good["tick_hz"].to_numpy(float)[:, None] * 1e9
        cycles = ns * core_hz(good)[:, None] / 1e9
        counted = bool(np.isfinite(seen).all() and (seen.max(axis=1) > seen.min(axis=1)).all())
        misses = seen if counted else np.broadcast_to(coins / 2, ns.shape)
        lines_ns = [_line(x, y) for x, y in zip(misses, ns, strict=True)]
        lines_cycles = [_line(x, y) for x, y in zip(misses, cycles, strict=True)]
        price = pooled([line[0] for line in lines_cycles])
        unit, y, lines = ("cycles", cycles, lines_cycles) if price.n else ("ns", ns, lines_ns)
        drawn = np.array(
            [
                [slope * x + intercept for x in process]
                for (slope, intercept, _), process in zip(lines, misses, strict=True)
            ]
        )
        block, fit, residual = _columns(y), _columns(drawn), _columns(y - drawn)
        found.append(
            Penalty(
                row.parameter("slots") or row.case,
                row.case,
                unit,
                counted,
                coins,
                np.median(misses, axis=0),
                *block,
                *fit,
                *residual,
                pooled([line[0] for line in lines_ns]),
                price,
                pooled([line[2] for line in lines]),
            )
        )
    return found


def _metrics(processes: list[dict[str, float]], names: list[str]) -> Floats:
    return np.array([[metrics.get(name, math.nan) for name in names] for metrics in processes], float)


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return math.nan, math.nan, math.nan
    # NumPy's: this line is part of the summary after a run, and scipy.stats takes as long to import as all of the rest.
    intercept, slope = polyfit(x[known], y[known], 1)
    left, spread = np.var(y[known] - slope * x[known]), np.var(y[known])
    return float(slope), float(intercept), float(1 - left / spread) if spread > 0 else 0.0


def _columns(values: Floats) -> tuple[Floats, Floats, Floats]:
    found = [pooled(column) for column in values.T]
    middle, low, high = (np.array([item[i] for item in found], float) for i in range(3))
    return middle, low, high


@dataclass(frozen=True)
class LoadedPenalty:
    """The price of one misprediction whose condition comes from a buffer of `size` bytes."""

    size: float
    counted: bool
    ns: Interval
    cycles: Interval


def loaded_penalties(analysis: Analysis) -> list[LoadedPenalty]:
    """``branch/penalty_loaded``, smallest buffer first: in each round what random contents cost more than zeros, by the
    mispredictions that they cause more: one in two branches, or as many as the hardware counted.
    """
    table = grid(analysis, "branch/penalty_loaded")
    found = []
    for random, row in enumerate(table.rows):
        if row.parameter("contents") != "random":
            continue
        size = row.parameter("size")
        zero = table.find(size=size, contents="zero")
        if zero is None:
            continue
        counts = [table.rows[place].metric("misses_per_branch").value for place in (random, zero)]
        counted = counts[0] - counts[1] > 0.05
        share = counts[0] - counts[1] if counted else 0.5
        found.append(
            LoadedPenalty(
                size_bytes(size),
                bool(counted),
                *(scaled(added, 1 / share) for added in table.difference(random, zero)),
            )
        )
    return sorted(found, key=lambda item: item.size)


@dataclass(frozen=True)
class Capacity:
    """Steady cost by period in `unit`, cheapest and dearest end, and the period at which half of the way is passed."""

    unit: str
    period: Floats
    cost: Floats
    low: Floats
    high: Floats
    floor: Interval
    ceiling: Interval
    knee: Interval
    last_learnt: float
    first_lost: float


def capacity(analysis: Analysis) -> Capacity | None:
    """``branch/capacity``: in each process the period at which the cost passes for good half way between that of the
    shortest and that of the longest, between measured periods on a logarithmic scale; None with fewer than three.
    """
    table = grid(analysis, "branch/capacity")
    order = sorted(range(len(table.rows)), key=lambda place: table.rows[place].number("period"))
    if len(order) < 3:
        return None
    period = np.array([table.rows[place].number("period") for place in order])
    values = table.values[:, order]
    cost, low, high = np.array([table.bounds(place) for place in order]).T
    knees = []
    for process in values:
        start, end = process[0], process[-1]
        lost = np.isfinite(process).all() and end > LOST * start
        # From the far end, so that a bump on the way (one table of the predictor left behind) is not taken for the end.
        knees.append(
            2 ** -crossings(-np.log2(period[::-1]), -process[::-1], -(start + end) / 2)[0] if lost else math.nan
        )
    half = (cost[0] + cost[-1]) / 2
    knee = between(pooled(knees), period, 2)
    learnt = period[cost <= half]
    return Capacity(
        table.unit,
        period,
        cost,
        low,
        high,
        pooled(values[:, 0]),
        pooled(values[:, -1]),
        knee,
        float(learnt.max()) if len(learnt) else math.nan,
        float(period[cost > half].min()) if knee.n and (cost > half).any() else math.nan,
    )


@dataclass(frozen=True)
class Learning:
    """Cost of an element at each pass over the same array, and how many times dearer the first is than the last."""

    n: float
    unit: str
    passes: Floats
    cost: Floats
    low: Floats
    high: Floats
    gain: Interval


def learning(analysis: Analysis) -> list[Learning]:
    """``branch/learning``, shortest array first."""
    found = []
    for row in analysis.kernel("branch/learning"):
        good = processes_of(analysis, [row.case])
        passes = sorted(
            {int(match[1]) for metrics in good["metrics"] for match in map(_PASS.fullmatch, metrics) if match}
        )
        if len(passes) < 2:
            continue
        ticks = _metrics(good["metrics"].tolist(), [f"pass{number}_ticks" for number in passes])
        ns = ticks / good["tick_hz"].to_numpy(float)[:, None] * 1e9
        cycles = ns * core_hz(good)[:, None] / 1e9
        in_cycles = bool(pooled(cycles[:, 0]).n)
        found.append(
            Learning(
                row.number("n"),
                "cycles" if in_cycles else "ns",
                np.array(passes, float),
                *_columns(cycles if in_cycles else ns),
                pooled(ns[:, 0] / np.where(ns[:, -1] > 0, ns[:, -1], math.nan)),
            )
        )
    return sorted(found, key=lambda item: item.n)


@dataclass(frozen=True)
class TakenRate:
    """Cost by share of taken jumps, of one pattern in one form; `values` has shape (rounds, rates)."""

    pattern: str
    form: str
    pct: Floats
    cost: Floats
    low: Floats
    high: Floats
    values: Floats


def taken_rates(analysis: Analysis) -> tuple[str, dict[tuple[str, str], TakenRate]]:
    """``branch/pattern``: the unit, and the cost by taken rate of each pattern and form."""
    table = grid(analysis, "branch/pattern")
    lines: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for place, row in enumerate(table.rows):
        key = str(row.parameter("pattern")), str(row.parameter("form"))
        lines.setdefault(key, []).append((row.number("taken_pct"), place))
    return table.unit, {key: _taken_rate(table, *key, sorted(line)) for key, line in lines.items()}


def _taken_rate(table: Grid, pattern: str, form: str, line: list[tuple[float, int]]) -> TakenRate:
    places = [place for _, place in line]
    cost, low, high = np.array([table.bounds(place) for place in places]).T
    return TakenRate(pattern, form, np.array([pct for pct, _ in line]), cost, low, high, table.values[:, places])


def break_even(branch: TakenRate, branch_free: TakenRate) -> tuple[Interval, Interval]:
    """Taken rates, in per cent, between which the branch-free form is the cheaper one: per process, where the
    difference changes its sign; no interval on a side where it does not.
    """
    both, a, b = np.intersect1d(branch.pct, branch_free.pct, return_indices=True)
    found = [crossings(both, row, 0.0) for row in branch.values[:, a] - branch_free.values[:, b]]
    return pooled([first for first, _ in found]), pooled([last for _, last in found])


def quotient(table: Grid, above: int | None, below: int | None) -> Interval:
    """Ratio of two rows of a grid, paired by round."""
    if above is None or below is None:
        return pooled([])
    return table.ratio(above, below)
