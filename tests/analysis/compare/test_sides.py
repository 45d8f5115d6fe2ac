"""Two sides of a run: how their rows are judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from runs.sides import row
from runs.write import Case, plain_cases, write_run

from fencepost.analysis.compare.comparison import ComparisonError, NothingMeasuredError
from fencepost.analysis.compare.sides import compare_sides, judge_rounds
from fencepost.analysis.stats.verdict import ChangeVerdict
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError


def test_a_run_without_sides_has_nothing_to_judge(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", plain_cases(2))
    with pytest.raises(RunFolderError, match="not made by fencepost ab"):
        compare_sides(folder, 0.01)


def test_a_row_is_judged_by_the_twin_of_its_kernel() -> None:
    """A noisy kernel vetoes its own rows only."""
    same, faster = [10.0] * 20, [9.5] * 20
    rows = [
        row("calm", same, faster, kernel="a/calm"),
        row("calm~twin", same, same, kernel="a/calm", twin=True),
        row("noisy", same, faster, kernel="b/noisy"),
        row("noisy~twin", same, [11.0] * 20, kernel="b/noisy", twin=True),
        row("without", same, faster, kernel="b/without"),
        row("other", same, faster, kernel="c/other"),
    ]
    found = judge_rounds(rows, 0.01)
    verdicts = {one.case: one.decision.verdict for one in found.rows}
    assert verdicts["calm"] is ChangeVerdict.CHANGED
    # Of its kernel, of its topic, of any: 10 % in all three.
    assert {verdicts[name] for name in ("noisy", "without", "other")} == {ChangeVerdict.UNDECIDED}
    assert any("3 of 4 rows: identical code of their kernel differed by up to 10 %" in note for note in found.notes)


def test_the_columns_of_a_row_agree() -> None:
    """The quotient of two medians is another figure than the median of the pairs' ratios."""
    old, new = [1.0, 2.0, 10.0] * 5, [1.1, 2.2, 3.0] * 5
    (found,) = judge_rounds([row("r", old, new)], 0.01).rows
    assert found.new_ns == pytest.approx(found.old_ns * found.decision.ratio)
    assert found.decision.ratio == pytest.approx(1.1)


def sides_run(folder: Path, neighbour: float | None, cpus: tuple[int, ...] = (1,), size: str = "4KiB") -> Path:
    """Two sides that cost the same. The new one has more neighbours by far."""
    old = Case("test/a", {"size": size}, ns=5.0, neighbour=neighbour, cpus=cpus)
    new = replace(old, kernel="test/b", neighbour=neighbour and (neighbour + 1) / 2)
    free = Case("test/free", ns=5.0, neighbour=0.0)
    folder = write_run(folder, [old, new, free], rounds=16, batches=200, unmeasurable=())
    document = json.loads((folder / schema.RUN_FILE).read_text())
    for case, side in zip(document["plan"]["cases"], ("old", "new"), strict=False):
        case |= {"row": "r", "side": side}
    (folder / schema.RUN_FILE).write_text(json.dumps(document))
    return folder


def test_threads_that_disturb_each_other_are_compared_as_found(tmp_path: Path) -> None:
    (found,) = compare_sides(sides_run(tmp_path / "run", 0.2, (0, 1)), 0.02).rows
    assert found.basis == "as found"


def test_memory_that_other_cores_share_is_compared_as_found(tmp_path: Path) -> None:
    found = compare_sides(sides_run(tmp_path / "run", 0.2, size="4MiB"), 0.02)
    assert [row.basis for row in found.rows] == ["as found"]
    assert "1 row is compared as found: other cores share this memory" in found.notes


@pytest.mark.parametrize(("neighbour", "basis"), [(0.5, "alone"), (1.0, "as found"), (None, "as found")])
def test_sides_are_compared_by_their_quiet_batches(tmp_path: Path, neighbour: float | None, basis: str) -> None:
    folder = sides_run(tmp_path / "run", neighbour)
    (found,) = compare_sides(folder, 0.02).rows
    assert found.basis == basis
    assert found.decision.verdict is ChangeVerdict.SAME
    assert found.old_ns == pytest.approx(5.0 * (1.4 if neighbour == 1.0 else 1.0), rel=0.02)


def test_all_batches_disturbed_is_no_measurement() -> None:
    with pytest.raises(NothingMeasuredError, match="disturbed"):
        judge_rounds([row("r", [1.0] * 9, [1.0] * 9, disturbed=1.0)], 0.01)
    with pytest.raises(ComparisonError, match="margin"):
        judge_rounds([row("r", [1.0] * 9, [1.0] * 9)], 0.0)


def test_the_noise_floor_is_the_largest_of_identical_code() -> None:
    rows = [row("r", [1.0] * 9, [1.02] * 9), row("r~twin", [1.0] * 9, [1.03] * 9, twin=True)]
    found = judge_rounds(rows, 0.01)
    assert found.noise_floor == pytest.approx(0.03)
    assert str(found.rows[0].decision.verdict) == "undecided" and "margin" in found.notes[0]
    assert str(judge_rounds(rows[:1], 0.01).rows[0].decision.verdict) == "changed"
