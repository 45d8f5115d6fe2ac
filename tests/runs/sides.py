"""Commands that compare two sides, and rows of two sides."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from runs import measure as runtime

from fencepost.analysis.compare.side_ratios import RowRounds
from fencepost.bench.engine import Engine
from fencepost.bench.progress import Progress


def fencepost(*arguments: str | Path | int, cwd: Path) -> runtime.Answer:
    return runtime.fencepost_inside(*map(str, arguments), cwd=cwd)


def refused(code: int, *arguments: str | Path, cwd: Path) -> str:
    done = fencepost(*arguments, cwd=cwd)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr and done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


def interrupted(cwd: Path, rounds: int, *arguments: str, load: Callable[[], Engine]) -> tuple[Path, str, str]:
    """Send SIGINT to a comparison once it has `rounds` complete rounds: its folder, and what it said."""

    def round_done(_: Progress, number: int) -> None:
        if number == rounds:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "round_done", round_done)
        done = runtime.fencepost_inside(*arguments, cwd=cwd, load=load)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    (folder,) = cwd.glob("results/*/*")
    return folder, done.stdout, done.stderr.strip().splitlines()[-1]


def row(
    name: str,
    old: list[float],
    new: list[float],
    *,
    kernel: str = "test/loop",
    twin: bool = False,
    disturbed: float = 0.0,
) -> RowRounds:
    steps = [0.0] * len(old)
    return RowRounds(name, "u", kernel, twin, "a", "b", old, new, steps, steps, floor_ns=old, disturbed=disturbed)
