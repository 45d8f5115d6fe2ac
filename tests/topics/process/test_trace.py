"""process/peek and process/trace: what is read is the other's, each call has two stops, and nobody is left."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from runs.measure import wait_for

PEEK, TRACE, OTHER = "process/peek.c", "process/trace.c", "other_process.h"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


@pytest.mark.parametrize("by", ["peekdata", "mem", "vm", "own"])
def test_memory_of_the_other_is_read(engine: Engine, by: str) -> None:
    measured = measure(engine, "process/peek", {"by": by})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 8
    assert measured.metrics["b65536_ns"] > 0


@pytest.mark.parametrize(("work", "stops"), [("compute", 0), ("call", 2), ("io", 4)])
def test_each_system_call_has_two_stops(engine: Engine, work: str, stops: int) -> None:
    measured = measure(engine, "process/trace", {"work": work})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["stops_per_operation"] == stops
    assert measured.metrics["slowdown"] > 0


OWN = "(off_t)(uintptr_t)peeks->from) == (ssize_t)size;"


@pytest.mark.parametrize(
    ("name", "file", "values", "whole", "broken", "said"),
    [
        # Bytes of this process, too few bytes, and words that are written to nobody.
        ("peek", PEEK, {"by": "vm"}, "(peeks->other, &to, 1,", "(getpid(), &to, 1,", "byte 0 is 1 instead of 3"),
        ("peek", PEEK, {"by": "mem"}, "peeks->to, size, (off_t)", "peeks->to, size / 2, (off_t)", "needs permission"),
        ("peek", PEEK, {"by": "peekdata"}, "peeks->from, word) == 0", "peeks->from, 0L) == 0", "is not there"),
        ("peek", PEEK, {"by": "vm"}, "process_vm_writev(peeks->other,", "process_vm_writev(getpid(),", "is not there"),
        # Calls that fail, and a stop that is counted twice.
        ("trace", TRACE, {"work": "io"}, "pread(file,", "pread(-1,", "failed"),
        ("trace", TRACE, {"work": "call"}, "traces->stops += atomic", "traces->stops += 2 * atomic", "count stops"),
    ],
)
def test_what_does_otherwise_fails(
    tmp_path: Path, name: str, file: str, values: dict[str, str | int], whole: str, broken: str, said: str
) -> None:
    measured = measure(compile_broken(tmp_path, {file: [(whole, broken)]}), f"process/{name}", values)
    assert measured.status == (ENOTSUP if said.startswith("needs") else EILSEQ), measured.reason
    assert said in measured.reason


@pytest.mark.parametrize(
    ("name", "values", "file", "whole", "broken"),
    [
        ("peek", {"by": "peekdata"}, PEEK, "ptrace(PTRACE_ATTACH, peeks->other, NULL, NULL)", "1"),
        ("peek", {"by": "mem"}, PEEK, "peeks->mem = open(path, O_RDWR | O_CLOEXEC);", "peeks->mem = -1;"),
        ("trace", {}, TRACE, "ptrace(PTRACE_SEIZE, traces->other, NULL, PTRACE_O_TRACESYSGOOD)", "1"),
        ("trace", {}, OTHER, "const pid_t other = fork();", "const pid_t other = (errno = EAGAIN, -1);"),
    ],
)
def test_what_is_forbidden_is_a_need(
    tmp_path: Path, name: str, values: dict[str, str | int], file: str, whole: str, broken: str
) -> None:
    faulty = compile_broken(tmp_path, {f"process/{name}.c": [], file: [(whole, broken)]})
    measured = measure(faulty, f"process/{name}", values)
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission")


@pytest.mark.parametrize("dies", ["raise(SIGKILL)", "_exit(3)"])
def test_another_that_dies_is_a_failure_and_no_hang(tmp_path: Path, dies: str) -> None:
    done = "set(&desk->done, piece);"
    faulty = compile_broken(
        tmp_path,
        {TRACE: [(done, f"if (piece == 4) {dies}; {done}"), ("PATIENCE_NS 2000000000", "PATIENCE_NS 200000000")]},
    )
    measured = measure(faulty, "process/trace")
    assert measured.status == EILSEQ
    assert "the traced process ended" in measured.reason or "did not come to its work" in measured.reason


def test_the_other_dies_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    noted = (
        f'{{ FILE *pid = fopen("{tmp_path}/pid", "w"); fprintf(pid, "%d", (int)peeks->other); fclose(pid); pause(); }}'
    )
    whole = "peeks_of(peeks, by, sizes[OF_4_KIB], 1);"
    faulty = compile_broken(tmp_path, {PEEK: [(whole, noted)]})
    engine = os.fork()
    if engine == 0:
        measure(faulty, "process/peek")
        os._exit(1)
    other = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    os.kill(engine, signal.SIGKILL)
    assert os.waitpid(engine, 0)[1] == signal.SIGKILL
    wait_for(lambda: not Path(f"/proc/{other}").exists() or " Z" in Path(f"/proc/{other}/stat").read_text())
