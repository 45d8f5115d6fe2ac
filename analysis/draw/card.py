"""A run's summary as one picture to be pasted, in two forms: SVG, and PNG for programs that take no other."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fencepost.analysis.draw.figure import READABLE, Figure, new_canvas, svg_figure
from fencepost.analysis.text.table import table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 8.4
"""Inches, as all lengths here."""
EDGE, TITLE, LINE, ROW = 0.25, 0.42, 0.21, 0.27
"""Free on every side; from the top to the first line; from line to line; from row to row."""
TIME_ENDS, SURE_ENDS, BAR_BEGINS = 5.15, 5.95, 6.1
LETTERS, TITLE_LETTERS = 108, 64
"""Letters that have room in a line of 9 points, and in the title at its full size, in a wide font."""
SHORTEST = 0.04
"""Of the longest bar, so that the shortest can be seen too."""
DOTS_PER_INCH = 160
"""Sharp at twice the size of a page in a chat or a slide."""
INK, QUIET, PALE = "#1b1b1b", "#4d545c", "#a9cfe6"


class CardRow(NamedTuple):
    """A row with a bar, which has `share` (0 to 1; NaN for none) of the longest one's length."""

    label: str
    time: str
    sure: str
    share: float
    pale: bool = False


@dataclass(frozen=True)
class Card:
    """A title, a verdict, quiet lines below it, rows with bars, and a line at the foot."""

    title: str
    verdict: str
    lines: Sequence[str]
    rows: Sequence[CardRow]
    foot: str


def card_files(card: Card) -> dict[str, bytes]:
    """The picture by the suffix of its file: ``.svg`` and ``.png``. Both come from one drawing."""
    lines = [
        *((text, INK) for text in textwrap.wrap(card.verdict, LETTERS)),
        *((text, QUIET) for line in card.lines for text in textwrap.wrap(line, LETTERS, subsequent_indent="    ")),
    ]
    foot = textwrap.wrap(card.foot, LETTERS)
    height = 2 * EDGE + TITLE + LINE * (len(lines) + len(foot)) + ROW * len(card.rows)
    with new_canvas("summary", height, WIDTH) as (canvas, axes), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # of a name in letters that the font lacks
        canvas.set_layout_engine("none")
        axes.set_position((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(height, 0)
        # A long name is set smaller rather than cut.
        points = 14 * min(1.0, TITLE_LETTERS / max(len(card.title), 1))
        axes.text(EDGE, EDGE + 0.1, card.title, fontsize=points, weight="bold", color=INK, va="center")
        y = EDGE + TITLE
        for text, colour in lines:
            axes.text(EDGE, y, text, fontsize=9, va="center", color=colour)
            y += LINE
        y += (ROW - LINE) * 2
        for row in card.rows:
            _draw_row(axes, row, y)
            y += ROW
        for text in foot:
            axes.text(EDGE, y, text, fontsize=8, va="center", color=QUIET)
            y += LINE
        rows = [(row.label, f"{row.time} {row.sure}".strip()) for row in card.rows]
        said = "; ".join(f"{label}: {time}" for label, time in rows)
        words = " ".join([card.verdict, *(f"{line}." for line in card.lines), f"{said}.", card.foot])
        svg = svg_figure(canvas, "summary", card.title, words)
        sink = io.BytesIO()
        canvas.savefig(sink, format="png", dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    figure = Figure("summary", card.title, words, svg, table(card.title, ("what", "time"), rows))
    return {".svg": figure.standalone().encode(), ".png": sink.getvalue()}


def _draw_row(axes: Axes, row: CardRow, y: float) -> None:
    axes.text(EDGE, y, row.label, fontsize=9.5, va="center", color=INK)
    axes.text(TIME_ENDS, y, row.time, fontsize=9.5, va="center", ha="right", weight="bold", color=INK)
    axes.text(SURE_ENDS, y, row.sure, fontsize=8, va="center", ha="right", color=QUIET)
    if math.isfinite(row.share):
        length = (WIDTH - EDGE - BAR_BEGINS) * (SHORTEST + (1 - SHORTEST) * row.share)
        axes.barh(y, length, height=0.15, left=BAR_BEGINS, color=PALE if row.pale else READABLE[0], linewidth=0)
