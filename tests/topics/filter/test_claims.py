"""The topic filter in the report, and where two stages pay."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, verdict_of
from topics.filter.cases import bloom_cases

from fencepost.analysis.report.document import build_document
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.filter.measures import hits_that_pay

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_picture_has_a_line_for_each_who_is_asked() -> None:
    (section,) = build_document(analysed(bloom_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "filter-bloom"
    assert [row[0] for row in figure.table.rows] == ["0 %", "50 %", "100 %"]
    assert len(figure.table.header) == 7


@pytest.mark.parametrize(("keys", "pays"), [(1000, 0.0), (100000, 25.0)])
def test_two_stages_pay_up_to_where_the_lines_cross(keys: int, pays: float) -> None:
    found = hits_that_pay(grid(analysed(bloom_cases(), rounds=12), "filter/bloom"), keys)
    assert found.value == pytest.approx(pays, abs=1.5)
    assert found.low <= found.value <= found.high


def test_two_stages_that_always_cost_less_pay_at_any_share() -> None:
    cases = [case for case in bloom_cases(in_cache=0.5) if case.parameters["hits_pct"] == 0]
    found = hits_that_pay(grid(analysed(cases, rounds=6), "filter/bloom"), 1000)
    assert found.value == 0  # the last share that was measured


@pytest.mark.parametrize(("in_cache", "outcome"), [(1.3, Outcome.DEPENDS), (0.5, Outcome.CONFIRMED)])
def test_it_depends_on_the_cache(in_cache: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(bloom_cases(in_cache), rounds=12), "filter/two_stages")
    assert said.outcome is outcome
    assert "0.82" in said.because and "% of the keys are there" in said.because


@pytest.mark.parametrize(
    ("wrong_pct", "outcome"),
    [(0.6, Outcome.REFUTED), (0.78, Outcome.CONFIRMED), (0.86, Outcome.CONFIRMED), (1.2, Outcome.REFUTED)],
)
def test_a_filter_that_is_wrong_otherwise_refutes(wrong_pct: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(bloom_cases(0.5, wrong_pct), rounds=12), "filter/two_stages")
    assert said.outcome is outcome
    assert ("not wrong as often as predicted" in said.because) == (outcome is Outcome.REFUTED)


def test_a_set_and_a_filter_of_other_sizes_tell_nothing() -> None:
    cases = [
        case
        for case in bloom_cases()
        if (case.parameters["by"], case.parameters["keys"]) in {("set", 1000), ("two_stages", 100000)}
    ]
    said = verdict_of(analysed(cases, rounds=6), "filter/two_stages")
    assert (said.outcome, said.because) == (Outcome.NOT_MEASURABLE, "No number of keys was asked in both ways.")
