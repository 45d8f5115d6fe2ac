"""A run in short: the machine, how far to trust it, its headlines, and one next step.

The end of a run on the terminal, the report's first block and the pictures beside the report all show this.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fencepost.analysis.draw.card import Card, CardRow
from fencepost.analysis.report.causes import causes
from fencepost.analysis.report.marks import HARDLY, NOT_KNOWN, WITH_CARE, YES
from fencepost.analysis.report.trust import trust_of_topics, trust_verdict
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.named import machine_name
from fencepost.analysis.text.numbers import nanoseconds, plain
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import headline_rungs

_MARKS = ((YES, "+", "yes"), (WITH_CARE, "~", "with care"), (HARDLY, "-", "hardly"), (NOT_KNOWN, "?", "not known"))


class TrustGroup(NamedTuple):
    """The topics that have one verdict on trust: its mark, its word, and their names."""

    mark: str
    word: str
    topics: tuple[str, ...]


class Headline(NamedTuple):
    """A headline: its time or that of each regime, how sure it is, whether alone, and how long its bar is (0 to 1)."""

    label: str
    time: str
    sure: str
    basis: str
    share: float


@dataclass(frozen=True)
class Summary:
    """What a run comes to. `next_step` is empty where nothing disturbed it much."""

    machine: str
    word: str
    meaning: str
    trust: tuple[TrustGroup, ...]
    headlines: tuple[Headline, ...]
    next_step: str

    @property
    def verdict(self) -> str:
        """How far to trust the run, in a sentence or two."""
        return f"Trust: {self.word}. {self.meaning}"


def summary_of(analysis: Analysis) -> Summary | None:
    """A run in short; None where it has no headline."""
    rungs = headline_rungs(analysis)
    if not rungs:
        return None
    verdict, topics = trust_verdict(analysis), trust_of_topics(analysis)
    named = ((mark, said, tuple(one.topic for one in topics if one.word == word)) for word, mark, said in _MARKS)
    values = [rung.ns.value for rung in rungs]
    return Summary(
        machine_name(analysis),
        verdict.word,
        verdict.meaning or verdict.sentence,
        tuple(TrustGroup(*one) for one in named if one[2]),
        tuple(
            Headline(
                rung.label, _times(rung), _sure(rung), (rung.basis or "").removeprefix("as "), _share(value, values)
            )
            for rung, value in zip(rungs, values, strict=True)
        ),
        next_step(analysis),
    )


def next_step(analysis: Analysis) -> str:
    """The one thing that would help the run most; empty where nothing disturbed it much."""
    found = causes(analysis)
    return f"{found[0].said} {found[0].helps}" if found else ""


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


def _share(value: float, values: Sequence[float]) -> float:
    """Where a time stands between the smallest and the largest, by the logarithm; NaN without a time."""
    known = [one for one in values if one > 0]
    if not value > 0:
        return math.nan
    low, high = min(known), max(known)
    return math.log(value / low) / math.log(high / low) if high > low else 1.0


def brief(label: str, room: int) -> str:
    """A label in so many characters: without what stands in brackets, then without what follows a comma, then cut."""
    for shorter in (label, label.partition(" (")[0], label.partition(" (")[0].partition(", ")[0]):
        if len(shorter) <= room:
            return shorter
    return textwrap.shorten(shorter, room, placeholder=" …", break_on_hyphens=False)


ROW_LETTERS = 66
"""Letters of a headline and its time that the card has room for in one row."""


def card_of(summary: Summary, made: str) -> Card:
    """What the picture beside the report shows; `made` is the day of the run."""
    groups = [f"{group.word}: {', '.join(group.topics)}" for group in summary.trust]
    rows = [
        CardRow(brief(one.label, ROW_LETTERS - len(one.time)), one.time, one.sure, one.share, pale=one.basis == "found")
        for one in summary.headlines
    ]
    pale = " Pale bars are as found, the others alone." if any(row.pale for row in rows) else ""
    return Card(summary.machine, summary.verdict, groups, rows, f"fencepost, {made}. The bars are logarithmic.{pale}")
