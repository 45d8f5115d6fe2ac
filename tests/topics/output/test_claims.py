"""The topic output in the report: what a line costs, what is lost, and what printk costs."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, verdict_of
from topics.output.cases import kmsg_cases, loss_cases, print_cases

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


def test_lines_stand_by_where_they_go() -> None:
    (section,) = build_document(analysed([*print_cases(), *loss_cases()], rounds=6)).sections
    figures = {figure.name: figure for figure in section.figures}
    assert list(figures) == ["output-print", "output-loss"]
    assert len(figures["output-print"].table.rows) == 16
    assert "a buffer of 4 KiB: 100" in figures["output-loss"].description.replace("\N{NO-BREAK SPACE}", " ")


def test_a_buffer_is_lost() -> None:
    found = analysed(loss_cases(), rounds=6)
    assert verdict_of(found, "output/buffer").outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("kept_ns", "outcome"),
    [(2600.0, Outcome.CONFIRMED), (1000.0, Outcome.DEPENDS), (400.0, Outcome.REFUTED)],
)
def test_what_a_kept_record_costs(kept_ns: float, outcome: Outcome) -> None:
    said = verdict_of(analysed([*print_cases(), *kmsg_cases(kept_ns)], rounds=6), "output/printk")
    assert said.outcome is outcome
    assert "that is dropped takes" in said.because


def test_records_are_not_measurable_where_nobody_may_write_them() -> None:
    said = verdict_of(analysed(print_cases(), rounds=6), "output/printk")
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "fencepost run 'output/kmsg'" in said.because
