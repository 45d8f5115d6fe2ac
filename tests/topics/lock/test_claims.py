"""Locks in the report: who may give one back, and how fair it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from topics.analysed import analysed, told_of, verdict_of
from topics.lock.cases import brief_cases, lock_cases, owner_cases, wait_cases

from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.lock.measures import crossover, crossovers

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("semaphore", "mutex", "outcome"),
    [(True, False, Outcome.CONFIRMED), (True, True, Outcome.REFUTED), (False, False, Outcome.REFUTED)],
)
def test_a_semaphore_has_no_owner(semaphore: bool, mutex: bool, outcome: Outcome) -> None:
    said = verdict_of(analysed(owner_cases(semaphore, mutex)), "lock/owner")
    assert said.outcome is outcome
    assert said.figure.startswith(f"post by another thread: {'allowed' if semaphore else 'refused'}")


def test_fairness_of_locks_stands_beneath() -> None:
    cases = [case for case in lock_cases() if case.kernel == "lock/hold"]
    locks = told_of(analysed(cases, rounds=6))["lock-threads"]
    fairness = {(row[0], row[1]): float(row[3]) for row in locks.table.rows}
    assert fairness["ttas", "2"] == pytest.approx(0.3, rel=0.02)
    assert fairness["ticket", "2"] == pytest.approx(0.98, rel=0.02)
    assert "lowest for ttas" in locks.description


@pytest.mark.parametrize(
    ("spin", "semaphore", "outcome"),
    [(99.0, 0.15, Outcome.CONFIRMED), (3.0, 0.15, Outcome.REFUTED), (99.0, 60.0, Outcome.REFUTED)],
)
def test_who_waits_for_a_spin_lock_uses_the_wait(spin: float, semaphore: float, outcome: Outcome) -> None:
    run = analysed(wait_cases(spin, semaphore))
    assert verdict_of(run, "lock/wait").outcome is outcome
    picture = told_of(run)["lock-wait"]
    assert [row[0] for row in picture.table.rows] == ["semaphore", "mutex", "spin lock", "spin lock that yields"]


def test_waits_of_two_lengths_tell_nothing() -> None:
    cases = wait_cases()
    longer = replace(cases[0], parameters={"by": "semaphore", "held_ms": 40})
    said = verdict_of(analysed([*cases[1:], longer]), "lock/wait")
    assert (said.outcome, said.because) == (
        Outcome.NOT_MEASURABLE,
        "One of the two was not measured at the longest wait.",
    )


@pytest.mark.parametrize(("sleep_ns", "crossing_us"), [(12_000.0, 12.0), (40_000.0, 40.0), (500.0, None), (2e6, None)])
def test_sleeping_spends_less_from_a_length_on(sleep_ns: float, crossing_us: float | None) -> None:
    run = analysed(brief_cases(sleep_ns), rounds=8)
    found = crossovers(run)
    if crossing_us is None:
        assert found == []
    else:
        assert [by.partition(" [")[0] for by, _ in found] == ["semaphore", "mutex"]
        interval = crossover(run, "semaphore")
        assert interval.n == 8 and interval.low < crossing_us < interval.high
        assert [us for _, us in found] == pytest.approx([crossing_us] * 2, rel=0.02)
    picture = told_of(run)["lock-brief-wait"]
    assert ("sleeping spends less beyond" in picture.description) == (crossing_us is not None)


def test_a_crossing_that_half_of_the_processes_lack_is_not_known() -> None:
    run = analysed(brief_cases(500.0), rounds=8)
    assert not crossover(run, "semaphore").known
    assert verdict_of(run, "lock/sleep").because.endswith("The two do not cross below.")


def test_one_length_of_the_wait_has_a_verdict_and_no_crossing() -> None:
    run = analysed([case for case in brief_cases() if case.parameters["held_us"] == 100], rounds=8)
    assert verdict_of(run, "lock/sleep").outcome is Outcome.CONFIRMED and crossovers(run) == []
