"""The topic process in the report."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs.write import Case
from topics.analysed import analysed, verdict_of
from topics.process.cases import create_cases, peek_cases, process_cases, smp_cases, trace_cases

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.topic import headlines

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_section_shows_children_by_call_and_memory() -> None:
    document = build_document(analysed(process_cases(), rounds=6))
    (section,) = document.sections
    assert section.topic.name == "process"
    (figure,) = section.figures
    assert "thread" in figure.description and "the interpreter, 64 MiB more in memory" in figure.description
    groups = {row[1]: row[3].split()[0] for row in figure.table.rows}
    assert groups == {
        "a small process": "1.400",
        "the interpreter": "17.40",
        "a small process, 64 MiB more in memory": "65.40",
        "the interpreter, 64 MiB more in memory": "81.40",
    }
    assert len(figure.table.rows) == 12
    assert document.ladder is not None
    assert [row[0] for row in document.ladder.rows] == [
        "start a thread and wait for it",
        "fork a process with up to 2 MiB resident and wait for it",
    ]


def headline(cases: list[Case]) -> tuple[str, str]:
    """The name of the topic's headline, and the row that it shows."""
    ((_, rung),) = headlines(analysed(cases, rounds=6))
    return rung.label, rung.measured_as


@pytest.mark.parametrize(("resident", "named"), [(0.6, "1 MiB"), (1.0, "1 MiB"), (1.1, "2 MiB"), (0.3, "512 KiB")])
def test_the_headline_names_the_parents_memory(resident: float, named: str) -> None:
    cases = [replace(case, metrics={**case.metrics, "resident_mib": resident}) for case in process_cases()]
    label, row = headline(cases)
    assert label == f"fork a process with up to {named} resident and wait for it"
    assert "how=fork" in row and "parent=small" in row


def test_a_run_of_the_interpreter_alone_names_its_memory() -> None:
    label, _ = headline([case for case in process_cases() if case.parameters["parent"] == "interpreter"])
    assert label == "fork a process with up to 32 MiB resident and wait for it"


def test_a_run_from_before_there_was_a_choice_keeps_its_names() -> None:
    cases = [
        replace(case, parameters={name: value for name, value in case.parameters.items() if name != "parent"})
        for case in process_cases()
        if case.parameters["parent"] == "interpreter"
    ]
    analysis = analysed(cases, rounds=6)
    assert [rung.label for _, rung in headlines(analysis)] == ["fork a process and wait for it"]
    (section,) = build_document(analysis).sections
    assert {row[1] for row in section.figures[0].table.rows} == {"as the process is", "64 MiB more in memory"}


@pytest.mark.parametrize(
    ("vfork_waits", "fork_waits", "outcome"),
    [(100.0, 0.0, Outcome.CONFIRMED), (60.0, 0.0, Outcome.REFUTED), (100.0, 100.0, Outcome.UNDECIDED)],
)
def test_vfork_blocks_its_parent(vfork_waits: float, fork_waits: float, outcome: Outcome) -> None:
    analysis = analysed(process_cases(vfork_waits, fork_waits), rounds=6)
    said = verdict_of(analysis, "process/vfork")
    assert said.outcome is outcome
    assert f"vfork: {vfork_waits:.3g} %" in said.figure.replace(".0 %", " %")
    told = "The control is open: not each child of fork" if fork_waits else "1.40 MiB resident"
    assert told in said.because


def test_vfork_alone_tells_nothing() -> None:
    cases = [case for case in process_cases() if case.parameters["how"] == "vfork"]
    said = verdict_of(analysed(cases, rounds=6), "process/vfork")
    assert said.outcome is Outcome.NOT_MEASURABLE


def test_memory_of_another_process_is_read_by_words_or_at_once() -> None:
    found = analysed(peek_cases(), rounds=6)
    assert verdict_of(found, "process/ptrace").outcome is Outcome.CONFIRMED
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "process-peek"
    assert len(figure.table.rows) == 4


@pytest.mark.parametrize(("io", "outcome"), [(60.0, Outcome.CONFIRMED), (5.0, Outcome.DEPENDS), (1.0, Outcome.REFUTED)])
def test_system_calls_pay_for_a_tracer(io: float, outcome: Outcome) -> None:
    found = analysed(trace_cases(io), rounds=6)
    assert verdict_of(found, "process/uml").outcome is outcome
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "process-trace"
    assert [row[0] for row in figure.table.rows] == ["computing", "a system call", "a write and a read"]


def test_a_fork_pays_for_its_parents_memory() -> None:
    found = analysed(create_cases(), rounds=6)
    said = verdict_of(found, "process/fork")
    assert said.outcome is Outcome.CONFIRMED, said
    (section,) = build_document(found).sections
    ways, prices = section.figures
    assert len(ways.table.rows) == 9, "nothing touched lies on no pages"
    assert [row[0] for row in prices.table.rows][:2] == ["fork, small pages", "fork, huge pages"]
    assert [float(row[1].split()[0]) for row in prices.table.rows[:2]] == pytest.approx([50, 0.5], rel=0.2)


def test_two_cpus_at_once_have_a_picture() -> None:
    (section,) = build_document(analysed(smp_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert [row[0] for row in figure.table.rows] == ["system calls", "a loop in user mode"]
