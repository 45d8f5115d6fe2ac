"""What only several figures together say: slopes of a bias, the knee of a window, the core clock in the course of time.

Everything is computed per process first; the interval over processes comes last.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from fencepost.analysis.estimate import CHAIN_RATIO, CHAIN_TOLERANCE, Analysis, Interval, interval_of, interval_ranks
from fencepost.analysis.paired import quotient

Floats = npt.NDArray[np.float64]

SECOND_MISS = 0.5
"""The window's knee is where half of the second miss shows: 1.5 times the time of one miss."""

BIAS_FROM = 24
"""Multiplications from which on every pair of readings has been seen to grow with the work between them."""

_AT_K = re.compile(r"k(\d+)_(?:.*_)?(ticks|ns)")


@dataclass(frozen=True)
class AtDistance:
    """Metrics ``k0…``, ``k1…`` of a case as a matrix: `ns` has shape (processes, len(k)), `core_hz` shape
    (processes,), NaN where unknown.
    """

    k: Floats
    ns: Floats
    core_hz: Floats
    tick_hz: Floats


@dataclass(frozen=True)
class Bias:
    """One pair of readings: slope in cycles per multiplication and intercept in ns, by least squares over k in each
    process. `hidden`: how many multiplications can be put into the window before it grows.
    """

    pair: str
    k: Floats
    ns: Floats
    slope_ns: Interval
    slope_cycles: Interval
    intercept_ns: Interval
    intercept_ticks: Interval
    hidden: Interval


@dataclass(frozen=True)
class Window:
    """Time of an iteration against the distance of its two misses, and where the second one shows (NaN: nowhere up
    to the last k).
    """

    fill: str
    k: Floats
    ns: Floats
    low: Floats
    high: Floats
    knee: Interval
    last_fit: float
    first_miss: float


@dataclass(frozen=True)
class CoreSeries:
    """The core clock in the course of one process: seconds since the case began, GHz."""

    case: str
    seconds: Floats
    ghz: Floats


@dataclass(frozen=True)
class CoreClock:
    """The core clock by state or load, in GHz over processes."""

    label: str
    ghz: Interval


def at_distances(analysis: Analysis, case: str) -> AtDistance | None:
    """Metrics named by a distance k (``k16_ticks``, ``k16_mean_ticks``, ``k16_ns``) of all processes of a case; None
    where there are none.
    """
    frame = analysis.processes
    rows = frame[(frame["case"] == case) & (frame["status"] == "ok")]
    names = sorted({name for metrics in rows["metrics"] for name in metrics if _AT_K.fullmatch(name)}, key=_distance)
    if not names:
        return None
    tick_hz = rows["tick_hz"].to_numpy(float)
    raw = np.array([[metrics.get(name, math.nan) for name in names] for metrics in rows["metrics"]], float)
    in_ticks = np.array([name.endswith("_ticks") for name in names])
    ns = np.where(in_ticks, raw / tick_hz[:, None] * 1e9, raw)
    ratio = rows["chain_ratio"].to_numpy(float)
    believable = np.abs(ratio / CHAIN_RATIO - 1) <= CHAIN_TOLERANCE
    core = np.where(believable, rows["core_hz"].to_numpy(float), math.nan)
    return AtDistance(np.array([_distance(name) for name in names], float), ns, core, tick_hz)


def is_distance(name: str) -> bool:
    """Whether a metric belongs to a series over a distance k (``k16_ticks``), which figures show as a line."""
    return _AT_K.fullmatch(name) is not None


def _distance(name: str) -> int:
    match = _AT_K.fullmatch(name)
    assert match
    return int(match[1])


def bias(analysis: Analysis) -> list[Bias]:
    """Slope and intercept of each pair of ``clock/bias``, see `scipy.stats.linregress`; processes with fewer than
    three points are left out. Only points from `BIAS_FROM` multiplications on are fitted: with fewer, a pair that lets
    work float out of the window shows none of it, and the line is not one.
    """
    found = []
    for row in analysis.kernel("clock/bias").itertuples():
        data = at_distances(analysis, str(row.case))
        if data is None:
            continue
        slopes, intercepts = [], []
        for values in data.ns:
            known = np.isfinite(values) & (data.k >= BIAS_FROM)
            fit = scipy.stats.linregress(data.k[known], values[known]) if known.sum() >= 3 else None
            slopes.append(float(fit.slope) if fit else math.nan)
            intercepts.append(float(fit.intercept) if fit else math.nan)
        slope, intercept = np.array(slopes), np.array(intercepts)
        parameters: Mapping[str, Any] = row.parameters  # type: ignore[assignment]
        found.append(
            Bias(
                str(parameters.get("pair", row.case)),
                data.k,
                _column_medians(data.ns),
                _known(slope),
                _known(slope * data.core_hz / 1e9),
                _known(intercept),
                _known(intercept * data.tick_hz / 1e9),
                _known((data.ns[:, 0] - intercept) / slope),
            )
        )
    return found


