"""A mark for each row, from its own twins, its modes and how free its core was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from runs.analysed import analysed
from runs.write import Case, write_run

from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.marks import Mark, marks_of
from fencepost.analysis.report.tables import topic_tables
from fencepost.analysis.report.terminal import summary_table
from fencepost.analysis.report.trust import trust_of_topics
from fencepost.analysis.runs.estimate import Analysis, analyse

pytestmark = pytest.mark.usefixtures("undrawn")

CALM = Case("calm/loop", ns=9, process_noise=0.0, gap_share=0.0)
NOISY = replace(CALM, kernel="calm/noisy")


def run_of(*cases: Case, rounds: int = 12, batches: int = 20) -> Analysis:
    return analysed(cases, rounds=rounds, batches=batches, unmeasurable=())


def marks(analysis: Analysis) -> dict[str, Mark]:
    return marks_of(analysis, analysis.measured())


def twin(case: Case, ns: float) -> Case:
    return replace(case.twin(), ns=ns)


def test_a_row_is_marked_by_the_nearest_twins() -> None:
    """Its own, else those of its kernel, else of its topic: not the worst of the run."""
    cases = [CALM, twin(CALM, 9), NOISY, twin(NOISY, 12)]
    near = [replace(CALM, parameters={"i": 1}), replace(NOISY, parameters={"i": 1})]
    found = marks(run_of(*cases, *near, Case("calm/other", ns=3), Case("alone/loop", ns=3)))
    assert found[CALM.id] == found[CALM.twin().id] == found[near[0].id] == Mark("Yes")
    assert found[near[1].id].text == found[NOISY.id].text
    assert found[NOISY.id].word == "Hardly" and found[NOISY.id].why.startswith("the same code differs by up to 33")
    # Of its topic the worst counts: nothing says which of them it is like.
    assert found["calm/other@cpu1"].word == "Hardly"
    assert found["alone/loop@cpu1"].text == "Not known: no twin in its topic"


def test_modes_make_a_row_doubtful() -> None:
    modal = replace(CALM, parameters={"i": 1}, modes=((1.0, 0.5), (2.0, 0.5)))
    analysis = run_of(CALM, twin(CALM, 9), modal)
    assert marks(analysis)[modal.id].text == "With care: 2 modes"
    # The topic is as it was: one row of three.
    assert marks(analysis)[CALM.id].word == "Yes"


def test_disturbed_batches_make_a_row_doubtful() -> None:
    noisy = replace(CALM, parameters={"i": 1}, gap_share=0.5)
    found = marks(run_of(CALM, twin(CALM, 9), noisy))
    assert found[noisy.id].word == "With care"
    assert found[noisy.id].why.endswith(" % of its batches disturbed")


def test_a_neighbour_spoils_what_is_as_found_only() -> None:
    alone = replace(CALM, parameters={"i": 1}, neighbour=0.5)
    shared = replace(alone, parameters={"size": "64MiB"})
    calm = replace(CALM, neighbour=0.0)
    analysis = run_of(calm, twin(calm, 9), alone, shared, batches=60)
    found = marks(analysis)
    assert analysis.by_case[alone.id].basis == "alone" and found[alone.id] == Mark("Yes")
    assert found[shared.id].word == "With care"
    free = analysis.by_case[shared.id].free_pct
    assert found[shared.id].why.endswith(f"as found, with the core free in {free:.0f} % of its batches")


@pytest.mark.parametrize(
    ("once", "text"), [(False, "Not yet: fewer than 6 processes"), (True, "Not known: measured once")]
)
def test_too_few_processes_are_said(once: bool, text: str) -> None:
    few = replace(CALM, once=once)
    analysis = run_of(few, rounds=3)
    assert marks(analysis)[few.id].text == text


def test_terminal_report_and_json_say_the_same_words(tmp_path: Path) -> None:
    modal = replace(CALM, parameters={"i": 1}, modes=((1.0, 0.5), (2.0, 0.5)))
    cases = (CALM, twin(CALM, 9), modal, Case("none/loop", status="failed"))
    analysis = analyse(write_run(tmp_path / "run", cases, rounds=12, unmeasurable=()))
    said = {case: mark.text for case, mark in marks(analysis).items()}
    (table,) = (table for table in topic_tables(analysis, "calm") if "trust" in table.header)
    place = table.header.index("trust")
    assert {cells[0]: cells[place] for cells in table.rows} == said
    terminal = summary_table(analysis)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in terminal.columns}
    assert dict(zip(columns["case"], columns["trust"], strict=True)) == said
    rows = {row["case"]: row for row in as_json(analysis.folder)["rows"]}
    assert {case: Mark(row["trust"], row["trust_why"] or "").text for case, row in rows.items() if row["trust"]} == said
    assert rows["none/loop@cpu1"]["trust"] is rows["none/loop@cpu1"]["trust_why"] is None
    # The topic's verdict is on another line, and in the same words.
    assert {one.word for one in trust_of_topics(analysis)} <= {"Yes", "With care"}
