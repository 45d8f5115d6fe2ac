"""Figures as SVG: drawn by matplotlib without its global state, readable at 360 pixels, for light and dark pages.

Text and axes take the colour of the text around them, series take ``--c0`` to ``--c7`` of the page, with colours that
colour-blind readers can tell apart as a fallback. Each figure comes with a title, a description in words, and the table
of what it shows.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fencepost.analysis.svg import tidy
from fencepost.analysis.tables import Table, count, plain, size, thousands, with_bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Okabe and Ito's palette (jfly.uni-koeln.de/color), less yellow and black, which vanish on light or dark paper.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
READABLE = ("#0072b2", "#b84a00", "#007a58", "#a84682", "#8a5b00", "#1b74a8", "#7655ad", "#606060")
"""The same, dark enough for words on white (4.5 : 1 and more); report.css has those for a dark page."""
_INK = "#010203"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # Names of CPUs and kernels come from outside: a dollar sign in one must not start a formula.
    "text.parse_math": False,
    "font.size": 11,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}
Array = npt.NDArray[np.float64]


RASTER_ROWS = 128
NAMED_ROWS = 32
"""Cells of a larger matrix say nothing of themselves: a thousand titles are enough of a page's size."""


@dataclass(frozen=True)
class Figure:
    """A picture, what it says in words, and its table.

    ``name`` is a word for ids and file names; ``svg`` is for putting into an HTML page.
    """

    name: str
    title: str
    description: str
    svg: str
    table: Table

    def standalone(self) -> str:
        """The same picture as a file of its own, dark on white."""
        opening, rest = self.svg.split(">", 1)
        head = opening.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        # Sections to link to are on the page, not in this file.
        rest = re.sub(r'<a href="#[^"]*">|</a>', "", rest)
        colours = ";".join(f"--c{index}:{colour}" for index, colour in enumerate(READABLE))
        style = (
            f"<style>svg{{background:#fff;color:#1b1b1b;font-family:system-ui,sans-serif;{colours}}}"
            "text{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}</style>"
        )
        return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>{style}{rest}\n'


@dataclass(frozen=True)
class Series:
    """One line or one set of points: its label, x, y, and bounds of y (NaN where there are none). `drawn` as a line
    with points on it, a ``line`` without (a model), or ``points`` alone (what is held against it).
    """

    label: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    drawn: Literal["both", "line", "points"] = field(default="both", kw_only=True)


