"""A whole small run is killed at a random moment, and completed: nothing is lost, nothing is twice, nothing stays.

`KILLS` in the environment says how often. By hand: ``KILLS=500 pytest -m slow tests/bench/test_kills.py``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from runs import measure as runtime
from runs.measure import left, wait_for

from fencepost.bench import runfolder, schema

KILLS = int(os.environ.get("KILLS", "10"))
ROUNDS = 3
KERNELS = ("good/steady", "astray/starts")


def begin(cwd: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A run in a process of its own, whose temporary files lie in `cwd` too."""
    return subprocess.Popen(
        runtime.command("run", *arguments),
        env=runtime.environment(TMPDIR=str(cwd / "tmp")),
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def begun(cwd: Path) -> subprocess.Popen[bytes]:
    (cwd / "tmp").mkdir(parents=True)
    return begin(cwd, *KERNELS, "--out", str(cwd / "runs"), "--profile", "quick", "--rounds", str(ROUNDS))


@pytest.fixture(scope="module")
def duration_s(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long such a run takes here."""
    folder = tmp_path_factory.mktemp("whole")
    since = time.monotonic()
    assert begun(folder).wait(runtime.PATIENCE_S) == 0
    assert left(folder) == []
    return time.monotonic() - since


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_a_run_that_is_killed_is_completed(seed: int, duration_s: float, tmp_path: Path) -> None:
    process = begun(tmp_path)
    time.sleep(random.Random(seed).uniform(0, duration_s))
    process.send_signal(signal.SIGKILL)
    process.wait(runtime.PATIENCE_S)
    folders = list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else []
    if not folders or not (folders[0] / schema.RUN_FILE).exists():
        return  # it had not begun: no command takes that for a run
    (folder,) = folders
    before = {path: path.read_bytes() for path in schema.round_files(folder).values()}
    assert begin(tmp_path, "--resume", str(folder), "--quiet").wait(runtime.PATIENCE_S) == 0
    assert {path: path.read_bytes() for path in before} == before
    with runfolder.resume(folder) as complete:
        assert complete.complete_rounds() == list(range(1, ROUNDS + 1))
    for number, path in schema.round_files(folder).items():
        record = runfolder.read_round_record(path)
        assert record["round"] == number and len(record["cases"]) == len(record["order"])
    # The summary of a run keeps its figures in cache/.
    assert {path.name for path in folder.iterdir()} - {"cache"} == {"machine.json", "rounds", "run.json"}
    assert not [path for path in (folder / "rounds").iterdir() if path.name.startswith(".")]
    assert wait_for(lambda: left(tmp_path) == [])
