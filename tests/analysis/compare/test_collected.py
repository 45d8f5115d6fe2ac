"""Runs collected in a database: what it says is what the runs say, whatever became of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from runs.write import plain_cases, write_run

from fencepost.analysis.compare import collected
from fencepost.analysis.compare.collected import Collected
from fencepost.analysis.runs import kept, packed
from fencepost.analysis.runs.estimate import analyse
from fencepost.bench import schema
from fencepost.bench.labels import run_folders


def slowly(*names: str) -> list[Any]:
    """Sets of values for `make test-slow`: the others show that anything is done at all."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("collected") / "runs"
    for number in range(3):
        write_run(base / f"run{number}", plain_cases(2), rounds=6, seed=number)
    for path in base.rglob("*"):  # as if they were measured a while ago
        os.utime(path, (1, 1))
    return base


@pytest.fixture
def base(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(collected, "RACE_NS", -1)
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs that are read from here on."""
    names: list[str] = []
    read = collected.read_packed

    def noted(folder: Path) -> object:
        names.append(folder.name)
        return read(folder)

    monkeypatch.setattr(collected, "read_packed", noted)
    return names
    return names


def told(base: Path) -> list[list[float]]:
    """Medians of each run."""
    folders = sorted(path.parent for path in base.glob("*/run.json"))
    with Collected(base, folders, None) as runs:
        found = runs.points([run.no for run in runs.runs], [no for no, *_ in runs.cases()])
    return [found["ns"][found["place"] == place].tolist() for place in range(len(folders))]


def truth(base: Path) -> list[list[float]]:
    folders = sorted(path.parent for path in base.glob("*/run.json"))
    return [figures(folder) for folder in folders]


def figures(folder: Path) -> list[float]:
    try:
        return [row.time.value for row in analyse(folder).rows if row.measured]
    except schema.RunFolderError:
        return []


def test_what_is_collected_is_what_the_runs_say_and_is_read_once(base: Path, looked_at: list[str]) -> None:
    right = truth(base)
    assert told(base) == right
    assert told(base) == right
    assert looked_at == ["run0", "run1", "run2"]


@pytest.mark.parametrize("change", ["a round less", "packed file gone", *slowly("in place", "gone", "new")])
def test_only_a_run_that_changed_is_read_again(base: Path, looked_at: list[str], change: str) -> None:
    told(base)
    looked_at.clear()
    one = schema.round_file(base / "run1", 2)
    if change == "a round less":
        one.unlink()
    elif change == "in place":
        one.write_bytes(one.read_bytes()[:-9])
    elif change == "new":
        write_run(base / "run9", plain_cases(2), rounds=6, seed=9)
    elif change == "gone":
        shutil.rmtree(base / "run1")
    else:
        shutil.rmtree(base / "run1" / kept.FOLDER)
    assert told(base) == truth(base)
    read = {"gone": [], "packed file gone": [], "new": ["run9"]}
    assert looked_at == read.get(change, ["run1"])


def test_a_run_that_was_written_just_now_is_looked_at_again(
    base: Path, looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collected, "RACE_NS", 10**15)
    told(base)
    told(base)
    assert len(looked_at) == 6


@pytest.mark.parametrize("damage", ["cut", "another rule", *slowly("text", "empty", "views", "a block", "a folder")])
def test_a_database_that_cannot_be_trusted_is_made_again(
    base: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    told(base)
    path = base / kept.FOLDER / collected.FILE
    whole = path.read_bytes()
    if damage == "another rule":
        monkeypatch.setattr(kept, "rule", lambda: "another")
    elif damage == "views":
        path.unlink()
        with duckdb.connect(str(path)) as other:
            other.execute("CREATE VIEW runs AS SELECT 1; CREATE VIEW points AS SELECT 1")
    elif damage == "a block":
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[12288::1000] ^= 255
        path.write_bytes(changed.tobytes())
    elif damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[:-5000], "text": b"x" * 50_000, "empty": b""}[damage])
    assert told(base) == truth(base)


@pytest.mark.parametrize("obstacle", ["another process has it", "a link", "a file in the way"])
def test_without_a_database_runs_are_collected_in_memory(base: Path, obstacle: str) -> None:
    cache = base / kept.FOLDER
    if obstacle == "another process has it":
        cache.mkdir()
        hold = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print(); sys.stdout.flush(); sys.stdin.read()"
        command = [sys.executable, "-c", hold, str(cache / collected.FILE)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdin is not None and other.stdout is not None
            other.stdout.readline()
            assert told(base) == truth(base)
            assert (cache / collected.FILE).exists()
            other.stdin.close()
    elif obstacle == "a link":
        (base / "away").mkdir()
        cache.symlink_to(base / "away")
        assert told(base) == truth(base)
        assert not any((base / "away").iterdir())
    else:
        cache.write_text("in the way")
        assert told(base) == truth(base)


def test_a_run_that_cannot_be_read_costs_itself(base: Path) -> None:
    schema.round_file(base / "run1", 2).write_bytes(b"PAR1")
    (base / "run2" / kept.FOLDER).mkdir(exist_ok=True)
    (base / "run2" / kept.FOLDER / packed.NAME).write_bytes(b"nonsense")
    folders = sorted(base.glob("run?"))
    with Collected(base, folders, None) as runs:
        notes = [run.note for run in runs.runs]
        assert [run.complete_rounds for run in runs.runs] == [6, 0, 6]
    assert notes[0] == notes[2] == ""
    assert "0002.parquet" in notes[1]


def settled_runs(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if these runs were very many, in folders of two hosts and an empty one, and collected."""
    monkeypatch.setattr(collected, "MANY", 2)
    for number, host in enumerate(("one", "one", "two")):
        (base / host).mkdir(exist_ok=True)
        (base / f"run{number}").rename(base / host / f"run{number}")
    (base / "three").mkdir()
    (base / kept.FOLDER).mkdir()  # the first question makes it, and is not trusted for that
    monkeypatch.setattr(collected, "RACE_NS", -(10**12))
    all_told(base)


def all_told(base: Path) -> dict[str, list[float]]:
    with Collected(base) as runs:
        found = runs.points([run.no for run in runs.runs], [no for no, *_ in runs.cases()])
        return {run.folder.name: found["ns"][found["place"] == place].tolist() for place, run in enumerate(runs.runs)}


@pytest.fixture
def stamped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the runs whose files are looked at from here on."""
    names: list[str] = []
    stamp = collected._stamp

    def noted(folder: str) -> str:
        names.append(Path(folder).name)
        return stamp(folder)

    monkeypatch.setattr(collected, "_stamp", noted)
    return names


@pytest.mark.parametrize("change", ["", "new", "new in an empty folder", *slowly("gone", "another", "new host")])
def test_of_very_many_runs_folders_are_looked_at(
    base: Path, stamped: list[str], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    settled_runs(base, monkeypatch)
    right = all_told(base)
    stamped.clear()
    assert all_told(base) == right and stamped == []
    new = {"new": "two", "new in an empty folder": "three", "new host": "four"}
    if change in new:
        write_run(base / new[change] / "run9", plain_cases(2), rounds=6, seed=9)
    elif change == "gone":
        shutil.rmtree(base / "one" / "run1")
    elif change == "another":
        shutil.rmtree(base / "one" / "run1")
        write_run(base / "one" / "run1", plain_cases(2), rounds=6, seed=9)
    found = all_told(base)
    assert found == {folder.name: figures(folder) for folder in run_folders(base)}
    assert (found == right) is (change == "") and bool(stamped) is bool(change)


def test_of_very_many_runs_those_that_are_not_complete_are_looked_at(
    base: Path, stamped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = base.parent / "held.parquet"
    shutil.move(schema.round_file(base / "run1", 6), held)
    settled_runs(base, monkeypatch)
    stamped.clear()
    all_told(base)
    assert stamped == ["run1"]
    shutil.move(held, schema.round_file(base / "one" / "run1", 6))
    assert all_told(base)["run1"] == figures(base / "one" / "run1")


def test_an_answer_stays_until_a_run_changes(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled_runs(base, monkeypatch)
    with Collected(base) as runs:
        assert runs.answer("why") is None
        runs.keep("why", b"because")
        runs.keep("why", b"therefore")
    with Collected(base) as runs:
        assert runs.answer("why") == b"therefore" and runs.answer("what") is None
    shutil.rmtree(base / "one" / "run1")
    with Collected(base) as runs:
        assert runs.answer("why") is None


def test_runs_that_were_named_say_nothing_of_others(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled_runs(base, monkeypatch)
    with Collected(base, [base / "one" / "run0"]) as runs:
        assert len(runs) == 1
    assert len(all_told(base)) == 3
