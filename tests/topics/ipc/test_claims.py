"""The topic ipc in the report: placements apart, and what is left of a working set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs.write import TICK_HZ
from topics.analysed import analysed, verdict_of
from topics.ipc.cases import (
    across_cases,
    many_cases,
    switch_cases,
    throughput_cases,
    working_set_cases,
    zero_copy_cases,
)

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


def test_placements_are_never_one_figure() -> None:
    (section,) = build_document(analysed([*switch_cases(), *across_cases()], rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "ipc-switch"
    assert list(dict.fromkeys(row[1] for row in figure.table.rows)) == [
        "threads on one CPU",
        "processes on one CPU",
        "two CPUs, as found",
        "two CPUs, kept awake",
    ]
    assert len(figure.table.rows) == 2 * 9 + 2 * 8


def test_the_working_set_has_its_control_beside_it() -> None:
    (section,) = build_document(analysed(working_set_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "ipc-working-set"
    assert figure.table.header[2:] == ("whole message", "by one alone")
    assert [row[0] for row in figure.table.rows] == ["nothing", "64 KiB", "256 KiB", "1 MiB"]


@pytest.mark.parametrize(
    ("found", "awake", "outcome"),
    [(5.0, 3.0, Outcome.CONFIRMED), (5.0, 0.8, Outcome.DEPENDS), (0.8, 0.7, Outcome.REFUTED)],
)
def test_two_cpus_against_one(found: float, awake: float, outcome: Outcome) -> None:
    cases = [*switch_cases(), *across_cases(found, awake), *working_set_cases()]
    said = verdict_of(analysed(cases, rounds=6), "ipc/taskset")
    assert said.outcome is outcome
    assert "kept awake" in said.because
    assert "KiB on each side" in said.because


@pytest.mark.parametrize(
    ("share", "noise", "said"),
    [
        (0.0, 0.0, "So cache is all that a working set adds."),
        (0.5, 0.0, "So a working set adds more than cache."),
        (0.1, 0.5, "Whether a working set adds more than cache is open."),
    ],
)
def test_what_cache_has_of_a_message_is_decided(share: float, noise: float, said: str) -> None:
    sets = working_set_cases()
    none, most = sets[0], sets[-1]
    message_ns = most.metrics["operation_ticks"] / TICK_HZ * 1e9
    sets[0] = replace(none, process_noise=0.0)
    sets[-1] = replace(most, ns=none.ns + share * message_ns, process_noise=noise)
    cases = [*switch_cases(), *across_cases(5.0, 3.0), *sets]
    assert said in verdict_of(analysed(cases, rounds=12), "ipc/taskset").because


def test_two_cpus_need_the_row_without_sleep() -> None:
    cases = [*switch_cases(), *(case for case in across_cases() if case.parameters["awake"] == "no")]
    assert verdict_of(analysed(cases, rounds=6), "ipc/taskset").outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(("process", "outcome"), [(1.3, Outcome.CONFIRMED), (0.7, Outcome.REFUTED)])
def test_threads_keep_the_memory_map(process: float, outcome: Outcome) -> None:
    found = analysed(switch_cases(process), rounds=6)
    assert verdict_of(found, "ipc/borrowed_mm").outcome is outcome
    assert verdict_of(found, "ipc/domain_socket").outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(("small", "outcome"), [(1.5, Outcome.CONFIRMED), (0.9, Outcome.DEPENDS)])
def test_it_pays_to_hand_pages_over(small: float, outcome: Outcome) -> None:
    found = analysed(zero_copy_cases(small), rounds=6)
    assert verdict_of(found, "ipc/zero_copy").outcome is outcome
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "ipc-zero-copy"
    assert len(figure.table.rows) == 4


def test_bytes_and_crowds_have_their_pictures() -> None:
    (section,) = build_document(analysed([*throughput_cases(), *many_cases()], rounds=6)).sections
    figures = {figure.name: figure for figure in section.figures}
    assert list(figures) == ["ipc-throughput", "ipc-many"]
    assert len(figures["ipc-throughput"].table.rows) == 8
    assert [row[0] for row in figures["ipc-many"].table.rows] == ["1 to 1 on 2 CPUs", "2 to 2 on 2 CPUs"]
    assert figures["ipc-many"].table.header[-2:] == ("p50", "p99")
