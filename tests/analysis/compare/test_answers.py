"""A comparison that was kept is the fresh one, and never one of other runs, another question or another rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from runs.write import Case, write_run

from fencepost.analysis.compare import answers
from fencepost.analysis.compare.answers import NAME, Compared, compared
from fencepost.analysis.compare.comparison import ComparisonError
from fencepost.analysis.runs import kept
from fencepost.bench import schema

CASES = [Case("own/a", ns=100.0), Case("own/b", ns=7.0)]
SLOWER = [replace(case, ns=case.ns * 1.1) for case in CASES]
MARGIN = 0.01


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        write_run(tmp_path / name, cases, rounds=12, seed=seed, unmeasurable=[])
        for seed, (name, cases) in enumerate({"old": CASES, "new": SLOWER}.items())
    ]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Path]]:
    """The runs of each comparison that is made from here on."""
    seen: list[Sequence[Path]] = []
    made = answers._compared

    def noted(folders: Sequence[Path], margin: float, anyway: bool) -> Compared:
        seen.append(folders)
        return made(folders, margin, anyway)

    monkeypatch.setattr(answers, "_compared", noted)
    return seen


def other_machine(folder: Path) -> None:
    for name, edit in ((schema.RUN_FILE, {"machine_key": "other"}), (schema.MACHINE_FILE, {"key": "other"})):
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**document, **edit}))


def other_engine(folder: Path) -> None:
    run = json.loads((folder / schema.RUN_FILE).read_text())
    (folder / schema.RUN_FILE).write_text(json.dumps({**run, "engine": {**run["engine"], "sha256": "1" * 64}}))


@pytest.mark.parametrize("machines", [1, 2])
def test_the_second_answer_is_the_first_without_a_comparison(
    runs: list[Path], fresh: list[Sequence[Path]], machines: int
) -> None:
    if machines == 2:
        other_machine(runs[1])
    other_engine(runs[1])
    first = compared(runs, MARGIN, anyway=True)
    again = compared(runs, MARGIN, anyway=True)
    # As text, because NaN is no equal of itself.
    assert repr(again) == repr(first)
    assert (first.machines is None, len(first.pairs)) == ((True, 1) if machines == 1 else (False, 0))
    assert (first.machines or first.pairs[0]).notes, "the engines differ"
    assert len(fresh) == 1


def test_a_comparison_is_kept_in_the_folder_of_its_last_run(runs: list[Path]) -> None:
    """The first is often one that many others are compared with."""
    compared(runs, MARGIN)
    assert [(folder / kept.FOLDER / NAME).exists() for folder in runs] == [False, True]


@pytest.mark.parametrize("changed", [0, 1])
def test_a_round_less_is_another_comparison(runs: list[Path], fresh: list[Sequence[Path]], changed: int) -> None:
    twelve = compared(runs, MARGIN)
    schema.round_file(runs[changed], 12).unlink()
    eleven = compared(runs, MARGIN)
    assert (twelve.pairs[0].rows[0].decision.rounds, eleven.pairs[0].rows[0].decision.rounds) == (12, 11)
    assert len(fresh) == 2


def test_another_question_is_answered_afresh(runs: list[Path], fresh: list[Sequence[Path]]) -> None:
    assert compared(runs, MARGIN).pairs[0].margin == MARGIN
    assert compared(runs, 0.02).pairs[0].margin == 0.02
    compared(runs, 0.02, anyway=True)
    backwards = compared(runs[::-1], 0.02, anyway=True)
    assert backwards.ids == ("new", "old")
    assert backwards.pairs[0].rows[0].decision.ratio < 1
    assert len(fresh) == 4


def test_another_rule_compares_again(
    runs: list[Path], fresh: list[Sequence[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(runs, MARGIN)
    monkeypatch.setattr(kept, "rule", lambda: "another")
    compared(runs, MARGIN)
    assert len(fresh) == 2


def test_a_run_that_changed_meanwhile_is_not_kept(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    made = answers._compared

    def slow(folders: Sequence[Path], margin: float, anyway: bool) -> Compared:
        found = made(folders, margin, anyway)
        schema.round_file(runs[0], 12).unlink()
        return found

    monkeypatch.setattr(answers, "_compared", slow)
    compared(runs, MARGIN)
    assert not (runs[1] / kept.FOLDER / NAME).exists()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"ids": [], "pairs": [{}], "machines": null}'])
def test_a_comparison_that_somebody_else_kept_may_be_nonsense(runs: list[Path], data: bytes) -> None:
    old, new = runs
    asked = repr((MARGIN, False))
    kept.write(new, NAME, kept.key_of(new, old, asked=asked), data, old, asked=asked)
    assert compared(runs, MARGIN).pairs[0].rows[0].case.startswith("own/a")


def test_what_cannot_be_compared_is_refused_each_time(runs: list[Path]) -> None:
    compared(runs, MARGIN)
    for _ in range(2):
        with pytest.raises(ComparisonError, match="given twice"):
            compared([runs[0], runs[0]], MARGIN)
