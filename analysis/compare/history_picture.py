"""A picture of the history of one machine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fencepost.analysis.compare.history import MachineHistory, RowSeries
from fencepost.analysis.draw.panels import panels_file
from fencepost.analysis.text.numbers import counted

MOST_PANELS = 8


def draw(machine: MachineHistory, path: Path) -> list[str]:
    """Draw the rows that changed most, then controls, eight in all; returns their cases. `path` ends in .svg or .png.

    Raises
    ------
    OSError
        when it cannot be written.
    """
    largest: dict[str, float] = {}
    for change in machine.changes:
        largest[change.case] = max(largest.get(change.case, 0), abs(math.log(change.ratio)))
    order = sorted(machine.series, key=lambda one: (-largest.get(one.case, 0), not one.control))
    shown = [one for one in order if one.case in largest or one.control][:MOST_PANELS] or order[:MOST_PANELS]
    legend = "shaded: where the change lies (95 %)"
    if machine.marks:
        legend += f"; dotted: made differently ({', '.join(dict.fromkeys(mark.what for mark in machine.marks))})"
    title = f"{machine.key}: {counted(len(machine.runs), 'run')}\n{legend}"
    said = f"The times of {', '.join(one.case for one in shown)} over the runs, in nanoseconds."
    with panels_file(path, len(shown), 0.8 + 1.9 * len(shown), title, said) as (_, panels):
        _draw_panels(panels, machine, shown)
    return [one.case for one in shown]


def _draw_panels(panels: Any, machine: MachineHistory, shown: Sequence[RowSeries]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    from fencepost.analysis.draw.figure import PALETTE

    times: Any = np.array([run.created.replace(tzinfo=None) for run in machine.runs])
    for axes, one in zip(panels, shown, strict=True):
        # A row with several modes has a median without an interval.
        reach = np.nan_to_num(np.array([one.ns - one.low, one.high - one.ns]), nan=0.0)
        axes.errorbar(times[one.run], one.ns, yerr=reach, fmt="o", ms=3, lw=1, color=PALETTE[0])
        own = [change for change in machine.changes if change.case == one.case]
        edges = [0, *(change.at for change in own), len(times)]
        for position, (begin, end) in enumerate(itertools.pairwise(edges)):
            level = own[position].before_ns if position < len(own) else own[-1].after_ns if own else None
            if level is not None:
                axes.plot([times[begin], times[end - 1]], [level, level], color=PALETTE[7], lw=1.5)
        for change in own:
            colour = PALETTE[1] if change.kind != "machine" else PALETTE[3]
            # Between the last run before it and the first after it.
            axes.axvspan(times[max(change.earliest - 1, 0)], times[change.latest], color=colour, alpha=0.2, lw=0)
            axes.annotate(
                f"{100 * (change.ratio - 1):+.2g} %" + (" (machine)" if change.kind == "machine" else ""),
                (times[change.at], 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -2),
                textcoords="offset points",
                va="top",
                fontsize=8,
                color=colour,
                # A dotted line may stand right there.
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
        for mark in machine.marks:
            axes.axvline(times[mark.at], color=PALETTE[7], ls=":", lw=1)
        axes.set_title(one.case + (" (control)" if one.control else ""), fontsize=9, loc="left")
        axes.set_ylabel("ns")
        axes.margins(y=0.2)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_locator(locator)
    panels[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
