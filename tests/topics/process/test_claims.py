"""The topics process and memory in the report, and the rungs that others give to the ladder."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import write as synthetic
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.report.document import build_document
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.topics.claim import Outcome, verdicts


def analysed(folder: Path, cases: list[Case]) -> Analysis:
    return analyse(synthetic.write_run(folder / "run", cases, rounds=6, unmeasurable=[]))


def test_the_section_shows_children_by_call_and_memory(tmp_path: Path) -> None:
    document = build_document(analysed(tmp_path, synthetic.process_cases()))
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
    analysis = analysed(tmp_path, synthetic.process_cases(vfork_waits, fork_waits))
    said = next(said for claim, said in verdicts(analysis) if claim.id == "process/vfork")
    assert said.outcome is outcome
    assert f"vfork: {vfork_waits:.3g} %" in said.figure.replace(".0 %", " %") and "µs" in said.because


def test_vfork_alone_tells_nothing(tmp_path: Path) -> None:
    cases = [case for case in synthetic.process_cases() if case.parameters["how"] == "vfork"]
    said = next(said for claim, said in verdicts(analysed(tmp_path, cases)) if claim.id == "process/vfork")
    assert said.outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(("again", "outcome"), [(0.0, Outcome.CONFIRMED), (1.0, Outcome.REFUTED)])
def test_memory_comes_with_the_first_touch(tmp_path: Path, again: float, outcome: Outcome) -> None:
    analysis = analysed(tmp_path, synthetic.fault_cases(again))
    said = next(said for claim, said in verdicts(analysis) if claim.id == "memory/lazy")
    assert said.outcome is outcome
    document = build_document(analysis)
    (section,) = document.sections
    assert [figure.name for figure in section.figures] == ["memory-fault"]
    assert len(section.figures[0].table.rows) == 4
    assert document.ladder is not None
    assert [row[0] for row in document.ladder.rows] == ["touch a page for the first time"]


def test_rungs_of_what_is_shared_are_those_of_a_single_thread(tmp_path: Path) -> None:
    trip = synthetic.pair_case("ring/spsc_round_trip", {"pause": "no"}, 150.0)
    cases = [*synthetic.sharing_cases(), trip]
    cases += synthetic.crowd_cases("lock/hold", {"lock": "pthread_mutex", "section_ns": 0}, {2: 90.0, 1: 14.0})
    with without_drawing():
        document = build_document(analysed(tmp_path, cases))
    assert document.ladder is not None
    rungs = {row[0]: row for row in document.ladder.rows}
    assert "14" in rungs["take a free mutex and give it back"][2]
    assert rungs["atomic addition to a counter that nobody else wants"][-1].endswith("[kind=atomic]@cpu0")
    assert "150" in rungs["an item to another thread and back, over rings"][2]
