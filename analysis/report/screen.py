"""The end of a run on one screen: the machine, how far to trust the run, its headlines with bars, and one next step."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from fencepost.analysis.report.causes import causes
from fencepost.analysis.report.marks import HARDLY, IN_PART, WITH_CARE, YES
from fencepost.analysis.report.trust import trust_of_topics, trust_verdict
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.named import machine_name
from fencepost.analysis.text.numbers import nanoseconds, plain
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import headline_rungs

NARROWEST = 80
"""Columns that the screen is made for. On a narrower terminal its lines are folded by the terminal."""

_MARKS = ((YES, "+", "yes"), (WITH_CARE, "~", "with care"), (HARDLY, "-", "hardly"), (IN_PART, "?", "not known"))
_WORD = 12
"""Characters of a mark with its word."""
_BAR = {80: 8, 100: 16, 120: 24}
"""Characters of a bar by the columns that it needs at least."""


def screen(analysis: Analysis, columns: int = NARROWEST) -> list[str]:
    """Lines of text; none where the run has no headline.

    Parameters
    ----------
    analysis
        of the run.
    columns
        that a line may have. Below `NARROWEST` lines are longer all the same.
    """
    rungs = headline_rungs(analysis)
    if not rungs:
        return []
    columns = max(columns, NARROWEST)
    named = textwrap.wrap(machine_name(analysis), columns)
    return [*named, *_trust(analysis, columns), "", *_headlines(rungs, columns), ""]


def next_step(analysis: Analysis) -> str:
    """The one thing that would help the run most; empty where nothing disturbed it much."""
    found = causes(analysis)
    return f"{found[0].said} {found[0].helps}" if found else ""


def _trust(analysis: Analysis, columns: int) -> list[str]:
    """The verdict, and the topics by the mark that each has."""
    verdict = trust_verdict(analysis)
    lines = textwrap.wrap(f"Trust: {verdict.word}. {verdict.meaning or verdict.sentence}", columns)
    topics = trust_of_topics(analysis)
    for word, mark, said in _MARKS:
        names = ", ".join(topic.topic for topic in topics if topic.word == word)
        if names:
            lines += textwrap.wrap(
                f"{mark} {said:<{_WORD - 2}}{names}", columns, initial_indent="  ", subsequent_indent=" " * (_WORD + 2)
            )
    return lines


def _headlines(rungs: Sequence[Rung], columns: int) -> list[str]:
    """One line a headline: what, its time or that of each regime, how sure it is, and a bar on a logarithmic scale."""
    times = [_times(rung) for rung in rungs]
    sure = [_sure(rung) for rung in rungs]
    basis = [(rung.basis or "").removeprefix("as ") for rung in rungs]
    cells = max(cells for room, cells in _BAR.items() if room <= columns)
    widths = [max(map(len, texts)) for texts in (times, sure, basis)]
    room = columns - cells - sum(width + 2 for width in widths if width) - 3
    labels = [brief(rung.label, room) for rung in rungs]
    named = max(map(len, labels))
    values = [rung.ns.value for rung in rungs]
    lines = []
    for label, value, *texts in zip(labels, values, times, sure, basis, strict=True):
        shown = "".join(f"  {text:>{width}}" for text, width in zip(texts, widths, strict=True) if width)
        lines.append(f" {label:<{named}}{shown}  {_bar(value, values, cells)}".rstrip())
    return lines


def _times(rung: Rung) -> str:
    """The time; of several regimes or modes each."""
    several = [regime.time.value for regime in rung.regimes] or [mode.ns for mode in rung.modes]
    *others, last = [nanoseconds(value, 3) for value in several or [rung.ns.value]]
    unit = last.lstrip("0123456789.")
    return " / ".join([*(other.removesuffix(unit) for other in others), last])


def _sure(rung: Rung) -> str:
    """How far the interval reaches to either side, in per cent; nothing where several figures stand for the row."""
    ns = rung.ns
    if rung.regimes or rung.modes or not (math.isfinite(ns.low) and math.isfinite(ns.high) and ns.value > 0):
        return ""
    return f"±{plain(max(ns.high - ns.value, ns.value - ns.low, 0.0) / ns.value * 100, 2)} %"


def brief(label: str, room: int) -> str:
    """A label in so many characters: without what stands in brackets, then without what follows a comma, then cut."""
    for shorter in (label, label.partition(" (")[0], label.partition(" (")[0].partition(", ")[0]):
        if len(shorter) <= room:
            return shorter
    return textwrap.shorten(shorter, room, placeholder=" …", break_on_hyphens=False)


def _bar(value: float, values: Sequence[float], cells: int) -> str:
    """From one character for the smallest to `cells` for the largest, by the logarithm."""
    known = [one for one in values if one > 0]
    if not value > 0:
        return ""
    low, high = min(known), max(known)
    share = math.log(value / low) / math.log(high / low) if high > low else 1.0
    return "█" * (1 + round((cells - 1) * share))
