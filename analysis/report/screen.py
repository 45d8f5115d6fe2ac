"""The end of a run on one screen, as lines of text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from fencepost.analysis.report.summary import Headline, Summary, TrustGroup, brief

NARROWEST = 80
"""Columns that the screen is made for. On a narrower terminal its lines are folded by the terminal."""

_WORD = 12
"""Characters of a mark with its word."""
_BAR = {80: 8, 100: 16, 120: 24}
"""Characters of a bar by the columns that it needs at least."""


def screen(summary: Summary, columns: int = NARROWEST) -> list[str]:
    """Lines of text.

    Parameters
    ----------
    summary
        of the run.
    columns
        that a line may have. Below `NARROWEST` lines are longer all the same.
    """
    columns = max(columns, NARROWEST)
    said = [line for text in (summary.machine, summary.verdict) for line in textwrap.wrap(text, columns)]
    groups = [line for group in summary.trust for line in _group(group, columns)]
    return [*said, *groups, "", *_headlines(summary.headlines, columns), ""]


def _group(group: TrustGroup, columns: int) -> list[str]:
    """The topics that have one verdict."""
    text = f"{group.mark} {group.word:<{_WORD - 2}}{', '.join(group.topics)}"
    return textwrap.wrap(text, columns, initial_indent="  ", subsequent_indent=" " * (_WORD + 2))


def _headlines(headlines: Sequence[Headline], columns: int) -> list[str]:
    """One line a headline: what, its time or that of each regime, how sure it is, and a bar on a logarithmic scale."""
    cells = max(cells for room, cells in _BAR.items() if room <= columns)
    texts = [(one.time, one.sure, one.basis) for one in headlines]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    room = columns - cells - sum(width + 2 for width in widths if width) - 3
    labels = [brief(one.label, room) for one in headlines]
    named = max(map(len, labels))
    lines = []
    for label, one, row in zip(labels, headlines, texts, strict=True):
        shown = "".join(f"  {text:>{width}}" for text, width in zip(row, widths, strict=True) if width)
        bar = "" if math.isnan(one.share) else "█" * (1 + round((cells - 1) * one.share))
        lines.append(f" {label:<{named}}{shown}  {bar}".rstrip())
    return lines
