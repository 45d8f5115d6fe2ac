"""A run's answers as plain data: at once where they were given before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from fencepost.analysis.runs import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fencepost.analysis.report.data import ReportJson
    from fencepost.analysis.report.lecture import ClaimJson, Sentence

NAME = "answers.json"


class AnswersJson(TypedDict):
    """What is kept: the report, the title of the section of each of its claims, and the tally of these."""

    report: ReportJson
    titles: list[str]
    tally: str


def report_of(folder: Path) -> ReportJson:
    """What `fencepost.analysis.report.data.as_json` gives; raises as it does."""
    return _answers(folder)["report"]


def claims_of(folder: Path) -> tuple[str, list[ClaimJson], list[str], str]:
    """The run's id, the claims as in its report, the title of the section of each, and their tally."""
    answers = _answers(folder)
    return answers["report"]["run"], answers["report"]["claims"], answers["titles"], answers["tally"]


def _answers(folder: Path) -> AnswersJson:
    key = kept.key_of(folder)
    found = kept.read(folder, NAME, key)
    answers: AnswersJson = _answered(folder) if found is None else json.loads(found)
    if found is None:
        keep(folder, key, answers)
    return answers


def keep(folder: Path, key: str | None, answers: AnswersJson) -> None:
    """Keep the answers of a run, which were made when its key was `key`."""
    kept.write(folder, NAME, key, json.dumps(answers, ensure_ascii=False, allow_nan=False).encode())


def _answered(folder: Path) -> AnswersJson:
    # Only now, as their imports take longer than an answer that was kept.
    from fencepost.analysis.report.data import json_of, measured_sentences
    from fencepost.analysis.runs.estimated import analysis_of
    from fencepost.analysis.topics.headlines import told_headlines

    analysis = analysis_of(folder)
    told_headlines(analysis)
    said = measured_sentences(analysis)
    return answers_in(json_of(analysis, said), said)


def answers_in(report: ReportJson, said: Sequence[Sentence]) -> AnswersJson:
    """The answers that a report has in it; `said`: its claims."""
    from fencepost.analysis.report.lecture import tally

    return {"report": report, "titles": [item.section_title for item in said], "tally": tally(said)}
