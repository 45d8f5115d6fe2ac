"""Controls: each claim has one, it is read from the run, and without it nothing is decided."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import pytest
from topics.stored import Stored

from fencepost.analysis.report.html import claims_page
from fencepost.analysis.report.lecture import Sentence, as_rows, sentences
from fencepost.analysis.report.markdown import claims_markdown
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.topics.claim import Claim, Outcome, Verdict, _verdict, claim, claims, first_true
from fencepost.analysis.topics.control import Control, Shown, count_of, largest, metric_of, over, spread_of, times_of
from fencepost.cli.claims import _show

OPEN_IN_THE_STORED_ROWS = {"process/fork"}
"""The stored rows of process/create are few and noisy, so they leave a difference of 3 % open."""

MODE = next(claim for claim in claims() if claim.id == "process/mode")


@functools.cache
def stored(*topics: str) -> Analysis:
    return Stored().analysis(topics)


def number(value: float, low: float, high: float) -> Control:
    return Control("it is more than 2", lambda analysis: Interval(value, low, high, 0.95, 20), "times", above=2.0)


def said(control: Control, item: Claim = MODE) -> Verdict:
    return _verdict(stored("process"), replace(item, control=control))


@pytest.mark.parametrize("item", claims(), ids=lambda item: item.id)
def test_every_control_is_a_figure_of_the_run_and_holds(item: Claim) -> None:
    topics = {item.topic, *(kernel.partition("/")[0] for kernel in item.kernels)}
    shown = item.control.shown(stored(*sorted(topics)))
    assert shown.measured and shown.figure and math.isfinite(max(item.control.above, -item.control.below))
    assert shown.holds or item.id in OPEN_IN_THE_STORED_ROWS, shown.text
    assert not item.control.says.endswith(".")


def test_a_claim_without_a_control_is_refused() -> None:
    register: Any = claim
    with pytest.raises(TypeError, match="control"):
        register("none/none", "quote", "english", ["none/none"], "what is put to the test")


def test_a_control_that_holds_stands_beside_the_verdict() -> None:
    verdict = said(number(3, 2.5, 3.5))
    assert verdict.outcome is Outcome.CONFIRMED
    assert (
        verdict.control
        and verdict.control.text
        == "The control holds: it is more than 2 (3.000 [2.500,\N{NO-BREAK SPACE}3.500] times)."
    )


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (number(1, 0.5, 1.5), "The control fails: it is more than 2 (1.000 [0.5000, 1.500] times). So the run"),
        (number(2, 1.5, 2.5), "The control is open: it is more than 2 (2.000 [1.500, 2.500] times). So the run"),
        (number(3, math.nan, math.nan), "The control is open: it is more than 2 (3.000 times). So the run"),
    ],
)
def test_without_its_control_nothing_is_decided(control: Control, words: str) -> None:
    verdict = said(control)
    assert verdict.outcome is Outcome.UNDECIDED and verdict.because.replace("\N{NO-BREAK SPACE}", " ").startswith(words)
    assert verdict.figure and verdict.measure


def test_a_control_that_was_not_measured_says_so() -> None:
    verdict = said(Control("it is more than 2", lambda analysis: UNKNOWN))
    assert verdict.outcome is Outcome.NOT_MEASURABLE
    assert verdict.because == "The control was not measured: it is more than 2."


def test_a_check_that_failed_speaks_without_the_control() -> None:
    failed = Stored().fail("count cli: 0 signals instead of 64", "process/mode").analysis({"process"})
    verdict = _verdict(failed, replace(MODE, control=Control("it is more than 2", lambda analysis: UNKNOWN)))
    assert verdict.outcome is Outcome.REFUTED and verdict.control


def test_json_has_the_control() -> None:
    (row,) = as_rows([Sentence(MODE, said(number(3, 2.5, 3.5)), "", "")])
    assert row["control"] == {
        "says": "it is more than 2",
        "figure": "3.000 [2.500,\N{NO-BREAK SPACE}3.500] times",
        "holds": True,
    }
    (bare,) = as_rows([Sentence(MODE, Verdict(Outcome.NOT_MEASURABLE, "", ""), "", "")])
    assert bare["control"] is None


def test_pages_and_the_terminal_show_the_control(capsys: pytest.CaptureFixture[str]) -> None:
    run = stored("process")
    words = "nop, which everybody may run, brings no signal (0"
    assert f"<dt>Control</dt><dd>The control holds: {words}" in claims_page(run).replace("\N{NO-BREAK SPACE}", " ")
    assert f"The control holds: {words}" in claims_markdown(run)
    rows = [row for row in as_rows(sentences(run)) if row["id"] == "process/mode"]
    _show(rows, ["Processes"], "1 sentence: 1 confirmed.")
    assert "control holds: nop, which" in capsys.readouterr().out


def test_readings_of_rows_that_are_not_there_are_unknown() -> None:
    run = stored("process")
    for reading in (
        metric_of("process/mode", "none"),
        metric_of("none/none", "none"),
        count_of("process/mode", "none"),
        times_of("process/peek", {"by": "vm"}, {"by": "none"}),
        over(metric_of("process/smp", "times_one", work="user"), metric_of("none/none", "none")),
        largest(metric_of("none/none", "none")),
        spread_of("none/none"),
    ):
        assert not reading(run).known


def test_readings_of_rows() -> None:
    run = stored("process")
    words = times_of("process/peek", {"by": "peekdata"}, {"by": "vm"})(run)
    assert 400 < words.low <= words.value <= words.high < 500
    calls, loop = (metric_of("process/smp", "times_one", work=work) for work in ("call", "user"))
    assert largest(loop, calls)(run) == calls(run)
    quotient = over(calls, loop)(run)
    assert quotient.value == calls(run).value / loop(run).value and quotient.high == calls(run).high / loop(run).low
    assert 0 < spread_of("process/peek", by="vm")(run).value < 10


def test_few_processes_leave_a_count_without_bounds() -> None:
    run = Stored().rounds(3).analysis({"process"})
    assert not count_of("process/mode", "nop")(run).bounded and count_of("process/mode", "nop")(run).value == 0


def test_the_first_way_that_is_true_decides() -> None:
    ways = (False, Outcome.REFUTED, "No."), (True, Outcome.CONFIRMED, "Yes."), (True, Outcome.DEPENDS, "Perhaps.")
    assert first_true("f", None, "So.", *ways) == Verdict(Outcome.CONFIRMED, "f", "Yes. So.")
    with pytest.raises(ValueError, match="no way is true of: f"):
        first_true("f", None, "", (False, Outcome.REFUTED, "No."))


def test_a_control_in_words() -> None:
    assert Shown("it is 2", "2 times", True, measured=True).text == "The control holds: it is 2 (2 times)."
