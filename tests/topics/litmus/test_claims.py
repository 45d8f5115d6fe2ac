"""Litmus tests in a report: what was planted is found, bounds are exact."""

from __future__ import annotations

import pytest
from runs.write import Case
from topics.analysed import analysed, figures_of, told_of, verdict_of
from topics.litmus.cases import TRIALS, tried

from fencepost.analysis.runs.paired import per_process
from fencepost.analysis.stats.interval import upper_bound
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.litmus.measures import rates

pytestmark = pytest.mark.usefixtures("undrawn")

ROUNDS = 20


@pytest.mark.parametrize("trials", [1, 3, 1000, 10**6])
def test_the_bound_of_a_zero_is_exact(trials: int) -> None:
    """The largest rate at which nothing in so many trials still has a chance of 5 %."""
    assert (1 - upper_bound(trials)) ** trials == pytest.approx(0.05)
    assert upper_bound(0) != upper_bound(0)


def test_rates_by_test_order_and_runner() -> None:
    cases = [tried("sb", "none", 512), tried("sb", "none", 51.2, "array"), tried("sb", "mfence", forbidden=1)]
    plain, array, fenced = rates(analysed(cases, rounds=ROUNDS))
    assert (plain.test, plain.order, plain.runner, plain.forbidden) == ("sb", "none", "rendezvous", False)
    assert plain.per_million.value == pytest.approx(100_000) and plain.per_second.value == pytest.approx(512_000)
    assert (plain.least, plain.most) == pytest.approx((100_000, 100_000)) and plain.bound != plain.bound
    assert array.per_million.value == pytest.approx(10_000) and array.runner == "array"
    assert (fenced.weak, fenced.trials, fenced.forbidden) == (0, TRIALS * ROUNDS, True)
    assert fenced.bound == pytest.approx(upper_bound(TRIALS * ROUNDS) * 1e6)


def test_quantiles_are_over_processes() -> None:
    spread = Case(
        "litmus/sb",
        {"runner": "rendezvous", "order": "none"},
        cpus=(0, 1),
        metrics={"weak_per_million": 1000.0, "weak_per_s": 1.0, "weak": 5.0, "trials": TRIALS, "forbidden": 0},
        metric_noise=0.5,
    )
    analysis = analysed([spread])
    (found,) = rates(analysis)
    of_processes = sorted(per_process(analysis, found.case, "weak_per_million"))
    assert (
        of_processes[0] < found.least < found.per_million.low < found.per_million.high < found.most < of_processes[-1]
    )


@pytest.mark.drawn
def test_every_row_is_in_the_figure_and_those_never_weak_stand_at_their_bound() -> None:
    cases = [
        tried("sb", "none", 512),
        tried("sb", "none", 5.12, "array"),
        tried("sb", "mfence", forbidden=1),
        tried("sb", "lock_add", forbidden=1),
        *(tried("corr", order, forbidden=1) for order in ("none", "mfence")),
    ]
    drawn = figures_of(analysed(cases))["litmus-rates"]
    bound = upper_bound(TRIALS * ROUNDS) * 1e6
    for said in ("none, sb: 100", "none, array, sb: 1", "mfence, sb: none, less than", "lock_add, sb: none, less than"):
        assert said in drawn.svg
    assert "all orders, corr: never in any order: none, less than" in drawn.svg
    assert f"{bound:.0f}" in drawn.svg
    rows = {row[:3]: row[3:] for row in drawn.table.rows}
    assert len(rows) == len(cases)
    assert rows["sb", "mfence", "rendezvous"][0] == "forbidden" and "none, < " in rows["sb", "mfence", "rendezvous"][1]
    assert rows["sb", "none", "rendezvous"][0] == "allowed" and "512" in rows["sb", "none", "rendezvous"][3]


def test_a_run_without_weak_outcomes_has_its_figure() -> None:
    drawn = told_of(analysed([tried("sb", "none")], rounds=6))["litmus-rates"]
    assert "Seen without a fence: none" in drawn.description


@pytest.mark.parametrize(("weak", "outcome"), [(512, Outcome.CONFIRMED), (0, Outcome.REFUTED)])
def test_claim_reordering(weak: float, outcome: Outcome) -> None:
    said = verdict_of(analysed([tried("sb", "none", weak), tried("mp", "none")]), "litmus/reordering")
    assert said.outcome == outcome
    assert "mp: none, at most" in said.figure or "sb, mp: none, at most" in said.figure
    assert ("sb 100" in said.figure) == bool(weak)


def test_claim_reordering_needs_the_control() -> None:
    assert verdict_of(analysed([tried("sb", "mfence")]), "litmus/reordering").outcome == Outcome.NOT_MEASURABLE
