"""Counters that threads share: what was planted is found."""

from __future__ import annotations

import pytest
from runs.write import crowd_cases
from topics.analysed import analysed, verdict_of
from topics.counter.cases import sloppy_cases

from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.counter.measures import counter_points, sloppy

pytestmark = pytest.mark.usefixtures("undrawn")


def test_the_front_holds_what_nothing_beats() -> None:
    cases = sloppy_cases()
    cases += crowd_cases("counter/increment", {"kind": "atomic"}, {1: 2, 2: 10})
    cases += crowd_cases("counter/increment", {"kind": "mutex"}, {1: 2, 2: 40})
    points = counter_points(analysed(cases))
    front = [point.name for point in points if point.front]
    assert front == ["sloppy 1024", "sloppy 256", "sloppy 64", "sloppy 16", "sloppy 4", "atomic"]
    assert [point.name for point in points if not point.front] == ["sloppy 1", "mutex"]
    assert {point.name: point.error[0] for point in points}["sloppy 256"] == 255


def test_the_knee_of_sloppy_counters() -> None:
    one, two = sloppy(analysed(sloppy_cases(least=0.5, own=30)))
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
def test_sloppy_counters_trade_accuracy(changes: dict[str, float], outcome: Outcome) -> None:
    said = verdict_of(analysed(sloppy_cases(**changes)), "counter/sloppy")
    assert said.outcome is outcome and "bound" in said.figure
