"""Rounds in fresh processes: what a run leaves behind when cases, workers, CPUs or the parent fail."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import runtime
from runtime import MACHINE, any_cpu, children, run_record, tiny_plan, wait_for

from fencepost.bench import plan as plans
from fencepost.bench import runfolder, runner, schema
from fencepost.bench.engine import load_from
from fencepost.bench.errors import MeasureError, RunInterruptedError

CPU = any_cpu()


@pytest.fixture(autouse=True)
def _wakes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WAKE_MS", 10)


class Recorder(runner.Progress):
    """Keeps what a run tells, and calls `on_update` whenever it is awake."""

    def __init__(self, on_update: Callable[[], None] = lambda: None) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []
        self._on_update = on_update

    def update(self, round_number: int, done_ns: int) -> None:
        self._on_update()

    def round_done(self, round_number: int) -> None:
        self.done.append(round_number)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def make(tmp_path: Path, patterns: list[str], **options: Any) -> runfolder.RunFolder:
    plan = tiny_plan(patterns, **options)
    return runfolder.create(tmp_path, MACHINE, run_record(plan))


def record(folder: runfolder.RunFolder, number: int) -> dict[str, Any]:
    return runfolder.read_round_record(schema.round_file(folder.path, number))


def run(folder: runfolder.RunFolder, progress: runner.Progress | None = None, **options: Any) -> None:
    runner.Runner(runtime.fault_engine(), folder, progress, **options).run()


def workers() -> list[int]:
    """Worker processes of this process; other tests may have left children of their own (a fork server, say)."""
    return [child for child in children(os.getpid()) if b"worker.py" in command_line(child)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def test_a_run_from_beginning_to_end(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "good/events", "good/once"]) as folder:
        progress = Recorder()
        run(folder, progress)
        assert progress.done == [1, 2]
        assert folder.missing_rounds() == []
        first, second = record(folder, 1), record(folder, 2)
    once = f"good/once@cpu{CPU}"
    assert once in first["cases"]
    assert once not in second["cases"]
    assert all(case["status"] == "ok" for case in first["cases"].values())
    assert first["worker"]["cpus"] == [CPU]
    assert first["worker"]["startup_ms"] > 0
    assert first["worker"]["elapsed_ms"] > first["worker"]["startup_ms"]
    assert first["worker"]["pid"] != second["worker"]["pid"]
    steady = first["cases"][f"good/steady[size=4KiB,mode=plain]@cpu{CPU}"]
    assert steady["metrics"] == {"echo_bytes": 4096}
    assert steady["histogram"] is None
    events = first["cases"][f"good/events@cpu{CPU}"]
    assert events["histogram"]["ticks"] == [100, 101, 102]
    table = pq.read_table(schema.round_file(folder.path, 1))
    assert set(table["case"].to_pylist()) == set(first["order"])
    assert set(table["cpu_begin"].to_pylist()) == {CPU}
    # The rows of one case follow each other.
    names = table["case"].to_pylist()
    assert sum(a != b for a, b in itertools.pairwise(names)) == len(set(names)) - 1


def test_failing_and_unsupported_cases_lose_their_own_rows_only(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/wrong", "bad/lacking"]) as folder:
        run(folder)
        cases = record(folder, 1)["cases"]
    assert cases[f"bad/wrong@cpu{CPU}"]["status"] == "failed"
    assert cases[f"bad/lacking@cpu{CPU}"]["status"] == "unsupported"
    assert "unicorn" in cases[f"bad/lacking@cpu{CPU}"]["reason"]
    assert {
        name.partition("/")[0] for name in pq.read_table(schema.round_file(folder.path, 1))["case"].to_pylist()
    } == {"good"}


def test_a_crash_names_its_case_and_costs_only_that(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/crash"]) as folder:
        progress = Recorder()
        run(folder, progress)
        first, second = record(folder, 1)["cases"], record(folder, 2)["cases"]
    crash = f"bad/crash@cpu{CPU}"
    for cases in (first, second):
        assert cases[crash]["status"] == "failed"
        assert "SIGABRT" in cases[crash]["reason"]
        assert "round 1" in cases[crash]["reason"]
        assert all(case["status"] == "ok" for name, case in cases.items() if name != crash)
    # Once is enough: the second round leaves it out from the start.
    assert len(progress.notes) == 1
    assert crash in progress.notes[0]


def test_a_hanging_case_is_left_out_after_the_watchdog(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/hang"]) as folder:
        run(folder, patience_s=0.5)
        cases = record(folder, 2)["cases"]
    assert "took longer than" in cases[f"bad/hang@cpu{CPU}"]["reason"]
    assert cases[f"good/steady[size=4KiB,mode=plain]@cpu{CPU}"]["status"] == "ok"
    assert workers() == []


def kill_workers(number: int) -> None:
    for worker in workers():
        os.kill(worker, number)


def test_a_worker_killed_from_outside_is_started_again(tmp_path: Path) -> None:
    left = [1]

    def kill_once() -> None:
        if left and workers():
            left.pop()
            kill_workers(signal.SIGKILL)

    # Long enough to be caught at work, and not to blame for it.
    profile = plans.Profile("quick", rounds=1, batches=40, warmup_batches=1, batch_ns=2_000_000)
    with make(tmp_path, ["good/steady"], profile=profile) as folder:
        progress = Recorder(kill_once)
        run(folder, progress)
        assert all(case["status"] == "ok" for case in record(folder, 1)["cases"].values())
    assert left == []


def test_a_case_in_which_every_worker_is_killed_is_given_up(tmp_path: Path) -> None:
    with make(tmp_path, ["good/steady", "bad/hang"], rounds=1) as folder:
        order = [case.kernel for case in folder.plan.order(1)]
        reached = {"count": 0}

        def kill_at_hang() -> None:
            # With nothing but the hanging case left to do, the worker turns up here again and again.
            reached["count"] += 1
            if reached["count"] % 30 == 0:
                kill_workers(signal.SIGKILL)

        progress = Recorder(kill_at_hang)
        run(folder, progress)
        cases = record(folder, 1)["cases"]
    assert "bad/hang" in order
    assert "SIGKILL" in cases[f"bad/hang@cpu{CPU}"]["reason"]
    assert len(progress.notes) == 3


def test_a_worker_that_does_not_start_ends_the_run_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "WORKER", tmp_path / "absent.py")
    with (
        make(tmp_path, ["good/once"]) as folder,
        pytest.raises(MeasureError, match="worker of round 1 ended with status"),
    ):
        run(folder)


def test_a_worker_that_talks_nonsense_ends_the_run_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nonsense.py").write_text("print('hello')")
    monkeypatch.setattr(runner, "WORKER", tmp_path / "nonsense.py")
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError, match="not a frame"):
        run(folder)


def test_without_taskset_the_mask_is_set_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runner.launcher_name() == "sched_setaffinity"
    before = os.sched_getaffinity(0)
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        worker = record(folder, 1)["worker"]
    assert worker["cpus"] == [CPU]
    assert worker["launcher"] == "sched_setaffinity"
    assert os.sched_getaffinity(0) == before


def test_a_taskset_that_does_not_work_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taskset").write_text("#!/bin/sh\necho 'invalid option -- c' >&2\nexit 1\n")
    (tmp_path / "taskset").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runner.launcher_name() == "sched_setaffinity"
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        assert record(folder, 1)["worker"]["launcher"] == "sched_setaffinity"


def test_the_worker_is_launched_by_taskset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "taskset").write_text(f'#!/bin/sh\necho "$@" > {log}\nshift 2\nexec "$@"\n')
    (tools / "taskset").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)
    with make(tmp_path, ["good/once"]) as folder:
        run(folder)
        assert record(folder, 1)["worker"]["launcher"] == "taskset"
    assert log.read_text().startswith(f"-c {CPU} ")


def test_a_mask_narrowed_before_a_round_stops_with_one_sentence(tmp_path: Path) -> None:
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError) as caught:
        run(folder, usable=set)
    assert f"round 1 needs CPU {CPU}" in str(caught.value)
    assert "--resume" in str(caught.value)
    assert folder.complete_rounds() == []


def test_a_mask_narrowed_during_a_round_discards_that_round(tmp_path: Path) -> None:
    answers = [{CPU}, {CPU}, {CPU}, {CPU + 1}]
    with make(tmp_path, ["good/once"]) as folder, pytest.raises(MeasureError, match="round 2 needs CPU"):
        run(folder, usable=lambda: answers.pop(0))
    assert folder.complete_rounds() == [1]


def test_an_engine_built_anew_during_a_run_stops_it(tmp_path: Path) -> None:
    other = tmp_path / "_kernels.abi3.so"
    other.write_bytes(runtime.engine_path().read_bytes())
    engine = load_from(other)

    class Builder(Recorder):
        def round_done(self, round_number: int) -> None:
            # As a linker does: a new file under the old name.
            other.unlink()
            other.write_bytes(runtime.engine_path().read_bytes() + b"\0")

    with make(tmp_path, ["good/once"]) as folder:
        with pytest.raises(MeasureError, match="built anew during the run; its 1 complete rounds are kept"):
            runner.Runner(engine, folder, Builder()).run()
        other.unlink()
        with pytest.raises(MeasureError, match="the engine is gone"):
            runner.Runner(engine, folder).run()


def test_a_full_disk_keeps_complete_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make(tmp_path, ["good/once", "good/steady"]) as folder:
        write = runfolder.RunFolder.write_round

        def full(self: runfolder.RunFolder, record: dict[str, Any], rows: list[runfolder.CaseRows]) -> Path:
            if record["round"] == 2:
                raise runfolder.storage_fault(self.path, OSError(28, "No space left on device"))
            return write(self, record, rows)

        monkeypatch.setattr(runfolder.RunFolder, "write_round", full)
        with pytest.raises(MeasureError, match=r"no space left.*1 of 2 rounds are complete and kept.*--resume"):
            run(folder)
        monkeypatch.undo()
        run(folder)
        assert folder.missing_rounds() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_and_keeps_complete_rounds(tmp_path: Path, number: signal.Signals) -> None:
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with make(tmp_path, ["good/once", "good/steady"], rounds=50) as folder:

        class Stopper(Recorder):
            def round_done(self, round_number: int) -> None:
                super().round_done(round_number)
                if round_number == 2:
                    os.kill(os.getpid(), number)

        with pytest.raises(RunInterruptedError, match=f"interrupted by {number.name}; 2 of 50 rounds are complete"):
            run(folder, Stopper())
        assert folder.complete_rounds() == [1, 2]
    assert {n: signal.getsignal(n) for n in handlers} == handlers
    assert workers() == []


def test_a_signal_interrupts_a_worker_at_work(tmp_path: Path) -> None:
    with make(tmp_path, ["bad/hang"]) as folder:
        progress = Recorder(lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunInterruptedError, match="SIGTERM; 0 of 2"):
            run(folder, progress)
    assert workers() == []


def start(tmp_path: Path, *arguments: str) -> tuple[subprocess.Popen[str], Path]:
    """`fencepost run` on the test engine, and its run folder as soon as it has one whole round."""
    process = subprocess.Popen(
        runtime.command("run", "--out", str(tmp_path / "runs"), "--seed", "5", *arguments),
        env=runtime.environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = wait_for(lambda: next(iter((tmp_path / "runs").glob("*/rounds/0001.parquet")), None))
    return process, first.parent.parent


def workers_of(folder: Path) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if str(runner.WORKER).encode() in line and Path(f"/proc/{path.parent.name}/cwd").resolve() == folder:
            found.append(int(path.parent.name))
    return found


LONG = ("good/steady", "good/once", "--profile", "quick", "--rounds", "20")


def test_after_kill_9_of_the_parent_resume_completes_the_same_plan(tmp_path: Path) -> None:
    process, folder = start(tmp_path, *LONG)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not workers_of(tmp_path))
    run_before = (folder / "run.json").read_bytes()
    rounds_before = {path.name: path.read_bytes() for path in (folder / "rounds").glob("0*.parquet")}
    assert 1 <= len(rounds_before) < 20
    done = runtime.fencepost("run", "--resume", str(folder), "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "run.json").read_bytes() == run_before
    assert len(schema.round_files(folder)) == 20
    for name, data in rounds_before.items():
        assert (folder / "rounds" / name).read_bytes() == data
    with runfolder.resume(folder) as complete:
        assert complete.missing_rounds() == []
    assert sorted(path.name for path in folder.iterdir()) == ["machine.json", "rounds", "run.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_command(tmp_path: Path, number: signal.Signals) -> None:
    process, folder = start(tmp_path, *LONG)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    last = errors.strip().splitlines()[-1]
    assert f"interrupted by {number.name}" in last
    assert f"fencepost run --resume {folder}" in last
    assert "Traceback" not in errors
    assert workers_of(tmp_path) == []
    assert runtime.fencepost("run", "--resume", str(folder), "--quiet", cwd=tmp_path).returncode == 0
    assert len(schema.round_files(folder)) == 20


def test_a_worker_killed_under_the_command(tmp_path: Path) -> None:
    process, folder = start(tmp_path, *LONG)
    os.kill(wait_for(lambda: workers_of(tmp_path))[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len(schema.round_files(folder)) == 20


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs 2 CPUs to take one away")
def test_a_mask_narrowed_under_the_command(tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    process, folder = start(tmp_path, *LONG, "--cpus", str(cpus[1]))
    os.sched_setaffinity(process.pid, {cpus[0]})
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"needs CPU {cpus[1]}" in errors.strip().splitlines()[-1]
    assert "Traceback" not in errors
    assert 1 <= len(schema.round_files(folder)) < 20
