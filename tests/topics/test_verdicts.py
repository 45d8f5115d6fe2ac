"""Every claim comes out confirmed, refuted and undecided, from rows of real kernels with a fault planted in them.

The plants lie in tests/topics/TOPIC/planted.py.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
from pathlib import Path

import pytest
from topics.stored import Plant, Stored

from fencepost.analysis.report.lecture import Sentence, as_rows
from fencepost.analysis.runs.estimate import estimate_cases
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.limit import Side, side, within
from fencepost.analysis.topics.claim import Claim, Outcome, Verdict, claims, noise_of

MODULES = [f"topics.{path.parent.name}.planted" for path in sorted(Path(__file__).parent.glob("*/planted.py"))]
PLANTED = {name: plants for module in MODULES for name, plants in importlib.import_module(module).PLANTED.items()}
SHOWN = {min(names) for _, names in itertools.groupby(sorted(PLANTED), key=lambda name: name.partition("/")[0])}
"""One claim of each topic. That a fault refutes it shows that the topic's claims are tested at all."""

EVERY = [
    # The other outcomes, and the other claims, are left to `make test-slow`.
    pytest.param(
        name,
        outcome,
        id=f"{name}-{outcome}",
        marks=[] if outcome is Outcome.REFUTED and name in SHOWN else pytest.mark.slow,
    )
    for name, plants in PLANTED.items()
    for outcome in plants
]


BY_NAME = {claim.id: claim for claim in claims()}


@functools.cache
def said(name: str, outcome: Outcome) -> Verdict:
    """The verdict on the rows with the plant for `outcome` in them."""
    plant: Plant = PLANTED[name][outcome]
    return plant(Stored()).verdict(name)


@functools.cache
def before(name: str) -> Verdict:
    """The verdict on the rows as they are."""
    return Stored().verdict(name)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_every_claim_can_come_out_each_way(claim: Claim) -> None:
    assert {Outcome.CONFIRMED, Outcome.REFUTED, Outcome.UNDECIDED} <= set(PLANTED[claim.id])


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_every_claim_says_what_it_tests(claim: Claim) -> None:
    assert len(claim.tested_as) > 20


@pytest.mark.parametrize(("name", "outcome"), EVERY)
def test_a_planted_fault_turns_the_verdict(name: str, outcome: Outcome) -> None:
    verdict = said(name, outcome)
    assert verdict.outcome is outcome, f"{verdict.figure}\n{verdict.because}"
    assert verdict.figure and verdict.because.endswith(".")


@pytest.mark.parametrize(("name", "outcome"), EVERY)
def test_numbers_that_decide_stand_in_the_document(name: str, outcome: Outcome) -> None:
    verdict = said(name, outcome)
    (row,) = as_rows([Sentence(BY_NAME[name], verdict, "", "")])
    if "check failed" in verdict.figure:
        assert row["value"] is None and row["limit"] == []
        return
    assert isinstance(row["value"], float) and row["unit"] and row["limit"]
    assert all(isinstance(limit, float) and math.isfinite(limit) for limit in row["limit"])
    assert row["low"] is None or row["high"] is None or row["low"] <= row["value"] <= row["high"]


FAILURES = {
    ("order/barrier", Outcome.REFUTED): "2346 of 51200 additions were lost under a full fence",
    ("counter/sloppy", Outcome.REFUTED): "a reading lacked 300 increments, the bound is 255",
    ("ring/early_boot", Outcome.REFUTED): "1002 records lost in 20 bursts",
    ("ring/printk", Outcome.CONFIRMED): "9 torn or in disorder",
}


@pytest.mark.parametrize(("name", "outcome"), FAILURES)
def test_a_failed_check_reaches_the_claim_with_its_sentence(name: str, outcome: Outcome) -> None:
    verdict = said(name, outcome)
    assert "failed in 1 of 20 rounds" in verdict.figure and FAILURES[name, outcome] in verdict.figure


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SHOWN else pytest.mark.slow) for name in sorted(PLANTED)]
)
def test_a_row_that_failed_is_named_whatever_the_others_say(name: str) -> None:
    for kernel in BY_NAME[name].kernels:
        run = Stored()
        row = next(case["case"] for case in run.cases if case["kernel"] == kernel and not case["twin_of"])
        verdict = run.fail("PLANTED", kernel, case=row).verdict(name)
        said = f"{verdict.figure} {verdict.because}"
        assert "rounds: check failed: PLANTED" in said
        assert row in said or (kernel in said and verdict.outcome is Outcome.NOT_MEASURABLE)


def test_rows_that_failed_are_named_once_and_counted() -> None:
    run = Stored().fail("PLANTED", "line/false_sharing", stride=32).fail("PLANTED", "line/false_sharing", stride=56)
    verdict = run.verdict("line/whole")
    assert verdict.because.count("PLANTED") == 1 and "So has 1 more row of these kernels." in verdict.because


def test_a_litmus_test_that_failed_saw_perhaps_what_is_forbidden() -> None:
    assert "none was seen" in before("litmus/reordering").because
    for kernel in ("litmus/sb", "litmus/mp"):
        verdict = Stored().fail("PLANTED", kernel).fail("PLANTED", "litmus/mp").verdict("litmus/reordering")
        assert "none was seen" not in verdict.because


