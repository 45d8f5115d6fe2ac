"""The lecture notes, measured: every sentence that the suite tests, with its verdict, as one table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from fencepost.analysis.report.sections import topic_words
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.shares import bases_of, basis_text
from fencepost.analysis.topics.claim import Claim, Outcome, Verdict, verdicts
from fencepost.analysis.topics.topic import Topic
from fencepost.analysis.topics.words import place

_OF_TIMES = ("ns", "cycles", "1", "%")
"""Units of figures that are made of the times of rows. Others count something: faults, records, answers."""


class ClaimJson(TypedDict):
    """A sentence with its verdict, as the report's JSON holds it; `section` is its place in the page, ``#topic-…``.

    `value`, `low` and `high` are the figure that decides, in `unit`, and `limit` the one or two numbers that it is held
    against. All are None, and `limit` is empty, where no number decided. `basis` says whether the rows of these kernels
    are ``alone`` or ``as found``, where the figure is made of their times.
    """

    id: str
    topic: str
    quote: str
    language: str
    english: str
    tested_as: str
    kernels: list[str]
    verdict: str
    figure: str
    basis: str | None
    value: float | None
    low: float | None
    high: float | None
    unit: str | None
    limit: list[float]
    because: str
    section: str | None


@dataclass(frozen=True)
class Sentence:
    """One sentence with what this run says to it, and the section of the report that shows more; `section` is empty
    where the run has nothing of that topic.
    """

    claim: Claim
    verdict: Verdict
    section: str
    section_title: str
    basis: str = ""
    """Which times it uses: ``alone``, ``as found``, or how many rows of each; empty where it uses none."""

    @property
    def sentence(self) -> str:
        """The sentence as the notes have it; where the notes have none of that wording, in English."""
        return self.claim.quote or self.claim.english

    @property
    def slug(self) -> str:
        """For ids."""
        return "claim-" + self.claim.id.replace("/", "-").replace("_", "-")


def sentences(analysis: Analysis) -> list[Sentence]:
    """Every claim with its verdict, in the order of the report's sections."""
    there = {row.topic for row in analysis.rows}
    found = []
    for item, verdict in sorted(verdicts(analysis), key=lambda pair: place(pair[0].topic)):
        section = f"topic-{Topic(item.topic).slug}" if item.topic in there else ""
        rows = analysis.measured(*item.kernels)
        timed = verdict.measure is not None and verdict.measure.unit in _OF_TIMES
        basis = basis_text(bases_of(rows)) if timed else ""
        # Without a witness nothing was to be had alone, and the word would say nothing.
        if basis and any(row.witnessed for row in rows):
            verdict = replace(verdict, figure=f"{verdict.figure} ({basis})")
        found.append(Sentence(item, verdict, section, topic_words(item.topic).title, basis))
    return found


def tally(said: Sequence[Sentence]) -> str:
    """``20 sentences: 12 confirmed, 3 refuted, …``."""
    counts = Counter(item.verdict.outcome for item in said)
    words = {Outcome.DEPENDS: "depending on a condition"}
    parts = ", ".join(f"{counts[outcome]} {words.get(outcome, outcome)}" for outcome in Outcome if counts[outcome])
    return f"{len(said)} sentence{'s' if len(said) != 1 else ''}: {parts}." if said else "No sentence is tested."


def as_rows(said: Sequence[Sentence]) -> list[ClaimJson]:
    """The table as plain data."""
    return [
        {
            "id": item.claim.id,
            "topic": item.claim.topic,
            "quote": item.claim.quote,
            "language": item.claim.language,
            "english": item.claim.english,
            "tested_as": item.claim.tested_as,
            "kernels": list(item.claim.kernels),
            "verdict": str(item.verdict.outcome),
            "figure": item.verdict.figure,
            "basis": item.basis or None,
            "value": _number(item, 0),
            "low": _number(item, 1),
            "high": _number(item, 2),
            "unit": item.verdict.measure.unit if item.verdict.measure else None,
            "limit": list(item.verdict.measure.limits) if item.verdict.measure else [],
            "because": item.verdict.because,
            "section": f"#{item.section}" if item.section else None,
        }
        for item in said
    ]


def _number(said: Sentence, place: int) -> float | None:
    """A figure of the measure; None where there is none, for JSON has no NaN."""
    found = said.verdict.measure[place] if said.verdict.measure else math.nan
    return found if isinstance(found, float) and math.isfinite(found) else None
