"""A load on one CPU, as a process of its own: what `--disturb` starts. It imports the standard library only.

It is killed with its parent, whatever ends that, and announces itself on standard output once it is placed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
"""Of <linux/prctl.h>."""
BURST_S = 0.002
"""A burst is shorter than a time slice of the scheduler and longer than any batch, so batches meet both states."""
EXIT_ORPHAN = 5


def spin() -> None:
    """Run without a pause."""
    while True:
        pass


def burst() -> None:
    """Run for a burst, sleep for as long, and so on."""
    while True:
        end = time.monotonic() + BURST_S
        while time.monotonic() < end:
            pass
        time.sleep(BURST_S)


def stream(source: bytearray, target: memoryview) -> None:
    """Copy all of `source` to `target`, again and again."""
    while True:
        target[:] = source


def main(kind: str, cpu: int, parent: int, size: int) -> int:
    """Disturb until killed. `size`: bytes of each of the two buffers of the kind `memory`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before that request.
    if os.getppid() != parent:
        return EXIT_ORPHAN
    os.sched_setaffinity(0, {cpu})
    # Written, not only allocated: pages that nobody wrote to are all one page of zeros, which stays in the cache.
    buffers = [bytearray(b"x") * size for _ in range(2)] if kind == "memory" else []
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if kind == "spin":
        spin()
    elif kind == "sibling-load":
        burst()
    else:
        stream(buffers[0], memoryview(buffers[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
