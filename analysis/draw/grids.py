"""Heat maps and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fencepost.analysis.draw.figure import (
    INK,
    PALETTE,
    Array,
    Box,
    Figure,
    Lettering,
    linear_axis,
    new_canvas,
    svg_figure,
)
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.text.table import Table

RASTER_ROWS = 128


FEWEST_ROWS = 3
"""Of a matrix: two CPUs are a square of two equal colours."""


NAMED_ROWS = 32
"""Cells of a larger matrix say nothing of themselves: a thousand titles are enough of a page's size."""


def heat(
    name: str, title: str, description: str, table: Table, labels: Sequence[str], values: Array, *, unit: str
) -> Figure:
    """A square matrix in colours from dark (small) to light; numbers stand in the cells where they fit, and more than
    128 rows are one picture instead of single cells.

    Two CPUs have two numbers, which their table says: they have no picture.
    """
    n = len(labels)
    if n < FEWEST_ROWS:
        return Figure(name, title, description, "", table)
    import matplotlib

    words = Lettering()
    with new_canvas(name, 4.6) as (canvas, axes):
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
        linear_axis(bar.ax.yaxis)
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


_LABEL = 0.75


_PAD = 0.18


def boxes(name: str, title: str, description: str, table: Table, outer: Sequence[Box], *, across: float) -> Figure:
    """Boxes within boxes, the innermost filled where they are marked; `across` of the innermost fill the width."""
    placed: list[tuple[Box, float, float, float, float]] = []
    height = _flow(outer, 0.0, 0.0, across, placed)[1]
    inch = 5.2 / across
    from matplotlib.patches import Rectangle

    words = Lettering()
    with new_canvas(name, max(0.5, height * inch)) as (canvas, axes):
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
                edgecolor=INK,
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
        return Figure(name, title, description, svg_figure(canvas, name, title, description, words.by_id), table)


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
