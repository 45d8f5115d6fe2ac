"""Rings between threads."""

from __future__ import annotations

import numpy as np

from fencepost.analysis import figures
from fencepost.analysis.estimate import Analysis
from fencepost.analysis.figures import Figure, Series
from fencepost.analysis.overwriting import burst_figure, steady_figure
from fencepost.analysis.paired import grid
from fencepost.analysis.tables import count, plain, table
from fencepost.analysis.topics import Topic


def capacity_figure(analysis: Analysis) -> Figure | None:
    """Items of 8 bytes, one at a time and in batches, by the capacity of the ring."""
    found = grid(analysis, "ring/spsc")
    series, cells = [], []
    for batch in (1, 8, 32):
        rows = [
            row
            for row in found.rows
            if [str(row["parameters"].get(name)) for name in ("bytes", "batch", "pause")] == ["8", str(batch), "yes"]
        ]
        rows.sort(key=lambda row: int(row["parameters"]["capacity"]))
        if len(rows) < 2:
            continue
        x = np.array([float(row["parameters"]["capacity"]) for row in rows])
        y, low, high = (np.array([float(row[name]) for row in rows]) for name in ("ns", "ns_low", "ns_high"))
        series.append(Series(f"batch {batch}", x, y, low, high))
        cells += [
            (count(x[i]), count(batch), f"{plain(y[i], 3)} [{plain(low[i], 3)}, {plain(high[i], 3)}]")
            for i in range(len(x))
        ]
    if not series:
        return None
    return figures.lines(
        "ring-capacity",
        "The library's SPSC ring: 8-byte items, by capacity",
        f"From {plain(min(float(item.y.min()) for item in series), 3)} to "
        f"{plain(max(float(item.y.max()) for item in series), 3)} ns an item. Lower is faster.",
        table("An item by capacity and batch", ("capacity", "batch", "ns an item"), cells),
        series,
        x_label="items that the ring holds (log)",
        y_label="ns an item (log)",
        x_scale="log",
        y_scale="log",
        x_format=count,
    )


TOPIC = Topic(
    "ring",
    "Items from one thread to another",
    "What does it cost to hand items to another thread, and what makes it cheap?",
    "Single items are bistable: where one side always finds the ring empty or full, every item waits for a line. The "
    "metrics full_per_item, empty_per_item and regime say which it was. Round trips stand beside the machine's raw "
    "round trip of one line.",
    "Latency at a given rate; rings across sockets.",
    figures=(capacity_figure, burst_figure, steady_figure),
    order=80,
)
