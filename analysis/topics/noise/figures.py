"""What the machine takes away from a thread that never sleeps."""

from __future__ import annotations

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.numbers import nanoseconds, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.topic import Topic


def gaps_figure(analysis: Analysis) -> Figure | None:
    """Share of time lost, by CPU."""
    points, cells = [], []
    for row in analysis.kernel("noise/gaps"):
        if "lost_pct" not in row.metrics:
            continue
        lost = row.metric("lost_pct")
        label = f"CPU {row.cpus[0]}"
        points.append(Point(label, *lost[:3]))
        others = [row.metric(name).text() for name in ("gaps_per_s", "longest_us")]
        cells.append((label, lost.text(), *others, nanoseconds(row.time.value, 3)))
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
