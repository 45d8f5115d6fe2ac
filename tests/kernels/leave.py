"""Whether a kernel leaves a process or an open file behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def children() -> set[str]:
    """Processes that a thread of this process has started and not reaped."""
    return set(" ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split())


@contextlib.contextmanager
def nothing_more() -> Iterator[None]:
    """What runs inside leaves no child and no file. Those of other tests may stay: a pool of workers is one."""
    processes, files = children(), set(Path("/proc/self/fd").iterdir())
    yield
    assert children() <= processes
    assert set(Path("/proc/self/fd").iterdir()) <= files
