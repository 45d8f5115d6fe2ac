"""Litmus tests and their end-to-end relatives in a report: what was planted is found, bounds are exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from runs import write as synthetic
from runs.write import Case

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.report.sections import sections
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.paired import per_process
from fencepost.analysis.stats.interval import upper_bound
from fencepost.analysis.topics.claim import Outcome, Verdict, verdicts
from fencepost.analysis.topics.litmus.measures import rates
from fencepost.analysis.topics.order.measures import break_even, losses

TRIALS = 5120.0
ROUNDS = 20


def tried(test: str, order: str, weak: float = 0, runner: str = "rendezvous", forbidden: int = 0) -> Case:
    metrics = {
        "weak_per_million": weak / TRIALS * 1e6,
        "weak_per_s": weak * 1000.0,
        "weak": weak,
        "trials": TRIALS,
        "forbidden": forbidden,
    }
    parameters = {"runner": runner, "order": order}
    return Case(f"litmus/{test}", parameters, 200, cpus=(0, 1), metrics=metrics, metric_noise=0)


def locked(order: str, lost: float = 0, algorithm: str = "peterson", ns: float = 200) -> Case:
    metrics = {"lost": lost, "lost_per_million": lost / 50_000 * 1e6, "sections": 50_000}
    return Case(f"order/{algorithm}", {"order": order}, ns, cpus=(0, 1), metrics=metrics, metric_noise=0)


def sides(fast: float, fenced: float, slow: float) -> list[Case]:
    return [
        Case("order/membarrier", {"side": side}, 10, cpus=(0, 1), metrics={"turn_ticks": ticks}, metric_noise=0)
        for side, ticks in {"fast": fast, "fenced": fenced, "slow": slow}.items()
    ]


def analysed(tmp_path: Path, cases: Sequence[Case], rounds: int = ROUNDS) -> Analysis:
    return analyse(synthetic.write_run(tmp_path / "run", cases, rounds=rounds, unmeasurable=[]))


def verdict(analysis: Analysis, name: str) -> Verdict:
    return next(said for claim, said in verdicts(analysis) if claim.id == name)


def figure(analysis: Analysis, name: str) -> Figure:
    return next(item for section in sections(analysis) for item in section.figures if item.name == name)


@pytest.mark.parametrize("trials", [1, 3, 1000, 10**6])
def test_the_bound_of_a_zero_is_exact(trials: int) -> None:
    """The largest rate at which nothing in so many trials still has a chance of 5 %."""
    assert (1 - upper_bound(trials)) ** trials == pytest.approx(0.05)
    assert upper_bound(0) != upper_bound(0)


def test_rates_by_test_order_and_runner(tmp_path: Path) -> None:
    cases = [tried("sb", "none", 512), tried("sb", "none", 51.2, "array"), tried("sb", "mfence", forbidden=1)]
    plain, array, fenced = rates(analysed(tmp_path, cases))
    assert (plain.test, plain.order, plain.runner, plain.forbidden) == ("sb", "none", "rendezvous", False)
    assert plain.per_million.value == pytest.approx(100_000) and plain.per_second.value == pytest.approx(512_000)
    assert (plain.least, plain.most) == pytest.approx((100_000, 100_000)) and plain.bound != plain.bound
    assert array.per_million.value == pytest.approx(10_000) and array.runner == "array"
    assert (fenced.weak, fenced.trials, fenced.forbidden) == (0, TRIALS * ROUNDS, True)
    assert fenced.bound == pytest.approx(upper_bound(TRIALS * ROUNDS) * 1e6)


def test_quantiles_are_over_processes(tmp_path: Path) -> None:
    spread = Case(
        "litmus/sb",
        {"runner": "rendezvous", "order": "none"},
        cpus=(0, 1),
        metrics={"weak_per_million": 1000.0, "weak_per_s": 1.0, "weak": 5.0, "trials": TRIALS, "forbidden": 0},
        metric_noise=0.5,
    )
    analysis = analysed(tmp_path, [spread])
    (found,) = rates(analysis)
    of_processes = sorted(per_process(analysis, found.case, "weak_per_million"))
    assert (
        of_processes[0] < found.least < found.per_million.low < found.per_million.high < found.most < of_processes[-1]
    )


def test_every_row_is_in_the_figure_and_those_never_weak_stand_at_their_bound(tmp_path: Path) -> None:
    cases = [
        tried("sb", "none", 512),
        tried("sb", "none", 5.12, "array"),
        tried("sb", "mfence", forbidden=1),
        tried("sb", "lock_add", forbidden=1),
        *(tried("corr", order, forbidden=1) for order in ("none", "mfence")),
    ]
    drawn = figure(analysed(tmp_path, cases), "litmus-rates")
    bound = upper_bound(TRIALS * ROUNDS) * 1e6
    for said in ("none, sb: 100", "none, array, sb: 1", "mfence, sb: none, less than", "lock_add, sb: none, less than"):
        assert said in drawn.svg
    assert "all orders, corr: never in any order: none, less than" in drawn.svg
    assert f"{bound:.0f}" in drawn.svg
    rows = {row[:3]: row[3:] for row in drawn.table.rows}
    assert len(rows) == len(cases)
    assert rows["sb", "mfence", "rendezvous"][0] == "forbidden" and "none, < " in rows["sb", "mfence", "rendezvous"][1]
    assert rows["sb", "none", "rendezvous"][0] == "allowed" and "512" in rows["sb", "none", "rendezvous"][3]


def test_a_run_without_weak_outcomes_has_its_figure(tmp_path: Path) -> None:
    drawn = figure(analysed(tmp_path, [tried("sb", "none")], rounds=6), "litmus-rates")
    assert "Seen without a fence: none" in drawn.description


@pytest.mark.parametrize(("weak", "outcome"), [(512, Outcome.CONFIRMED), (0, Outcome.REFUTED)])
def test_claim_reordering(weak: float, outcome: Outcome, tmp_path: Path) -> None:
    said = verdict(analysed(tmp_path, [tried("sb", "none", weak), tried("mp", "none")]), "litmus/reordering")
    assert said.outcome == outcome
    assert "mp: none, at most" in said.figure or "sb, mp: none, at most" in said.figure
    assert ("sb 100" in said.figure) == bool(weak)


def test_claim_reordering_needs_the_control(tmp_path: Path) -> None:
    assert verdict(analysed(tmp_path, [tried("sb", "mfence")]), "litmus/reordering").outcome == Outcome.NOT_MEASURABLE


@pytest.mark.parametrize(
    ("without", "fenced", "outcome"),
    [(50, 0, Outcome.CONFIRMED), (0, 0, Outcome.UNDECIDED), (50, 1, Outcome.REFUTED)],
)
def test_claim_barrier(without: float, fenced: float, outcome: Outcome, tmp_path: Path) -> None:
    cases = [locked("none", without), locked("mfence", fenced), locked("c11_acq_rel", without)]
    said = verdict(analysed(tmp_path, cases), "order/barrier")
    assert said.outcome == outcome
    if outcome == Outcome.CONFIRMED:
        assert "1 000 of" in said.figure.replace("\u2009", " ").replace("\u202f", " ")
        assert "Acquire and release are not enough" in said.because


def test_claim_barrier_needs_both(tmp_path: Path) -> None:
    assert verdict(analysed(tmp_path, [locked("none", 5)]), "order/barrier").outcome == Outcome.NOT_MEASURABLE


def test_losses_and_the_break_even_are_in_the_figure(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, [locked("none", 50), locked("mfence"), *sides(10, 60, 25_000)])
    assert break_even(analysis).value == pytest.approx(500)
    none, fenced = losses(analysis)
    assert none.per_million.value == pytest.approx(1000) and none.may_lose and not fenced.may_lose
    drawn = figure(analysis, "order-losses")
    assert "pays from 500" in drawn.description and "none lost" in drawn.svg
    lost = {row[1]: row[3] for row in drawn.table.rows}
    assert lost["none"].startswith("1") and lost["mfence"] == "none, < 3.0"


def test_a_fence_that_costs_nothing_never_breaks_even(tmp_path: Path) -> None:
    assert break_even(analysed(tmp_path, sides(60, 60, 25_000))).n == 0
