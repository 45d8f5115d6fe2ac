"""Points with their names on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fencepost.analysis.draw.figure import (
    PALETTE,
    Figure,
    Lettering,
    interval,
    lay_out,
    log_axis,
    new_canvas,
    svg_figure,
)
from fencepost.analysis.text.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LETTER_PX, _LINE_PX = 5.6, 13.0
"""About how wide a letter of a name is, and how high a line, at the size of names."""


@dataclass(frozen=True)
class Spot:
    """A point: its name, x and y, each as (value, low, high), and `colour`, an index of the palette."""

    label: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    colour: int = 0


def scatter(
    name: str, title: str, description: str, table: Table, spots: Sequence[Spot], *, x_label: str, y_label: str
) -> Figure:
    """Draw points with their intervals, and their names beside them where no other name is."""
    words = Lettering()
    with new_canvas(name, 4.2, 6.4) as (canvas, axes):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for spot in spots:
            colour = PALETTE[spot.colour % 8]
            axes.plot(spot.x[1:], [spot.y[0]] * 2, color=colour, linewidth=1.2, alpha=0.6)
            axes.plot([spot.x[0]] * 2, spot.y[1:], color=colour, linewidth=1.2, alpha=0.6)
            (drawn,) = axes.plot([spot.x[0]], [spot.y[0]], "o", color=colour, markersize=6)
            words.add(drawn, [f"{spot.label}: {interval(*spot.x)}, {interval(*spot.y)}"])
        for axis, values in (
            (axes.xaxis, [v for s in spots for v in s.x]),
            (axes.yaxis, [v for s in spots for v in s.y]),
        ):
            _ticks(axis, min(values), max(values))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        lay_out(canvas)
        _write_names(axes, spots)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


def _ticks(axis: object, low: float, high: float) -> None:
    """Room around the points, and a tick at 1, 2 and 5 of each decade, as few decades have few ticks otherwise."""
    from matplotlib.axis import Axis

    assert isinstance(axis, Axis)
    low, high = low / 1.4, high * 2
    axis.axes.set(**{"xlim" if axis.axis_name == "x" else "ylim": (low, high)})  # type: ignore[attr-defined]
    steps = [digit * 10.0**power for power in range(-9, 16) for digit in (1, 2, 5)]
    axis.set_ticks([step for step in steps if low <= step <= high])
    axis.set_ticks([], minor=True)
    log_axis(axis, lambda value: f"{value:g}")


def _write_names(axes: Axes, spots: Sequence[Spot]) -> None:
    """Beside each point at the first place that is free: right, left, above, below, then further up and down."""
    pixels = axes.figure.dpi / 72
    centres = [axes.transData.transform((spot.x[0], spot.y[0])) / pixels for spot in spots]
    begin = axes.bbox.x0 / pixels
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in centres]
    for spot, (x, y) in zip(spots, centres, strict=True):
        width = _LETTER_PX * len(spot.label)
        places = [(side, rise) for rise in (0, 12, -12, 24, -24, 36, -36) for side in (1, -1)]
        boxes = []
        for side, rise in places:
            left = x + 7 if side > 0 else x - 7 - width
            boxes.append((left, y + rise - _LINE_PX / 2, left + width, y + rise + _LINE_PX / 2))
        free = next(
            (i for i, box in enumerate(boxes) if box[0] > begin and not any(_meet(box, other) for other in taken)), 0
        )
        side, rise = places[free]
        taken.append(boxes[free])
        axes.annotate(
            spot.label,
            (spot.x[0], spot.y[0]),
            xytext=(7 * side, rise),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=9.5,
            color=PALETTE[spot.colour % 8],
        )


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
