"""What the machine takes away from a thread that never sleeps."""

from __future__ import annotations

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import records
from fencepost.analysis.text.numbers import nanoseconds, plain, with_bounds
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.topic import Topic


def gaps_figure(analysis: Analysis) -> Figure | None:
    """Share of time lost, by CPU."""
    points, cells = [], []
    for row in records(analysis.kernel("noise/gaps")):
        metrics = row["metrics"]
        if "lost_pct" not in metrics:
            continue
        lost = metrics["lost_pct"]
        label = f"CPU {row['cpus'][0]}"
        points.append(Point(label, lost["value"], lost["low"], lost["high"]))
        others = [
            with_bounds(*(metrics[name][part] for part in ("value", "low", "high"))) if name in metrics else DASH
            for name in ("gaps_per_s", "longest_us")
        ]
        cells.append((label, with_bounds(lost["value"], lost["low"], lost["high"]), *others, nanoseconds(row["ns"], 3)))
    if not points:
        return None
    worst = max(points, key=lambda point: point.value)
    return forest(
        "noise-gaps",
        "Share of its time that a busy thread loses, by CPU",
        f"A thread that does nothing but look at the clock loses up to {plain(worst.value, 3)} % of its time "
        f"({worst.label}) in pieces of more than 1 µs.",
        table("Gaps by CPU", ("CPU", "time lost, %", "gaps a second", "longest in a process, µs", "median gap"), cells),
        points,
        x_label="time lost, %",
        from_zero=True,
    )


TOPIC = Topic(
    "noise",
    figures=(gaps_figure,),
)
