"""Lines, locks and counters: what was planted is found, on machines of two CPUs and of many."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runs import write as synthetic
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.report.sections import sections
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.topics.claim import Outcome, Verdict, verdicts
from fencepost.analysis.topics.counter.measures import counter_points, sloppy
from fencepost.analysis.topics.crowds import crowds, slope
from fencepost.analysis.topics.line.measures import matrix, relations, staircases
from fencepost.analysis.topics.topic import rungs


def analysed(tmp_path: Path, cases: Sequence[Case], rounds: int = 20) -> Analysis:
    return analyse(synthetic.write_run(tmp_path / "run", cases, rounds=rounds, unmeasurable=[]))


def verdict(tmp_path: Path, name: str, cases: Sequence[Case]) -> Verdict:
    return next(said for claim, said in verdicts(analysed(tmp_path, cases)) if claim.id == name)


def figure(analysis: Analysis, name: str) -> Figure:
    return next(item for section in sections(analysis) for item in section.figures if item.name == name)


# ---- pairs ----


def many_pairs(cpus: int) -> list[Case]:
    """Two packages: 40 ns within, 200 ns across."""
    pairs = [(a, b) for a in range(cpus) for b in range(a + 1, cpus)]
    near = [(a < cpus // 2) == (b < cpus // 2) for a, b in pairs]
    return synthetic.pingpong_cases(
        {pair: ("same_l3", 40.0) if close else ("cross_numa", 200.0) for pair, close in zip(pairs, near, strict=True)}
    )


def test_one_way_is_half_a_round_trip_by_relation(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, many_pairs(8))
    near, far = relations(analysis, "load_store")
    assert (near.name, near.pairs, far.name, far.pairs) == ("same_l3", 12, "cross_numa", 16)
    assert near.ns.value == pytest.approx(40, rel=0.01) and far.ns.value == pytest.approx(200, rel=0.01)
    assert near.ns.low <= near.ns.value <= near.ns.high and near.nearest <= 40.5 and near.farthest >= 39.5
    found = matrix(analysis)
    assert found is not None
    assert np.isnan(np.diag(found.ns)).all() and np.array_equal(found.ns, found.ns.T, equal_nan=True)


def test_the_matrix_has_a_row_a_relation_beneath(tmp_path: Path) -> None:
    drawn = figure(analysed(tmp_path, many_pairs(4), rounds=6), "line-matrix")
    assert [row[0] for row in drawn.table.rows] == ["same L3", "cross NUMA"]
    assert "by definition" in drawn.description


def test_both_directions_are_kept_and_a_single_one_serves_for_both(tmp_path: Path) -> None:
    cases = synthetic.pingpong_cases({(0, 1): ("same_l3", 40), (1, 0): ("same_l3", 80), (0, 2): ("same_l3", 60)})
    found = matrix(analysed(tmp_path, cases, rounds=6))
    assert found is not None and found.pairs == 2
    assert found.ns[0, 1] == pytest.approx(40, rel=0.02) and found.ns[1, 0] == pytest.approx(80, rel=0.02)
    assert found.ns[2, 0] == found.ns[0, 2] and np.isnan(found.ns[1, 2])


def test_more_than_128_cpus_are_one_picture(tmp_path: Path) -> None:
    pairs = {(0, b): ("same_l3", 40.0) for b in range(1, 140)}
    drawn = figure(analysed(tmp_path, synthetic.pingpong_cases(pairs), rounds=1), "line-matrix")
    assert "<image" in drawn.svg and "data:image/png" in drawn.svg and len(drawn.svg) < 200_000
    assert "<image" not in figure(analysed(tmp_path / "few", many_pairs(4), 1), "line-matrix").svg
    assert len(drawn.table.rows) == 1


def test_pairs_that_were_sampled_are_said_to_be(tmp_path: Path) -> None:
    (case, *_) = many_pairs(4)
    folder = synthetic.write_run(tmp_path / "run", [case], rounds=6, unmeasurable=[])
    text = (folder / "run.json").read_text(encoding="utf-8")
    (folder / "run.json").write_text(
        text.replace('"cpus": [\n   0,\n   1\n  ],', '"cpus": [0, 1, 2, 3],'), encoding="utf-8"
    )
    assert "Of 6 pairs 1 were measured" in figure(analyse(folder), "line-matrix").description


# ---- strides ----


@pytest.mark.parametrize(("line", "last"), [(64, 56), (128, 64)])
def test_sharing_ends_with_the_line(tmp_path: Path, line: int, last: int) -> None:
    cases = synthetic.stride_cases(line)
    (found,) = staircases(analysed(tmp_path, cases))
    assert found.ends[:3] == (line, line, line) and found.last_shared == last
    assert found.factor.value == pytest.approx(5, rel=0.02) and found.against_alone.value == pytest.approx(1, rel=0.02)
    said = verdict(tmp_path / "v", "line/whole", cases)
    assert said.outcome is Outcome.CONFIRMED and said.figure.startswith(f"sharing ends at {line}")


def test_no_sharing_refutes_lines(tmp_path: Path) -> None:
    assert verdict(tmp_path, "line/whole", synthetic.stride_cases(shared=6.0)).outcome is Outcome.REFUTED


def test_processes_that_differ_are_said_to(tmp_path: Path) -> None:
    cases = synthetic.stride_cases(64)
    cases[4] = replace(cases[4], modes=((1.0, 0.5), (5.0, 0.5)))
    assert verdict(tmp_path, "line/whole", cases).outcome is Outcome.UNDECIDED


# ---- crowds ----


def contended(ns: dict[int, float], cpus: int) -> list[Case]:
    return synthetic.crowd_cases("line/contended", {"op": "fetch_add", "between": 0}, ns, cpus, fairness=0.5)


def test_two_cpus_show_one_step_and_no_slope(tmp_path: Path) -> None:
    said = verdict(tmp_path, "line/cpus", contended({1: 2, 2: 10, 4: 30}, 2))
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "needs 8 CPUs" in said.because and "2 threads cost each of them ×" in said.figure


@pytest.mark.parametrize(("each", "outcome"), [(12.0, Outcome.CONFIRMED), (-4.0, Outcome.REFUTED)])
def test_eight_cpus_show_a_slope(tmp_path: Path, each: float, outcome: Outcome) -> None:
    cases = contended({1: 2, **{n: 60 + each * n for n in (2, 4, 8)}, 16: 300}, 8)
    said = verdict(tmp_path, "line/cpus", [*cases, *many_pairs(8)])
    assert said.outcome is outcome
    assert "2 to 8 threads" in said.figure and "cross NUMA" in said.because
    table = grid(analysed(tmp_path / "s", cases), "line/contended")
    assert slope(table, crowds(table, "op")[0]).value == pytest.approx(each, abs=1)


@pytest.mark.parametrize(("both", "outcome"), [(10.0, Outcome.CONFIRMED), (2.0, Outcome.REFUTED)])
def test_an_atomic_instruction_has_no_fixed_cost(tmp_path: Path, both: float, outcome: Outcome) -> None:
    said = verdict(tmp_path, "line/atomic", contended({1: 2, 2: both, 4: 99}, 2))
    assert said.outcome is outcome and "with 2 threads" in said.figure


def test_oversubscribed_is_labelled_and_fairness_stands_beneath(tmp_path: Path) -> None:
    cases = [case for case in synthetic.sharing_cases() if case.kernel in ("line/contended", "lock/hold")]
    figures = {item.name: item for section in sections(analysed(tmp_path, cases, rounds=6)) for item in section.figures}
    drawn, locks = figures["line-contended"], figures["lock-threads"]
    assert "more threads than CPUs" in drawn.svg and "fairness" in drawn.svg
    assert [row[1] for row in drawn.table.rows[:3]] == ["1", "2", "4 on fewer CPUs"]
    fairness = {(row[0], row[1]): float(row[3]) for row in locks.table.rows}
    assert fairness["ttas", "2"] == pytest.approx(0.3, rel=0.02)
    assert fairness["ticket", "2"] == pytest.approx(0.98, rel=0.02)
    assert "lowest for ttas" in locks.description


# ---- counters, owners ----


def test_the_front_holds_what_nothing_beats(tmp_path: Path) -> None:
    cases = synthetic.sloppy_cases()
    cases += synthetic.crowd_cases("counter/increment", {"kind": "atomic"}, {1: 2, 2: 10})
    cases += synthetic.crowd_cases("counter/increment", {"kind": "mutex"}, {1: 2, 2: 40})
    points = counter_points(analysed(tmp_path, cases))
    front = [point.name for point in points if point.front]
    assert front == ["sloppy 1024", "sloppy 256", "sloppy 64", "sloppy 16", "sloppy 4", "atomic"]
    assert [point.name for point in points if not point.front] == ["sloppy 1", "mutex"]
    assert {point.name: point.error[0] for point in points}["sloppy 256"] == 255


def test_the_knee_of_sloppy_counters(tmp_path: Path) -> None:
    one, two = sloppy(analysed(tmp_path, synthetic.sloppy_cases(least=0.5, own=30)))
    assert (one.threads, two.threads) == (1, 2)
    assert 16 < two.knee.low <= two.knee.value <= two.knee.high <= 128
    assert one.knee.value < two.knee.value


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.CONFIRMED),
        ({"own": 0.0}, Outcome.REFUTED),
        ({"error": 1.2}, Outcome.REFUTED),
        ({"error": 0.0}, Outcome.UNDECIDED),
    ],
)
def test_sloppy_counters_trade_accuracy(tmp_path: Path, changes: dict[str, float], outcome: Outcome) -> None:
    said = verdict(tmp_path, "counter/sloppy", synthetic.sloppy_cases(**changes))
    assert said.outcome is outcome and "bound" in said.figure


@pytest.mark.parametrize(
    ("semaphore", "mutex", "outcome"),
    [(True, False, Outcome.CONFIRMED), (True, True, Outcome.REFUTED), (False, False, Outcome.REFUTED)],
)
def test_a_semaphore_has_no_owner(tmp_path: Path, semaphore: bool, mutex: bool, outcome: Outcome) -> None:
    said = verdict(tmp_path, "lock/owner", synthetic.owner_cases(semaphore, mutex))
    assert said.outcome is outcome
    assert said.figure.startswith(f"post by another thread: {'allowed' if semaphore else 'refused'}")


# ---- the report ----


@pytest.mark.parametrize("rounds", [1, 6])
def test_each_kernel_alone_makes_a_report(tmp_path: Path, rounds: int) -> None:
    cases = synthetic.sharing_cases()
    for kernel in sorted({case.kernel for case in cases}):
        analysis = analysed(tmp_path / kernel, [case for case in cases if case.kernel == kernel], rounds)
        # Where intervals are missing the shapes matter too; test_figures.py draws all of them with intervals.
        with nullcontext() if rounds == 1 else without_drawing():
            text = as_html(build_document(analysis))
        assert ">nan" not in text and " nan" not in text


def test_the_ladder_has_a_hand_over(tmp_path: Path) -> None:
    found = rungs(analysed(tmp_path, synthetic.sharing_cases(), rounds=6))
    assert [(rung.label, rung.headline) for topic, rung in found if topic.name == "line"] == [
        ("atomic addition to a line that 2 threads want", False),
        ("a cache line to another CPU, one way (same L3)", True),
    ]
