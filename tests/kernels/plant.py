"""Kernel files as they are, and with a fault planted in them, in an engine of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from compile import CSRC
from engine.build import Engine, Measured, compile_files
from runs.measure import wait_for

CPUS = sorted(os.sched_getaffinity(0))
ALONE = [CPUS[0]]
SHARING = [CPUS[0], CPUS[0]]
"""Two threads that have to share a CPU: possible on every machine."""
TEAMS = [ALONE, SHARING, *([CPUS[:2]] if len(CPUS) > 1 else [])]


def engine_of(folder: Path, source: str, *replacements: tuple[str, str]) -> Engine:
    """An engine with csrc/kernels/`source`, in which each first text (it must be there) is replaced by the second."""
    text = (CSRC / "kernels" / source).read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text, f"{source} has no {old!r}: the planted fault has to be put anew"
        text = text.replace(old, new)
    made = folder / Path(source).name
    made.write_text(text, encoding="utf-8")
    # The file moves away from the headers beside it.
    return compile_files(folder, [made], include=[(CSRC / "kernels" / source).parent])


def metrics(engine: Engine, name: str, outcome: object) -> dict[str, float]:
    """Metrics of a measured case by name."""
    row = engine.kernel(name)
    return {
        engine.ffi.string(row.metrics[i].name).decode(): outcome.metric[i]  # type: ignore[attr-defined]
        for i in range(engine.lib.MAX_METRICS)
        if row.metrics[i].name
    }


TRIES = 50
"""For what is sure to be seen only where two threads get in each other's way: a busy machine may keep them apart for a
whole trial, not for as many in a row as this."""


def first_that(wanted: Callable[[Measured], bool], measure: Callable[[], Measured]) -> Measured:
    """Measure until it is as wanted, at most `TRIES` times; what was measured last."""
    for _ in range(TRIES):
        measured = measure()
        if wanted(measured):
            break
    return measured


def threads() -> set[str]:
    """Numbers of this process's threads."""
    return {path.name for path in Path("/proc/self/task").iterdir()}


def expect_no_thread_more_than(before: set[str]) -> None:
    """What was started since is gone. A joined thread leaves the list a moment later, when the system gets to it."""
    wait_for(lambda: threads() <= before)
