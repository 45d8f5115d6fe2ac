"""Pytest sessions inside of a test, each in a process of its own, forked from one that has made the slow imports."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs.measure import PATIENCE_S, environment

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["pytest_benchmark.plugin", "fencepost.analysis.runs.estimate", "fencepost.bench.runner", "pyarrow.parquet"]
)


def run_pytest(cwd: Path, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """`pytest` with these arguments, to its end, with the kernels of fault_kernels.c as the suite.

    Its output goes through files in `cwd`. `changes` are changes of its environment.
    """
    # Whoever runs these tests side by side would otherwise have disabled what they are about.
    env = environment(PYTEST_ADDOPTS=None, PYTEST_XDIST_WORKER=None, COLUMNS="200", **changes)
    out, err = cwd / "stdout.txt", cwd / "stderr.txt"
    process = _CONTEXT.Process(target=_session, args=(cwd, dict(env), arguments, out, err))
    process.start()
    process.join(PATIENCE_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    status = process.exitcode
    assert status is not None
    return subprocess.CompletedProcess(arguments, status, out.read_text(), err.read_text())


def _session(cwd: Path, env: dict[str, str], arguments: tuple[str, ...], out: Path, err: Path) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["pytest", *arguments]
    sys.exit(pytest.main(["-p", "no:cacheprovider", *arguments]))