def test_a_failure_where_losses_are_expected_refutes_nothing() -> None:
    verdict = Stored().fail("the counter holds 9 after 8 sections", "order/peterson", order="none")
    assert verdict.verdict("order/barrier").outcome is Outcome.NOT_MEASURABLE


@pytest.mark.parametrize("name", ["counter/sloppy", "ring/early_boot", "lock/owner"])
def test_what_is_no_check_refutes_nothing(name: str) -> None:
    kernels = {"counter/sloppy": "counter/error", "ring/early_boot": "ring/overwrite_burst", "lock/owner": "lock/owner"}
    run = Stored().fail("Cannot allocate memory", kernels[name], step="setup")
    assert run.verdict(name).outcome is Outcome.NOT_MEASURABLE


def test_records_miscounted_without_a_lock_are_not_torn() -> None:
    reason = "8011 records written, 4096 read, 9 lost, 0 torn or in disorder"
    run = Stored().fail(reason, "ring/printk", design="lockless")
    assert run.verdict("ring/printk").outcome is Outcome.NOT_MEASURABLE


def test_a_record_torn_under_the_lock_refutes() -> None:
    run = Stored().fail("8011 records written, 9 torn or in disorder", "ring/printk", design="lock")
    assert run.verdict("ring/printk").outcome is Outcome.REFUTED


def test_a_ring_whose_items_are_not_whole_beats_no_mutex() -> None:
    assert Stored().fail("item 7 came twice", "ring/spsc").verdict("ring/lockless").outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SHOWN else pytest.mark.slow) for name in sorted(PLANTED)]
)
def test_noise_without_end_leaves_no_time_decided(name: str) -> None:
    """What counts alone decides may stay; no claim turns into another verdict by noise."""
    after = Stored().noise(50.0).verdict(name).outcome
    assert after in (before(name).outcome, Outcome.UNDECIDED)


def test_the_noise_is_that_of_the_kernels_own_twin() -> None:
    run = Stored().analysis()
    (own,) = (twin.effect_pct for twin in run.twins if twin.original.startswith("branch/likely"))
    assert noise_of(run, "branch/likely") == pytest.approx(max(abs(own.low), own.high) / 100, rel=0.01)
    # branch/sorted has none of its own: that of its topic counts, and where a topic has none, that of the whole run.
    assert noise_of(run, "branch/pattern") == noise_of(run, "branch/likely")
    widest = max(abs(end) for twin in run.twins for end in twin.effect_pct[1:3])
    assert noise_of(run, "line/contended") == pytest.approx(widest / 100, rel=0.01)
    assert noise_of(run, "line/contended") > noise_of(run, "branch/pattern")


# ---- the rule ----


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 0.96, 20)


@pytest.mark.parametrize(
    ("low", "high", "noise", "where"),
    [
        (20.62, 21.73, 0.0, Side.ABOVE),
        (20.62, 21.73, 0.04, Side.TOUCHES),
        (19.9, 20.1, 0.0, Side.TOUCHES),
        (18.0, 19.0, 0.04, Side.BELOW),
        (18.0, 19.3, 0.04, Side.TOUCHES),
        (math.nan, math.nan, 0.0, Side.TOUCHES),
    ],
)
def test_the_noise_widens_the_limit(low: float, high: float, noise: float, where: Side) -> None:
    assert side(interval(low, high), 20, noise) is where


def test_a_difference_is_as_noisy_as_what_it_is_taken_of() -> None:
    assert side(interval(0.2, 0.3), 0.05, 0.01) is Side.ABOVE
    assert side(interval(0.2, 0.3), 0.05, 0.01, base=50.0) is Side.TOUCHES
    assert side(interval(-0.9, -0.8), 0.05, 0.01, base=50.0) is Side.BELOW


@pytest.mark.parametrize(("low", "high", "same"), [(0.99, 1.01, True), (0.914, 1.152, False), (0.96, 1.049, False)])
def test_the_same_takes_the_whole_interval_within_the_limits(low: float, high: float, same: bool) -> None:
    assert within(interval(low, high), 0.95, 1.05, 0.01) is same


def test_within_so_many_per_cent_holds_for_every_clock_that_is_named() -> None:
    """Slowest in one state, fastest within a process: the sentence spans both."""
    run = Stored().scale_metric(0.99, "core_hz", "", "clock/core", state="cold")
    said = run.verdict("clock/turbo")
    assert said.outcome is Outcome.DEPENDS
    within_pct = float(said.because.partition("within ")[2].split()[0])
    assert within_pct == pytest.approx(1.3, abs=0.2)
    assert said.measure is not None and said.measure.value == pytest.approx(1 + within_pct / 100, abs=0.001)


def test_rows_that_no_plant_touched_are_estimated_as_if_all_were() -> None:
    run = Stored().scale(2.0, "process/mode").drop("process/fork").analysis({"process"})
    assert repr(run.rows) == repr(estimate_cases(run.reduced))
