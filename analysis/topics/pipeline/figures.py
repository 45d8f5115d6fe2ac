"""The pipeline: latency, throughput, and how far the core looks ahead."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import count, nanoseconds, plain, with_bounds
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.pipeline.measures import windows
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic


@shows("pipeline/chain")
def chain_figure(analysis: Analysis) -> Figure | None:
    """Cycles per instruction against the number of independent chains."""
    rows = analysis.measured("pipeline/chain")
    value = "cycles" if rows and all(row.cycles.known for row in rows) else "ns"
    series, cells = [], []
    by_op: dict[str, list[Row]] = {}
    for row in rows:
        by_op.setdefault(str(row.parameter("op")), []).append(row)
    for op, group in by_op.items():
        ordered = sorted(group, key=lambda row: row.number("chains"))
        chains = np.array([row.number("chains") for row in ordered])
        costs = [row.cycles if value == "cycles" else row.time for row in ordered]
        series.append(Series(op, chains, *columns_of(costs)))
        place = min(range(len(ordered)), key=lambda place: ordered[place].time.value)
        best = costs[place]
        cells.append(
            (
                op,
                costs[0].text() if chains[0] == 1 else DASH,
                best.text(),
                count(chains[place]),
                plain(1 / best.value if best.value else math.nan, 3),
            )
        )
    if not series:
        return None
    said = "; ".join(
        f"{cell[0]} {plain(item.y[0], 3)} alone, {plain(float(np.nanmin(item.y)), 3)} at best"
        for cell, item in zip(cells, series, strict=True)
    )
    return lines(
        "pipeline-chain",
        "Latency and throughput: the same instruction in one to eight independent chains",
        f"{value.capitalize()} per instruction: {said}. One chain shows the latency; where the line stops falling, "
        "the units are full.",
        table(
            f"Latency (one chain) and throughput (the best number of chains), {value} per instruction",
            (
                "instruction",
                "latency",
                "throughput",
                "at chains",
                f"instructions per {'cycle' if value == 'cycles' else 'ns'}",
            ),
            cells,
        ),
        series,
        x=Axis("independent chains"),
        y=Axis(f"{value} per instruction", from_zero=True),
    )


@shows("pipeline/window")
def window_figure(analysis: Analysis) -> Figure | None:
    """Time of two misses against their distance."""
    found = windows(analysis)
    if not found:
        return None
    cells = []
    said = []
    for item in found:
        knee = with_bounds(item.knee.value, item.knee.low, item.knee.high) if item.knee.n else DASH
        between = (
            f"{count(item.last_fit)} to {count(item.first_miss)}"
            if math.isfinite(item.first_miss)
            else f"beyond {count(item.k[-1])}, or none"
        )
        cells.append((item.fill, knee, between, nanoseconds(item.ns[0]), nanoseconds(item.ns[-1])))
        said.append(
            f"with {item.fill} the second miss shows at {plain(item.knee.value, 3)} (measured distances {between})"
            if item.knee.n
            else f"with {item.fill} it does not show up to {count(item.k[-1])}"
        )
    return lines(
        "pipeline-window",
        "How far ahead the core looks: two loads that miss, k instructions apart",
        "Time of two cache misses against the number of fillers between them: "
        + "; ".join(said)
        + ". Below, the misses overlap.",
        table(
            "Where the second miss shows: interpolated k at 1.5 times the nearest loads, median over processes",
            ("filler", "k", "between measured k", "nearest", "farthest"),
            cells,
        ),
        [Series(item.fill, item.k, item.ns, item.low, item.high) for item in found],
        x=Axis("fillers between the loads"),
        y=Axis("ns per iteration", from_zero=True),
    )


TOPIC = Topic(
    "pipeline",
    figures=(chain_figure, window_figure),
    rungs=(
        step("add, waiting for the one before", "pipeline/chain", with_values(op="add", chains=1), headline=True),
        step("multiply, waiting for the one before", "pipeline/chain", with_values(op="imul", chains=1)),
    ),
)
