"""The bias of a clock reading, and the core clock over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.distances import at_distances, interval_of_known
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.curves import line_through
from fencepost.analysis.stats.interval import Floats, Interval, column_medians

BIAS_FROM = 24
"""Multiplications from which on every pair of readings has been seen to grow with the work between them."""


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


def bias(analysis: Analysis) -> list[Bias]:
    """Slope and intercept of each pair of ``clock/bias``, see `line_through`; processes with fewer than
    three points are left out. Only points from `BIAS_FROM` multiplications on are fitted: with fewer, a pair that lets
    work float out of the window shows none of it, and the line is not one.
    """
    found = []
    for row in analysis.kernel("clock/bias"):
        data = at_distances(analysis, row.case)
        if data is None:
            continue
        slopes, intercepts = [], []
        for values in data.ns:
            known = np.isfinite(values) & (data.k >= BIAS_FROM)
            fit = line_through(data.k[known], values[known]) if known.sum() >= 3 else (math.nan, math.nan)
            slopes.append(fit[0])
            intercepts.append(fit[1])
        slope, intercept = np.array(slopes), np.array(intercepts)
        found.append(
            Bias(
                row.parameter("pair") or row.case,
                data.k,
                column_medians(data.ns),
                interval_of_known(slope),
                interval_of_known(slope * data.core_hz / 1e9),
                interval_of_known(intercept),
                interval_of_known(intercept * data.tick_hz / 1e9),
                interval_of_known((data.ns[:, 0] - intercept) / slope),
            )
        )
    return found


def core_series(analysis: Analysis) -> list[CoreSeries]:
    """GHz over time of each ``clock/core_series``: a chain of fixed length, scaled by the clock that its process
    found in the median.
    """
    found = []
    for row in analysis.kernel("clock/core_series"):
        series = analysis.reduced.series.get(row.case)
        if series is None or not len(series):
            continue
        hz = row.metric("core_hz").value if "core_hz" in row.metrics else row.core_hz
        ns = series["ns"].to_numpy(float)
        known = ns > 0
        if not known.any() or not math.isfinite(hz):
            continue
        found.append(
            CoreSeries(
                row.case,
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
    for row in analysis.kernel("clock/core", "clock/core_loaded"):
        if row.reason:
            continue
        label = row.parameter("state") or ("all CPUs busy" if row.kernel == "clock/core_loaded" else "core")
        if "core_hz" in row.metrics:
            interval = row.metric("core_hz").over(1e9)
        else:
            rows = analysis.processes[(analysis.processes["case"] == row.case) & (analysis.processes["status"] == "ok")]
            interval = interval_of_known(rows["core_hz"].to_numpy(float) / 1e9)
        found.append(CoreClock(label, interval))
    return found
