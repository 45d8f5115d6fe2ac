"""The command run, killed and interrupted from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from runs import measure as runtime
from runs.measure import wait_for

from fencepost.bench import runfolder, schema
from fencepost.bench.runner import WORKER


class Command:
    """`fencepost run` on the test engine in a process of its own, of so many rounds that whatever is done to it comes
    before the last of them; it is left to itself until one round is whole.
    """

    rounds = 3000

    def __init__(self, cwd: Path, errors: IO[str], *arguments: str) -> None:
        kernels = ("good/steady", "good/once", "--profile", "quick", "--rounds", str(self.rounds))
        self._errors = Path(errors.name)
        self.process = subprocess.Popen(
            runtime.command("run", "--out", str(cwd / "runs"), "--seed", "5", *kernels, *arguments),
            env=runtime.environment(),
            cwd=cwd,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            first = wait_for(lambda: next(iter((cwd / "runs").glob("*/rounds/0001.parquet")), None))
        except BaseException:
            self.process.kill()
            raise
        self.folder: Path = first.parent.parent

    def said(self) -> str:
        """What it has printed on standard error so far."""
        return self._errors.read_text()

    def end(self, number: signal.Signals | None = None) -> int:
        """Its exit status, after this signal."""
        if number is not None:
            self.process.send_signal(number)
        return self.process.wait(runtime.PATIENCE_S)

    def resumed(self) -> int:
        """How many rounds it has after two more, as if no more had been asked for."""
        runtime.shorten(self.folder, len(schema.round_files(self.folder)) + 2)
        before = (self.folder / "run.json").read_bytes()
        done = runtime.fencepost("run", "--resume", str(self.folder), "--quiet", cwd=self.folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert (self.folder / "run.json").read_bytes() == before
        return len(schema.round_files(self.folder))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    with contextlib.ExitStack() as stack:

        def started(*arguments: str) -> Command:
            errors = stack.enter_context((tmp_path / "errors.txt").open("w"))
            command = Command(tmp_path, errors, *arguments)
            stack.callback(command.process.wait)
            stack.callback(command.process.kill)
            return command

        yield started


def workers_of(folder: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(WORKER).encode() in line and Path(f"/proc/{path.parent.name}/cwd").resolve() == folder:
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow  # the same after a signal: test_a_signal_ends_the_run_and_keeps_complete_rounds
def test_after_kill_9_of_the_parent_resume_completes_the_same_plan(
    tmp_path: Path, start: Callable[..., Command]
) -> None:
    command = start()
    assert command.end(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not workers_of(tmp_path))
    before = {path: path.read_bytes() for path in schema.round_files(command.folder).values()}
    assert 1 <= len(before) < command.rounds
    assert command.resumed() == len(before) + 2
    assert {path: path.read_bytes() for path in before} == before
    with runfolder.resume(command.folder) as complete:
        assert complete.missing_rounds() == []
    assert sorted(path.name for path in command.folder.iterdir()) == ["machine.json", "rounds", "run.json"]


@pytest.mark.slow  # the same without a command of its own: test_a_signal_ends_the_run_and_keeps_complete_rounds
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_command(tmp_path: Path, start: Callable[..., Command], number: signal.Signals) -> None:
    command = start()
    assert command.end(number) == 3
    last = command.said().strip().splitlines()[-1]
    assert f"interrupted by {number.name}" in last
    assert f"fencepost run --resume {command.folder}" in last
    assert "Traceback" not in command.said()
    assert workers_of(tmp_path) == []
    there = len(schema.round_files(command.folder))
    assert f". {there} of {command.rounds} rounds are complete and kept" in last
    assert command.resumed() == there + 2


@pytest.mark.slow  # the same without a command of its own: test_a_worker_killed_from_outside_is_started_again
def test_a_worker_killed_under_the_command(tmp_path: Path, start: Callable[..., Command]) -> None:
    command = start()
    killed: set[int] = set()

    def told() -> bool:
        # One that is at its end already leaves nothing to tell of; then the next. Of no round more than two are killed.
        if "the worker was killed by SIGKILL; trying again" in command.said():
            return True
        for worker in set(workers_of(tmp_path)) - killed:
            killed.add(worker)
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        return False

    wait_for(told)
    assert command.end(signal.SIGINT) == 3
    there = len(schema.round_files(command.folder))
    assert command.resumed() == there + 2
    assert "leaving it out" not in command.said()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs 2 CPUs to take one away")
def test_a_mask_narrowed_under_the_command(start: Callable[..., Command]) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    command = start("--cpus", str(cpus[1]))
    os.sched_setaffinity(command.process.pid, {cpus[0]})
    assert command.end() == 3
    assert f"needs CPU {cpus[1]}" in command.said().strip().splitlines()[-1]
    assert "Traceback" not in command.said()
    assert 1 <= len(schema.round_files(command.folder)) < command.rounds
