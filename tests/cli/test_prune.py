"""`fencepost prune` drops raw batches, and no figure."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
from runs.measure import fencepost_inside
from runs.write import Case, plain_cases, write_run

from fencepost.analysis.report.machine import data_table
from fencepost.analysis.runs import pruning
from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.bench import runfolder, schema


@pytest.fixture
def base(tmp_path: Path) -> Path:
    cases = [*plain_cases(2), plain_cases(1)[0].twin(), Case("line/wake", kind="events")]
    write_run(tmp_path / "runs" / "old", cases[:3], rounds=6)
    write_run(tmp_path / "runs" / "cut", plain_cases(1), rounds=4, planned_rounds=6)
    new = write_run(tmp_path / "runs" / "new", plain_cases(1), rounds=6)
    run = json.loads((new / schema.RUN_FILE).read_text())
    (new / schema.RUN_FILE).write_text(json.dumps({**run, "created_utc": "2999-01-02T03:04:05Z"}))
    return tmp_path / "runs"


def prune(base: Path, *more: str) -> dict[str, object]:
    done = fencepost_inside("prune", str(base), "--raw-older-than", "30d", "--json", *more, cwd=base)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_old_complete_runs_lose_their_batches_and_no_figure(base: Path) -> None:
    before = {name: repr(analyse(base / name).rows) for name in ("old", "cut", "new")}
    size = sum(file.stat().st_size for file in schema.round_files(base / "old").values())
    said = prune(base)
    assert said["runs"] == [str(base / "old")]
    assert said["dropped_bytes"] == size
    assert not schema.round_files(base / "old")
    assert [len(schema.round_files(base / name)) for name in ("cut", "new")] == [4, 6]
    assert {name: repr(analyse(base / name).rows) for name in before} == before
    assert "not complete" in str(said["notes"])
    assert prune(base)["runs"] == []


def test_a_dry_run_says_the_same_and_drops_nothing(base: Path) -> None:
    said = prune(base, "--dry-run")
    assert len(schema.round_files(base / "old")) == 6
    assert not (base / "old" / schema.ROWS_FILE).exists()
    assert {**said, "dry_run": False} == prune(base)


def test_a_killed_prune_goes_on(base: Path) -> None:
    right = repr(analyse(base / "old").rows)
    runfolder.atomic_write(base / "old" / schema.ROWS_FILE, pruning.rows_to_keep(base / "old"))
    schema.round_file(base / "old", 1).unlink()
    assert repr(analyse(base / "old").rows) == right
    assert prune(base)["runs"] == [str(base / "old")]
    assert not schema.round_files(base / "old")
    assert repr(analyse(base / "old").rows) == right


@pytest.mark.parametrize("fault", ["a damaged round", "damaged rows", "other figures", "in use"])
def test_what_is_not_sure_is_left_alone(base: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    old = base / "old"
    lock = runfolder.resume(old) if fault == "in use" else None
    if fault == "a damaged round":
        path = schema.round_file(old, 3)
        path.write_bytes(path.read_bytes()[:-9])
    elif fault == "damaged rows":
        (old / schema.ROWS_FILE).write_bytes(b"PAR1")
    elif fault == "other figures":
        numbers = iter(range(9))
        monkeypatch.setattr(pruning, "noise_floor", lambda one: next(numbers))
    said = prune(base)
    if lock is not None:
        lock.close()
    assert said["runs"] == []
    assert len(list(said["notes"])) == 2  # type: ignore[call-overload]
    assert len(schema.round_files(old)) == 6


def test_rows_that_differ_from_the_rounds_beside_them_drop_nothing(base: Path) -> None:
    """A killed prune leaves both. These rows have each round, and another figure in one."""
    old = base / "old"
    reduced = reduce_run(old)
    altered = reduced.processes.assign(ticks=reduced.processes["ticks"] + (reduced.processes["round"] == 4))
    runfolder.atomic_write(old / schema.ROWS_FILE, encode_rows(replace(reduced, by_process=Columns.of(altered))))
    schema.round_file(old, 1).unlink()
    for more in ((), ("--dry-run",)):
        said = prune(base, *more)
        assert said["runs"] == [] and "differs from the rounds" in str(said["notes"])
    assert len(schema.round_files(old)) == 5


def test_a_dry_run_reads_the_rounds(base: Path) -> None:
    path = schema.round_file(base / "old", 3)
    path.write_bytes(path.read_bytes()[:-9])
    said = prune(base, "--dry-run")
    assert said["runs"] == []
    assert {**said, "dry_run": False} == prune(base)


def test_a_round_that_cannot_be_dropped_is_told_as_it_is(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = repr(analyse(base / "old").rows)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == schema.round_file(base / "old", 3):
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", refuse)
        said = prune(base)
    assert said["runs"] == [] and "2 of 6 rounds dropped, then input/output error" in str(said["notes"])
    assert len(schema.round_files(base / "old")) == 4 and repr(analyse(base / "old").rows) == right
    assert prune(base)["runs"] == [str(base / "old")]
    assert repr(analyse(base / "old").rows) == right


def test_an_age_is_a_number_of_days(base: Path) -> None:
    done = fencepost_inside("prune", str(base), "--raw-older-than", "soon", cwd=base)
    assert done.returncode == 2
    assert "write 90d" in done.stderr


def test_report_and_compare_say_what_was_pruned(tmp_path: Path) -> None:
    for number in (1, 2):
        write_run(tmp_path / "runs" / f"run{number}", plain_cases(2), rounds=8, seed=number)
    told = "raw batches were dropped by"
    runs = [str(tmp_path / "runs" / f"run{number}") for number in (1, 2)]

    def said() -> list[int]:
        table = repr(data_table(analysis_of(Path(runs[0]))))
        return [fencepost_inside("compare", *runs, cwd=tmp_path).stdout.count(told), table.count(told)]

    assert said() == [0, 0]
    prune(tmp_path / "runs")
    assert said() == [2, 1]
