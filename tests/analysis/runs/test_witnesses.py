"""Two figures a row: alone, from the batches that the witness calls quiet, and as found, from all of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs.write import CORE_HZ, NEIGHBOUR_FACTOR, Case, write_run

from fencepost.analysis.report.beside import beside_tables
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.in_regime import in_regime
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.shares import shares_of
from fencepost.analysis.runs.visits import Visits
from fencepost.analysis.runs.witnesses import (
    FEWEST_BY_FRONT_END,
    INDIFFERENT,
    Seen,
    has_alone,
    indifferent,
    quiet_figures,
    seen_in,
)

NS = 5.0


def measured(folder: Path, *cases: Case, rounds: int = 8, batches: int = 40, seed: int = 1) -> tuple[Row, ...]:
    write_run(folder, cases, rounds=rounds, batches=batches, unmeasurable=(), seed=seed)
    return analyse(folder).rows


def test_quiet_batches_give_the_cost_alone(tmp_path: Path) -> None:
    (row,) = measured(tmp_path / "run", Case("test/loop", ns=NS, neighbour=0.6))
    assert row.basis == "alone"
    assert row.time.value == pytest.approx(NS, rel=0.01)
    assert NS * 1.1 < row.found.value < NS * NEIGHBOUR_FACTOR * 1.03
    assert row.free_pct == pytest.approx(40, abs=10)
    assert row.free_pct + row.neighbour_pct + row.clock_pct == pytest.approx(100)


def test_batches_with_slowed_branches_are_not_quiet(tmp_path: Path) -> None:
    """The additions alone would call them free."""
    (row,) = measured(tmp_path / "run", Case("test/mutex", ns=NS, neighbour=0.0, slowed=(0.6, 1.5)), batches=80)
    assert row.basis == "alone"
    assert row.time.value == pytest.approx(NS, rel=0.01)
    assert row.free_pct == pytest.approx(40, abs=12)


def test_who_does_not_mind_slowed_branches_is_alone_in_them(tmp_path: Path) -> None:
    """Four of the twelve processes had the whole width for long enough: too few, and enough to tell who minds."""
    minds, does_not = measured(
        tmp_path / "run",
        Case("test/mutex", ns=NS, neighbour=0.0, slowed=(0.9, 1.25)),
        Case("test/chain", ns=NS, neighbour=0.0, slowed=(0.9, 1.0)),
        rounds=12,
    )
    assert (minds.basis, minds.why_found) == ("as found", "too few quiet batches")
    assert does_not.basis == "alone"
    assert does_not.time.n == 12
    assert does_not.time.value == pytest.approx(NS, rel=0.01)


@given(st.floats(0.5, 2), st.integers(0, 6), st.integers(0, 6))
def test_few_processes_never_tell_who_minds(cost: float, fast: int, slowed: int) -> None:
    told = indifferent(np.full(fast, 1.0), np.append(np.full(slowed, cost), math.nan))
    assert told == (min(fast, slowed) >= FEWEST_BY_FRONT_END and abs(cost - 1) <= INDIFFERENT)


def test_a_run_without_witnesses_is_as_found(tmp_path: Path) -> None:
    (row,) = measured(tmp_path / "run", Case("test/loop", ns=NS))
    assert (row.basis, row.witnessed, row.why_found) == ("as found", False, "")
    assert row.time == row.found
    assert shares_of([row]) is None


def test_a_row_that_is_never_quiet_says_so(tmp_path: Path) -> None:
    quiet, never = measured(
        tmp_path / "run", Case("test/free", ns=NS, neighbour=0.0), Case("test/beside", ns=NS, neighbour=1.0)
    )
    assert quiet.basis == "alone"
    assert (never.basis, never.why_found) == ("as found", "too few quiet batches")
    assert "never_quiet" in never.flags
    assert "as found: too few quiet batches" in never.remarks()
    assert never.time.value == never.found.value > NS * 1.3


def test_several_threads_are_as_found_and_have_no_fastest_batch(tmp_path: Path) -> None:
    one, two = measured(
        tmp_path / "run",
        Case("test/loop", ns=NS, neighbour=0.5),
        Case("test/pair", ns=NS, neighbour=0.2, cpus=(0, 1)),
    )
    assert math.isfinite(one.floor_ns)
    assert math.isnan(two.floor_ns)
    assert (two.basis, two.why_found) == ("as found", "several threads")
    assert two.time.value == two.found.value


def test_shares_say_who_disturbed(tmp_path: Path) -> None:
    rows = measured(
        tmp_path / "run",
        Case("test/a", ns=NS, neighbour=0.25),
        Case("test/b", ns=NS, neighbour=0.75),
        Case("test/pair", ns=NS, neighbour=1.0, cpus=(0, 1)),
        batches=1200,
    )
    found = shares_of(rows)
    assert found is not None
    assert found.neighbour_pct == pytest.approx(50, abs=8)
    assert (found.alone, found.shared, found.rows) == (2, 0, 2)
    assert found.sentence == (
        f"the core was free in {found.free_pct:.0f} % of the batches, a neighbour shared it in "
        f"{found.neighbour_pct:.0f} %, interrupts or other threads broke into {found.broken_pct:.0f} %"
    )


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), neighbour=st.floats(0.05, 0.7))
def test_the_choice_favours_no_value(tmp_path_factory: pytest.TempPathFactory, seed: int, neighbour: float) -> None:
    """Batches beside a neighbour that costs nothing: choosing leaves the figure where it was."""
    free = Case("test/loop", ns=NS / NEIGHBOUR_FACTOR, neighbour=1.0, noise=0.003, gap_share=0.0)
    beside = Case("test/other", ns=NS, neighbour=neighbour, noise=0.003, gap_share=0.0)
    never, chosen = measured(tmp_path_factory.mktemp("run") / "run", free, beside, batches=600, seed=seed)
    assert chosen.time.value == pytest.approx(never.found.value, rel=0.01)


@pytest.mark.parametrize(("quiet", "processes", "enough"), [(6, 20, True), (5, 20, False), (3, 5, True), (2, 5, False)])
def test_an_interval_or_most_processes_make_a_figure_alone(quiet: int, processes: int, enough: bool) -> None:
    assert has_alone(quiet, processes) is enough


def test_each_distance_has_a_figure(tmp_path: Path) -> None:
    places = ((105.0, 0.3, 1.0), (400.0, 0.7, 3.0))
    (row,) = measured(tmp_path / "run", Case("line/pair", ns=50.0, cpus=(0, 1), places=places), batches=60)
    assert [regime.name for regime in row.regimes] == ["near", "far"]
    near, far = row.regimes
    assert near.time.value == pytest.approx(50, rel=0.03)
    assert far.time.value == pytest.approx(150, rel=0.03)
    assert near.time.high < 55 < 140 < far.time.low
    assert near.share == pytest.approx(0.3, abs=0.08)
    assert row.time.value == far.time.value
    assert "regimes" in row.flags
    assert "near 50" in row.remarks()


def test_the_hand_over_is_told_for_each_distance(tmp_path: Path) -> None:
    """A quotient of one distance's time and another's round trip would be neither."""
    places = ((100.0, 0.3, 1.0), (400.0, 0.7, 3.0))
    case = Case("line/pair", ns=50.0, cpus=(0, 1), places=places, raw_ns=250.0, metrics={"fairness": 0.5})
    write_run(tmp_path / "run", [case], rounds=8, batches=60, unmeasurable=())
    analysis = analyse(tmp_path / "run")
    (row,) = analysis.rows
    near, far = row.regimes
    assert near.xraw.value == pytest.approx(0.5, rel=0.03)
    assert far.xraw.value == pytest.approx(0.375, rel=0.03)
    # The metric goes with the time that stands for the row, which is the far one.
    assert row.metric("xraw").value == pytest.approx(far.xraw.value, rel=1e-6)
    assert row.metric("raw_round_trip_ns").value == pytest.approx(400, rel=0.03)
    assert row.xraw_text() == f"near {near.xraw.text()}, far {far.xraw.text()}"
    at_near = in_regime(analysis, "near").rows[0]
    assert at_near.metric("xraw").value == pytest.approx(near.xraw.value)
    # What a kernel tells of a whole process is of all distances, and says so.
    (table,) = beside_tables(analysis, "line")
    cells = {line[0]: line[1] for line in table.rows}
    assert "fairness" in cells and table.caption.endswith(", all distances together unless they are named")
    assert row.xraw_text() in cells.values()


def test_one_distance_is_no_regime(tmp_path: Path) -> None:
    (row,) = measured(tmp_path / "run", Case("line/pair", ns=50.0, cpus=(0, 1), places=((105.0, 1.0, 1.0),)))
    assert row.regimes == ()
    assert row.time == row.found


def test_further_visits_count_for_alone_at_the_clock_of_the_planned_one() -> None:
    """The planned visit is beside a neighbour. The one after it is free, at a clock that is 2 % lower."""
    batches = 8
    planned = np.arange(2 * batches) < batches
    visits = Visits((~planned).astype(np.int32), planned, np.where(planned, 3.0e9, 3.0e9 / 1.02))
    follows = np.tile(np.arange(batches) > 0, 2)
    nothing = np.zeros(2 * batches, bool)
    seen = Seen(~nothing, nothing, planned, nothing, follows)
    value_ns = np.where(planned, 9.0, 5.1)
    found = quiet_figures(["a"], np.zeros(2 * batches, np.int32), value_ns, seen, visits)["a"]
    assert found["alone_ns"] == pytest.approx(5.0)
    assert (found["free"], found["neighbour"]) == (0.0, 1.0)


def test_twins_that_are_alone_are_compared_in_cycles(tmp_path: Path) -> None:
    case = Case("test/loop", ns=NS, neighbour=0.3, process_noise=0.0005, clock_noise=0.0)
    twin = replace(case.twin(), ns=NS * 1.03, core_hz=CORE_HZ / 1.03)
    write_run(tmp_path / "run", [case, twin], rounds=12, batches=80, unmeasurable=())
    (found,) = analyse(tmp_path / "run").twins
    assert abs(found.effect_pct.value) < 0.3


def test_a_twin_that_is_not_alone_is_compared_as_found(tmp_path: Path) -> None:
    """Its neighbour was there all the time, and that of the original in most batches: the same code as found."""
    case = Case("test/loop", ns=NS, neighbour=0.65, process_noise=0.0005)
    write_run(tmp_path / "run", [case, replace(case.twin(), neighbour=1.0)], rounds=12, batches=200, unmeasurable=())
    analysis = analyse(tmp_path / "run")
    assert [row.basis for row in analysis.rows] == ["alone", "as found"]
    (found,) = analysis.twins
    assert found.effect_pct.n == 12 and abs(found.effect_pct.value) < 10 < (NEIGHBOUR_FACTOR - 1) * 100


def test_a_single_free_batch_is_chance() -> None:
    """A neighbour's pauses fall on both witnesses of a batch at times, and hardly on those of three in a row."""
    free = np.array([1, 0, 1, 1, 1, 1, 1, 1], bool)
    follows = np.array([0, 1, 1, 1, 1, 1, 0, 1], bool)
    nothing = np.zeros(8, bool)
    seen = Seen(~nothing, nothing, ~free, nothing, follows)
    # The middle of three of one visit: neither the lone batch, nor the ends, nor those of the next visit.
    assert seen.quiet.tolist() == [False, False, False, True, True, False, False, False]


def test_a_visit_does_not_follow_the_one_before_it() -> None:
    """A comparison visits a case twice in a round, with other cases between the two."""
    clock = 3000 * 2.5e9 / 3.7e9
    columns = {
        "batch": np.array([0, 1, 2, 3, 0], np.int32),
        "width_ticks": np.full(5, clock / 12),
        "clock_ticks": np.full(5, clock),
    }
    visits = Visits(np.array([0, 0, 1, 1, 0], np.int32), np.ones(5, bool), np.full(5, 3.7e9))
    seen = seen_in(np.array([0, 0, 0, 0, 1], np.int32), columns, visits, 2.5e9, 1 / 12)
    assert seen is not None
    assert seen.follows.tolist() == [False, True, False, True, False]
    assert not seen.quiet.any()
