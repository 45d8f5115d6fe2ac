"""The lecture notes, measured: every sentence that the suite tests, with its verdict, as one table."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from fencepost.analysis.draw.number_line import Range, number_line, short_number
from fencepost.analysis.report.sections import topic_words
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.shares import bases_of, basis_text
from fencepost.analysis.text.numbers import with_bounds
from fencepost.analysis.text.table import LONG, MOST_TELLING
from fencepost.analysis.topics.claim import Claim, Outcome, Verdict, verdicts
from fencepost.analysis.topics.left_out import LeftOutJson
from fencepost.analysis.topics.mechanisms import Predicted, mechanisms
from fencepost.analysis.topics.topic import Topic
from fencepost.analysis.topics.words import place

_OF_TIMES = ("ns", "cycles", "1", "%")
"""Units of figures that are made of the times of rows. Others count something: faults, records, answers."""


class ControlJson(TypedDict):
    """The control of a sentence, its figure in this run, and whether it holds. None means that this is open."""

    says: str
    figure: str
    holds: bool | None


class ClaimJson(TypedDict):
    """A sentence with its verdict, as the report's JSON holds it; `section` is its place in the page, ``#topic-…``.

    `value`, `low` and `high` are the figure that decides, in `unit`, and `limit` the one or two numbers that it is held
    against. All are None, and `limit` is empty, where no number decided. `control` is None where it was not measured.
    `basis` says whether the rows of these kernels
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
    control: ControlJson | None
    section: str | None


class ClaimsJson(TypedDict):
    """All that ``fencepost claims --json`` prints: sentences with a verdict, and those that have none."""

    run: str
    claims: list[ClaimJson]
    left_out: list[LeftOutJson]


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

    @property
    def mechanism(self) -> str:
        """Why it should hold, in three sentences; empty where no page says so."""
        found = mechanisms().get(self.claim.id)
        return found.text if found else ""

    @property
    def control(self) -> str:
        """What the control shows in this run, as one sentence; empty where it was not measured."""
        shown = self.verdict.control
        return shown.text if shown is not None and shown.measured else ""

    @property
    def prediction(self) -> str:
        """The range that it predicts for the figure that decides, in words; empty where no figure decides."""
        found = _predicted(self)
        return found[0] if found else ""

    @property
    def picture(self) -> str:
        """That figure on a line, with the range shaded, as an SVG element; empty where no figure decides."""
        found, figure = _predicted(self), self.verdict.measure
        if found is None or figure is None or not math.isfinite(figure.value):
            return ""
        title = f"{with_bounds(*figure[:3])} {_unit(figure.unit)}; predicted: {found[0]}"
        return number_line(self.slug, title, figure[:3], figure.limits, found[1], figure.unit)

    @property
    def command(self) -> str:
        """The command that measures its kernels again."""
        return " ".join(["fencepost run", *map(shlex.quote, self.claim.kernels)])


def _unit(unit: str) -> str:
    return "times" if unit == "1" else unit


def _predicted(said: Sentence) -> tuple[str, Range] | None:
    """What a sentence predicts, in words and in numbers."""
    found, figure = mechanisms().get(said.claim.id), said.verdict.measure
    if found is None or figure is None or not figure.limits:
        return None
    low, high = figure.limits[0], figure.limits[-1]
    unit = _unit(figure.unit)
    match found.predicted:
        case Predicted.ABOVE:
            return f"more than {short_number(high)} {unit}", Range(high, math.inf)
        case Predicted.BELOW:
            return f"at most {short_number(low)} {unit}", Range(-math.inf, low)
        case Predicted.BETWEEN:
            return f"from {short_number(low)} to {short_number(high)} {unit}", Range(low, high)
        case _:
            return f"{short_number(low)} {unit}", Range(low, low)


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


_TELLING = (Outcome.REFUTED, Outcome.DEPENDS, Outcome.UNDECIDED, Outcome.CONFIRMED, Outcome.NOT_MEASURABLE)
"""What a reader wants to see first: a sentence that holds is no news."""


def telling_first(said: Sequence[Sentence]) -> tuple[list[Sentence], list[Sentence]]:
    """The sentences that are shown and those that are folded, each in their order: of many, the ten most telling ones
    are shown.
    """
    if len(said) <= LONG:
        return list(said), []
    ranked = sorted(range(len(said)), key=lambda place: _TELLING.index(said[place].verdict.outcome))
    shown = set(ranked[:MOST_TELLING])
    return [item for place, item in enumerate(said) if place in shown], [
        item for place, item in enumerate(said) if place not in shown
    ]


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
            "control": _control(item.verdict),
            "section": f"#{item.section}" if item.section else None,
        }
        for item in said
    ]


def _control(verdict: Verdict) -> ControlJson | None:
    """The control of a verdict; None where there was nothing to look at."""
    shown = verdict.control
    if shown is None or not shown.measured:
        return None
    return {"says": shown.says, "figure": shown.figure, "holds": shown.holds}


def _number(said: Sentence, place: int) -> float | None:
    """A figure of the measure; None where there is none, for JSON has no NaN."""
    found = said.verdict.measure[place] if said.verdict.measure else math.nan
    return found if isinstance(found, float) and math.isfinite(found) else None
