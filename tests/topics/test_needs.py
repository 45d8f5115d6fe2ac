"""Needs of claims: which rows are missing, in words, and what can be told all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.topics import claim as claims
from fencepost.analysis.topics.claim import NotMeasurableError, Outcome, Verdict, known, needs, verdicts
from fencepost.analysis.topics.control import Control
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

KNOWN = Interval(3.0, 2.0, 4.0, 0.97, 6)
FINE = Verdict(Outcome.CONFIRMED, "1", "b")
SEEN = Control("it is seen", lambda analysis: UNKNOWN)


def analysis(*rows: Row) -> Analysis:
    """An analysis that holds these rows and nothing else."""
    return Analysis(None, rows, [])  # type: ignore[arg-type]


def row(parameters: dict[str, str | int], cpus: tuple[int, ...] = (0,), **more: Any) -> Row:
    return Row("case", "mine/loop", parameters, cpus, "call", time=KNOWN, **more)


def told(found: Analysis, **wanted: Any) -> str:
    """What a claim with these needs is told; empty where it is tested."""
    try:
        assert needs("mine/loop", **wanted)(lambda _: FINE)(found) is FINE
    except NotMeasurableError as error:
        return str(error)
    return ""


def test_each_value_of_a_tuple_is_needed() -> None:
    first, second = row({"how": "a", "n": 1}), row({"how": "b", "n": 1})
    assert told(analysis(first, second), how=("a", "b"), n=1) == ""
    assert told(analysis(first), how=("a", "b"), n=1) == "needs how=b, n=1 of mine/loop."
    assert told(analysis(first, row({"how": "b", "n": 2})), how=("a", "b"), n=1) == "needs how=b, n=1 of mine/loop."


def test_a_row_without_a_time_meets_no_need() -> None:
    unmeasured = Row("case", "mine/loop", {"how": "a"}, (0,), "call", reason="needs a key")
    assert told(analysis(unmeasured), how="a") == "needs how=a of mine/loop."


def test_counts_without_a_time_meet_a_need_once_a_process_has_counted() -> None:
    counted = Row("case", "mine/loop", {"how": "a"}, (0,), "call", kind="counts", rounds=1)
    assert told(analysis(counted), how="a") == ""
    assert told(analysis(replace(counted, rounds=0)), how="a") == "needs how=a of mine/loop."


def test_threads_count_that_have_a_cpu_each() -> None:
    crowded = row({}, (0, 1), relation=OVERSUBSCRIBED)
    sentence = "needs mine/loop with 2 threads, each on a separate CPU."
    assert told(analysis(row({}), crowded), cpus=2) == sentence
    assert told(analysis(row({}, (0, 1))), cpus=2) == ""
    assert told(analysis(row({})), cpus=2, because="needs two.") == "needs two."


@pytest.mark.parametrize("nothing", [None, [], {}, False, UNKNOWN])
def test_what_is_nothing_is_not_known(nothing: object) -> None:
    with pytest.raises(NotMeasurableError, match="needs more") as raised:
        known(nothing, "needs more.", "seen: 1")
    assert raised.value.figure == "seen: 1"


@pytest.mark.parametrize("found", [KNOWN, [0], True, Interval(0.0, 0.0, 0.0, 0.97, 6)])
def test_what_is_known_comes_back(found: object) -> None:
    assert known(found, "never said") is found


def test_the_verdict_tells_what_is_missing_and_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_CLAIMS", [])

    @claims.claim("mine/said", "q", "e", ["mine/loop"], "t", control=SEEN)
    def said(_: Analysis) -> Verdict:
        known(None, "needs eight CPUs.", "seen with two")
        return FINE

    @claims.claim("mine/needed", "q", "e", ["mine/loop"], "t", control=SEEN)
    @needs("mine/loop", n=2)
    def needed(_: Analysis) -> Verdict:
        return FINE

    @claims.claim("mine/other", "q", "e", ["mine/walk"], "t", control=SEEN)
    def other(_: Analysis) -> Verdict:
        return FINE

    monkeypatch.setattr(claims, "modules", lambda _: [])
    found = analysed([Case("mine/loop", {"n": 1})], rounds=6, unmeasurable=[])
    assert [(verdict.figure, verdict.because) for _, verdict in verdicts(found)] == [
        ("seen with two", "needs eight CPUs."),
        ("", "needs n=2 of mine/loop."),
        ("", "This run has no mine/walk; measure it with `fencepost run 'mine/walk'`."),
    ]
    assert {verdict.outcome for _, verdict in verdicts(found)} == {Outcome.NOT_MEASURABLE}