def windows(analysis: Analysis) -> list[Window]:
    """The out-of-order window by filler: in each process the k at which 1.5 times the time of the nearest loads is
    passed for good; none where that shows in no more than half of the processes.
    """
    found = []
    for row in analysis.kernel("pipeline/window").itertuples():
        data = at_distances(analysis, str(row.case))
        if data is None or len(data.k) < 4:
            continue
        knees = np.array([_knee(data.k, values) for values in data.ns])
        if np.isfinite(knees).mean() <= 0.5:  # what a few disturbed processes show is not where the window ends
            knees[:] = math.nan
        middle = _column_medians(data.ns)
        where = _knee_index(middle)
        bounds = [_known(column) for column in data.ns.T]
        parameters: Mapping[str, Any] = row.parameters  # type: ignore[assignment]
        found.append(
            Window(
                str(parameters.get("fill", row.case)),
                data.k,
                middle,
                np.array([item.low for item in bounds]),
                np.array([item.high for item in bounds]),
                _known(knees),
                float(data.k[where - 1]) if where else math.nan,
                float(data.k[where]) if where else math.nan,
            )
        )
    return found


def _knee_index(ns: Floats) -> int:
    """Index of the first distance from which on the second miss shows; 0 where it never does, or at once."""
    if not np.isfinite(ns).all():
        return 0
    above = ns > (1 + SECOND_MISS) * float(np.median(ns[:3]))
    if not above[-1] or above.all():
        return 0
    return int(len(above) - np.argmin(above[::-1]))


def _knee(k: Floats, ns: Floats) -> float:
    i = _knee_index(ns)
    if not i:
        return math.nan
    threshold = (1 + SECOND_MISS) * float(np.median(ns[:3]))
    return float(np.interp(threshold, [ns[i - 1], ns[i]], [k[i - 1], k[i]]))


def core_series(analysis: Analysis) -> list[CoreSeries]:
    """GHz over time of each ``clock/core_series``: a chain of fixed length, scaled by the clock that its process
    found in the median.
    """
    found = []
    for row in analysis.kernel("clock/core_series").itertuples():
        series = analysis.reduced.series.get(str(row.case))
        if series is None or not len(series):
            continue
        metrics: Mapping[str, Mapping[str, float]] = row.metrics  # type: ignore[assignment]
        hz = metrics["core_hz"]["value"] if "core_hz" in metrics else float(str(row.core_hz))
        ns = series["ns"].to_numpy(float)
        known = ns > 0
        if not known.any() or not math.isfinite(hz):
            continue
        found.append(
            CoreSeries(
                str(row.case),
                series["seconds"].to_numpy(float)[known],
                hz / 1e9 * float(np.median(ns[known])) / ns[known],
            )
        )
    return found


def core_clocks(analysis: Analysis) -> list[CoreClock]:
    """Core clock by state: ``clock/core`` and ``clock/core_loaded``, from the metric core_hz where there is one,
    else from the chains beside the case.
    """
    found = []
    for row in analysis.kernel("clock/core", "clock/core_loaded").itertuples():
        if row.reason:
            continue
        metrics: Mapping[str, Mapping[str, float]] = row.metrics  # type: ignore[assignment]
        parameters: Mapping[str, Any] = row.parameters  # type: ignore[assignment]
        label = str(parameters.get("state", "all CPUs busy" if row.kernel == "clock/core_loaded" else "core"))
        if "core_hz" in metrics:
            item = metrics["core_hz"]
            n = int(item["n"])
            interval = Interval(item["value"] / 1e9, item["low"] / 1e9, item["high"] / 1e9, interval_ranks(n)[1], n)
        else:
            rows = analysis.processes[(analysis.processes["case"] == row.case) & (analysis.processes["status"] == "ok")]
            interval = _known(rows["core_hz"].to_numpy(float) / 1e9)
        found.append(CoreClock(label, interval))
    return found


def core_clock_of_rounds(analysis: Analysis) -> tuple[Interval, float, float]:
    """The core clock over the run, in GHz: median over rounds of the median beside all cases, smallest and largest
    round.
    """
    frame = analysis.processes
    known = frame[(frame["status"] == "ok") & frame["core_hz"].notna()]
    if not len(known):
        return Interval(math.nan, math.nan, math.nan, 0.0, 0), math.nan, math.nan
    per_round = known.groupby("round")["core_hz"].median().to_numpy(float) / 1e9
    return interval_of(per_round), float(per_round.min()), float(per_round.max())


def tick_hz(analysis: Analysis) -> Interval:
    """Rate of the tick counter over processes, in Hz."""
    return (
        interval_of(analysis.reduced.workers["tick_hz"].to_numpy(float))
        if analysis.rounds
        else Interval(math.nan, math.nan, math.nan, 0.0, 0)
    )


def ratio(analysis: Analysis, above: str, below: str) -> Interval:
    """Ratio of the ns of two cases: per round, then median and interval over rounds. Rounds that lack one of them
    are left out.
    """
    frame = analysis.processes
    good = frame[frame["status"] == "ok"]
    a, b = (good[good["case"] == case].set_index("round") for case in (above, below))
    both = a.index.intersection(b.index)
    events = {case["case"] for case in analysis.run["plan"]["cases"] if case["kind"] == "events"}
    times, steps = ([side.loc[both, name].to_numpy(float) for side in (a, b)] for name in ("ns", "resolution_ns"))
    return quotient(*times, *(step * (case not in events) for case, step in zip((above, below), steps, strict=True)))


def _known(values: Floats) -> Interval:
    return interval_of(values[np.isfinite(values)])


def _column_medians(values: Floats) -> Floats:
    return np.array(
        [
            float(np.median(column[np.isfinite(column)])) if np.isfinite(column).any() else math.nan
            for column in values.T
        ]
    )
