"""Plots over a continuous axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fencepost.analysis.draw.figure import (
    DASHES,
    INK,
    PALETTE,
    Figure,
    Fit,
    Lettering,
    Series,
    Shade,
    decade,
    end_labels,
    lay_out,
    linear_axis,
    log_axis,
    new_canvas,
    short,
    svg_figure,
)
from fencepost.analysis.text.numbers import plain, size
from fencepost.analysis.text.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D

LETTER = 0.011
"""Width of a letter of a mark, as a part of the axis: some 6 of 540 pixels."""


@dataclass(frozen=True)
class Axis:
    """One axis of `lines`: what stands beside it, whether it is logarithmic, how its numbers are written, where ticks
    stand (by default where matplotlib puts them), and whether it begins at zero.
    """

    label: str
    log: bool = field(default=False, kw_only=True)
    write: Callable[[float], str] | None = field(default=None, kw_only=True)
    ticks: Sequence[float] | None = field(default=None, kw_only=True)
    from_zero: bool = field(default=False, kw_only=True)

    def put(self, axes: Axes, which: Literal["x", "y"]) -> None:
        """Give the axis of `axes` its scale, ticks and label."""
        axis = axes.xaxis if which == "x" else axes.yaxis
        scale = axes.set_xscale if which == "x" else axes.set_yscale
        # Sizes are powers of two.
        scale("log" if self.log else "linear", **({"base": 2} if self.log and self.write is size else {}))
        if self.log:
            log_axis(axis, self.write or decade)
        else:
            linear_axis(axis)
        if self.ticks is not None:
            axis.set_ticks(list(self.ticks))
            axes.minorticks_off()
        axis.set_label_text(self.label)


def lines(
    name: str,
    title: str,
    description: str,
    table: Table,
    series: Sequence[Series],
    *,
    x: Axis,
    y: Axis,
    marks: Sequence[tuple[float, str]] = (),
    shades: Sequence[Shade] = (),
    stairs: bool = False,
) -> Figure:
    """Lines with their names at the right end, bounds as a band, vertical marks with a word at the top, and `shades`
    behind them all. With `stairs` each value holds up to the next x.
    """
    shown = [item for item in series if np.isfinite(item.y).any()]
    # Names that would take the room of the lines stand below them.
    below = max((len(item.label) for item in shown), default=0) > 16
    words = Lettering()
    with new_canvas(name, 3.7 + 0.21 * len(shown) if below else 3.5) as (canvas, axes):
        for index, item in enumerate(shown):
            dash, marked = DASHES[(index // 8 + index) % 4], item.drawn != "line"
            drawn = _draw_series(axes, item, PALETTE[index % 8], dash, marked=marked, stairs=stairs)
            words.series(drawn, item, x.write or plain, marked)
        y.put(axes, "y")
        x.put(axes, "x")  # last: its ticks turn the small ones of both off
        if y.from_zero:
            axes.set_ylim(bottom=0)
        axes.margins(y=0.12)
        for shade in shades:
            _draw_shade(axes, shade)
        _draw_marks(axes, marks)
        if below:
            _name_below(canvas, axes)
        elif len(shown) > 1 or (shown and shown[0].label):
            lay_out(canvas)
            end_labels(axes, shown)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def _draw_series(axes: Axes, item: Series, colour: str, dash: Any, *, marked: bool, stairs: bool) -> Line2D:
    """Draw a line or points, with their bounds."""
    (drawn,) = axes.plot(
        item.x,
        item.y,
        color=colour,
        linestyle="" if item.drawn == "points" else dash,
        linewidth=1.8,
        marker="o" if marked else None,
        markersize=5 if item.drawn == "points" else 3.5,
        label=short(item.label),
        drawstyle="steps-post" if stairs else "default",
    )
    if item.low is not None and item.high is not None and item.drawn == "points":
        axes.vlines(item.x, item.low, item.high, color=colour, linewidth=1.2)
    elif item.low is not None and item.high is not None:
        axes.fill_between(
            item.x, item.low, item.high, color=colour, alpha=0.2, linewidth=0, step="post" if stairs else None
        )
    return drawn


def _draw_marks(axes: Axes, marks: Sequence[tuple[float, str]]) -> None:
    """Draw vertical lines with words at their tops. Words that would lie on each other stand over the first of them."""
    places: list[tuple[float, float, str]] = []
    for position, word in sorted(marks):
        axes.axvline(position, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), alpha=0.6)
        across = float(axes.transAxes.inverted().transform(axes.transData.transform((position, 0)))[0])
        if places and across - places[-1][1] < LETTER * (len(places[-1][2]) + len(word)) / 2:
            places[-1] = (*places[-1][:2], f"{places[-1][2]}, {word}")
        else:
            places.append((position, across, word))
    for position, across, word in places:
        # A long word at the edge grows inwards.
        side = "left" if across < 0.15 and len(word) > 6 else "right" if across > 0.85 and len(word) > 6 else "center"
        axes.text(position, 1.01, word, transform=axes.get_xaxis_transform(), ha=side, va="bottom", fontsize=10)


def _name_below(canvas: Canvas, axes: Axes) -> None:
    """Name the lines below the picture, the uppermost first."""
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles[::-1], labels[::-1], loc="outside lower left", frameon=False, fontsize=10, handlelength=2.5)


def regression(
    name: str, title: str, description: str, table: Table, fits: Sequence[Fit], *, x_label: str, y_label: str, unit: str
) -> Figure:
    """Lines through points with their bands, and beneath, on a scale of its own, what the lines leave over."""
    words = Lettering()
    with new_canvas(name, 5.4) as (canvas, axes):
        axes.remove()
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for index, item in enumerate(fits):
            colour, mark = PALETTE[index % 8], "osD^"[index % 4]
            upper.fill_between(item.x, item.line_low, item.line_high, color=colour, alpha=0.25, linewidth=0)
            upper.plot(item.x, item.line, color=colour, linewidth=1.6, linestyle=DASHES[index % 4])
            # Side by side, where two series have the same x.
            x = item.x + (index - (len(fits) - 1) / 2) * 0.012 * float(np.ptp(item.x))
            for axis, y, low, high in (
                (upper, item.y, item.low, item.high),
                (lower, item.left, item.left_low, item.left_high),
            ):
                (drawn,) = axis.plot(x, y, mark, color=colour, markersize=4)
                words.series(drawn, Series(item.label, item.x, y, low, high), plain)
                axis.vlines(x, low, high, color=colour, linewidth=1.6, alpha=0.7)
            lower.plot(x, item.left, color=colour, linewidth=0.8, alpha=0.5)
            upper.text(
                0.03,
                0.94 - 0.1 * index,
                f"{'●■◆▲'[index % 4]} {short(item.label)}",
                color=colour,
                va="top",
                transform=upper.transAxes,
            )
        lower.axhline(0, color=INK, linewidth=0.8, alpha=0.6)
        for axis in (upper, lower):
            axis.patch.set_alpha(0)
            linear_axis(axis.yaxis)
        linear_axis(lower.xaxis)
        upper.set_ylabel(y_label)
        upper.set_ylim(bottom=0)
        lower.set_ylabel(f"left over, {unit}")
        lower.set_xlabel(x_label)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def stacked(
    name: str,
    title: str,
    description: str,
    table: Table,
    series: Sequence[Series],
    beneath: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    beneath_label: str,
    x_ticks: Sequence[float],
    y_scale: str = "linear",
    shades: Sequence[Shade] = (),
) -> Figure:
    """Lines named at their right ends, and beneath, over the same x, a share of 0 to 1 for each of them."""
    words = Lettering()
    with new_canvas(name, 5.2) as (canvas, axes):
        axes.remove()
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for axis, lines_there in ((upper, series), (lower, beneath)):
            for index, item in enumerate(lines_there):
                colour = PALETTE[index % 8]
                style = {"color": colour, "linestyle": DASHES[(index // 8 + index) % 4], "linewidth": 1.8}
                (drawn,) = axis.plot(item.x, item.y, marker="o", markersize=3.5, **style)
                words.series(drawn, item, plain)
                if item.low is not None and item.high is not None:
                    axis.fill_between(item.x, item.low, item.high, color=colour, alpha=0.2, linewidth=0)
            for shade in shades:
                _draw_shade(axis, shade if axis is upper else Shade(shade.low, shade.high))
            axis.patch.set_alpha(0)
        upper.set_xscale("log", base=2)
        upper.set_yscale(y_scale)
        (log_axis if y_scale == "log" else linear_axis)(upper.yaxis)
        if y_scale == "linear":
            upper.set_ylim(bottom=0)
        linear_axis(lower.yaxis)
        log_axis(lower.xaxis)
        lower.set_xticks(list(x_ticks))
        lower.minorticks_off()
        lower.set_ylim(-0.05, 1.08)
        upper.set_ylabel(y_label)
        lower.set_ylabel(beneath_label)
        lower.set_xlabel(x_label)
        lay_out(canvas)
        end_labels(upper, series)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def front(
    name: str,
    title: str,
    description: str,
    table: Table,
    points: Sequence[tuple[str, float, float, bool]],
    *,
    x_label: str,
    y_label: str,
) -> Figure:
    """Points (name, x, y, on the front) on two logarithmic axes, those on the front joined; a y of 0 has a line of its
    own at the bottom.
    """
    words = Lettering()
    with new_canvas(name, 4.4) as (canvas, axes):
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=1, linscale=0.4)
        joined = sorted(((x, y) for _, x, y, on in points if on), key=lambda point: point[0])
        axes.step(*zip(*joined, strict=True), where="post", color=PALETTE[0], linewidth=1.2, alpha=0.7)
        # Points at 0 lie in one row: the further to the left, the higher the name.
        at_zero = sorted((point for point in points if point[2] == 0), key=lambda point: -point[1])
        level = {point[0]: place for place, point in enumerate(at_zero)}
        for word, x, y, on in points:
            colour = PALETTE[0 if on else 7]
            (drawn,) = axes.plot([x], [y], "o" if on else "s", color=colour, markersize=6 if on else 5)
            words.add(drawn, [f"{word}: {plain(x, 3)}, {plain(y, 3)}"])
            place = (5.0, 5.0 + 12 * level.get(word, 0))
            axes.annotate(word, (x, y), xytext=place, textcoords="offset points", fontsize=9.5, color=colour)
        xs = [x for _, x, _, _ in points]
        axes.set_xlim(min(xs) * 0.7, max(xs) * 2.2)
        axes.set_ylim(-0.25, max(max(y for _, _, y, _ in points), 1) * 3)
        tops = [10.0**power for power in range(16) if 10.0**power <= max(y for _, _, y, _ in points) * 3]
        axes.set_yticks([0.0, *tops], ["0", *map(decade, tops)])
        axes.minorticks_off()
        log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def _draw_shade(axes: Axes, shade: Shade) -> None:
    look: dict[str, Any] = {"color": INK, "alpha": 0.08, "linewidth": 0}
    if shade.of_y:
        axes.axhspan(shade.low, shade.high, **look)
        middle = (shade.low + shade.high) / 2
        axes.text(0.01, middle, shade.word, transform=axes.get_yaxis_transform(), va="center", fontsize=10)
    else:
        axes.axvspan(shade.low, shade.high, **look)
        # From its end inwards: the shade may be narrower than its word, and end where the picture does.
        axes.text(shade.high, 0.02, shade.word, transform=axes.get_xaxis_transform(), ha="right", fontsize=10)


def ecdf(name: str, title: str, description: str, table: Table, series: Sequence[Series], *, x_label: str) -> Figure:
    """Share of events at or below x, on a logarithmic x; each curve is named beside its own steep part."""
    words = Lettering()
    with new_canvas(name, 4.0) as (canvas, axes):
        axes.set_xscale("log")
        heights = np.linspace(0.94, 0.1, len(series)) if len(series) > 1 else np.array([0.5])
        order = sorted(range(len(series)), key=lambda i: _at(series[i], 0.5))
        for place, index in enumerate(order):
            item, colour = series[index], PALETTE[index % 8]
            (drawn,) = axes.step(
                np.append(item.x[:1], item.x),
                np.append(0.0, item.y),
                where="post",
                color=colour,
                linewidth=1.8,
                linestyle=DASHES[(index // 8 + index) % 4],
            )
            words.series(drawn, item, plain, markers=False)
            height = float(heights[::-1][place])
            axes.annotate(
                short(item.label),
                (_at(item, height), height),
                xytext=(5, -1),
                textcoords="offset points",
                color=colour,
                va="center",
                fontsize=10,
            )
        high = max(float(_at(item, 0.999)) for item in series)
        low = min(float(item.x[0]) for item in series)
        axes.set_xlim(low * 0.7, max(high, low * 10) * 4)
        axes.set_ylim(0, 1.02)
        log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel("share of events")
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def _at(item: Series, share: float) -> float:
    return float(item.x[min(int(np.searchsorted(item.y, share - 1e-12)), len(item.x) - 1)])
