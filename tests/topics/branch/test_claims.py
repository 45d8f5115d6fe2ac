"""Branches: what was planted is found, with its interval, and verdicts turn with the data."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import write as synthetic
from runs.write import CYCLE, Case
from topics.analysed import analysed, figures_of, told_of, verdict_of
from topics.branch.cases import (
    COINS,
    branch_cases,
    capacity_cases,
    learning_case,
    likely_cases,
    loaded_cases,
    pattern_cases,
    penalty_case,
)
from undrawn import without_drawing

from fencepost.analysis.report import headline
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.curves import crossings
from fencepost.analysis.stats.interval import pooled
from fencepost.analysis.topics.branch.measures import (
    _line,
    break_even,
    capacity,
    loaded_penalties,
    penalties,
    taken_rates,
)
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.topic import headlines

pytestmark = pytest.mark.usefixtures("undrawn")

# ---- penalty ----


def test_a_planted_penalty_is_found_with_its_interval() -> None:
    (found,) = penalties(analysed([penalty_case(18)]))
    assert found.cycles.value == pytest.approx(18, rel=0.005)
    assert found.cycles.low <= 18.02 and found.cycles.high >= 17.98 and found.cycles.high - found.cycles.low < 0.5
    assert found.ns.value == pytest.approx(18 * CYCLE, rel=0.005)
    assert found.r_squared.value > 0.999 and not found.counted
    assert found.misses.tolist() == [k / 2 for k in COINS]
    assert np.abs(found.residual).max() < 5


def test_the_fit_is_on_counted_mispredictions_where_there_are_any() -> None:
    (found,) = penalties(analysed([penalty_case(18, counted=True)]))
    assert found.counted and found.cycles.value == pytest.approx(18, rel=0.005)
    assert found.misses[-1] == pytest.approx(24, rel=0.01)


def test_a_bend_shows_in_the_residuals() -> None:
    case = penalty_case(18)
    bent = replace(case, metrics={**case.metrics, "k64_ticks": case.metrics["k64_ticks"] * 1.2})
    straight, crooked = (penalties(analysed([c]))[0] for i, c in enumerate((case, bent)))
    assert np.abs(crooked.residual).max() > 10 * np.abs(straight.residual).max()
    assert crooked.r_squared.value < straight.r_squared.value


def test_without_a_believable_core_clock_the_penalty_is_in_ns() -> None:
    case = penalty_case(18, chain_ratio=2.0)
    (found,) = penalties(analysed([case]))
    assert found.unit == "ns" and not found.cycles.n and found.ns.n == 10
    said = verdict_of(analysed([case]), "branch/penalty")
    assert said.outcome is Outcome.NOT_MEASURABLE and "ns" in said.figure


@pytest.mark.parametrize(
    ("ready", "loaded", "outcome"),
    [
        (18, {}, Outcome.CONFIRMED),
        (18, {16 << 10: 17, 1 << 20: 19}, Outcome.CONFIRMED),
        (18, {16 << 10: 17, 1 << 20: 30}, Outcome.DEPENDS),
        (30, {16 << 10: 40}, Outcome.REFUTED),
        (7, {}, Outcome.REFUTED),
        (20, {}, Outcome.UNDECIDED),
    ],
)
def test_ten_to_twenty_cycles(ready: float, loaded: dict[int, float], outcome: Outcome) -> None:
    cases = [penalty_case(ready), *loaded_cases(loaded)]
    said = verdict_of(analysed(cases), "branch/penalty")
    assert said.outcome is outcome
    assert "cycles with the condition in a register" in said.figure and "[" in said.figure
    assert "guessed wrong half of the time" in said.because
    if outcome is Outcome.DEPENDS and loaded:
        assert "From 1 MiB on" in said.because


def test_counted_mispredictions_are_said_to_be_counted() -> None:
    assert "that the hardware counted" in verdict_of(analysed([penalty_case(counted=True)]), "branch/penalty").because


def test_loaded_penalties_are_paired_by_round(tmp_path: Path) -> None:
    """A machine that is slower in some rounds moves both sides: the interval of the difference stays narrow."""
    cases = [replace(case, process_noise=0.0) for case in loaded_cases({4096: 24})]
    factors = np.where(np.arange(20) % 2, 1.0, 1.001) * np.linspace(1, 1.02, 20)
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=12, process_factor=factors, unmeasurable=[])
    (found,) = loaded_penalties(analyse(folder))
    assert found.cycles.value == pytest.approx(24, rel=0.03) and not found.counted
    assert found.cycles.high - found.cycles.low < 1.5


def test_the_penalty_is_a_rung_of_the_ladder() -> None:
    ladder = headline.ladder_table(headlines(analysed([penalty_case(18)])))
    assert ladder is not None
    ((label, _, time, cycles, case),) = ladder.rows
    assert "mispredict" in label and time.startswith("4.8") and cycles.startswith(("17.9", "18.0"))
    assert case == "branch/penalty[slots=shuffled]@cpu1"


# ---- capacity and learning ----


@pytest.mark.parametrize("knee", [1024, 8192])
def test_the_knee_lies_half_way(knee: int) -> None:
    found = capacity(analysed(capacity_cases(knee)))
    assert found is not None
    assert (found.last_learnt, found.first_lost) == (knee, 2 * knee)
    assert knee <= found.knee.low <= found.knee.value <= found.knee.high <= 2 * knee
    assert found.knee.value == pytest.approx(knee * math.sqrt(2), rel=0.02)


def test_a_step_on_the_way_is_not_the_knee() -> None:
    cases = [replace(case, ns=8 * CYCLE) if case.parameters["period"] == 64 else case for case in capacity_cases(8192)]
    found = capacity(analysed(cases))
    assert found is not None and found.knee.value == pytest.approx(8192 * math.sqrt(2), rel=0.02)


def test_a_knee_between_far_points_is_no_surer_than_they_are() -> None:
    cases = [case for case in capacity_cases(32768) if case.parameters["period"] in (16, 4096, 65536)]
    found = capacity(analysed(cases))
    assert found is not None and (found.knee.low, found.knee.value, found.knee.high) == (4096, 16384, 65536)


def test_what_is_never_lost_has_no_knee() -> None:
    analysis = analysed(capacity_cases(8192, ceiling=2.1))
    found = capacity(analysis)
    assert found is not None and not found.knee.n
    assert "No knee" in told_of(analysis)["branch-capacity"].description


def test_learning_is_confirmed_with_the_capacity() -> None:
    cases = [learning_case(1000), learning_case(16000, last=11.9), *capacity_cases(8192)]
    said = verdict_of(analysed(cases), "branch/history")
    assert said.outcome is Outcome.CONFIRMED
    assert (
        "n = 1\N{NARROW NO-BREAK SPACE}000 ×4.0" in said.figure.replace("3.99", "4.00") and "lost at 11" in said.figure
    )
    assert "Not learnt within 100 passes: n = 16" in said.because


def test_learning_is_refuted_where_nothing_grows_cheaper() -> None:
    assert verdict_of(analysed([learning_case(1000, last=12)]), "branch/history").outcome is Outcome.REFUTED


# ---- patterns and hints ----


@pytest.mark.parametrize("spread", [0.0, 1e-9, 1.0, 100.0])
def test_the_line_is_that_of_least_squares(spread: float) -> None:
    from scipy import stats  # imported by few: it takes a second

    generator = np.random.default_rng(1)
    for _ in range(20):
        x = generator.uniform(0, 64, 9)
        y = 3 * x + generator.normal(0, 1, 9) * spread
        line = stats.linregress(x, y)
        expected = (line.slope, line.intercept, line.rvalue**2)
        np.testing.assert_allclose(_line(x, y), expected, rtol=1e-9, atol=1e-9)
    assert _line(x, np.ones(9)) == pytest.approx((0, 1, 0), abs=1e-12)


@pytest.mark.slow  # the same of one interval: tests/analysis/stats/test_binomial.py
def test_the_summary_of_a_run_leaves_scipy_stats_alone(tmp_path: Path) -> None:
    """It would take as long to import as everything else that comes after the last round."""
    synthetic.write_run(tmp_path / "run", [penalty_case(18)], rounds=6, unmeasurable=[])
    text = (
        "import sys; from pathlib import Path\n"
        "from fencepost.analysis.runs.estimate import analyse\n"
        "from fencepost.analysis.report.screen import screen\n"
        "from fencepost.analysis.report.summary import next_step, summary_of\n"
        "found = analyse(Path(sys.argv[1]))\n"
        "summary = summary_of(found)\n"
        "assert summary and screen(summary) and not next_step(found)\n"
        "assert 'scipy.stats' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", text, str(tmp_path / "run")], check=True, timeout=60)


def test_break_even_is_where_the_lines_cross() -> None:
    _, found = taken_rates(analysed(pattern_cases(random=12, cmov=1.5, learnt=1)))
    low, high = break_even(found["random", "branch"], found["random", "cmov"])
    expected = 0.5 / 11 * 50
    assert low.value == pytest.approx(expected, rel=0.05) and high.value == pytest.approx(100 - expected, rel=0.05)
    assert low.low <= low.value <= low.high


def test_no_break_even_is_said() -> None:
    analysis = analysed(pattern_cases(cmov=20))
    assert "No break-even" in told_of(analysis)["branch-rate"].description


@pytest.mark.parametrize(("random", "outcome"), [(12, Outcome.CONFIRMED), (1.0, Outcome.REFUTED)])
def test_sorted_data_is_faster_where_there_is_a_branch(random: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(pattern_cases(random=random)), "branch/sorted")
    assert said.outcome is outcome
    assert "with a jump" in said.figure and said.control is not None and said.control.holds


@pytest.mark.parametrize(
    ("correct", "wrong", "outcome"),
    [
        (0.5, 2.0, Outcome.CONFIRMED),
        (1.0, 2.0, Outcome.DEPENDS),
        (1.0, 1.0, Outcome.REFUTED),
        (1.5, 2.0, Outcome.REFUTED),
    ],
)
def test_unlikely(correct: float, wrong: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(likely_cases(correct, wrong)), "branch/unlikely")
    assert said.outcome is outcome
    for word in ("correct ×", "wrong ×", "a hint that says nothing"):
        assert word in said.figure


# ---- figures ----


@pytest.mark.slow  # draws a whole topic
@pytest.mark.drawn
def test_pictures_name_what_they_mark() -> None:
    drawn = figures_of(analysed(branch_cases(), rounds=6))
    assert "break-even" in drawn["branch-rate"].svg and "knee at" in drawn["branch-capacity"].svg
    assert "left over, cycles" in drawn["branch-penalty"].svg and "the notes" in drawn["branch-loaded"].svg


def test_figures_carry_what_they_claim() -> None:
    told = told_of(analysed(branch_cases(), rounds=6))
    rate = told["branch-rate"]
    assert "cheaper from 2." in rate.description
    assert [row[0] for row in rate.table.rows] == [f"{pct} %" for pct in range(0, 101, 10)]
    assert "18.0" in told["branch-penalty"].description.replace("17.9", "18.0")
    assert told["branch-loaded"].table.rows[0][0] == "in a register"
    hints = {row[0]: row[2] for row in told["branch-likely"].table.rows}
    assert hints["unlikely, data false"].startswith(("×0.50", "×0.49"))


def test_trained_loops_have_a_figure_too() -> None:
    cases = [
        Case("branch/pgo", {"training": training, "data": data}, ns=ns)
        for training, ns in {"none": 2.0, "matching": 1.0, "opposite": 3.0}.items()
        for data in ("false", "true")
    ]
    drawn = told_of(analysed(cases, rounds=6))["branch-pgo"]
    assert {row[0]: row[2][:4] for row in drawn.table.rows}["opposite, data true"] in ("×1.5", "×1.4")


@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_a_part_of_the_topic_is_enough(rounds: int) -> None:
    """Each kernel of the topic alone, and in so few rounds that there is no interval."""
    cases = branch_cases()
    for kernel in {case.kernel for case in cases}:
        some = [case for case in cases if case.kernel == kernel]
        analysis = analysed(some, rounds)
        with without_drawing():  # test_figures.py draws them
            document = build_document(analysis)
        assert len(document.sections[0].figures) == 1
        words = re.sub(r'base64,[^"]*', "", as_html(document))  # the packed rows may spell anything
        assert "nan" not in words.lower().replace("nano", "")


# ---- pairs ----


def test_crossings() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 2.0, 2.0, 0.0])
    assert crossings(x, y, 1.0) == (0.5, 2.5)
    first, last = crossings(x, y, 5.0)
    assert math.isnan(first) and math.isnan(last)
    assert crossings(x, np.array([0.0, math.nan, 2.0, 2.0]), 1.0)[0] == 1.0


def test_a_median_of_less_than_half_of_the_processes_is_none() -> None:
    assert pooled([1.0, math.nan, math.nan, 1.0]).n == 0
    assert pooled([1.0, math.nan, 1.0]).value == 1.0


def test_a_grid_leaves_out_what_was_not_measured() -> None:
    cases = [
        Case("mine/loop", {"n": 1}, ns=2),
        Case("mine/loop", {"n": 2}, ns=4, chain_ratio=2.0),
        Case("mine/loop", {"n": 3}, status="unsupported"),
        Case("mine/loop", {"n": 1}, ns=2).twin(),
    ]
    found = grid(analysed(cases, rounds=6), "mine/loop")
    assert [row.parameters["n"] for row in found.rows] == [1, 2]
    assert found.ns.shape == (6, 2) and found.unit == "ns" and found.find(n=3) is None
    assert np.isnan(found.cycles[:, 1]).all() and np.isfinite(found.cycles[:, 0]).all()
