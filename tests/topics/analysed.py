"""Runs of synthetic cases as the report reads them: the analysis, one verdict of it, one figure."""

from __future__ import annotations

from collections.abc import Sequence

from runs.analysed import analysed as in_memory
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.report.sections import sections
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.claim import Verdict, _verdict, claims


def analysed(cases: Sequence[Case], rounds: int = 10) -> Analysis:
    """The analysis of a run of these cases.

    The interval of a median of ten processes leaves out the extremes. More take longer and show no more here.
    """
    return in_memory(cases, rounds=rounds, unmeasurable=[])


def verdict_of(analysis: Analysis, claim: str) -> Verdict:
    """What a run says to the claim of this id."""
    return _verdict(analysis, next(of for of in claims() if of.id == claim))


def figures_of(analysis: Analysis) -> dict[str, Figure]:
    """All figures by their names. It draws each of them: ask once, and only for what a picture shows."""
    return {figure.name: figure for section in sections(analysis) for figure in section.figures}


def told_of(analysis: Analysis) -> dict[str, Figure]:
    """All figures by their names, with their descriptions and tables, and without their shapes."""
    with without_drawing():
        return figures_of(analysis)
