"""memory/ksm: what was merged is counted, and the knob of the machine is put back, whatever ends the process.

The tests give the kernel a knob of their own. Only what needs ksmd itself is left to the machine's.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kernels.measure import EILSEQ, ENOTSUP, kernel, measure
from kernels.plant import compile_broken
from runs.measure import wait_for

KSM = "memory/ksm.c"
MERGES = [
    ('procfs_field("/proc/self/ksm_stat", "ksm_merging_pages")', "trial->value[0] == EQUAL ? PAGES : 0"),
    ("#define LOOKS_NS UINT64_C(400000000)", "#define LOOKS_NS UINT64_C(1000000)"),
]
"""A ksmd that says that it was there. It merges nothing, so writes have no faults."""


def knob(folder: Path, value: str) -> tuple[Path, tuple[str, str]]:
    """A file in place of the machine's knob, and what lets the kernel use it."""
    path = folder / "run"
    path.write_text(value, encoding="utf-8")
    return path, ('#define RUN "/sys/kernel/mm/ksm/run"', f'#define RUN "{path}"')


def test_it_runs_only_when_it_is_named() -> None:
    assert kernel("memory/ksm").opt_in


@pytest.mark.parametrize("before", ["0", "1", "2"])
def test_the_knob_is_put_back(tmp_path: Path, before: str) -> None:
    path, own = knob(tmp_path, before)
    engine = compile_broken(tmp_path, {KSM: [own, *MERGES]})
    measured = measure(engine, "memory/ksm", {"content": "different"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert path.read_text(encoding="utf-8")[0] == before


def test_merged_pages_that_are_not_copied_fail(tmp_path: Path) -> None:
    _, own = knob(tmp_path, "0")
    measured = measure(compile_broken(tmp_path, {KSM: [own, *MERGES]}), "memory/ksm", {"content": "equal"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    # No page is copied. CI once counted a fault beside them, whose cause is not known.
    assert re.search(r"count faults: \d faults instead of 512", measured.reason), measured.reason


def test_a_keeper_that_does_nothing_fails(tmp_path: Path) -> None:
    _, own = knob(tmp_path, "0")
    idle = ("_exit(set_run(before) ? 1 : 0);", "_exit(1);")
    measured = measure(compile_broken(tmp_path, {KSM: [own, *MERGES, idle]}), "memory/ksm", {"content": "different"})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "could not be put back" in measured.reason


def test_a_system_without_the_knob_is_a_need(tmp_path: Path) -> None:
    path, own = knob(tmp_path, "0")
    path.unlink()
    measured = measure(compile_broken(tmp_path, {KSM: [own]}), "memory/ksm")
    assert (measured.status, measured.reason) == (ENOTSUP, "needs KSM (CONFIG_KSM)")


def test_the_knob_is_put_back_when_the_process_is_killed(tmp_path: Path) -> None:
    path, own = knob(tmp_path, "0")
    never = ('procfs_field("/proc/self/ksm_stat", "ksm_merging_pages")', "0")
    compile_broken(tmp_path, {KSM: [own, never]})
    code = (
        "import sys; sys.path[:0] = sys.argv[2].split(':')\n"
        "from pathlib import Path\n"
        "from engine.build import open_engine\n"
        "open_engine(Path(sys.argv[1])).trial('memory/ksm', (0,))"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "engine.so"), ":".join(sys.path)]
    with subprocess.Popen(arguments) as process:
        wait_for(lambda: path.read_text(encoding="utf-8")[:1] == "1" or process.poll() is not None)
        if process.poll() is not None:
            pytest.skip("nothing can be merged here")
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: path.read_text(encoding="utf-8")[:1] == "0")
