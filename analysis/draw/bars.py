"""Bars, forests and dots."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from fencepost.analysis.draw.figure import (
    INK,
    PALETTE,
    Bar,
    Dot,
    Dots,
    Figure,
    Group,
    Lettering,
    Point,
    interval,
    linear_axis,
    log_axis,
    new_canvas,
    short,
    svg_figure,
)
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.text.table import Table

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_Row = TypeVar("_Row", Bar, Dot)


def forest(
    name: str,
    title: str,
    description: str,
    table: Table,
    points: Sequence[Point],
    *,
    x_label: str,
    x_scale: str = "linear",
    from_zero: bool = False,
    groups: Sequence[int] | None = None,
) -> Figure:
    """One row a point with its interval, first on top; the value stands beside it."""
    words = Lettering()
    with new_canvas(name, 1.1 + 0.27 * len(points)) as (canvas, axes):
        axes.set_xscale(x_scale)
        for row, point in enumerate(points):
            colour = PALETTE[(groups[row] if groups else 0) % 8]
            if math.isfinite(point.low) and math.isfinite(point.high):
                axes.plot(
                    [point.low, point.high], [row, row], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt"
                )
            (drawn,) = axes.plot([point.value], [row], marker="o", markersize=5, color=colour, linestyle="none")
            words.add(drawn, [f"{point.label}: {interval(point.value, point.low, point.high)}"])
            axes.annotate(
                plain(point.value, 3),
                (point.value, row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
        axes.set_yticks(range(len(points)), [short(point.label) for point in points])
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.16)
        if from_zero:
            axes.set_xlim(left=0)
        (log_axis if x_scale == "log" else linear_axis)(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def bars(
    name: str,
    title: str,
    description: str,
    table: Table,
    groups: Sequence[Group],
    *,
    x_label: str,
    x_scale: str = "linear",
    least: float = 0.0,
) -> Figure:
    """Horizontal bars under the headings of their groups, with intervals, and the value at the end of each. On a
    logarithmic axis bars begin at `least`, and one that does not reach it is its number only. On a linear axis a bar
    below 0 goes to the left.
    """
    words = Lettering()
    rows = [(group.label, group.bars) for group in groups]
    with new_canvas(name, _height(rows)) as (canvas, axes):
        axes.set_xscale(x_scale)
        start = least if x_scale == "log" else 0.0
        reach, lowest = start, start
        for y, heading, bar in _in_rows(axes, rows):
            colour = PALETTE[bar.colour % 8]
            shown = math.isfinite(bar.value) and (x_scale != "log" or bar.value > start)
            end = bar.value if shown else start
            (drawn,) = axes.barh(y, end - start, left=start, height=0.72, color=colour, alpha=0.75, linewidth=0)
            words.add(drawn, [f"{bar.label}, {heading}: {interval(bar.value, bar.low, bar.high)}"])
            if math.isfinite(bar.low) and math.isfinite(bar.high) and (x_scale != "log" or bar.high > start):
                low = max(bar.low, start) if x_scale == "log" else bar.low
                axes.plot([low, bar.high], [y, y], color=INK, linewidth=1.2)
                lowest, end = min(lowest, low), max(end, bar.high)
            _write_beside(axes, bar.said or plain(bar.value, 3), (max(end, start), y), gap=4)
            reach, lowest = max(reach, end), min(lowest, end)
        right = start * (reach / start) ** 1.25 if x_scale == "log" else reach + (reach - lowest) * 0.2 or 1.0
        axes.set_xlim(lowest - (start - lowest) * 0.05, right)
        (log_axis if x_scale == "log" else linear_axis)(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def dots(
    name: str,
    title: str,
    description: str,
    table: Table,
    groups: Sequence[Dots],
    *,
    x_label: str,
    start: float,
) -> Figure:
    """A dot a row under the headings of their groups, on a logarithmic axis from `start`: thick where its bounds are,
    thin to where most values lie. A bound is a hollow triangle that points to what it allows. Each row's words stand
    behind its last mark; a dot below `start`, as 0 is, stands at the edge.
    """
    from matplotlib.ticker import LogLocator

    words = Lettering()
    rows = [(group.label, group.dots) for group in groups]
    with new_canvas(name, _height(rows)) as (canvas, axes):
        axes.set_xscale("log")
        reach = start
        for y, heading, dot in _in_rows(axes, rows):
            if math.isfinite(dot.value):
                drawn, end = _draw_value(axes, dot, y, start)
                said = interval(dot.value, dot.low, dot.high)
            else:
                drawn, end = _draw_bound(axes, dot, y, start)
                said = f"none, less than {plain(dot.bound, 2)}"
            words.add(drawn, [f"{dot.label}, {heading}: {said}"])
            _write_beside(axes, dot.said or plain(dot.value, 3), (end, y), gap=6)
            reach = max(reach, end)
        # Room for the words of the row that reaches furthest.
        axes.set_xlim(start, start * (reach / start) ** 1.3 if reach > start else start * 10)
        if reach > start * 1e4:  # the words of neighbouring decades would meet
            axes.xaxis.set_major_locator(LogLocator(base=100))
        log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def _height(groups: Sequence[tuple[str, Sequence[_Row]]]) -> float:
    """Inches that a picture needs for rows under headings."""
    return 0.8 + 0.205 * sum(1.35 + len(rows) for _, rows in groups)


def _in_rows(axes: Axes, groups: Sequence[tuple[str, Sequence[_Row]]]) -> Iterator[tuple[float, str, _Row]]:
    """Go through all rows from the top down: the y of each, the heading above it, and the row.

    A heading is written when its group begins. The names of the rows are written after the last.
    """
    y, ticks, labels = 0.0, [], []
    for heading, rows in groups:
        axes.text(0.0, y, short(heading), transform=axes.get_yaxis_transform(), va="center", weight="bold")
        y += 1.1
        for row in rows:
            yield y, heading, row
            ticks.append(y)
            labels.append(short(row.label))
            y += 1.0
        y += 0.25
    axes.set_yticks(ticks, labels, fontsize=9.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(y - 0.5, -0.7)
    axes.grid(visible=False, axis="y")


def _write_beside(axes: Axes, words: str, place: tuple[float, float], gap: float) -> None:
    """Write to the right of a place, `gap` points away."""
    axes.annotate(words, place, xytext=(gap, 0), textcoords="offset points", va="center", fontsize=9.5)


def _draw_value(axes: Axes, dot: Dot, y: float, start: float) -> tuple[Artist, float]:
    """Draw a dot with its bounds. Returns the dot, and the x at which the row ends."""
    at = max(dot.value, start)
    end = at
    for low, high, width in ((dot.least, dot.most, 1.0), (dot.low, dot.high, 3.5)):
        if math.isfinite(low) and high > start:
            axes.plot(
                [max(low, start), high], [y, y], color=PALETTE[0], linewidth=width, alpha=0.55, solid_capstyle="butt"
            )
            end = max(end, high)
    (drawn,) = axes.plot([at], [y], "o", color=PALETTE[0], markersize=5, clip_on=False)
    return drawn, end


def _draw_bound(axes: Axes, dot: Dot, y: float, start: float) -> tuple[Artist, float]:
    """Draw a triangle at a bound. Returns the triangle, and the x at which the row ends."""
    at = max(dot.bound, start)
    axes.plot([start, at], [y, y], color=PALETTE[7], linewidth=1.0, linestyle=(0, (1.5, 1.5)))
    (drawn,) = axes.plot(
        [at], [y], "<", markeredgecolor=PALETTE[7], markerfacecolor="none", markersize=6, clip_on=False
    )
    return drawn, at
