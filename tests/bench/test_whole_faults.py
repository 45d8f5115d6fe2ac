"""Each operation on files of a whole run, with its workers, fails or is the last one: nothing is lost or left behind,
and one sentence says what was wrong.

`FAULTS=all` in the environment tries every operation. Without it, some are tried.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from compile import UNTIMED, compile_once
from runs import measure as runtime
from runs.measure import Answer, left, wait_for

from fencepost.bench import runfolder, schema
from fencepost.bench.errors import EXIT_FINE, EXIT_GATE, EXIT_MEASURE

PRELOADED = Path(__file__).with_name("preloaded_faults.c")
ALL = os.environ.get("FAULTS") == "all"
ROUNDS = 2
MEMORY = "/memfd:"
"""What a path of a memory file begins with: by these the runner tells a worker what to do, and gets its samples."""
HOWS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "killed": -signal.SIGKILL}

Try = Callable[..., tuple[Answer, list[str]]]


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Try:
    """Measure in a folder, with one operation that fails; gives the answer, and what was done until then."""
    library = tmp_path_factory.mktemp("library") / "faults.so"
    compile_once(library, ["cc", *UNTIMED, "-shared", "-fPIC", str(PRELOADED), "-ldl"])

    def run(cwd: Path, below: str, at: int, how: int) -> tuple[Answer, list[str]]:
        (cwd / "tmp").mkdir(parents=True)
        log = cwd.with_name(f"{cwd.name}.log")
        log.touch()
        faults = {"FAULT_FOLDER": below, "FAULT_LOG": str(log), "FAULT_AT": str(at), "FAULT_HOW": str(how)}
        done = runtime.fencepost(
            *("run", "good/steady", "--profile", "quick", "--rounds", str(ROUNDS), "--out", str(cwd / "runs")),
            cwd=cwd,
            env=runtime.environment(LD_PRELOAD=str(library), TMPDIR=str(cwd / "tmp"), **faults),
        )
        return Answer(done.returncode, done.stdout, done.stderr), log.read_text().splitlines()

    return run


@pytest.fixture(scope="module")
def whole(measure: Try, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[str]]:
    """The operations of a run that nothing happens to: on the disk, and in memory."""
    found = {}
    for in_memory in (False, True):
        folder = tmp_path_factory.mktemp("whole") / "run"
        answer, found[in_memory] = measure(folder, MEMORY if in_memory else str(folder), 0, 0)
        assert answer.returncode == 0, answer.stderr
    return found


def tried(operations: list[str], how: str, *, in_memory: bool) -> list[int]:
    """Numbers of the operations that are to fail so: all on the disk, or each ninth. Of those in memory, whose number
    depends on the samples, the first is the runner's and the others are the worker's.
    """
    place = list(HOWS).index(how)
    if in_memory:
        return [1, 2, 3, len(operations) // 2] if ALL else [(2, 1, 3)[place]]
    return list(range(1, len(operations) + 1)) if ALL else list(range(2 + 3 * place, len(operations) + 1, 9))


def sentences(answer: Answer) -> list[str]:
    """What a command said was wrong."""
    return [line for line in answer.stderr.splitlines() if line.startswith("fencepost: ")]


def look_and_complete(cwd: Path, answer: Answer) -> None:
    """What was stored is there and can be completed, and nothing else is left."""
    assert not [word for word in ("Traceback", "a fault in fencepost", "[Errno") if word in answer.stderr]
    assert wait_for(lambda: left(cwd) == [])
    for folder in (cwd / "runs").iterdir() if (cwd / "runs").exists() else ():
        if not (folder / schema.RUN_FILE).exists():
            assert answer.returncode == -signal.SIGKILL  # killed while it was made: no command takes it for a run
            continue
        before = {path: path.read_bytes() for path in schema.round_files(folder).values()}
        again = runtime.fencepost("run", "--resume", str(folder), "--quiet", cwd=cwd)
        assert again.returncode == 0, again.stderr
        assert {path: path.read_bytes() for path in before} == before
        with runfolder.resume(folder) as complete:
            assert complete.complete_rounds() == list(range(1, ROUNDS + 1))
        assert not [path.name for path in folder.rglob(".tmp-*")]


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("in_memory", [False, True], ids=["disk", "memory"])
def test_a_run_survives_the_fault_of_any_operation(
    measure: Try, whole: dict[bool, list[str]], in_memory: bool, how: str, tmp_path: Path
) -> None:
    for at in tried(whole[in_memory], how, in_memory=in_memory):
        cwd = tmp_path / f"run{at}"
        answer, done = measure(cwd, MEMORY if in_memory else str(cwd), at, HOWS[how])
        assert len(done) >= at
        told = (at, done[at - 1], answer)
        # What is kept in cache/ is made anew the next time. A round whose worker is killed is measured again.
        silent = how == "killed" or "/cache" in done[at - 1]
        assert len(sentences(answer)) == (0 if silent else 1), told
        if how == "killed":
            assert answer.returncode == -signal.SIGKILL or (
                in_memory and answer.returncode in (EXIT_FINE, EXIT_GATE)
            ), told
        else:
            assert answer.returncode == (EXIT_FINE if silent else EXIT_MEASURE), told
        look_and_complete(cwd, answer)
