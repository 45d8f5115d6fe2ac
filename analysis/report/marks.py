"""A mark for each row: how far it can be trusted, by its own twins, its modes and how free its core was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.shares import share
from fencepost.analysis.runs.twins import Twin
from fencepost.analysis.stats.interval import FEWEST_PROCESSES
from fencepost.analysis.text.numbers import plain

TRUSTED_FLOOR_PCT = 1.0
"""Equal code that differs by less leaves a difference of a few per cent beyond doubt."""

DOUBTFUL_FLOOR_PCT = 5.0
"""Equal code that differs by more leaves orders of magnitude."""

MOSTLY_FREE_PCT = 90.0
"""A median over all batches moves little while at least so many of them had the core to themselves."""

AS_FOUND = "as found, with the core free in "
"""How a reason begins that the columns of a table say as well."""

YES, WITH_CARE, NOT_KNOWN, HARDLY, NOT_YET = ("Yes", "With care", "Not known", "Hardly", "Not yet")


@dataclass(frozen=True)
class Mark:
    """How far a row can be trusted: a word, and why it is not *Yes*."""

    word: str
    why: str = ""

    @property
    def text(self) -> str:
        """Both, as tables show them: ``With care: 2 modes``."""
        return f"{self.word}: {self.why}" if self.why else self.word


def word_of(reach_pct: float) -> str:
    """The verdict where equal code may differ by so many per cent; *Not known* where there is no twin."""
    if math.isnan(reach_pct):
        return NOT_KNOWN
    if reach_pct <= TRUSTED_FLOOR_PCT:
        return YES
    return WITH_CARE if reach_pct <= DOUBTFUL_FLOOR_PCT else HARDLY


def reach_of(twins: Iterable[Twin]) -> float:
    """The largest difference in per cent that the intervals of these twins allow; NaN where there are none."""
    ends = (abs(end) for twin in twins for end in twin.effect_pct[:3])
    return max((end for end in ends if not math.isnan(end)), default=math.nan)


def marks_of(analysis: Analysis, rows: Iterable[Row]) -> dict[str, Mark]:
    """The marks of these rows of a run, which have a time each, by case."""
    nearest = _Nearest.of(analysis)
    return {row.case: _mark(row, nearest.reach(row)) for row in rows}


def _mark(row: Row, reach_pct: float) -> Mark:
    if row.rounds < FEWEST_PROCESSES:
        few = "measured once" if row.once else f"fewer than {FEWEST_PROCESSES} processes"
        return Mark(NOT_KNOWN if row.once else NOT_YET, few)
    word, spoilt = word_of(reach_pct), _spoilt(row)
    why = {
        YES: [],
        NOT_KNOWN: ["no twin in its topic"],
    }.get(word, [f"the same code differs by up to {plain(reach_pct, 2)} %"])
    return Mark(WITH_CARE if word == YES and spoilt else word, "; ".join([*why, *spoilt]))


def _spoilt(row: Row) -> list[str]:
    """What makes a row doubtful beside the noise of its twins."""
    found = [f"{len(row.modes)} modes"] if row.modes else []
    if "noisy" in row.flags:
        found.append(f"{share(row.disturbed_pct)} of its batches disturbed")
    if row.witnessed and not row.alone and row.free_pct < MOSTLY_FREE_PCT:
        found.append(f"{AS_FOUND}{share(row.free_pct)} of its batches")
    return found


@dataclass(frozen=True)
class _Nearest:
    """How far equal code differs, in per cent: by case, by kernel and by topic."""

    of_case: Mapping[str, float]
    of_kernel: Mapping[str, float]
    of_topic: Mapping[str, float]

    @classmethod
    def of(cls, analysis: Analysis) -> _Nearest:
        cases: dict[str, list[Twin]] = {}
        kernels: dict[str, list[Twin]] = {}
        topics: dict[str, list[Twin]] = {}
        for twin in analysis.twins:
            row = analysis.by_case[twin.original]
            for case in (twin.case, twin.original):
                cases.setdefault(case, []).append(twin)
            kernels.setdefault(row.kernel, []).append(twin)
            topics.setdefault(row.topic, []).append(twin)
        return cls(*({name: reach_of(twins) for name, twins in each.items()} for each in (cases, kernels, topics)))

    def reach(self, row: Row) -> float:
        """By the row's own twin, else by those of its kernel, else of its topic; NaN where none has a figure."""
        every = (self.of_case.get(row.case), self.of_kernel.get(row.kernel), self.of_topic.get(row.topic))
        return next((reach for reach in every if reach is not None and not math.isnan(reach)), math.nan)
