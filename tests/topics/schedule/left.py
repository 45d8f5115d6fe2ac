"""What a case may not leave behind: children, a policy, a nice value, an affinity."""

from __future__ import annotations

import os
from pathlib import Path

from kernels.leave import children


def manners() -> tuple[int, int, set[int], set[str]]:
    """How this thread is scheduled, where it may run, and its children."""
    return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0), children()


def is_gone(pid: str) -> bool:
    """Whether a process has ended, though nobody may have reaped it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
