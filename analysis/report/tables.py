"""All rows of a topic: their tables, and the figure of a topic that has none of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.report.counts import counts_table
from fencepost.analysis.report.marks import Mark, marks_of
from fencepost.analysis.report.telling import telling
from fencepost.analysis.runs.energy import energy_text
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.hardware import hardware_text
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.shares import share
from fencepost.analysis.text.numbers import bounds, count, nanoseconds, ns_bounds, plain
from fencepost.analysis.text.table import DASH, Table, table


def topic_tables(analysis: Analysis, topic: str) -> list[Table]:
    """All rows of a topic: estimates; counts; quantiles of single events."""
    measured = [row for row in analysis.topic(topic) if row.measured]
    found = []
    if len(measured):
        found.append(
            estimates_table(
                f"Estimates of the topic {topic}: median over processes with its 95 % interval",
                measured,
                marks_of(analysis, measured),
            )
        )
    counted = counts_table(f"Counts of the topic {topic}: whole numbers, and what each must be", analysis.topic(topic))
    if counted:
        found.append(counted)
    events = [row for row in measured if row.quantiles]
    if events:
        found.append(
            table(
                "Single events, those of all processes together: how they are distributed (no interval: these are "
                "not estimates)",
                ("case", "min", "p50", "p90", "p99", "p99.9", "max", "distinct values", "events"),
                [
                    (
                        row.case,
                        *(
                            nanoseconds(row.quantiles.get(name), 3)
                            for name in ("min", "p50", "p90", "p99", "p99_9", "max")
                        ),
                        count(row.quantiles.get("distinct")),
                        count(row.quantiles.get("events")),
                    )
                    for row in events
                ],
                telling(events),
            )
        )
    return found


MOST_ROWS = 40


def rows_figure(analysis: Analysis, topic: str, slug: str) -> Figure | None:
    """Forest plot of all rows of a topic that has no figures of its own; None for a single row, or for too many to
    be read.
    """
    # A difference to a control may be negative, and stays; another time that is not positive cannot be drawn.
    rows = [
        row
        for row in analysis.topic(topic)
        if row.measured and row.twin_of is None and (row.time.value > 0 or row.paired)
    ]
    rows.sort(key=lambda row: row.time.value)
    if not 2 <= len(rows) <= MOST_ROWS:
        return None
    variants = sorted({row.kernel for row in rows})
    places = len({row.cpus for row in rows})
    points, groups, cells = [], [], []
    for row in rows:
        words = [row.kernel.partition("/")[2], *(f"{name}={value}" for name, value in row.parameters.items())]
        words += ["cpu" + ",".join(map(str, row.cpus))] if places > 1 else []
        label = " ".join(words)
        points.append(Point(label, *row.time[:3]))
        groups.append(variants.index(row.kernel))
        cells.append((label, row.time.ns_text(), row.remarks()))
    wide = points[0].value > 0 and points[-1].value > 20 * points[0].value
    return forest(
        f"{slug}-rows",
        "All rows, cheapest first",
        f"From {points[0].label} at {nanoseconds(points[0].value, 3)} to {points[-1].label} at "
        f"{nanoseconds(points[-1].value, 3)}, with 95 % intervals.",
        table("All rows, cheapest first", ("row", "time per operation", "remarks"), cells),
        points,
        x_label="ns per operation",
        x_scale="log" if wide else "linear",
        from_zero=not wide and points[0].value > 0,
        groups=groups,
    )


def estimates_table(caption: str, rows: Sequence[Row], marks: Mapping[str, Mark]) -> Table:
    """Rows of `estimate_cases` as a table of texts, with their marks by case.

    Runs of older versions have no figures *as found* of their own. Most guests have neither hardware counters nor
    a counter of energy.
    """
    witnessed = any(row.witnessed for row in rows)
    counted = [hardware_text(row) for row in rows]
    energy = [energy_text(row) for row in rows]
    return table(
        caption,
        (
            *("case", "time", "interval", "per", "cycles", "interval"),
            *(("as found", "free") if witnessed else ()),
            *("floor", "rounds", "trust"),
            *(("counted by the hardware",) if any(counted) else ()),
            *(("beyond sleep",) if any(energy) else ()),
            "remarks",
        ),
        [
            (
                row.case,
                nanoseconds(row.time.value),
                ns_bounds(*row.time[:3]),
                row.unit,
                plain(row.cycles.value),
                bounds(row.cycles.low, row.cycles.high),
                *((nanoseconds(row.found.value), share(row.free_pct)) if witnessed else ()),
                nanoseconds(row.floor_ns),
                str(row.rounds),
                marks[row.case].text,
                *((hardware or DASH,) if any(counted) else ()),
                *((extra or DASH,) if any(energy) else ()),
                row.remarks(),
            )
            for row, hardware, extra in zip(rows, counted, energy, strict=True)
        ],
        telling(rows),
    )
