"""The headline numbers of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fencepost.analysis.draw import ladder as figures
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.numbers import count, nanoseconds, plain
from fencepost.analysis.text.table import Table, table
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import known_topics


def rungs(analysis: Analysis) -> list[tuple[Rung, str]]:
    """The machine's headline numbers, cheapest first, each with a link to its section; the topics name them."""
    if not analysis.rounds:
        return []
    found = ((step(analysis), f"#topic-{topic.slug}") for topic in known_topics() for step in topic.rungs)
    return sorted(((rung, link) for rung, link in found if rung is not None), key=lambda pair: pair[0].ns.value)


def ladder(analysis: Analysis) -> Table | None:
    """The machine's headline numbers as a table; None where none of them was measured."""
    return ladder_table([rung for rung, _ in rungs(analysis)])


def ladder_table(found: Sequence[Rung]) -> Table | None:
    cells = [
        (
            rung.label,
            rung.ns.ns_text() + (f" ({rung.modes} modes)" if rung.modes else ""),
            rung.cycles.text(),
            rung.measured_as,
        )
        for rung in found
    ]
    caption = "What things cost here: median over processes [95 % interval]"
    return table(caption, ("what", "time", "core cycles", "measured as"), cells) if cells else None


def ladder_figures(found: Sequence[tuple[Rung, str]]) -> list[Figure]:
    """The ladder drawn twice, by time and by cycles of the core; nothing where nothing is to be drawn."""
    drawn = []
    timed = [pair for pair in found if pair[0].ns.value > 0]
    if timed:
        drawn.append(
            _ladder_figure(
                "ladder",
                "What things cost here, by time",
                timed,
                [Point(rung.label, *rung.ns[:3]) for rung, _ in timed],
                [
                    nanoseconds(rung.ns.value, 3)
                    + (f" · {plain(rung.cycles.value, 3)} cycles" if math.isfinite(rung.cycles.value) else "")
                    for rung, _ in timed
                ],
                lambda value: nanoseconds(value, 1),
                "",
            )
        )
    counted = sorted((pair for pair in found if pair[0].cycles.value > 0), key=lambda pair: pair[0].cycles.value)
    if counted:
        without = len(found) - len(counted)
        drawn.append(
            _ladder_figure(
                "ladder-cycles",
                "What things cost here, in cycles of the core",
                counted,
                [Point(rung.label, *rung.cycles[:3]) for rung, _ in counted],
                [f"{plain(rung.cycles.value, 3)} cycles · {nanoseconds(rung.ns.value, 3)}" for rung, _ in counted],
                lambda value: plain(value, 1),
                f" Not drawn: {without} whose time is not spent in cycles of one core." if without else "",
            )
        )
    return drawn


def _ladder_figure(
    name: str,
    title: str,
    found: Sequence[tuple[Rung, str]],
    points: Sequence[Point],
    said: Sequence[str],
    axis: Any,
    remark: str,
) -> Figure:
    first, last = points[0], points[-1]
    times = f", {count(float(f'{last.value / first.value:.2g}'))} times as much" if len(points) > 1 else ""
    return figures.ladder(
        name,
        title,
        f"From {first.label} ({said[0]}) to {last.label} ({said[-1]}){times}; each line of the scale is ten times the "
        f"one before. Thick lines are 95 % intervals, where they are wide enough to be seen.{remark}",
        table(title, ("what", "cost"), [(point.label, text) for point, text in zip(points, said, strict=True)]),
        points,
        said,
        [link for _, link in found],
        axis=axis,
    )
