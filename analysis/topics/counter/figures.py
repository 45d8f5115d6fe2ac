"""Shared counts: what they cost, and how wrong they may be read."""

from __future__ import annotations

import numpy as np

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group, Series
from fencepost.analysis.draw.lines import front, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import count, plain, powers
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.counter.measures import counter_points, sloppy
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED
from fencepost.analysis.topics.rungs import alone, step
from fencepost.analysis.topics.topic import Topic


def front_figure(analysis: Analysis) -> Figure | None:
    """Cost of an increment against the error of a quick reading."""
    points = counter_points(analysis)
    if len(points) < 2:
        return None
    best = [point for point in points if point.front]
    return front(
        "counter-front",
        "What exactness costs: an increment against the error of a quick reading",
        f"Counters that one load reads, all threads counting. Nothing is cheaper and as exact as those joined: from "
        f"{best[0].name} ({plain(best[0].ns.value, 3)} ns, off by up to {count(best[0].error.value)}) to "
        f"{best[-1].name} ({plain(best[-1].ns.value, 3)} ns, off by {count(best[-1].error.value)}). Counters that are "
        "read by summing up slots are exact and as cheap as a private one; their price is the reading.",
        table(
            "Counters that one load reads: cost with all threads counting, error of a reading beside the exact sum",
            ("counter", "increment", "largest error seen", "99 % of readings", "bound", "on the front"),
            [
                (
                    point.name,
                    point.ns.ns_text(),
                    point.error.text(),
                    count(point.p99),
                    count(point.bound),
                    "yes" if point.front else "no",
                )
                for point in points
            ],
        ),
        [(point.name, point.ns.value, point.error.value, point.front) for point in points],
        x_label="ns per increment (log)",
        y_label="largest error of a reading (log)",
    )


def increment_figure(analysis: Analysis) -> Figure | None:
    """All ways of counting, alone and with all threads."""
    found = grid(analysis, "counter/increment")
    teams = sorted({len(row.cpus) for row in found.rows if row.relation != OVERSUBSCRIBED})
    if not teams or len(found.rows) < 2:
        return None
    groups, cells = [], []
    kinds = list(dict.fromkeys(str(row.parameter("kind")) for row in found.rows))
    for size in dict.fromkeys((teams[0], teams[-1])):
        rows = [row for row in found.rows if len(row.cpus) == size and row.relation != OVERSUBSCRIBED]
        bars = []
        for row in sorted(rows, key=lambda row: row.time.value):
            kind = str(row.parameter("kind"))
            lost = row.metric("lost_pct")
            wrong = lost.value > 0
            said = f"{plain(row.time.value, 3)}, loses {plain(lost.value, 2)} %" if wrong else ""
            bars.append(Bar(kind, *row.time[:3], 1 if kind == "racy" else 0, said))
            cells.append(
                (
                    kind,
                    count(size),
                    row.time.ns_text(),
                    f"{lost.text()} %" if wrong else "0",
                    row.metric("xraw").text(),
                )
            )
        groups.append(Group("one thread" if size == 1 else f"{size} threads", bars))
    values = [bar.value for group in groups for bar in group.bars if bar.value > 0]
    wide = max(values) > 20 * min(values)
    return figures.bars(
        "counter-increment",
        "What an increment costs, by how threads share the counter",
        f"{len(kinds)} ways of counting, alone and with {count(teams[-1])} threads. `racy` is the control that is "
        "wrong.",
        table("An increment by the way of sharing", ("counter", "threads", "time", "lost", "÷ raw round trip"), cells),
        groups,
        x_label="ns per increment" + (" (log)" if wide else ""),
        x_scale="log" if wide else "linear",
        least=min(values) / 2 if wide else 0.0,
    )


def sloppy_figure(analysis: Analysis) -> Figure | None:
    """Cost by threshold, one line a number of threads."""
    found = sloppy(analysis)
    if not found:
        return None
    thresholds = found[0].threshold
    cells = [
        (
            f"{item.threads} thread{'s' * (item.threads > 1)}",
            f"×{item.gain.text()}",
            item.knee.text() if item.knee.n else DASH,
            *(
                next((plain(item.ns[i], 3) for i in np.flatnonzero(item.threshold == number)), DASH)
                for number in thresholds
            ),
        )
        for item in found
    ]
    most = found[-1]
    knee = f" From a threshold of {most.knee.text()} on it is less than twice that." if most.knee.n else ""
    return lines(
        "counter-sloppy",
        "Counting alone, and telling the others only now and then",
        f"With {most.threads} threads an increment falls from {plain(most.ns[0], 3)} ns, each told at once, to "
        f"{plain(most.ns[-1], 3)} ns.{knee}",
        table(
            "ns an increment by threshold, and where it is less than twice the least",
            ("threads", "first ÷ last", "knee", *(count(number) for number in thresholds)),
            cells,
        ),
        [Series(f"{i.threads} thread{'s' * (i.threads > 1)}", i.threshold, i.ns, i.low, i.high) for i in found],
        x_label="threshold, increments (log)",
        y_label="ns per increment (log)",
        x_scale="log",
        y_scale="log",
        x_format=powers,
        x_ticks=[float(16**power) for power in range(5) if thresholds[0] <= 16**power <= thresholds[-1]],
        marks=[(most.knee.value, f"knee at {count(round(most.knee.value))}")] if most.knee.n else [],
    )


def read_figure(analysis: Analysis) -> Figure | None:
    """An exact reading by the number of slots."""
    found = grid(analysis, "counter/read")
    series, cells = [], []
    for state in dict.fromkeys(str(row.parameter("state")) for row in found.rows):
        rows = [row for row in found.rows if str(row.parameter("state")) == state]
        rows.sort(key=lambda row: row.number("slots"))
        slots = np.array([row.number("slots") for row in rows])
        series.append(Series(state, slots, *columns_of(row.time for row in rows)))
        cells += [
            (
                f"{row.parameter('slots')} slots, {state}",
                row.time.ns_text(),
                row.metric("writes_per_operation").text(),
            )
            for row in rows
        ]
    if not series or max(len(item.x) for item in series) < 2:
        return None
    return lines(
        "counter-read",
        "What it costs to read a counter that is spread over slots, exactly",
        "; ".join(
            f"{item.label}: {plain(item.y[0], 3)} ns with {count(item.x[0])} slots, {plain(item.y[-1], 3)} ns with "
            f"{count(item.x[-1])}"
            for item in series
        )
        + ". Slots that have been written since the last reading come from the other CPU.",
        table("An exact reading by the number of slots", ("slots", "time", "writes met"), cells),
        series,
        x_label="slots (log)",
        y_label="ns per reading (log)",
        x_scale="log",
        y_scale="log",
        x_ticks=sorted({float(x) for item in series for x in item.x}),
    )


TOPIC = Topic(
    "counter",
    figures=(front_figure, increment_figure, sloppy_figure, read_figure),
    rungs=(step("atomic addition to a counter that nobody else wants", "counter/increment", alone(kind="atomic")),),
)