@dataclass(frozen=True)
class Point:
    """One row of a forest plot."""

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Span:
    """A shaded range of x (or of y) behind the lines, with a word in it."""

    low: float
    high: float
    word: str = ""
    of_y: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar: its label, value and bounds; `colour` is an index of `PALETTE`, `said` what stands at its end instead of
    the value.
    """

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    colour: int = 0
    said: str = ""


@dataclass(frozen=True)
class Group:
    """Bars under a common heading."""

    label: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Dot:
    """One row of a dot plot: a value with bounds, and further out where most of the values behind it lie; or, where
    there is no value (NaN), the `bound` that it cannot exceed. `said` stands at the end of the row.
    """

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    least: float = math.nan
    most: float = math.nan
    bound: float = math.nan
    said: str = ""


@dataclass(frozen=True)
class Dots:
    """Rows of a dot plot under a common heading."""

    label: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Fit:
    """Points with bounds, a line through them with its band, and what the line leaves over; all of shape (points,)."""

    label: str
    x: Array
    y: Array
    low: Array
    high: Array
    line: Array
    line_low: Array
    line_high: Array
    left: Array
    left_low: Array
    left_high: Array


@contextmanager
def _canvas(name: str, height: float = 3.5, width: float = 5.2) -> Iterator[tuple[Canvas, Axes]]:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        canvas.patch.set_alpha(0)
        axes = canvas.add_subplot()
        axes.patch.set_alpha(0)
        yield canvas, axes


def _svg(
    canvas: Canvas,
    name: str,
    title: str,
    description: str,
    said: Mapping[str, Sequence[str]] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Letters that matplotlib's own font lacks: the page's font draws them. Some of them would drive a terminal.
        warnings.filterwarnings("ignore", message="Glyph")
        # What savefig does in the end, without its first drawing into the void, which is for formats that need it.
        FigureCanvasSVG(canvas).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    colours = {_INK: "currentColor"}
    colours |= {colour: f"var(--c{index}, {colour})" for index, colour in enumerate(PALETTE)}
    return tidy(buffer.getvalue(), name, title, description, colours, said, links)


def _interval(value: float, low: float, high: float) -> str:
    """A number with its bounds, for words to hover over; without them where there are none."""
    return with_bounds(float(value), float(low), float(high))


class _Words:
    """What is said when the pointer rests on a mark: each artist gets an id, and its texts are kept by it."""

    def __init__(self) -> None:
        self.by_id: dict[str, list[str]] = {}

    def add(self, artist: Any, texts: Sequence[str]) -> None:
        """Give `artist` one text for each of its marks, or one for all."""
        gid = f"say{len(self.by_id)}"
        artist.set_gid(gid)
        self.by_id[gid] = list(texts)

    def series(self, artist: Any, item: Series, x_said: Callable[[float], str], markers: bool = True) -> None:
        """Words for the points of a line, those that are drawn; for the line as a whole where it has no markers."""
        start = f"{item.label}: " if item.label else ""
        if not markers:
            if item.label:
                self.add(artist, [item.label])
            return
        texts = []
        for i in np.flatnonzero(np.isfinite(item.y) & np.isfinite(item.x)):
            low, high = (float(b[i]) if b is not None else math.nan for b in (item.low, item.high))
            texts.append(f"{start}{_interval(item.y[i], low, high)} at {x_said(float(item.x[i]))}")
        self.add(artist, texts)


def _short(label: str) -> str:
    return label if len(label) <= 48 else label[:47] + "…"


def _decade(value: float) -> str:
    # From ten thousand on in short: on an axis of eight decades whole numbers would run into each other.
    return plain(value, 1) if value < 1 else thousands(value) if value >= 1e4 else count(round(value))


def _log_axis(axis: Any, label: Callable[[float], str] = _decade) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: label(float(value))))
    axis.set_minor_formatter(NullFormatter())


def _linear_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))


def _spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart that stay close to the wanted ones, in the order given."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [wanted[i] for i in order]
    for _ in range(100):
        moved = False
        for a in range(len(placed) - 1):
            overlap = gap - (placed[a + 1] - placed[a])
            if overlap > 1e-9:
                placed[a] -= overlap / 2
                placed[a + 1] += overlap / 2
                moved = True
        if not moved:
            break
    result = [0.0] * len(wanted)
    for i, value in zip(order, placed, strict=True):
        result[i] = value
    return result


def _lay_out(canvas: Canvas) -> None:
    """Give the axes the places that they will about have, so that words can be put beside what was drawn. A drawing
    without rendering would do the same and draw everything besides.
    """
    engine = canvas.get_layout_engine()
    assert engine is not None
    engine.execute(canvas)


def _end_labels(axes: Axes, series: Sequence[Series]) -> None:
    """Name each line at its right end, moved up or down where names would overlap."""
    transform = axes.transData
    inverse = axes.transAxes.inverted()
    ends = []
    for item in series:
        known = np.flatnonzero(np.isfinite(item.y))
        last = int(known[-1])
        ends.append(inverse.transform(transform.transform((item.x[last], item.y[last])))[1])
    for index, (item, y) in enumerate(zip(series, _spread(ends, 0.075), strict=True)):
        axes.text(
            1.02, y, _short(item.label), transform=axes.transAxes, color=PALETTE[index % 8], va="center", clip_on=False
        )


def lines(
    name: str,
    title: str,
    description: str,
    table: Table,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    x_scale: str = "linear",
    y_scale: str = "linear",
    x_format: Callable[[float], str] | None = None,
    x_ticks: Sequence[float] | None = None,
    y_from_zero: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    spans: Sequence[Span] = (),
    markers: bool = True,
    stairs: bool = False,
) -> Figure:
    """Lines with their names at the right end, bounds as a band, vertical marks with a word at the top, and `spans`
    behind them all. With `stairs` each value holds up to the next x.
    """
    shown = [item for item in series if np.isfinite(item.y).any()]
    # Names that would take the room of the lines stand below them.
    below = max((len(item.label) for item in shown), default=0) > 16
    words = _Words()
    with _canvas(name, 3.7 + 0.21 * len(shown) if below else 3.5) as (canvas, axes):
        for index, item in enumerate(shown):
            colour, dash = PALETTE[index % 8], _DASHES[(index // 8 + index) % 4 if markers else 0]
            has_markers = markers and item.drawn != "line"
            (drawn,) = axes.plot(
                item.x,
                item.y,
                color=colour,
                linestyle="" if item.drawn == "points" else dash,
                linewidth=1.8,
                marker="o" if has_markers else None,
                markersize=5 if item.drawn == "points" else 3.5,
                label=_short(item.label),
                drawstyle="steps-post" if stairs else "default",
            )
            words.series(drawn, item, x_format or plain, has_markers)
            if item.low is not None and item.high is not None and item.drawn == "points":
                axes.vlines(item.x, item.low, item.high, color=colour, linewidth=1.2)
            elif item.low is not None and item.high is not None:
                axes.fill_between(
                    item.x, item.low, item.high, color=colour, alpha=0.2, linewidth=0, step="post" if stairs else None
                )
        axes.set_xscale(x_scale, **({"base": 2} if x_format is size else {}))
        axes.set_yscale(y_scale)
        for axis, scale, label in ((axes.xaxis, x_scale, x_format), (axes.yaxis, y_scale, None)):
            if scale == "log":
                _log_axis(axis, label or _decade)
            else:
                _linear_axis(axis)
        if x_ticks is not None:
            axes.set_xticks(list(x_ticks))
            axes.minorticks_off()
        if y_from_zero:
            axes.set_ylim(bottom=0)
        axes.margins(y=0.12)
        for span in spans:
            _draw_span(axes, span)
        for position, word in marks:
            axes.axvline(position, color=_INK, linewidth=0.8, linestyle=(0, (2, 2)), alpha=0.6)
            # A word at the edge grows inwards.
            across = axes.transAxes.inverted().transform(axes.transData.transform((position, 0)))[0]
            side = (
                "left" if across < 0.15 and len(word) > 6 else "right" if across > 0.85 and len(word) > 6 else "center"
            )
            axes.text(position, 1.01, word, transform=axes.get_xaxis_transform(), ha=side, va="bottom", fontsize=10)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        if below:
            handles, labels = axes.get_legend_handles_labels()
            canvas.legend(
                handles[::-1], labels[::-1], loc="outside lower left", frameon=False, fontsize=10, handlelength=2.5
            )
        elif len(shown) > 1 or (shown and shown[0].label):
            _lay_out(canvas)
            _end_labels(axes, shown)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


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
    words = _Words()
    with _canvas(name, 1.1 + 0.27 * len(points)) as (canvas, axes):
        axes.set_xscale(x_scale)
        for row, point in enumerate(points):
            colour = PALETTE[(groups[row] if groups else 0) % 8]
            if math.isfinite(point.low) and math.isfinite(point.high):
                axes.plot(
                    [point.low, point.high], [row, row], color=colour, linewidth=3, alpha=0.5, solid_capstyle="butt"
                )
            (drawn,) = axes.plot([point.value], [row], marker="o", markersize=5, color=colour, linestyle="none")
            words.add(drawn, [f"{point.label}: {_interval(point.value, point.low, point.high)}"])
            axes.annotate(
                plain(point.value, 3),
                (point.value, row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
        axes.set_yticks(range(len(points)), [_short(point.label) for point in points])
        axes.set_ylim(len(points) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.16)
        if from_zero:
            axes.set_xlim(left=0)
        (_log_axis if x_scale == "log" else _linear_axis)(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


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
    logarithmic axis bars begin at `least`, and one that does not reach it is its number only.
    """
    height = sum(1.35 + len(group.bars) for group in groups)
    words = _Words()
    with _canvas(name, 0.8 + 0.205 * height) as (canvas, axes):
        axes.set_xscale(x_scale)
        start = least if x_scale == "log" else 0.0
        y, ticks, labels = 0.0, [], []
        reach = start
        for group in groups:
            axes.text(0.0, y, _short(group.label), transform=axes.get_yaxis_transform(), va="center", weight="bold")
            y += 1.1
            for bar in group.bars:
                colour = PALETTE[bar.colour % 8]
                end = max(bar.value, start) if math.isfinite(bar.value) else start
                (drawn,) = axes.barh(y, end - start, left=start, height=0.72, color=colour, alpha=0.75, linewidth=0)
                words.add(drawn, [f"{bar.label}, {group.label}: {_interval(bar.value, bar.low, bar.high)}"])
                if math.isfinite(bar.low) and math.isfinite(bar.high) and bar.high > start:
                    axes.plot([max(bar.low, start), bar.high], [y, y], color=_INK, linewidth=1.2)
                    end = max(end, bar.high)
                axes.annotate(
                    bar.said or plain(bar.value, 3),
                    (end, y),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9.5,
                )
                reach = max(reach, end)
                ticks.append(y)
                labels.append(_short(bar.label))
                y += 1.0
            y += 0.25
        axes.set_yticks(ticks, labels, fontsize=9.5)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(y - 0.5, -0.7)
        axes.set_xlim(start, start * (reach / start) ** 1.25 if x_scale == "log" else reach * 1.2 or 1.0)
        axes.grid(visible=False, axis="y")
        (_log_axis if x_scale == "log" else _linear_axis)(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


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

    height = sum(1.35 + len(group.dots) for group in groups)
    words = _Words()
    with _canvas(name, 0.8 + 0.205 * height) as (canvas, axes):
        axes.set_xscale("log")
        y, ticks, labels, reach = 0.0, [], [], start
        for group in groups:
            axes.text(0.0, y, _short(group.label), transform=axes.get_yaxis_transform(), va="center", weight="bold")
            y += 1.1
            for dot in group.dots:
                known = math.isfinite(dot.value)
                at = max(dot.value if known else dot.bound, start)
                end = at
                for low, high, width in ((dot.least, dot.most, 1.0), (dot.low, dot.high, 3.5)):
                    if known and math.isfinite(low) and high > start:
                        axes.plot(
                            [max(low, start), high],
                            [y, y],
                            color=PALETTE[0],
                            linewidth=width,
                            alpha=0.55,
                            solid_capstyle="butt",
                        )
                        end = max(end, high)
                if known:
                    (drawn,) = axes.plot([at], [y], "o", color=PALETTE[0], markersize=5, clip_on=False)
                    said = f"{dot.label}, {group.label}: {_interval(dot.value, dot.low, dot.high)}"
                else:
                    axes.plot([start, at], [y, y], color=PALETTE[7], linewidth=1.0, linestyle=(0, (1.5, 1.5)))
                    (drawn,) = axes.plot(
                        [at], [y], "<", markeredgecolor=PALETTE[7], markerfacecolor="none", markersize=6, clip_on=False
                    )
                    said = f"{dot.label}, {group.label}: none, less than {plain(dot.bound, 2)}"
                words.add(drawn, [said])
                axes.annotate(
                    dot.said or plain(dot.value, 3),
                    (end, y),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=9.5,
                )
                reach = max(reach, end)
                ticks.append(y)
                labels.append(_short(dot.label))
                y += 1.0
            y += 0.25
        axes.set_yticks(ticks, labels, fontsize=9.5)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(y - 0.5, -0.7)
        # Room for the words of the row that reaches furthest.
        axes.set_xlim(start, start * (reach / start) ** 1.3 if reach > start else start * 10)
        axes.grid(visible=False, axis="y")
        if reach > start * 1e4:  # the words of neighbouring decades would meet
            axes.xaxis.set_major_locator(LogLocator(base=100))
        _log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


def regression(
    name: str, title: str, description: str, table: Table, fits: Sequence[Fit], *, x_label: str, y_label: str, unit: str
) -> Figure:
    """Lines through points with their bands, and beneath, on a scale of its own, what the lines leave over."""
    words = _Words()
    with _canvas(name, 5.4) as (canvas, axes):
        axes.remove()
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for index, item in enumerate(fits):
            colour, mark = PALETTE[index % 8], "osD^"[index % 4]
            upper.fill_between(item.x, item.line_low, item.line_high, color=colour, alpha=0.25, linewidth=0)
            upper.plot(item.x, item.line, color=colour, linewidth=1.6, linestyle=_DASHES[index % 4])
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
                f"{'●■◆▲'[index % 4]} {_short(item.label)}",
                color=colour,
                va="top",
                transform=upper.transAxes,
            )
        lower.axhline(0, color=_INK, linewidth=0.8, alpha=0.6)
        for axis in (upper, lower):
            axis.patch.set_alpha(0)
            _linear_axis(axis.yaxis)
        _linear_axis(lower.xaxis)
        upper.set_ylabel(y_label)
        upper.set_ylim(bottom=0)
        lower.set_ylabel(f"left over, {unit}")
        lower.set_xlabel(x_label)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


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
    spans: Sequence[Span] = (),
) -> Figure:
    """Lines named at their right ends, and beneath, over the same x, a share of 0 to 1 for each of them."""
    words = _Words()
    with _canvas(name, 5.2) as (canvas, axes):
        axes.remove()
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for axis, lines_there in ((upper, series), (lower, beneath)):
            for index, item in enumerate(lines_there):
                colour = PALETTE[index % 8]
                style = {"color": colour, "linestyle": _DASHES[(index // 8 + index) % 4], "linewidth": 1.8}
                (drawn,) = axis.plot(item.x, item.y, marker="o", markersize=3.5, **style)
                words.series(drawn, item, plain)
                if item.low is not None and item.high is not None:
                    axis.fill_between(item.x, item.low, item.high, color=colour, alpha=0.2, linewidth=0)
            for span in spans:
                _draw_span(axis, span if axis is upper else Span(span.low, span.high))
            axis.patch.set_alpha(0)
        upper.set_xscale("log", base=2)
        upper.set_yscale(y_scale)
        (_log_axis if y_scale == "log" else _linear_axis)(upper.yaxis)
        if y_scale == "linear":
            upper.set_ylim(bottom=0)
        _linear_axis(lower.yaxis)
        _log_axis(lower.xaxis)
        lower.set_xticks(list(x_ticks))
        lower.minorticks_off()
        lower.set_ylim(-0.05, 1.08)
        upper.set_ylabel(y_label)
        lower.set_ylabel(beneath_label)
        lower.set_xlabel(x_label)
        _lay_out(canvas)
        _end_labels(upper, series)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


def heat(
    name: str, title: str, description: str, table: Table, labels: Sequence[str], values: Array, *, unit: str
) -> Figure:
    """A square matrix in colours from dark (small) to light; numbers stand in the cells where they fit, and more than
    128 rows are one picture instead of single cells.
    """
    n = len(labels)
    import matplotlib

    words = _Words()
    with _canvas(name, 4.6) as (canvas, axes):
        # Few steps: a key of vectors instead of a picture.
        colours = matplotlib.colormaps["viridis"].resampled(32)
        masked = np.ma.masked_invalid(values)
        if n > RASTER_ROWS:
            image: Any = axes.imshow(masked, cmap=colours, vmin=0, interpolation="nearest")
        else:
            edges = np.arange(n + 1) - 0.5
            image = axes.pcolormesh(edges, edges, masked, cmap=colours, vmin=0, edgecolors="none")
            if n <= NAMED_ROWS:
                words.add(
                    image,
                    [
                        f"from {labels[i]} to {labels[j]}: {plain(float(values[i, j]), 3)} {unit}"
                        for i in range(n)
                        for j in range(n)
                    ],
                )
        if n <= 8:
            for i, j in zip(*np.nonzero(np.isfinite(values)), strict=True):
                axes.text(j, i, plain(float(values[i, j]), 3), ha="center", va="center", fontsize=11)
        some = range(0, n, max(1, math.ceil(n / 16)))
        axes.set_xticks(list(some), [labels[i] for i in some])
        axes.set_yticks(list(some), [labels[i] for i in some])
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.grid(visible=False)
        axes.set_xlabel("to CPU")
        axes.set_ylabel("from CPU")
        bar = canvas.colorbar(image, ax=axes, shrink=0.8)
        if bar.solids is not None:
            bar.solids.set_rasterized(False)
        bar.outline.set_visible(False)
        bar.set_label(unit)
        _linear_axis(bar.ax.yaxis)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


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
    words = _Words()
    with _canvas(name, 4.4) as (canvas, axes):
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
        axes.set_yticks([0.0, *tops], ["0", *map(_decade, tops)])
        axes.minorticks_off()
        _log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


def _draw_span(axes: Axes, span: Span) -> None:
    shade: dict[str, Any] = {"color": _INK, "alpha": 0.08, "linewidth": 0}
    if span.of_y:
        axes.axhspan(span.low, span.high, **shade)
        axes.text(
            0.01, (span.low + span.high) / 2, span.word, transform=axes.get_yaxis_transform(), va="center", fontsize=10
        )
    else:
        axes.axvspan(span.low, span.high, **shade)
        # From its end inwards: the span may be narrower than its word, and end where the picture does.
        axes.text(span.high, 0.02, span.word, transform=axes.get_xaxis_transform(), ha="right", fontsize=10)


def ecdf(name: str, title: str, description: str, table: Table, series: Sequence[Series], *, x_label: str) -> Figure:
    """Share of events at or below x, on a logarithmic x; each curve is named beside its own steep part."""
    words = _Words()
    with _canvas(name, 4.0) as (canvas, axes):
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
                linestyle=_DASHES[(index // 8 + index) % 4],
            )
            words.series(drawn, item, plain, markers=False)
            height = float(heights[::-1][place])
            axes.annotate(
                _short(item.label),
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
        _log_axis(axes.xaxis)
        axes.set_xlabel(x_label)
        axes.set_ylabel("share of events")
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


def _at(item: Series, share: float) -> float:
    return float(item.x[min(int(np.searchsorted(item.y, share - 1e-12)), len(item.x) - 1)])


def ladder(
    name: str,
    title: str,
    description: str,
    table: Table,
    rungs: Sequence[Point],
    said: Sequence[str],
    links: Sequence[str],
    *,
    axis: Callable[[float], str],
) -> Figure:
    """Costs on one logarithmic scale, cheapest on top: each its name, which is a link, above its mark, and what it
    costs beside it, as `said` has it.
    """
    words, targets = _Words(), {}
    # Narrow, so that its words are large enough on a telephone.
    with _canvas(name, 0.75 + 0.38 * len(rungs), 4.5) as (canvas, axes):
        axes.set_xscale("log")
        low = 10.0 ** math.floor(math.log10(min(rung.value for rung in rungs)))
        high = 10.0 ** math.ceil(math.log10(max(rung.value for rung in rungs)) + 1e-9)
        low, high = low / 1.5, max(high, low * 1e3) * 1.5
        middle = math.sqrt(low * high)
        for row, (rung, text, link) in enumerate(zip(rungs, said, links, strict=True)):
            axes.plot([low, rung.value], [row, row], color=PALETTE[0], linewidth=1.1, alpha=0.45)
            if math.isfinite(rung.low) and math.isfinite(rung.high):
                axes.plot(
                    [rung.low, rung.high],
                    [row, row],
                    color=PALETTE[0],
                    linewidth=5,
                    alpha=0.5,
                    solid_capstyle="butt",
                )
            (drawn,) = axes.plot([rung.value], [row], marker="o", markersize=6, color=PALETTE[0], linestyle="none")
            words.add(drawn, [f"{rung.label}: {text} {_interval(rung.value, rung.low, rung.high)}"])
            right = rung.value < middle * 10
            axes.annotate(
                text,
                (rung.value, row),
                xytext=(8 if right else -8, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                fontsize=10,
                weight="bold",
            )
            label = axes.text(
                0.0, row - 0.43, _shortened(rung.label, 60), transform=axes.get_yaxis_transform(), va="center"
            )
            label.set_fontsize(10)
            label.set_gid(f"link{row}")
            targets[f"link{row}"] = link
        axes.set_yticks([])
        axes.set_ylim(len(rungs) - 0.5, -0.8)
        axes.set_xlim(low, high)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="x", length=0, labeltop=True)
        axes.grid(visible=True, axis="x")
        axes.minorticks_off()
        _log_axis(axes.xaxis, axis)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id, targets), table)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(frozen=True)
class Box:
    """A part of a machine: its name, the parts within, and whether it is one that was measured on."""

    label: str
    parts: tuple[Box, ...] = ()
    marked: bool = False


_LABEL = 0.75
_PAD = 0.18


def boxes(name: str, title: str, description: str, table: Table, outer: Sequence[Box], *, across: float) -> Figure:
    """Boxes within boxes, the innermost filled where they are marked; `across` of the innermost fill the width."""
    placed: list[tuple[Box, float, float, float, float]] = []
    height = _flow(outer, 0.0, 0.0, across, placed)[1]
    inch = 5.2 / across
    from matplotlib.patches import Rectangle

    words = _Words()
    with _canvas(name, max(0.5, height * inch)) as (canvas, axes):
        canvas.set_layout_engine("none")
        axes.set_position((0.005, 0.005, 0.99, 0.99))
        size_of_text = max(3.5, min(10.0, inch * 72 * 0.42))
        for box, x, y, wide, high in placed:
            leaf = not box.parts
            shape = Rectangle(
                (x, y),
                wide,
                high,
                facecolor=PALETTE[0] if leaf and box.marked else "none",
                alpha=0.35 if leaf and box.marked else 0.9,
                edgecolor=_INK,
                linewidth=0.5 if leaf else 0.9,
            )
            axes.add_patch(shape)
            words.add(shape, [box.label])
            axes.text(
                x + wide / 2 if leaf else x + _PAD,
                y + (high / 2 if leaf else _LABEL / 2 + 0.03),
                box.label,
                ha="center" if leaf else "left",
                va="center",
                fontsize=size_of_text,
            )
        axes.set_axis_off()
        axes.set_xlim(-0.05, across + 0.05)
        axes.set_ylim(height + 0.05, -0.05)
        return Figure(name, title, description, _svg(canvas, name, title, description, words.by_id), table)


def _flow(
    parts: Sequence[Box], x: float, y: float, across: float, placed: list[tuple[Box, float, float, float, float]]
) -> tuple[float, float]:
    """Place boxes from left to right, in as many rows as they need; width and height that they take."""
    left, top, tall, widest = x, y, 0.0, 0.0
    for part in parts:
        own: list[tuple[Box, float, float, float, float]] = []
        if part.parts:
            inner = _flow(part.parts, 0.0, 0.0, across - 2 * _PAD, own)
            # A name must fit, as far as there is room at all.
            wide = min(max(inner[0], 0.24 * len(part.label)) + 2 * _PAD, across)
            high = inner[1] + _LABEL + _PAD
        else:
            wide, high = max(1.0, 0.27 * len(part.label) + 0.3), 0.9
        if left > x and left + wide > x + across + 1e-9:
            left, top, tall = x, top + tall + _PAD, 0.0
        placed.append((part, left, top, wide, high))
        placed += [(box, a + left + _PAD, b + top + _LABEL, w, h) for box, a, b, w, h in own]
        left += wide + _PAD
        tall = max(tall, high)
        widest = max(widest, left - _PAD - x)
    return widest, top + tall - y
