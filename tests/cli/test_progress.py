"""Durations, the bar of progress, and the time that is left."""

from __future__ import annotations

import time

import pytest
from runs.measure import tiny_plan

from fencepost.cli import display, progress


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1500, "1.5 us"),
        (2_500_000, "2.5 ms"),
        (1.5e9, "1.5 s"),
        (250e9, "4 min 10 s"),
        (3599e9, "59 min 59 s"),
        (11_130e9, "3 h 05 min"),
        (47.5 * 3600e9, "47 h 30 min"),
        (52 * 3600e9, "2 days 4 h"),
    ],
)
def test_durations(nanoseconds: float, text: str) -> None:
    assert display.duration(nanoseconds) == text


def test_the_bar_is_drawn_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    plan = tiny_plan(["good"])
    bar = progress.BarProgress()
    bar.begin(plan, [1, 2])
    bar.update(1, 1000)
    bar.note("something [red]odd[/red]")
    bar.round_done(1)
    bar.round_done(2)
    bar.end()
    assert "something [red]odd[/red]" in capsys.readouterr().err


def test_time_left_falls_to_zero() -> None:
    plain = progress.PlainProgress()
    plain.begin(tiny_plan(["good"], rounds=3), [2, 3])
    full = plain.left_ns()
    plain.round_done(2)
    plain.round_done(3)
    assert full > 0
    assert plain.left_ns() == 0


@pytest.mark.parametrize(("pace", "corrected"), [(1.0, False), (1.5, True), (0.5, True)])
def test_the_first_round_corrects_the_plan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, pace: float, corrected: bool
) -> None:
    plan = tiny_plan(["good"], rounds=40)
    now_s = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    plain = progress.PlainProgress()
    plain.begin(plan, list(range(1, 41)))
    now_s += pace * plan.round_ns(1) / 1e9
    plain.round_done(1)
    rest_ns = 39 * plan.round_ns(2)
    assert plain.left_ns() == pytest.approx(pace * rest_ns)
    now_s += pace * plan.round_ns(2) / 1e9
    plain.round_done(2)
    said = capsys.readouterr().err
    assert said.count("the time left is corrected") == corrected
    assert " beside busy neighbours" in said.splitlines()[0]
