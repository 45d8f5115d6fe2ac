"""Kernels that do something to the process around them: each loses its own row, and nothing of theirs stays."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runs import measure as runtime
from runs.measure import MACHINE, any_cpu, run_record, tiny_plan, wait_for

from fencepost.bench import launch, runfolder, runner, schema, worker
from fencepost.bench.launch import MARK, end_marked
from fencepost.bench.progress import Progress
from fencepost.bench.runner import Runner

GOOD = f"good/steady[size=4KiB,mode=plain]@cpu{any_cpu()}"


def measured(folder: Path, *kernels: str) -> runfolder.RunFolder:
    """A complete run of two rounds."""
    with runfolder.create(folder, MACHINE, run_record(tiny_plan(list(kernels)))) as made:
        Runner(runtime.fault_engine(), made).run()
        assert made.missing_rounds() == []
    return made


def marked(run: str) -> list[str]:
    """Processes that began with the mark of this run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"{MARK}={run}\0".encode() in environment:
            found.append(process.name)
    return found


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ("astray/closes", "the worker found the file of its frames closed or written to by a kernel while"),
        # Whoever looks first, worker or runner.
        ("astray/writes", "the worker (found the file of its frames closed or written|wrote something that is not a)"),
        ("astray/prints", "the worker printed more than 16 MiB while"),
    ],
)
def test_a_kernel_that_spoils_its_worker_loses_its_own_row(
    kernel: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "WAKE_MS", 10)
    folder = measured(tmp_path, "good/steady", kernel)
    cases = runfolder.read_round_record(schema.round_file(folder.path, 2))["cases"]
    bad = cases[f"{kernel}@cpu{any_cpu()}"]
    assert (bad["status"], bad["failure"]) == ("failed", "worker")
    assert re.match(words, str(bad["reason"]))
    assert cases[GOOD]["status"] == "ok"


def test_a_traced_worker_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, notes = runner.WORKER.read_text(encoding="utf-8"), list[str]()
    (tmp_path / "worker.py").write_text(text.replace("int(line.split()[1]) != 0", "True"), encoding="utf-8")
    monkeypatch.setattr(runner, "WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(Progress, "note", lambda _, sentence: notes.append(sentence))
    folder = measured(tmp_path, "good/steady")
    rounds = schema.round_files(folder.path).values()
    assert len(rounds) > 1 and all(runfolder.read_round_record(path)["worker"]["traced"] for path in rounds)
    said = [note for note in notes if "traced" in note]  # once a run
    assert said == ["round 1: the worker is traced (strace, a debugger), which slows it"]


def test_a_tracer_is_seen() -> None:
    child = os.fork()
    if child == 0:
        seen = worker.traced()
        refused = ctypes.CDLL(None).ptrace(0, 0, 0, 0)  # PTRACE_TRACEME: by whoever runs this test
        os._exit(2 if seen or refused else 0 if worker.traced() else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 2:
        pytest.skip("this process is traced already, or may not be")
    assert code == 0


def test_what_a_kernel_starts_ends_with_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "GRACE_S", 0.0)
    seen: list[int] = []

    def look(run: str) -> None:
        seen.append(len(marked(run)))
        end_marked(run)

    monkeypatch.setattr(runner, "end_marked", look)
    folder = measured(tmp_path, "astray/starts", "good/steady")
    # Before the first round, and after each: the kernel is measured in the first only.
    assert [bool(count) for count in seen] == [False, True, False]
    assert marked(folder.id) == []


def test_other_processes_are_left_alone() -> None:
    program = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    processes = [
        subprocess.Popen(program, stdout=subprocess.PIPE, env={**os.environ, MARK: run}) for run in ("mine", "mine2")
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.read(1)
        end_marked("mine")
        wait_for(lambda: processes[0].poll() is not None)
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
