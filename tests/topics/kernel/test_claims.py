"""The topic kernel in the report: pictures, and what is copied between program and Linux."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from topics.analysed import analysed, verdict_of
from topics.kernel.cases import call_cases, copy_cases, file_cases, maps_case, name_cases
from topics.stored import Stored

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.kernel.figures import mitigations

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_picture_of_calls_names_what_makes_entries_dearer() -> None:
    (section,) = build_document(analysed(call_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "kernel-call"
    assert len(figure.table.rows) == 7
    assert "leaves the guest" in figure.description


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (
            {"mitigations": {"b": "Mitigation: x", "a": "Mitigation: y", "c": "Not affected"}},
            " 2 mitigations are active here: a, b.",
        ),
        ({"mitigations": {"c": "Not affected"}}, " No mitigation is active here."),
        ({"mitigations": None}, ""),
        ({}, ""),
    ],
)
def test_mitigations_are_said_as_the_machine_states_them(stated: dict[str, object], said: str) -> None:
    assert mitigations(stated) == said


def test_the_picture_of_copies_has_a_line_a_way() -> None:
    (section,) = build_document(analysed(copy_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "kernel-copy"
    assert [row[0] for row in figure.table.rows[::5]] == ["through a pipe", "in the program"]
    assert len(figure.table.rows) == 6


@pytest.mark.parametrize(
    ("null_kib_ns", "pipe_kib_ns", "outcome"),
    [
        (0.0, 200.0, Outcome.CONFIRMED),
        (5.0, 200.0, Outcome.UNDECIDED),  # the control is not flat
        (0.0, 0.0, Outcome.DEPENDS),
    ],
)
def test_bytes_cost_where_they_are_copied(null_kib_ns: float, pipe_kib_ns: float, outcome: Outcome) -> None:
    found = analysed(copy_cases(null_kib_ns, pipe_kib_ns), rounds=6)
    assert verdict_of(found, "kernel/copy").outcome is outcome


@pytest.mark.parametrize("by", ["pipe", "file", "vm"])
def test_times_on_no_straight_line_are_no_price_a_byte(by: str) -> None:
    said = Stored().put("fit", 0.985, "kernel/copy", by=by).verdict("kernel/copy")
    assert said.outcome is Outcome.UNDECIDED
    assert f"No straight line describes the times of {by}." in said.because


def test_what_is_flat_needs_no_line() -> None:
    run = Stored().put("fit", 0.0, "kernel/copy", by="file").put("kib_ns", 0.0, "kernel/copy", by="file")
    assert run.verdict("kernel/copy").outcome is Outcome.DEPENDS


def test_stored_times_are_on_a_straight_line_in_each_process() -> None:
    rows = json.loads(Path(__file__).with_name("rows").joinpath("copy.json").read_text(encoding="utf-8"))
    fits = {row["case"]["parameters"]["by"]: row["metrics"]["fit"] for row in rows}
    assert {by: min(fits[by]) >= 0.99 for by in ("pipe", "file", "vm", "zero")} == dict.fromkeys(
        ("pipe", "file", "vm", "zero"), True
    )
    assert all(len(each) == 20 for each in fits.values())


def test_copies_need_what_copies_nothing_as_their_control() -> None:
    cases = [case for case in copy_cases() if case.parameters["by"] != "null"]
    assert verdict_of(analysed(cases, rounds=6), "kernel/copy").outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(("stated", "outcome"), [(0.0, Outcome.CONFIRMED), (18.0, Outcome.REFUTED)])
def test_files_of_procfs_say_that_they_are_empty(stated: float, outcome: Outcome) -> None:
    found = analysed([*file_cases(stated), maps_case()], rounds=6)
    assert verdict_of(found, "kernel/pseudo").outcome is outcome
    assert verdict_of(found, "kernel/sysfs").outcome is Outcome.CONFIRMED
    (section,) = build_document(found).sections
    assert [figure.name for figure in section.figures] == ["kernel-file"]
    assert len(section.figures[0].table.rows) == 8


def test_what_sysfs_follows_needs_a_device_to_count() -> None:
    cases = [case for case in file_cases() if "followed_pct" not in case.metrics]
    cases += [replace(case, metrics={}) for case in file_cases() if "followed_pct" in case.metrics]
    assert verdict_of(analysed(cases, rounds=6), "kernel/sysfs").outcome is Outcome.NOT_MEASURABLE


def test_names_stand_by_file_system() -> None:
    (section,) = build_document(analysed(name_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "kernel-name"
    assert [row[1] for row in figure.table.rows[::2]] == ["in memory (tmpfs)", "on a disk"]
