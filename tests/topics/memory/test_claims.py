"""The topic memory in the report: pictures, and memory that comes with the first touch."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, verdict_of
from topics.memory.cases import (
    cow_cases,
    fault_cases,
    file_cases,
    invalid_cases,
    ksm_cases,
    layout_case,
    map_cases,
    overcommit_cases,
    shootdown_cases,
)

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(("again", "outcome"), [(0.0, Outcome.CONFIRMED), (1.0, Outcome.UNDECIDED)])
def test_memory_comes_with_the_first_touch(again: float, outcome: Outcome) -> None:
    analysis = analysed(fault_cases(again_faults=again), rounds=6)
    said = verdict_of(analysis, "memory/lazy")
    assert said.outcome is outcome
    document = build_document(analysis)
    (section,) = document.sections
    assert [figure.name for figure in section.figures] == ["memory-fault"]
    assert len(section.figures[0].table.rows) == 4
    assert document.ladder is not None
    assert [row[0] for row in document.ladder.rows] == ["touch a page for the first time"]


def test_the_picture_shows_who_shares() -> None:
    (section,) = build_document(analysed(cow_cases(), rounds=6)).sections
    (figure,) = (figure for figure in section.figures if figure.name == "memory-cow")
    assert len(figure.table.rows) == 7
    assert "a living child (copied)" in figure.description


@pytest.mark.parametrize(
    ("fresh_ns", "fresh_faults", "outcome"),
    [
        (500.0, 1.0, Outcome.DEPENDS),  # cleared and mapped at once: dearer than nothing, cheaper than read and copy
        (1200.0, 1.0, Outcome.CONFIRMED),  # as dear as a read and the copy after it
        (500.0, 0.0, Outcome.REFUTED),  # memory was there before anybody touched it
    ],
)
def test_memory_on_demand(fresh_ns: float, fresh_faults: float, outcome: Outcome) -> None:
    said = verdict_of(analysed([*fault_cases(fresh_ns, fresh_faults), *cow_cases()], rounds=6), "memory/on_demand")
    assert said.outcome is outcome
    assert "fault" in said.because


def test_memory_on_demand_without_its_control_is_not_measurable() -> None:
    cases = [case for case in [*fault_cases(), *cow_cases()] if case.parameters.get("write") != "zero"]
    assert verdict_of(analysed(cases, rounds=6), "memory/on_demand").outcome is Outcome.NOT_MEASURABLE


def test_addresses_of_a_large_mapping_need_their_control() -> None:
    cases = [case for case in map_cases() if case.parameters["size"] != 4096]
    said = verdict_of(analysed(cases, rounds=6), "memory/not_mapped")
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "size=4096" in said.because


def test_the_picture_shows_mappings_by_size() -> None:
    (section,) = build_document(analysed(map_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "memory-map"
    assert [cells[1].replace("\N{NO-BREAK SPACE}", " ") for cells in figure.table.rows[::4]] == [
        "a mapping of 4 KiB",
        "a mapping of 1 GiB",
    ]


def test_the_picture_of_shootdowns_has_a_bar_below_zero() -> None:
    (section,) = build_document(analysed(shootdown_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "memory-shootdown"
    assert "\N{MINUS SIGN}" in figure.description
    assert figure.table.header == ("calls", "time", "interrupts of the other CPU", "beside another process")


def test_forbidden_accesses_need_what_is_allowed_as_their_control() -> None:
    found = analysed([case for case in invalid_cases() if case.parameters["access"] != "allowed"], rounds=6)
    for name in ("memory/null", "memory/text", "memory/data"):
        assert verdict_of(found, name).outcome is Outcome.NOT_MEASURABLE


def test_the_picture_of_forbidden_accesses_has_the_signal_alone() -> None:
    (section,) = build_document(analysed(invalid_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert "no access, the signal is sent" in [row[0] for row in figure.table.rows]
    assert len(figure.table.rows) == 8


def test_the_address_space_is_drawn_from_low_to_high() -> None:
    (section,) = build_document(analysed([layout_case()], rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "memory-layout"
    assert [row[0] for row in figure.table.rows] == ["text", "data", "bss", "heap", "mappings", "stack"]
    assert "127.9" in figure.table.rows[-1][1]


def test_the_layout_needs_a_read_of_the_kernel() -> None:
    said = verdict_of(analysed([layout_case()], rounds=6), "memory/layout")
    assert said.outcome is Outcome.NOT_MEASURABLE
    said = verdict_of(analysed([layout_case(), *invalid_cases()], rounds=6), "memory/layout")
    assert said.outcome is Outcome.CONFIRMED


def test_promises_are_drawn_without_a_time() -> None:
    found = analysed(overcommit_cases(), rounds=6)
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "memory-overcommit"
    assert len(figure.table.rows) == 3
    assert verdict_of(found, "memory/overcommit").outcome is Outcome.CONFIRMED


def test_pages_of_files_that_were_dropped_refute_swap_alone() -> None:
    found = analysed(file_cases(), rounds=6)
    said = verdict_of(found, "memory/major")
    assert said.outcome is Outcome.REFUTED
    (section,) = build_document(found).sections
    assert [figure.name for figure in section.figures] == ["memory-file"]
    assert len(section.figures[0].table.rows) == 4


def test_major_faults_need_the_cached_page_as_their_control() -> None:
    cases = [case for case in file_cases() if case.parameters["access"] != "apart"]
    assert verdict_of(analysed(cases, rounds=6), "memory/major").outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(
    ("pct", "outcome"), [(100.0, Outcome.CONFIRMED), (50.0, Outcome.DEPENDS), (0.0, Outcome.REFUTED)]
)
def test_equal_pages_are_merged(pct: float, outcome: Outcome) -> None:
    found = analysed(ksm_cases(pct), rounds=6)
    assert verdict_of(found, "memory/ksm").outcome is outcome
    (section,) = build_document(found).sections
    assert [figure.name for figure in section.figures] == ["memory-ksm"]
