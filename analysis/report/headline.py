"""The ladder of a report, and its headlines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fencepost.analysis.draw import ladder as figures
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.report.sections import topic_words
from fencepost.analysis.text.numbers import count, nanoseconds, plain
from fencepost.analysis.text.table import Table, table
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import Topic

CAPTION = "Costs on this machine: median over processes [95 % interval]"


def ladder_table(found: Sequence[tuple[Topic, Rung]]) -> Table | None:
    """Every rung with the title of its topic, in the order given; None where there is none."""
    header = ("what", "topic", "time", "core cycles", *_basis_header(found), "measured as")
    cells = [_cells(rung, header, topic_words(topic.name).title) for topic, rung in found]
    headlines = [place for place, (_, rung) in enumerate(found) if rung.headline]
    return table(CAPTION, header, cells, headlines) if cells else None


def _basis_header(found: Sequence[tuple[Topic, Rung]]) -> tuple[str, ...]:
    """A column that says which figure each is, in runs with witnesses."""
    return ("figure",) if any(rung.basis for _, rung in found) else ()


def _cells(rung: Rung, header: Sequence[str], topic: str) -> tuple[str, ...]:
    cells = {
        "what": rung.label,
        "topic": topic,
        "time": rung.text(),
        "core cycles": rung.cycles.text(),
        "figure": rung.basis or "",
        "measured as": rung.measured_as,
    }
    return tuple(cells[name] for name in header)


def link(topic: Topic) -> str:
    """The section of a topic, within the page."""
    return f"#topic-{topic.slug}"


def ladder_figures(found: Sequence[tuple[Topic, Rung]]) -> list[Figure]:
    """Rungs, cheapest first, drawn twice: by time and by cycles of the core; nothing where nothing is to be drawn."""
    drawn = []
    timed = [pair for pair in found if pair[1].ns.value > 0]
    if timed:
        drawn.append(
            _ladder_figure(
                "ladder",
                "Costs on this machine, by time",
                timed,
                [Point(rung.label, *rung.ns[:3]) for _, rung in timed],
                [
                    rung.short()
                    + (f" · {plain(rung.cycles.value, 3)} cycles" if math.isfinite(rung.cycles.value) else "")
                    + _unless_alone(rung)
                    for _, rung in timed
                ],
                lambda value: nanoseconds(value, 1),
                "",
            )
        )
    counted = sorted((pair for pair in found if pair[1].cycles.value > 0), key=lambda pair: pair[1].cycles.value)
    if counted:
        without = len(found) - len(counted)
        drawn.append(
            _ladder_figure(
                "ladder-cycles",
                "Costs on this machine, in cycles of the core",
                counted,
                [Point(rung.label, *rung.cycles[:3]) for _, rung in counted],
                [f"{plain(rung.cycles.value, 3)} cycles · {rung.short()}{_unless_alone(rung)}" for _, rung in counted],
                lambda value: plain(value, 1),
                f" Not drawn: {without} whose time is not spent in cycles of one core." if without else "",
            )
        )
    return drawn


def _unless_alone(rung: Rung) -> str:
    """A star for a figure *as found*: two words more would not fit beside the longest costs."""
    return " *" if rung.basis == "as found" else ""


def _ladder_figure(
    name: str,
    title: str,
    found: Sequence[tuple[Topic, Rung]],
    points: Sequence[Point],
    said: Sequence[str],
    axis: Any,
    remark: str,
) -> Figure:
    first, last = points[0], points[-1]
    basis = " Figures with a star are as found, the others alone." if _basis_header(found) else ""
    times = f", {count(float(f'{last.value / first.value:.2g}'))} times as much" if len(points) > 1 else ""
    return figures.ladder(
        name,
        title,
        f"From {first.label} ({said[0]}) to {last.label} ({said[-1]}){times}; each line of the scale is ten times the "
        f"one before. Thick lines are 95 % intervals, where they are wide enough to be seen.{remark}{basis}",
        table(title, ("what", "cost"), [(point.label, text) for point, text in zip(points, said, strict=True)]),
        points,
        said,
        [link(topic) for topic, _ in found],
        axis=axis,
    )
