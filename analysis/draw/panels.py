"""Panels one above the other over a common time, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fencepost.analysis.draw.figure import DASHES, PALETTE, Series, linear_axis


@dataclass(frozen=True)
class Panel:
    """One panel: what its y is, its lines, and where y begins and ends (None: as far as needed)."""

    y_label: str
    series: Sequence[Series]
    low: float | None = None
    high: float | None = None


def save_panels(path: Path, title: str, x_label: str, panels: Sequence[Panel]) -> None:
    """Draw `panels` into `path`, which ends in .svg or .png. Lines of one place in all panels have one colour.

    Raises
    ------
    OSError
        when it cannot be written.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "text.parse_math": False, "svg.hashsalt": "fencepost"}):
        canvas = Figure(figsize=(9, 1.0 + 1.8 * len(panels)), layout="constrained")
        canvas.suptitle(title, fontsize=10)
        every = canvas.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(every, panels, strict=True):
            for index, item in enumerate(panel.series):
                # A single second has no line.
                alone = "o" if np.isfinite(item.y).sum() == 1 else None
                colour, dash = PALETTE[index % len(PALETTE)], DASHES[index // len(PALETTE) % len(DASHES)]
                axes.plot(item.x, item.y, color=colour, linestyle=dash, lw=1.5, marker=alone, label=item.label)
            axes.set_ylabel(panel.y_label, fontsize=9)
            axes.set_ylim(panel.low, panel.high)
            linear_axis(axes.yaxis)
            axes.grid(alpha=0.2)
            axes.spines[["top", "right"]].set_visible(False)
        every[-1].set_xlabel(x_label)
        canvas.legend(*every[0].get_legend_handles_labels(), loc="outside right upper", fontsize=9, frameon=False)
        # Without a date two drawings of the same values are the same file.
        canvas.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
