"""The topic process in the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from topics.analysed import analysed, verdict_of
from topics.process.cases import process_cases

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome


def test_the_section_shows_children_by_call_and_memory(tmp_path: Path) -> None:
    document = build_document(analysed(tmp_path, process_cases(), rounds=6))
    (section,) = document.sections
    assert section.topic.name == "process"
    (figure,) = section.figures
    assert "thread" in figure.description and "64 MiB more in memory" in figure.description
    assert {row[3].split()[0] for row in figure.table.rows} == {"17.00", "81.00"}
    assert len(figure.table.rows) == 6
    assert document.ladder is not None
    assert [row[0] for row in document.ladder.rows] == [
        "start a thread and wait for it",
        "fork a process and wait for it",
    ]


@pytest.mark.parametrize(
    ("vfork_waits", "fork_waits", "outcome"),
    [(100.0, 0.0, Outcome.CONFIRMED), (60.0, 0.0, Outcome.REFUTED), (100.0, 100.0, Outcome.DEPENDS)],
)
def test_vfork_blocks_its_parent(tmp_path: Path, vfork_waits: float, fork_waits: float, outcome: Outcome) -> None:
    analysis = analysed(tmp_path, process_cases(vfork_waits, fork_waits), rounds=6)
    said = verdict_of(analysis, "process/vfork")
    assert said.outcome is outcome
    assert f"vfork: {vfork_waits:.3g} %" in said.figure.replace(".0 %", " %") and "µs" in said.because


def test_vfork_alone_tells_nothing(tmp_path: Path) -> None:
    cases = [case for case in process_cases() if case.parameters["how"] == "vfork"]
    said = verdict_of(analysed(tmp_path, cases, rounds=6), "process/vfork")
    assert said.outcome is Outcome.NOT_MEASURABLE
