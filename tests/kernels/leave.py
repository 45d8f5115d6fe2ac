"""Whether a kernel leaves a process, an open file or a mount behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def children() -> set[str]:
    """Processes that a thread of this process has started and not reaped."""
    return set(" ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split())


@contextlib.contextmanager
def nothing_more() -> Iterator[None]:
    """What runs inside leaves no child, file or mount. Those of other tests may stay: a pool of workers is one."""
    processes, files = children(), set(Path("/proc/self/fd").iterdir())
    mounts = Path("/proc/self/mounts").read_text()
    yield
    assert children() <= processes
    assert set(Path("/proc/self/fd").iterdir()) <= files
    assert Path("/proc/self/mounts").read_text() == mounts
