"""Sentences of a lecture made testable: what was said, what this run says to it.

A claim is a function with the decorator `claim` in a module of this package, one module a topic; modules are found by
looking. Each verdict carries its figure with an interval, the condition where it depends on one, or the need where this
machine cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics import modules

SAME = 0.01
"""Margin within which two figures count as equal."""


class Outcome(StrEnum):
    """The four verdicts."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    DEPENDS = "depends"
    NOT_MEASURABLE = "not measurable here"


@dataclass(frozen=True)
class Verdict:
    """What this run says to a claim. `figure` is the number with its interval as text, `because` one or two
    sentences.
    """

    outcome: Outcome
    figure: str
    because: str


@dataclass(frozen=True)
class Claim:
    """The sentence as it stands in the notes, in English, and the kernels that test it. `tested_as` says what exactly
    is put to the test, where the sentence leaves that open.
    """

    id: str
    topic: str
    quote: str
    english: str
    kernels: tuple[str, ...]
    test: Callable[[Analysis], Verdict]
    tested_as: str = ""

    @property
    def language(self) -> str:
        """Language of the quote as HTML names it: the notes are in Chinese and quote English sources."""
        return "zh-Hant" if any("\u2e80" <= letter <= "\u9fff" for letter in self.quote) else "en"


_CLAIMS: list[Claim] = []


def claim(
    name: str, quote: str, english: str, kernels: Sequence[str], tested_as: str = ""
) -> Callable[[Callable[[Analysis], Verdict]], Callable[[Analysis], Verdict]]:
    """Register the function under it as the test of one sentence. Its topic is the first part of `name`, before the
    slash.
    """

    def register(test: Callable[[Analysis], Verdict]) -> Callable[[Analysis], Verdict]:
        if any(other.id == name for other in _CLAIMS):
            raise ValueError(f"claim {name} is there twice")
        _CLAIMS.append(Claim(name, name.partition("/")[0], quote, english, tuple(kernels), test, tested_as))
        return test

    return register


def claims() -> tuple[Claim, ...]:
    """All claims: by module, and in a module in the order of the file."""
    modules("claims")
    return tuple(_CLAIMS)


def verdicts(analysis: Analysis) -> list[tuple[Claim, Verdict]]:
    """Each claim with what this run says to it; a claim whose kernels are not in the run is not measurable here, and
    says why.
    """
    return [(item, _missing(analysis, item) or item.test(analysis)) for item in claims()]


def _missing(analysis: Analysis, item: Claim) -> Verdict | None:
    for kernel in item.kernels:
        rows = analysis.kernel(kernel)
        if not rows:
            return Verdict(
                Outcome.NOT_MEASURABLE, "", f"This run holds no {kernel}; measure it with `fencepost run '{kernel}'`."
            )
        if not any(row.measured for row in rows):
            return Verdict(Outcome.NOT_MEASURABLE, "", f"{kernel}: {rows[0].reason}.")
    return None
