"""Panels one above the other over a common time, as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fencepost.analysis.draw.figure import DASHES, PALETTE, STYLE, Figure, Series, linear_axis, svg_figure
from fencepost.analysis.text.table import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


@dataclass(frozen=True)
class Panel:
    """One panel: what its y is, its lines, and where y begins and ends (None: as far as needed)."""

    y_label: str
    series: Sequence[Series]
    low: float | None = None
    high: float | None = None


@contextmanager
def panels_file(path: Path, count: int, height: float, title: str, description: str) -> Iterator[tuple[Canvas, Any]]:
    """A drawing of `count` panels over a common x, and their axes. At the end it is written into `path`.

    Parameters
    ----------
    path
        ends in .svg or .png.
    count
        how many panels.
    height
        of the whole in inches.
    title
        stands above the panels.
    description
        what a screen reader says in place of the picture.

    Raises
    ------
    OSError
        when the file cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context(STYLE | {"svg.hashsalt": "fencepost", "font.size": 10}):
        canvas = Canvas(figsize=(9, height), layout="constrained")
        canvas.suptitle(title, fontsize=10)
        every = canvas.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        for area in (canvas, *every):
            area.patch.set_alpha(0)
        yield canvas, every
        if path.suffix == ".svg":
            svg = svg_figure(canvas, "panels", title, description)
            figure = Figure("panels", title, description, svg, table(title, (), ()))
            path.write_text(figure.standalone(), encoding="utf-8")
        else:
            canvas.savefig(path, dpi=150, facecolor="white")


def save_panels(path: Path, title: str, x_label: str, panels: Sequence[Panel]) -> None:
    """Draw `panels` into `path`, which ends in .svg or .png. Lines of one place in all panels have one colour.

    Raises
    ------
    OSError
        when it cannot be written.
    """
    said = f"{x_label}. {'. '.join(panel.y_label for panel in panels)}."
    with panels_file(path, len(panels), 1.0 + 1.8 * len(panels), title, said) as (canvas, every):
        for axes, panel in zip(every, panels, strict=True):
            for index, item in enumerate(panel.series):
                # A single second has no line.
                alone = "o" if np.isfinite(item.y).sum() == 1 else None
                colour, dash = PALETTE[index % len(PALETTE)], DASHES[index // len(PALETTE) % len(DASHES)]
                axes.plot(item.x, item.y, color=colour, linestyle=dash, lw=1.5, marker=alone, label=item.label)
            axes.set_ylabel(panel.y_label, fontsize=9)
            axes.set_ylim(panel.low, panel.high)
            linear_axis(axes.yaxis)
        every[-1].set_xlabel(x_label)
        canvas.legend(*every[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9, frameon=False)
