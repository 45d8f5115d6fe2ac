"""Headline numbers on one logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fencepost.analysis.draw.figure import PALETTE, Figure, Lettering, Point, interval, log_axis, new_canvas, svg_figure
from fencepost.analysis.text.table import Table

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


EDGE = 0.08
"""Inches that stay free on the left and the right: a sixth of ``0.1 ns`` on each side."""


FITTING = 56
"""Letters of a name that fit at full size, also in a wide font. A longer name is set smaller."""


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
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    words, targets = Lettering(), {}
    low, high = _ends([rung.value for rung in rungs])
    # Narrow, so that its words are large enough on a telephone.
    with new_canvas(name, 0.75 + 0.38 * len(rungs), 4.5) as (canvas, axes):
        axes.set_xscale("log")
        for row, (rung, text, link) in enumerate(zip(rungs, said, links, strict=True)):
            drawn = _draw_rung(axes, row, rung, low)
            words.add(drawn, [f"{rung.label}: {text} {interval(rung.value, rung.low, rung.high)}"])
            # On the side where there is more room.
            _write_cost(axes, row, rung.value, text, right=rung.value < math.sqrt(low * high) * 10)
            targets[_write_name(axes, row, rung.label)] = link
        axes.set_yticks([])
        axes.set_ylim(len(rungs) - 0.5, -0.8)
        axes.set_xlim(low, high)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(axis="x", length=0, labeltop=True, labelsize=9.5)  # seven decades side by side
        axes.grid(visible=True, axis="x")
        axes.minorticks_off()
        log_axis(axes.xaxis, axis)
        engine = canvas.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)
        # The first number stands at the edge, and the reader's font may be wider than matplotlib's.
        engine.set(w_pad=EDGE)
        return Figure(
            name, title, description, svg_figure(canvas, name, title, description, words.by_id, targets), table
        )


def _ends(costs: Sequence[float]) -> tuple[float, float]:
    """Both ends of the scale: whole decades, at least three of them, and a little room."""
    low = 10.0 ** math.floor(math.log10(min(costs)))
    high = 10.0 ** math.ceil(math.log10(max(costs)) + 1e-9)
    return low / 1.5, max(high, low * 1e3) * 1.5


def _draw_rung(axes: Axes, row: int, rung: Point, low: float) -> Artist:
    """Draw a line from the scale's lower end to the cost, and its interval. Returns the mark at the cost."""
    axes.plot([low, rung.value], [row, row], color=PALETTE[0], linewidth=1.1, alpha=0.45)
    if math.isfinite(rung.low) and math.isfinite(rung.high):
        axes.plot([rung.low, rung.high], [row, row], color=PALETTE[0], linewidth=5, alpha=0.5, solid_capstyle="butt")
    (drawn,) = axes.plot([rung.value], [row], marker="o", markersize=6, color=PALETTE[0], linestyle="none")
    return drawn


def _write_cost(axes: Axes, row: int, cost: float, text: str, *, right: bool) -> None:
    """Write what a rung costs beside its mark."""
    axes.annotate(
        text,
        (cost, row),
        xytext=(8 if right else -8, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        fontsize=10,
        weight="bold",
    )


def _write_name(axes: Axes, row: int, name: str) -> str:
    """Write the name of a rung above its line. Returns the id of the words, for a link."""
    label = axes.text(0.0, row - 0.43, _shortened(name, 60), transform=axes.get_yaxis_transform(), va="center")
    label.set_fontsize(10 * min(1.0, FITTING / len(name)))
    label.set_gid(f"link{row}")
    return f"link{row}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
