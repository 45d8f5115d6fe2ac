"""Mutual exclusion by order alone, in a report: additions lost, and where a fence for both sides pays."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, figures_of, verdict_of
from topics.order.cases import locked, sides

from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.order.measures import break_even, losses

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("without", "fenced", "outcome"),
    [(50, 0, Outcome.CONFIRMED), (0, 0, Outcome.UNDECIDED), (50, 1, Outcome.UNDECIDED)],
)
def test_claim_barrier(without: float, fenced: float, outcome: Outcome) -> None:
    cases = [locked("none", without), locked("mfence", fenced), locked("c11_acq_rel", without)]
    said = verdict_of(analysed(cases, rounds=20), "order/barrier")
    assert said.outcome == outcome
    if outcome == Outcome.CONFIRMED:
        assert "1 000 of" in said.figure.replace("\u2009", " ").replace("\u202f", " ")
        assert "Acquire and release are not enough" in said.because


def test_claim_barrier_needs_both() -> None:
    assert verdict_of(analysed([locked("none", 5)]), "order/barrier").outcome == Outcome.NOT_MEASURABLE


@pytest.mark.drawn
def test_losses_and_the_break_even_are_in_the_figure() -> None:
    analysis = analysed([locked("none", 50), locked("mfence"), *sides(10, 60, 25_000)], rounds=20)
    assert break_even(analysis).value == pytest.approx(500)
    none, fenced = losses(analysis)
    assert none.per_million.value == pytest.approx(1000) and none.may_lose and not fenced.may_lose
    drawn = figures_of(analysis)["order-losses"]
    assert "pays from 500" in drawn.description and "none lost" in drawn.svg
    lost = {row[1]: row[3] for row in drawn.table.rows}
    assert lost["none"].startswith("1") and lost["mfence"] == "none, < 3.0"


def test_a_fence_that_costs_nothing_never_breaks_even() -> None:
    assert break_even(analysed(sides(60, 60, 25_000))).n == 0
