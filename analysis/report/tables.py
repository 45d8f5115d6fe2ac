"""All rows of a topic: their tables, and the figure of a topic that has none of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.report.counts import counts_table
from fencepost.analysis.runs.distances import is_distance
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import records, remarks
from fencepost.analysis.text.numbers import bounds, count, nanoseconds, ns_bounds, ns_with_bounds, plain, with_bounds
from fencepost.analysis.text.table import Table, table


def topic_tables(analysis: Analysis, topic: str) -> list[Table]:
    """All rows of a topic: estimates; quantiles of single events; figures beside time."""
    rows = analysis.rows[analysis.rows["kernel"].str.partition("/")[0] == topic]
    measured = rows[rows["ns"].notna()]
    found = []
    if len(measured):
        found.append(
            estimates_table(f"Estimates of the topic {topic}: median over processes with its 95 % interval", measured)
        )
    counted = counts_table(f"Counts of the topic {topic}: whole numbers, and what each must be", rows)
    if counted:
        found.append(counted)
    events = [row for row in records(measured) if row["quantiles"]]
    if events:
        found.append(
            table(
                "Single events, those of all processes together: how they are distributed (no interval: these are "
                "not estimates)",
                ("case", "min", "p50", "p90", "p99", "p99.9", "max", "distinct values", "events"),
                [
                    (
                        row["case"],
                        *(
                            nanoseconds(row["quantiles"].get(name), 3)
                            for name in ("min", "p50", "p90", "p99", "p99_9", "max")
                        ),
                        count(row["quantiles"].get("distinct")),
                        count(row["quantiles"].get("events")),
                    )
                    for row in events
                ],
            )
        )
    metrics = [
        (row["case"], item["summary"] or name, _metric(item))
        for row in records(measured)
        for name, item in row["metrics"].items()
        if not is_distance(name)
    ]
    if metrics:
        found.append(
            table(
                "Figures beside time, one a process: median over processes with its 95 % interval",
                ("case", "what", "value"),
                metrics,
            )
        )
    return found


MOST_ROWS = 40


def rows_figure(analysis: Analysis, topic: str, slug: str) -> Figure | None:
    """Forest plot of all rows of a topic that has no figures of its own; None for a single row, or for too many to
    be read.
    """
    rows = analysis.rows[(analysis.rows["kernel"].str.partition("/")[0] == topic) & analysis.rows["twin_of"].isna()]
    # A difference to a control may be negative, and stays; another time that is not positive cannot be drawn.
    rows = rows[rows["ns"].notna() & ((rows["ns"] > 0) | rows["paired"])].sort_values("ns")
    if not 2 <= len(rows) <= MOST_ROWS:
        return None
    variants = sorted({str(kernel) for kernel in rows["kernel"]})
    places = len({tuple(cpus) for cpus in rows["cpus"]})
    points, groups, cells = [], [], []
    for row in records(rows):
        words = [row["kernel"].partition("/")[2], *(f"{name}={value}" for name, value in row["parameters"].items())]
        words += ["cpu" + ",".join(map(str, row["cpus"]))] if places > 1 else []
        label = " ".join(words)
        points.append(Point(label, row["ns"], row["ns_low"], row["ns_high"]))
        groups.append(variants.index(row["kernel"]))
        cells.append((label, ns_with_bounds(row["ns"], row["ns_low"], row["ns_high"]), remarks(row)))
    wide = points[0].value > 0 and points[-1].value > 20 * points[0].value
    return forest(
        f"{slug}-rows",
        "All rows, cheapest first",
        f"From {points[0].label} at {nanoseconds(points[0].value, 3)} to {points[-1].label} at "
        f"{nanoseconds(points[-1].value, 3)}, with 95 % intervals.",
        table("All rows, cheapest first", ("row", "time per operation", "remarks"), cells),
        points,
        x_label="ns per operation" + (" (log)" if wide else ""),
        x_scale="log" if wide else "linear",
        from_zero=not wide and points[0].value > 0,
        groups=groups,
    )


def estimates_table(caption: str, rows: pd.DataFrame) -> Table:
    """Rows of `estimate_cases` as a table of texts."""
    return table(
        caption,
        ("case", "time", "interval", "per", "cycles", "interval", "floor", "rounds", "remarks"),
        [
            (
                row["case"],
                nanoseconds(row["ns"]),
                ns_bounds(row["ns"], row["ns_low"], row["ns_high"]),
                row["unit"],
                plain(row["cycles"]),
                bounds(row["cycles_low"], row["cycles_high"]),
                nanoseconds(row["floor_ns"]),
                str(row["rounds"]),
                remarks(row),
            )
            for row in records(rows)
        ],
    )


def _metric(item: Mapping[str, Any]) -> str:
    unit = str(item["unit"])
    text = with_bounds(item["value"], item["low"], item["high"])
    if unit == "Hz":
        text, unit = with_bounds(*(item[name] / 1e9 for name in ("value", "low", "high"))), "GHz"
        if abs(item["value"]) < 1e9:
            text, unit = with_bounds(*(item[name] / 1e6 for name in ("value", "low", "high"))), "MHz"
    text = f"{text} {'' if unit == '1' else unit}".strip()
    return f"{text} = {ns_with_bounds(item['ns'], item['ns_low'], item['ns_high'])}" if "ns" in item else text
