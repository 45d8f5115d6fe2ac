"""What the overwriting ring loses, beside what it has to lose."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.pictures import shows

Floats = npt.NDArray[np.float64]


CURVE_POINTS = 60


def burst_loss(ratio: Floats) -> Floats:
    """Percent lost of a burst of `ratio` capacities that nobody reads in time: all but the newest capacity."""
    return 100 * np.maximum(0.0, 1 - 1 / ratio)


def steady_loss(ratio: Floats) -> Floats:
    """Percent lost by a reader of `ratio` times the writer's rate: what it has no turn for."""
    return 100 * np.maximum(0.0, 1 - ratio)


def _measured(analysis: Analysis, kernel: str) -> list[Row]:
    return [row for row in analysis.measured(kernel) if row.metric("lost_pct").known]


@shows("ring/overwrite_burst")
def burst_figure(analysis: Analysis) -> Figure | None:
    """Loss of a burst by its length over the capacity."""
    rows = [row for row in _measured(analysis, "ring/overwrite_burst") if row.number("burst_pct") > 0]
    rows.sort(key=lambda row: (row.number("burst_pct"), row.number("capacity")))
    x = np.array([row.number("burst_pct") / 100 for row in rows])
    if len(set(x)) < 2:
        return None
    lost = np.array([row.metric("lost_pct").value for row in rows])
    curve = np.union1d(np.geomspace(x.min(), x.max(), CURVE_POINTS), [1.0])
    curve = curve[(curve >= x.min()) & (curve <= x.max())]
    return lines(
        "ring-overwrite-burst",
        "A burst into a log that nobody reads in time: what is lost",
        f"The points are counts, not estimates; the line is 1 \N{MINUS SIGN} capacity / burst. Bursts of up to "
        f"{plain(float(x.max()), 3)} times the capacity; of the longest, {plain(float(lost[-1]), 3)} % was lost, the "
        "oldest records first.",
        table(
            "Records lost of a burst, and what the length and the capacity leave no room for",
            ("capacity", "burst \N{DIVISION SIGN} capacity", "lost", "burst less capacity", "lost of the burst"),
            [
                (
                    count(row.number("capacity")),
                    plain(ratio, 3),
                    count(row.metric("lost").value),
                    count(row.metric("expected").value),
                    f"{plain(share, 3)} %",
                )
                for row, ratio, share in zip(rows, x, lost, strict=True)
            ],
        ),
        [
            Series("model", curve, burst_loss(curve), drawn="line"),
            Series("counted", x, lost, drawn="points"),
        ],
        x=Axis(
            "length of the burst \N{DIVISION SIGN} capacity",
            log=True,
            write=lambda value: f"{value:g}",
            ticks=[float(tick) for tick in (0.5, 1, 2, 4, 8, 16) if x.min() <= tick <= x.max()],
        ),
        y=Axis("% of the burst lost"),
    )


@shows("ring/overwrite")
def steady_figure(analysis: Analysis) -> Figure | None:
    """Loss of a reader at a set rate, by its rate over the writer's."""
    rows = []
    for row in _measured(analysis, "ring/overwrite"):
        writes, reads = (row.metric(name).value for name in ("writes_per_us", "reads_per_us"))
        if writes > 0 and math.isfinite(reads):
            rows.append((reads / writes, row))
    rows.sort(key=lambda pair: pair[0])
    if len(rows) < 2:
        return None
    x = np.array([ratio for ratio, _ in rows])
    lost, low, high = (np.array([row.metric("lost_pct")[i] for _, row in rows]) for i in range(3))
    line = np.union1d([0.0, max(1.0, float(x.max()))], [1.0])
    apart = np.abs(lost - np.array([row.metric("model_pct").value for _, row in rows]))
    return lines(
        "ring-overwrite-steady",
        "A log with a reader at a set rate: what it loses",
        "Rates as they were met, loss as the reader counted it. The line is 1 \N{MINUS SIGN} reads / writes, or "
        "nothing for a reader that keeps up; no median is further than "
        f"{plain(float(np.nanmax(apart)), 2)} percentage points from it.",
        table(
            "Loss by the reader's rate, its model by the rates that were met in the same process, and what a call took",
            ("asked", "reads \N{DIVISION SIGN} writes", "lost", "model", "a write", "a read"),
            [
                (
                    f"{count(row.number('read_pct'))} %",
                    plain(ratio, 3),
                    row.metric("lost_pct").text("%"),
                    row.metric("model_pct").text("%"),
                    row.metric("write_ns").ns_text(),
                    row.metric("read_ns").ns_text(),
                )
                for ratio, row in rows
            ],
        ),
        [
            Series("model", line, steady_loss(line), drawn="line"),
            Series("counted", x, lost, low, high, drawn="points"),
        ],
        x=Axis("rate of reading \N{DIVISION SIGN} rate of writing"),
        y=Axis("% of the records lost"),
    )
