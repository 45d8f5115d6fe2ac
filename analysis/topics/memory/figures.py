"""The memory hierarchy as a dependent load sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fencepost.analysis.draw.bars import bars
from fencepost.analysis.draw.figure import Bar, Figure, Group, Series
from fencepost.analysis.draw.lines import lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.machine import caches
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import nanoseconds, size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.rungs import Pick, step, with_values
from fencepost.analysis.topics.topic import Topic


def chase_figure(analysis: Analysis) -> Figure | None:
    """Time of a dependent load against the size of what it walks through."""
    rows = analysis.measured("memory/chase")
    groups: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        order = row.parameter("order") or "random"
        label = f"{row.parameter('pages') or ''} pages" + (f", {order}" if order != "random" else "")
        groups.setdefault(label.strip(), []).append((size_bytes(row.parameter("size")), row))
    series, cells = [], []
    for label, items in groups.items():
        items.sort(key=lambda item: item[0])
        x = np.array([item[0] for item in items])
        series.append(Series(label, x, *columns_of(row.time for _, row in items)))
        for bytes_, row in items:
            cells.append(
                (
                    size(bytes_),
                    label,
                    row.time.ns_text(),
                    row.cycles.text(),
                    row.remarks(),
                )
            )
    if not series:
        return None
    sizes = np.concatenate([item.x for item in series])
    marks = [(float(value), name) for name, value in caches(analysis.machine) if sizes.min() <= value <= sizes.max()]
    powers = np.arange(math.floor(math.log2(sizes.min())), math.ceil(math.log2(sizes.max())) + 1)
    ticks = [float(2.0**power) for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
    first, last = series[0], max(series, key=lambda item: item.x[-1])
    return lines(
        "memory-chase",
        "A dependent load, by the size of what it walks through",
        f"From {nanoseconds(float(first.y[0]), 3)} at {size(float(first.x[0]))} to "
        f"{nanoseconds(float(last.y[-1]), 3)} at {size(float(last.x[-1]))}; "
        "each step up is a level of the hierarchy left behind. "
        + (
            "Dashed: cache sizes that the machine states, "
            + ", ".join(f"{word} {size(value)}" for value, word in marks)
            + "."
            if marks
            else ""
        ),
        table("A dependent load by size", ("size", "pages", "time", "cycles", "remarks"), cells),
        series,
        x_label="size of the ring",
        y_label="ns per load (log)",
        x_scale="log",
        y_scale="log",
        x_format=size,
        x_ticks=ticks,
        marks=marks,
    )


FIRST_TOUCH = {
    "write": "write, first touch",
    "read": "read, first touch",
    "populate": "had at once (populate)",
    "again": "write, second touch",
}


def fault_figure(analysis: Analysis) -> Figure | None:
    """A page by what touches it, for the first time and again."""
    rows = sorted(grid(analysis, "memory/fault").rows, key=lambda row: -row.time.value)
    if not rows:
        return None
    labels = [FIRST_TOUCH.get(str(row.parameter("access")), "page") for row in rows]
    values = [row.time.value for row in rows]
    return bars(
        "memory-fault",
        "The first touch of a page",
        "; ".join(f"{label}: {nanoseconds(value, 3)}" for label, value in zip(labels, values, strict=True))
        + ". Memory that was asked for comes when it is touched, page by page.",
        table(
            "A page by what touches it",
            ("touched by", "time", "minor faults a page"),
            [
                (
                    label,
                    row.time.ns_text(),
                    row.metric("faults_per_page").text(),
                )
                for label, row in zip(labels, rows, strict=True)
            ],
        ),
        [
            Group(
                "small pages",
                [Bar(label, *row.time[:3]) for label, row in zip(labels, rows, strict=True)],
            )
        ],
        x_label="ns per page (log)",
        x_scale="log",
        least=min(values) / 3,
    )


def _by_size(choose: Callable[..., Row]) -> Pick:
    def pick(rows: Sequence[Row]) -> Row | None:
        known = [
            row
            for row in rows
            if math.isfinite(size_bytes(row.parameter("size"))) and row.parameter("order") in (None, "random")
        ]
        return choose(known, key=lambda row: size_bytes(row.parameter("size"))) if known else None

    return pick


def _sized(label: str) -> Callable[[Row], str]:
    def say(row: Row) -> str:
        return f"{label} ({size(size_bytes(row.parameter('size')))}, {row.parameter('pages')} pages)"

    return say


TOPIC = Topic(
    "memory",
    figures=(chase_figure, fault_figure),
    rungs=(
        step(_sized("load from the first-level cache"), "memory/chase", _by_size(min)),
        step(_sized("load from the largest ring"), "memory/chase", _by_size(max)),
        step("touch a page for the first time", "memory/fault", with_values(access="write")),
    ),
)
