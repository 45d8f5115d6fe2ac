"""One figure with its interval on a line, beside the range that was predicted for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from fencepost.analysis.draw.figure import INK, READABLE, SHOWN
from fencepost.analysis.text.escape import visible
from fencepost.analysis.text.numbers import plain

WIDTH, HEIGHT, LINE = 374.0, 54.0, 30.0
"""In points: as wide as other pictures, and the height of the line in it."""

EDGE = 30.0
"""Room at both ends, so that the number over a mark is within the picture."""

FAR = 20.0
"""Figures that differ by more than this factor are drawn on a logarithmic line."""

CLOSE = 70.0
"""Two numbers with their units take as much room."""

POINT = 4.0
"""Half of the width of a range that is a single number."""


@dataclass(frozen=True)
class Range:
    """What was predicted: from `low` to `high`, either of which may be infinite."""

    low: float
    high: float


def number_line(
    name: str, title: str, figure: tuple[float, float, float], limits: Sequence[float], predicted: Range, unit: str
) -> str:
    """An SVG element: the value with its bounds (NaN where there are none), the limits, and the prediction shaded.

    It is written by hand. A page has a hundred of them, and needs neither axes nor a library for that.
    """
    value, low, high = figure
    known = [number for number in (value, low, high, *limits) if math.isfinite(number)]
    place = _scale(min(known), max(known))
    left = place(predicted.low) if math.isfinite(predicted.low) else 0.0
    right = place(predicted.high) if math.isfinite(predicted.high) else WIDTH
    if right - left < 2 * POINT:
        left, right = (left + right) / 2 - POINT, (left + right) / 2 + POINT
    ink, blue, green = SHOWN[INK], READABLE[0], READABLE[2]
    parts = [
        f'<rect x="{left:.1f}" y="19" width="{right - left:.1f}" height="22" fill="{green}" fill-opacity=".2"/>',
        f'<path d="M0 {LINE:.0f}H{WIDTH:.0f}" stroke="{ink}" stroke-width=".8" fill="none"/>',
    ]
    marks = {limit: place(limit) for limit in limits}
    near = len(marks) == 2 and abs(place(limits[-1]) - place(limits[0])) < CLOSE
    for limit, x in marks.items():
        # Words of two limits that are close go to their outer sides.
        anchor = (' text-anchor="end"' if limit == limits[0] else ' text-anchor="start"') if near else ""
        parts.append(f'<path d="M{x:.1f} 19V41" stroke="{ink}" stroke-width="1" fill="none"/>')
        parts.append(f'<text x="{x if near else _within(x):.1f}" y="52"{anchor}>{_written(limit, unit)}</text>')
    if math.isfinite(low) and math.isfinite(high):
        ends = f"M{place(low):.1f} {LINE:.0f}H{place(high):.1f}"
        parts.append(f'<path d="{ends}" stroke="{blue}" stroke-width="5" stroke-opacity=".5" fill="none"/>')
    x = place(value)
    parts.append(f'<circle cx="{x:.1f}" cy="{LINE:.0f}" r="4" fill="{blue}"/>')
    parts.append(f'<text x="{_within(x):.1f}" y="13" font-weight="700">{_written(value, unit)}</text>')
    head = (
        f'<svg viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" class="figure range" role="img" aria-labelledby="{name}-title" '
        f'fill="{ink}" font-size="10" text-anchor="middle">'
    )
    return f'{head}<title id="{name}-title">{escape(visible(title))}</title>{"".join(parts)}</svg>'


def _scale(low: float, high: float) -> Scale:
    if low > 0 and high > FAR * low:
        return Scale(math.log(low), math.log(high), log=True)
    return Scale(low, high, log=False)


@dataclass(frozen=True)
class Scale:
    """Where numbers are on the line: `low` and `high` with some room beside them."""

    low: float
    high: float
    log: bool

    def __call__(self, number: float) -> float:
        """Its x in points."""
        at = math.log(number) if self.log and number > 0 else self.low if self.log else number
        room = (self.high - self.low) or abs(self.high) or 1.0
        part = (at - self.low + 0.12 * room) / (1.24 * room)
        return EDGE + min(max(part, 0.0), 1.0) * (WIDTH - 2 * EDGE)


def _within(x: float) -> float:
    return min(max(x, EDGE), WIDTH - EDGE)


def short_number(number: float) -> str:
    """A limit, which is a round number mostly: as `plain`, without zeros at its end."""
    text = plain(number, 3)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _written(number: float, unit: str) -> str:
    text = short_number(number)
    return escape(visible(f"×{text}" if unit == "1" else f"{text} {unit}"))
