"""Clocks: what a reading costs, how fine it is, and how fast the core runs."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point, Series
from fencepost.analysis.draw.lines import Axis, ecdf, lines
from fencepost.analysis.runs.clock import tick_hz
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import bounds, case_label, count, nanoseconds, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.clock.measures import BIAS_FROM, bias, core_clocks, core_series
from fencepost.analysis.topics.pictures import bars_by, shows
from fencepost.analysis.topics.rungs import first, step, with_values
from fencepost.analysis.topics.topic import Topic


@shows("clock/delta")
def delta_figure(analysis: Analysis) -> Figure | None:
    """ECDF of differences of two readings in a row, one curve a way of reading."""
    rows = [row for row in analysis.kernel("clock/delta") if row.case in analysis.reduced.histograms]
    series, cells = [], []
    for row in sorted(rows, key=lambda row: row.time.value):
        histogram = analysis.reduced.histograms[row.case]
        total = histogram.count.sum()
        # Zero has no place on a logarithmic axis: what is below half a step of the counter is drawn there.
        least = 0.5 * max(row.resolution_ns, 0.1)
        x = np.maximum(histogram.ns, least)
        label = case_label(row.parameters) if len(row.parameters) != 1 else str(next(iter(row.parameters.values())))
        series.append(Series(label, x, np.cumsum(histogram.count) / total))
        quantiles = row.quantiles
        cells.append(
            (
                label,
                *(nanoseconds(quantiles[name], 3) for name in ("min", "p50", "p99", "p99_9", "max")),
                count(quantiles["distinct"]),
            )
        )
    if not series:
        return None
    return ecdf(
        "clock-delta",
        "How far apart two readings of the clock in a row are",
        f"Share of differences at or below a time, for {len(series)} ways of reading; the further to the right, "
        "the dearer the way. " + _steps_remark(analysis) + "The long tails are gaps in which something else ran.",
        table(
            "Differences of two readings in a row",
            ("reading", "min", "p50", "p99", "p99.9", "max", "distinct values"),
            cells,
        ),
        series,
        x_label="time between two readings, ns",
    )


def _steps_remark(analysis: Analysis) -> str:
    quantum = float(analysis.reduced.workers["quantum_ticks"].median())
    step = quantum / tick_hz(analysis).value * 1e9
    return (
        f"The counter moves in steps of {count(quantum)} ticks ({plain(step, 3)} ns), so the curves are stairs. "
        if quantum > 4
        else ""
    )


@shows("clock/core_series")
def core_figure(analysis: Analysis) -> Figure | None:
    """GHz in the course of time."""
    found = core_series(analysis)
    if not found:
        return None
    item = found[0]
    low, middle, high = (float(value) for value in np.quantile(item.ghz, [0.01, 0.5, 0.99]))
    ticks = tick_hz(analysis).value / 1e9
    cells = [
        ("median", f"{plain(middle)} GHz"),
        ("1st percentile", f"{plain(low)} GHz"),
        ("99th percentile", f"{plain(high)} GHz"),
        ("tick counter", f"{plain(ticks)} GHz"),
        ("length", f"{plain(float(item.seconds[-1]), 3)} s, {len(item.ghz)} samples"),
    ]
    return lines(
        "clock-core",
        "The core's clock in the course of time",
        f"Clock of the busy core every few milliseconds during {plain(float(item.seconds[-1]), 2)} s: median "
        f"{plain(middle)} GHz, between {plain(low)} "
        f"(1st percentile) and {plain(high)} GHz (99th). The tick counter runs at {plain(ticks)} GHz throughout.",
        table("The core's clock in the course of time", ("what", "value"), cells),
        [Series("", item.seconds, item.ghz, drawn="line")],
        x=Axis("seconds"),
        y=Axis("core clock, GHz"),
    )


@shows("clock/core", "clock/core_loaded")
def states_figure(analysis: Analysis) -> Figure | None:
    """The core clock by state."""
    found = [item for item in core_clocks(analysis) if item.ghz.n]
    if not found:
        return None
    ticks = tick_hz(analysis)
    points = [Point(item.label, item.ghz.value, item.ghz.low, item.ghz.high) for item in found]
    points.append(Point("tick counter", ticks.value / 1e9, ticks.low / 1e9, ticks.high / 1e9))
    return forest(
        "clock-states",
        "The core's clock by what it did before, and the tick counter",
        "Median over processes and 95 % interval: "
        + ", ".join(f"{point.label} {plain(point.value, 3)} GHz" for point in points)
        + ".",
        table(
            "The core's clock by state",
            ("state", "GHz", "interval"),
            [(p.label, plain(p.value), bounds(p.low, p.high)) for p in points],
        ),
        points,
        x_label="GHz",
        groups=[*(0 for _ in found), 1],
    )


ASKING = ("clock/read", "clock/call", "clock/python", "clock/null_syscall")


def _clock(row: Row) -> str:
    known = {"clock/python": "perf_counter_ns (Python)", "clock/null_syscall": "getppid (no clock at all)"}
    return known.get(row.kernel) or " · ".join(map(str, row.parameters.values()))


COST = bars_by(
    ASKING,
    _clock,
    name="clock-cost",
    title="Cost of asking for the time",
    says="From {least} ({least_of}) to {most} ({most_of}). Clocks through libc are answered without entering the "
    "kernel where they cost less than the same clock through syscall.",
    unit="call",
    heading="clock",
    groups=lambda row: row.kernel,
    group_heading="kernel",
    group_labels={kernel: kernel for kernel in ASKING},
    where=lambda rows: [row for row in rows if row.time.value > 0],
    columns={"cycles": lambda row: row.cycles.text()},
    order="cheapest",
)


@shows("clock/bias")
def bias_figure(analysis: Analysis) -> Figure | None:
    """Windows around k multiplications, one line a pair of readings."""
    found = bias(analysis)
    if not found:
        return None
    # By what they end at, so that names and lines come in the same order.
    found.sort(key=lambda item: float(item.ns[-1]))
    cells = [
        (
            item.pair,
            item.hidden.text(),
            item.slope_cycles.text(),
            item.slope_ns.text(),
            item.intercept_ns.text(),
            item.intercept_ticks.text(),
        )
        for item in found
    ]
    slopes = [item.slope_cycles.value for item in found if math.isfinite(item.slope_cycles.value)]
    said = (
        f"From {BIAS_FROM} on, slopes lie between {plain(min(slopes), 3)} and {plain(max(slopes), 3)} cycles "
        "per multiplication. "
        if slopes
        else ""
    )
    return lines(
        "clock-bias",
        "How a window grows with the work in it, by the way its ends are read",
        f"Mean window around 0 to {int(found[0].k[-1])} dependent multiplications for {len(found)} pairs of "
        f"readings. {said}"
        "Parallel lines differ by a bias only. A line that starts flat lets that much work float out of the window. "
        "Such a pair cannot time anything shorter.",
        table(
            "Slope and intercept of each pair of readings",
            (
                "pair",
                "multiplications that leave no trace",
                "cycles per multiplication",
                "ns per multiplication",
                "intercept, ns",
                ("intercept, ticks"),
            ),
            cells,
        ),
        [Series(item.pair.replace("_to_", " → "), item.k, item.ns) for item in found],
        x=Axis("dependent multiplications in the window"),
        y=Axis("window, ns"),
    )


TOPIC = Topic(
    "clock",
    figures=(COST, delta_figure, bias_figure, states_figure, core_figure),
    tables_only=("clock/offset", "clock/rate", "clock/resolution", "clock/wakeup"),
    rungs=(
        step("read the tick counter, unfenced", "clock/read", with_values(read="rdtsc"), headline=True),
        step("read the tick counter, fenced", "clock/read", with_values(read="lfence_rdtsc_lfence")),
        step("read the tick counter", "clock/read", with_values(read="isb_cntvct_isb"), headline=True),
        step("ask libc for the time (vDSO)", "clock/call", with_values(clock="monotonic", via="libc"), headline=True),
        step("enter the kernel and come back", "clock/null_syscall", first, headline=True),
        step("ask the kernel for the time", "clock/call", with_values(clock="monotonic", via="syscall")),
        step(
            "how late a sleeping thread wakes",
            "clock/wakeup",
            with_values(policy="other", period_us=1000),
            cycles=False,
        ),
    ),
)
