"""fencepost selfcheck: its checks of itself, and how it goes on."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from runs import measure as runtime
from runs.sides import interrupted, refused, row

from fencepost.analysis.compare.selfcheck import Share, check, judge_repeats
from fencepost.analysis.compare.side_ratios import RowRounds, _prefer_alone, _Quiet
from fencepost.analysis.text.numbers import counted
from fencepost.bench import engine as engines
from fencepost.bench import profiles, schema

CHECKED = ("selfcheck/chain", "selfcheck/locked", "selfcheck/syscall")


@pytest.fixture(autouse=True)
def _heeds_signals() -> Iterator[None]:
    with runtime.heeding_signals():
        yield


def test_each_repeat_has_quiet_batches_enough_by_itself() -> None:
    found, quiet = row("a", [2.0] * 30, [2.0] * 30), [quiet_side(1.0)] * 12 + [quiet_side()] * 18
    assert _prefer_alone(found, quiet, quiet, range(15))
    assert not _prefer_alone(found, quiet, quiet, range(15, 30))
    assert found.old_ns == pytest.approx([1.0] * 12 + [math.nan] * 3 + [2.0] * 15, nan_ok=True)


def test_sides_that_took_turns_are_alone_if_most_rounds_are() -> None:
    found = RowRounds("r", "u", "k", False, "old", "new", [2.0] * 30, [2.0] * 30, rounds_in_turns=30)
    fast = _Quiet(*np.array([1.0, 1.0, math.nan, math.nan]))
    none = _Quiet(*np.full(4, math.nan))
    assert not _prefer_alone(found, [fast] * 15 + [none] * 15, [fast] * 30, range(30))
    assert _prefer_alone(found, [fast] * 16 + [none] * 14, [fast] * 30, range(30))


def quiet_side(ns: float = math.nan, slowed_cycles: float = math.nan) -> _Quiet:
    """One round of a side. Its batches with slowed branches cost 3 ns and `slowed_cycles`, those with fast ones 4."""
    return _Quiet(*(np.asarray(value) for value in (ns, 3.0, 4.0, slowed_cycles)))


@pytest.mark.parametrize(
    ("old", "new", "alone"), [(4.03, 4.0, True), (4.0, 5.0, False), (5.0, 4.0, False), (math.nan, 4.0, False)], ids=str
)
def test_rounds_with_slowed_branches_count_where_neither_side_minds(old: float, new: float, alone: bool) -> None:
    found = row("a", [2.0] * 30, [2.0] * 30)
    old_rounds, new_rounds = ([quiet_side(slowed_cycles=cycles)] * 30 for cycles in (old, new))
    assert _prefer_alone(found, old_rounds, new_rounds, range(30)) == alone
    assert found.old_ns == [3.0 if alone else 2.0] * 30


def test_repeats_say_what_they_stand_on() -> None:
    found = row("a~twin", [1.0] * 10 + [2.0] * 10, [1.0] * 10 + [2.0] * 10, twin=True)
    found.alone_repeats, found.quiet = [True, False], 0.25
    (checked,), _, times, _ = judge_repeats([found], [range(10), range(10, 20)], 0.01)
    assert (checked.alone, checked.quiet) == (Share(1, 2), 0.25)
    # Each against the repeats of its own kind: quiet batches and all batches are two figures.
    assert times["a~twin"] == Share(2, 2)


@pytest.mark.slow
def test_a_disturbed_selfcheck_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs: one to measure on, one for the disturber")
    monkeypatch.delenv("FENCEPOST_ENGINE", raising=False)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    selfcheck = functools.partial(runtime.fencepost_inside, "selfcheck", cwd=tmp_path, load=engines.load)
    done = selfcheck("selfcheck/chain", "--pairs", "1", "--rounds", "7", "--disturb", "spin", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["rows"]) == 2
    assert document["disturb"]["kind"] == "spin"
    assert f"runs without a pause on CPU {document['disturb']['cpu']} (spin)" in done.stderr
    (folder,) = (tmp_path / "results" / "selfcheck").iterdir()
    schema.round_file(folder, 7).unlink()
    again = selfcheck("--resume", str(folder), "-q")
    assert "disturbed on purpose" in again.stderr and "disturbed on purpose" in again.stdout
    assert "leave it out" in refused(2, "selfcheck", "--resume", folder, "--disturb", "spin", cwd=tmp_path)


def test_repeats_are_judged_one_by_one() -> None:
    old = [1.0] * 40
    alarm = [1.0] * 10 + [1.5] * 10 + [1.0] * 20
    found = judge_repeats(
        [row("a~twin", old, alarm, twin=True), row("a", old, [1.0199, 1.0201] * 20)],
        [range(i, i + 10) for i in range(0, 40, 10)],
        0.01,
    )
    (twin, true), alarms, times, floors = found
    assert (twin.changed.count, twin.same.count, twin.changed.of) == (1, 3, 4)
    assert true.effect == 0.02 and true.covered.count == 4
    # In the repeat with the alarm the noise floor was half as much again: 2 % are not claimed there.
    assert (true.changed.count, true.undecided.count) == (3, 1)
    assert alarms == Share(1, 4)
    assert times["a"].count == 4 and floors["a"] == 0


def test_shares_have_exact_bounds() -> None:
    low, high = Share(0, 100).bounds
    assert low == 0 and high == pytest.approx(1 - 0.025 ** (1 / 100))
    assert Share(0, 0).bounds == (0.0, 1.0)


def test_a_selfcheck_measures_prints_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FENCEPOST_ENGINE", raising=False)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    selfcheck = functools.partial(runtime.fencepost_inside, "selfcheck", cwd=tmp_path, load=engines.load)
    done = selfcheck(*CHECKED, "--pairs", "2", "--rounds", "7", "--label", "rack=b12", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["repeats"] == 2 and len(document["rows"]) == 6
    assert {row["true_effect_pct"] for row in document["rows"]} == {0.0, 2.0}
    (folder,) = (tmp_path / "results" / "selfcheck").iterdir()
    schema.round_file(folder, 10).unlink()  # as after Ctrl-C in the second repeat
    assert check(folder, 7, 0.01).repeats == 1
    assert schema.read_run(folder)["labels"]["rack"] == "b12"
    again = selfcheck("--resume", str(folder), "-q")
    assert again.returncode == 0, again.stderr
    assert "2 repeats of 6 rows" in again.stdout and "true 2 % found" in again.stdout
    assert "leave it out" in refused(2, "selfcheck", "--resume", folder, "--pairs", "3", cwd=tmp_path)
    assert "--label with --resume" in refused(2, "selfcheck", "--resume", folder, "--label", "x", cwd=tmp_path)
    assert "fencepost selfcheck --resume" in refused(2, "ab", "--resume", folder, cwd=tmp_path)


@pytest.mark.slow
def test_an_interrupted_selfcheck_prints_whole_repeats_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FENCEPOST_ENGINE", raising=False)
    monkeypatch.setattr(profiles, "PROFILES", {"quick": runtime.TINY})
    options = (*CHECKED, "--pairs", "400", "--rounds", "7", "-q")
    folder, out, last = interrupted(tmp_path, 8, "selfcheck", *options, load=engines.load)
    assert f"{counted(len(schema.round_files(folder)) // 7, 'repeat')} of 6 rows" in out
    assert f"Continue with: fencepost selfcheck --resume {folder.relative_to(tmp_path)}" in last, last


def test_a_margin_that_hides_the_true_effect_checks_nothing(tmp_path: Path) -> None:
    assert "nothing is left" in refused(2, "selfcheck", "--margin", "2%", cwd=tmp_path)
