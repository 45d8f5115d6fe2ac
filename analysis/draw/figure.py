"""The figure, its parts, and the canvas that every kind of plot draws on."""

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

from fencepost.analysis.draw.svg import named, tidy
from fencepost.analysis.text.numbers import count, plain, thousands, with_bounds
from fencepost.analysis.text.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

# Okabe and Ito's palette (jfly.uni-koeln.de/color), less yellow and black, which vanish on light or dark paper.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")


READABLE = ("#0072b2", "#b84a00", "#007a58", "#a84682", "#8a5b00", "#1b74a8", "#7655ad", "#606060")
"""The same, dark enough for words on white (4.5 : 1 and more); report.css has those for a dark page."""


INK = "#010203"
"""Stands for the colour of words while matplotlib draws: no mark has it."""


SHOWN = {INK: "#1b1b1b", **dict(zip(PALETTE, READABLE, strict=True))}
"""Colours of a picture by those that it is drawn with. report.css names each again, for a page that is dark."""


DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    # Names of CPUs and kernels come from outside: a dollar sign in one must not start a formula.
    "text.parse_math": False,
    "font.size": 11,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
}


PX_OF_POINT = 96 / 72
"""Pixels of CSS, of which an inch has 96, in a point, of which it has 72."""


Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A picture, what it says in words, and its table.

    ``name`` is a word for ids and file names; ``svg`` is for putting into an HTML page. It is empty where a picture
    would say nothing beyond the table.
    """

    name: str
    title: str
    description: str
    svg: str
    table: Table

    def standalone(self) -> str:
        """The same picture as a file of its own, dark on white, for programs that know less than a browser does."""
        opening, rest = named(self.svg).split(">", 1)
        _, _, width, height = re.findall(r"[\d.]+", opening.partition('viewBox="')[2].partition('"')[0])
        size = " ".join(
            f'{name}="{float(points) * PX_OF_POINT:.0f}"' for name, points in (("width", width), ("height", height))
        )
        head = opening.replace("<svg ", f"<svg {size} ", 1)
        # Sections to link to are on the page, not in this file.
        rest = re.sub(r'<a href="#[^"]*">|</a>', "", rest)
        paper = f'</desc><rect width="{width}" height="{height}" fill="#fff"/>'
        return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>{rest.replace("</desc>", paper, 1)}\n'


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
class Shade:
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
def new_canvas(name: str, height: float = 3.5, width: float = 5.2) -> Iterator[tuple[Canvas, Axes]]:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        canvas.patch.set_alpha(0)
        axes = canvas.add_subplot()
        axes.patch.set_alpha(0)
        yield canvas, axes


_drawing = True


@contextmanager
def undrawn() -> Iterator[None]:
    """Within it pictures are empty: what stands around them is asked for, and drawing is most of the time."""
    global _drawing  # every picture of a page, whoever draws it
    _drawing, before = False, _drawing
    try:
        yield
    finally:
        _drawing = before


def svg_figure(
    canvas: Canvas,
    name: str,
    title: str,
    description: str,
    said: Mapping[str, Sequence[str]] | None = None,
    links: Mapping[str, str] | None = None,
) -> str:
    if not _drawing:
        return "<svg ></svg>"
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    _name_scales(canvas)
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Letters that matplotlib's own font lacks: the page's font draws them. Some of them would drive a terminal.
        warnings.filterwarnings("ignore", message="Glyph")
        # What savefig does in the end, without its first drawing into the void, which is for formats that need it.
        FigureCanvasSVG(canvas).print_svg(buffer, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return tidy(buffer.getvalue(), name, title, description, SHOWN, said, links, ink=SHOWN[INK])


def _name_scales(canvas: Canvas) -> None:
    """Say beside each axis that it is logarithmic, where it is. For all kinds of pictures here: no label is wrong."""
    for axes in canvas.axes:
        for axis in (axes.xaxis, axes.yaxis):
            label = axis.get_label_text()
            if label and axis.get_scale() != "linear":
                axis.set_label_text(f"{label} (log)")


def interval(value: float, low: float, high: float) -> str:
    """A number with its bounds, for words to hover over; without them where there are none."""
    return with_bounds(float(value), float(low), float(high))


class Lettering:
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
            texts.append(f"{start}{interval(item.y[i], low, high)} at {x_said(float(item.x[i]))}")
        self.add(artist, texts)


def short(label: str) -> str:
    return label if len(label) <= 48 else label[:47] + "…"


def decade(value: float) -> str:
    # From ten thousand on in short: on an axis of eight decades whole numbers would run into each other.
    return plain(value, 1) if value < 1 else thousands(value) if value >= 1e4 else count(round(value))


def log_axis(axis: Any, label: Callable[[float], str] = decade) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: label(float(value))))
    axis.set_minor_formatter(NullFormatter())


def linear_axis(axis: Any) -> None:
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


def lay_out(canvas: Canvas) -> None:
    """Give the axes the places that they will about have, so that words can be put beside what was drawn. A drawing
    without rendering would do the same and draw everything besides.
    """
    if not _drawing:
        return
    engine = canvas.get_layout_engine()
    assert engine is not None
    engine.execute(canvas)


def end_labels(axes: Axes, series: Sequence[Series]) -> None:
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
            1.02, y, short(item.label), transform=axes.transAxes, color=PALETTE[index % 8], va="center", clip_on=False
        )


@dataclass(frozen=True)
class Box:
    """A part of a machine: its name, the parts within, and whether it is one that was measured on."""

    label: str
    parts: tuple[Box, ...] = ()
    marked: bool = False
