"""What do other tools print for processes and wake-ups, and what do they measure? Runs them and our kernels in turn, on
one CPU, and says of each what its figure is.

    python benchmarks/schedule_peers.py --lmbench FOLDER --turns 5

cyclictest is in Debian's package rt-tests. lmbench is not in the main archive: the option names its sources,
intel/lmbench on GitHub. `perf bench syscall fork` is there from perf 6.2 on. A tool that is missing is named in a
sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from beside import INCLUDE, Way, compiled, in_turn, lmbench_program, number, our_way, report, run, say

WAKEUPS = 300
"""As many as cyclictest makes in a turn, one a millisecond."""

OURS = (
    (
        "process/create",
        "how=fork touched=0 pages=small",
        "",
        "ns a child",
        "fork, end and wait of a process of 1.4 MiB",
    ),
    ("process/create", "how=fork_exec touched=0 pages=small", "", "ns a child", "the same with an exec of /bin/true"),
    ("schedule/wakeup", "policy=other beside=nobody", "", "ns late", "SCHED_OTHER with 50 us of timer slack, median"),
    ("schedule/wakeup", "policy=other_slack1 beside=nobody", "", "ns late", "the same with a slack of 1 ns, median"),
    ("schedule/wakeup", "policy=fifo beside=nobody", "", "ns late", "SCHED_FIFO, median"),
)


HELLO = Path("/tmp/hello")
"""The program that `lat_proc exec` runs: it looks for it nowhere else."""


@contextlib.contextmanager
def hello(folder: Path, sources: Path | None) -> Iterator[bool]:
    """Whether our own program is at that place, for as long as this lasts. One that is there already is somebody else's
    and is not run.
    """
    if sources is None or os.path.lexists(HELLO):
        yield False
        return
    shutil.copy(compiled(folder, "hello", [sources / "src" / "hello.c"], *INCLUDE, "-static"), HELLO)
    try:
        yield True
    finally:
        HELLO.unlink()


def lmbench_ways(folder: Path, cpu: int, sources: Path, with_exec: bool) -> list[Way]:
    """Programs of lat_proc."""
    program = lmbench_program(folder, sources, "lat_proc")
    return [
        Way(
            f"lat_proc {what}",
            "ns a child",
            measures,
            lambda what=what: 1000 * number(r": ([\d.]+) microseconds", run([program, "-N", "1", what], cpu)),
        )
        for what, measures in (
            ("fork", "fork, exit and wait of a small process of its own: exit, so its handlers run in the child"),
            ("exec", "the same with an exec of a static program that prints to /dev/null"),
        )
        if what != "exec" or with_exec
    ]


def cyclictest_ways(cpu: int) -> list[Way]:
    """What cyclictest prints is a mean of a skewed quantity. It keeps CPUs from deep sleep, and locks its memory."""
    options = ["-q", "-t1", "-i1000", f"-l{WAKEUPS}", f"-a{cpu}", "-m"]
    return [
        Way(
            f"cyclictest {name}",
            "ns late",
            measures,
            lambda more=more: 1000 * number(r"Avg:\s*(\d+)", run(["cyclictest", *options, *more])),
        )
        for name, more, measures in (
            ("SCHED_OTHER", [], "mean, in whole us, with the timer slack that it has"),
            ("-p 80", ["-p80"], "mean of SCHED_FIFO, in whole us"),
        )
    ]


def perf_ways(cpu: int) -> list[Way]:
    """`perf bench syscall fork`, where perf has it."""
    listed = subprocess.run(["perf", "bench", "syscall"], text=True, capture_output=True, check=False).stdout
    if "fork" not in listed:
        return []
    return [
        Way(
            "perf bench syscall fork",
            "ns a child",
            "fork, exit and wait of perf itself, with all that it has in memory: its handlers run in the child",
            lambda: 1000 * number(r"([\d.]+) usecs/op", run(["perf", "bench", "syscall", "fork"], cpu)),
        )
    ]


def main() -> None:
    """Measure everything in turn, in an order that is drawn for each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmbench", type=Path, help="folder with the sources of lmbench")
    parser.add_argument("--turns", type=int, default=5, choices=range(1, 1000), metavar="N")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, hello(Path(made), given.lmbench) as with_exec:
        folder = Path(made)
        ways = [our_way(folder, given.cpu, row) for row in OURS]
        if given.lmbench:
            ways += lmbench_ways(folder, given.cpu, given.lmbench, with_exec)
            if not with_exec:
                say(f"lat_proc exec is not run: {HELLO} is there already, and not ours.")
        else:
            say("lat_proc is not run: Debian's main archive has no lmbench, see --lmbench.")
        if shutil.which("cyclictest"):
            ways += cyclictest_ways(given.cpu)
        else:
            say("cyclictest is not run: install the package rt-tests.")
        perf = perf_ways(given.cpu) if shutil.which("perf") else []
        if not perf:
            say("perf bench syscall fork is not run: this needs perf 6.2 or newer.")
        ways += perf
        in_turn(ways, given.turns)
        report(ways)


if __name__ == "__main__":
    main()
