"""Lines between CPUs: what was planted is found, on machines of two CPUs and of many."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs.analysed import analysed as in_memory
from runs.write import Case, crowd_cases, write_run
from topics.analysed import analysed, figures_of, told_of, verdict_of
from topics.line.cases import line_cases, pingpong_cases, stride_cases
from topics.lock.cases import wait_cases

from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, _verdict, claims, row_of
from fencepost.analysis.topics.crowds import crowds, slope
from fencepost.analysis.topics.line.measures import matrix, relations, staircases
from fencepost.analysis.topics.topic import rungs

pytestmark = pytest.mark.usefixtures("undrawn")


def many_pairs(cpus: int) -> list[Case]:
    """Two packages: 40 ns within, 200 ns across."""
    pairs = [(a, b) for a in range(cpus) for b in range(a + 1, cpus)]
    near = [(a < cpus // 2) == (b < cpus // 2) for a, b in pairs]
    return pingpong_cases(
        {pair: ("same_l3", 40.0) if close else ("cross_numa", 200.0) for pair, close in zip(pairs, near, strict=True)}
    )


def test_one_way_is_half_a_round_trip_by_relation() -> None:
    analysis = analysed(many_pairs(8))
    near, far = relations(analysis, "load_store")
    assert (near.name, near.pairs, far.name, far.pairs) == ("same_l3", 12, "cross_numa", 16)
    assert near.ns.value == pytest.approx(40, rel=0.01) and far.ns.value == pytest.approx(200, rel=0.01)
    assert near.ns.low <= near.ns.value <= near.ns.high and near.nearest <= 40.5 and near.farthest >= 39.5
    found = matrix(analysis)
    assert found is not None
    assert np.isnan(np.diag(found.ns)).all() and np.array_equal(found.ns, found.ns.T, equal_nan=True)


def test_the_matrix_has_a_row_a_relation_beneath() -> None:
    drawn = told_of(analysed(many_pairs(4), rounds=6))["line-matrix"]
    assert [row[0] for row in drawn.table.rows] == ["same L3", "cross NUMA"]
    assert "by definition" in drawn.description


def test_both_directions_are_kept_and_a_single_one_serves_for_both() -> None:
    cases = pingpong_cases({(0, 1): ("same_l3", 40), (1, 0): ("same_l3", 80), (0, 2): ("same_l3", 60)})
    found = matrix(analysed(cases, rounds=6))
    assert found is not None and found.pairs == 2
    assert found.ns[0, 1] == pytest.approx(40, rel=0.02) and found.ns[1, 0] == pytest.approx(80, rel=0.02)
    assert found.ns[2, 0] == found.ns[0, 2] and np.isnan(found.ns[1, 2])


@pytest.mark.drawn
def test_more_than_128_cpus_are_one_picture() -> None:
    pairs = {(0, b): ("same_l3", 40.0) for b in range(1, 140)}
    drawn = figures_of(analysed(pingpong_cases(pairs), rounds=1))["line-matrix"]
    assert "<image" in drawn.svg and "data:image/png" in drawn.svg and len(drawn.svg) < 200_000
    assert "<image" not in figures_of(analysed(many_pairs(4), 1))["line-matrix"].svg
    assert len(drawn.table.rows) == 1


def test_pairs_that_were_sampled_are_said_to_be(tmp_path: Path) -> None:
    (case, *_) = many_pairs(4)
    folder = write_run(tmp_path / "run", [case], rounds=6, unmeasurable=[])
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    run["plan"]["cpus"] = [0, 1, 2, 3]
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    assert "Of 6 pairs 1 were measured" in told_of(analyse(folder))["line-matrix"].description


@pytest.mark.parametrize(("line", "last"), [(64, 56), (128, 64)])
def test_sharing_ends_with_the_line(line: int, last: int) -> None:
    cases = stride_cases(line)
    (found,) = staircases(analysed(cases))
    assert found.ends[:3] == (line, line, line) and found.last_shared == last
    assert found.factor.value == pytest.approx(5, rel=0.02) and found.against_alone.value == pytest.approx(1, rel=0.02)
    said = verdict_of(analysed(cases), "line/whole")
    assert said.outcome is Outcome.CONFIRMED and said.figure.startswith(f"sharing ends at {line}")


def test_no_sharing_refutes_lines() -> None:
    assert verdict_of(analysed(stride_cases(shared=6.0)), "line/whole").outcome is Outcome.REFUTED


def test_processes_that_differ_are_said_to() -> None:
    cases = stride_cases(64)
    cases[4] = replace(cases[4], modes=((1.0, 0.5), (5.0, 0.5)))
    assert verdict_of(analysed(cases), "line/whole").outcome is Outcome.UNDECIDED


def contended(ns: dict[int, float], cpus: int) -> list[Case]:
    return crowd_cases("line/contended", {"op": "fetch_add", "between": 0}, ns, cpus, fairness=0.5)


def test_two_cpus_show_one_step_and_no_slope() -> None:
    said = verdict_of(analysed(contended({1: 2, 2: 10, 4: 30}, 2)), "line/cpus")
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "needs 8 CPUs" in said.because and "2 threads cost each of them ×" in said.figure


@pytest.mark.parametrize(("each", "outcome"), [(12.0, Outcome.CONFIRMED), (-4.0, Outcome.REFUTED)])
def test_eight_cpus_show_a_slope(each: float, outcome: Outcome) -> None:
    cases = contended({1: 2, **{n: 60 + each * n for n in (2, 4, 8)}, 16: 300}, 8)
    said = verdict_of(analysed([*cases, *many_pairs(8)]), "line/cpus")
    assert said.outcome is outcome
    assert "2 to 8 threads" in said.figure and "cross NUMA" in said.because
    table = grid(analysed(cases), "line/contended")
    assert slope(table, crowds(table, "op")[0]).value == pytest.approx(each, abs=1)


@pytest.mark.parametrize(("both", "outcome"), [(10.0, Outcome.CONFIRMED), (2.0, Outcome.REFUTED)])
def test_an_atomic_instruction_has_no_fixed_cost(both: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(contended({1: 2, 2: both, 4: 99}, 2)), "line/atomic")
    assert said.outcome is outcome and "with 2 threads" in said.figure


@pytest.mark.drawn
def test_oversubscribed_is_labelled_and_fairness_stands_beneath() -> None:
    cases = [case for case in line_cases() if case.kernel == "line/contended"]
    drawn = figures_of(analysed(cases, rounds=6))["line-contended"]
    assert "more threads than CPUs" in drawn.svg and "fairness" in drawn.svg
    assert [row[1] for row in drawn.table.rows[:3]] == ["1", "2", "4 on fewer CPUs"]


def test_the_ladder_has_a_hand_over() -> None:
    found = rungs(analysed(line_cases(), rounds=6))
    assert [(rung.label, rung.headline) for topic, rung in found if topic.name == "line"] == [
        ("atomic addition to a line that 2 threads want", False),
        ("a cache line to another CPU, one way (same L3)", True),
    ]


# ---- CPUs that were at two distances ----


NEAR_AND_FAR = ((105.0, 0.4, 1.0), (400.0, 0.6, 3.5))


def moved(cases: list[Case], places: tuple[tuple[float, float, float], ...] = NEAR_AND_FAR) -> list[Case]:
    """The same on CPUs that the host moved about."""
    return [replace(case, places=places) if len(case.cpus) == 2 else case for case in cases]


def of_run(cases: list[Case]) -> Analysis:
    return in_memory(cases, rounds=8, batches=60, unmeasurable=[])


def test_the_matrix_tells_each_distance_and_draws_the_longest() -> None:
    cases = moved(pingpong_cases({(0, 1): ("same_l3", 52), (1, 0): ("same_l3", 52)}))
    analysis = of_run(cases)
    found = matrix(analysis)
    assert found is not None and found.ns[0, 1] == pytest.approx(182, rel=0.03)
    assert (found.least, found.most) == pytest.approx((52, 182), rel=0.03)
    drawn = told_of(analysis)["line-matrix"]
    assert "held longest is drawn" in drawn.description
    (cells,) = drawn.table.rows
    assert re.match(r"near 5[\d.]+.ns \[.+\] \(\d+%\), far 18[\d.]+.ns \[.+\] \(\d+%\)$", cells[3]), cells


def test_the_middle_of_two_directions_stands_where_both_are_steady() -> None:
    analysis = analysed(pingpong_cases({(0, 1): ("same_l3", 40), (1, 0): ("same_l3", 44)}))
    (found,) = relations(analysis, "load_store")
    assert found.modes == () and found.ns.bounded and found.ns.value == pytest.approx(42, rel=0.02)


def test_a_claim_holds_where_it_holds_at_each_distance() -> None:
    said = verdict_of(of_run(moved(contended({1: 2, 2: 10}, 2))), "line/atomic")
    assert said.outcome is Outcome.CONFIRMED
    assert re.match(r"near \(\d+%\): .*; far \(\d+%\): ", said.figure)


def test_a_claim_depends_where_distances_disagree() -> None:
    places = ((105.0, 0.4, 1.0), (400.0, 0.6, 5.0))
    said = verdict_of(of_run(moved(contended({1: 2, 2: 2}, 2), places)), "line/atomic")
    assert said.outcome is Outcome.DEPENDS
    assert "refuted near, confirmed far" in said.because


def test_a_distance_that_leaves_a_claim_open_contradicts_none() -> None:
    # 5 % above: on the limit of what counts as the same.
    places = ((105.0, 0.4, 1.05), (400.0, 0.6, 5.0))
    said = verdict_of(of_run(moved(contended({1: 2, 2: 2}, 2), places)), "line/atomic")
    assert said.outcome is Outcome.UNDECIDED
    assert "undecided here near, confirmed far" in said.because


def test_a_distance_without_a_figure_says_nothing() -> None:
    """No process met the near place with both rows: what the far one decides stands alone."""

    def only_far(analysis: Analysis) -> Verdict:
        ns = row_of(analysis, "line/contended", op="fetch_add").time.value
        if ns < 5:
            return Verdict(Outcome.UNDECIDED, "×–", "Open.", Measure(math.nan, math.nan, math.nan, "1", (1.0,)))
        return Verdict(Outcome.CONFIRMED, "×5", "So it is.", Measure(5.0, 5.0, 5.0, "1", (1.0,)))

    item = next(claim for claim in claims() if claim.id == "line/atomic")
    run = of_run(moved([case for case in contended({1: 2, 2: 2}, 2) if len(case.cpus) == 2]))
    control = replace(item.control, reads=lambda analysis: Interval(1.0, 1.0, 1.0, 0.95, 8))
    said = _verdict(run, replace(item, test=only_far, control=control))
    assert said.outcome is Outcome.CONFIRMED and re.match(r"far \(\d+%\): ×5$", said.figure)


def test_the_same_figure_at_each_distance_is_told_once() -> None:
    """Metrics are of a whole process, which met both places."""
    said = verdict_of(of_run(moved(wait_cases())), "lock/wait")
    assert said.outcome is Outcome.CONFIRMED
    assert said.figure.startswith("spin lock 9") and said.figure.endswith(", all distances together")
