"""What do other tools print for system calls, messages and signals, and what do they measure? Runs them and our kernels
in turn, on one CPU, and says of each what its figure is, and how many times theirs ours is.

    python benchmarks/call_peers.py --lmbench FOLDER --turns 7

lmbench is not in Debian's main archive: the option names its sources, intel/lmbench on GitHub. perf is in the package
linux-perf. A tool that is missing is named in a sentence.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from beside import Way, in_turn, lmbench_program, number, our_way, report, run, say

OURS = {
    "null": ("kernel/call", "call=getppid_libc", "", "ns a call", "getppid of libc, median of batches of 60 us"),
    "pipe": (
        "ipc/switch",
        "by=pipe partner=process",
        "operation_ticks",
        "ns a message",
        "one way of a round trip through two pipes between processes, its calls included",
    ),
    "unix": (
        "ipc/switch",
        "by=unix_stream partner=process",
        "operation_ticks",
        "ns a message",
        "the same over a unix socket",
    ),
    "handler": ("signal/send", "then=handler", "", "ns a signal", "tgkill to itself, with the handler"),
    "check": ("signal/send", "then=check", "", "ns a signal", "tgkill of the number 0, which sends nothing"),
}

LMBENCH = {"ENOUGH": "5000", "TIMING_O": "0", "LOOP_O": "0"}
"""What it would find out anew at each start, in half a minute: how many us a batch has to last, and what its own clock
and loop take."""

MICROSECONDS = r"([\d.]+) microseconds"


def lmbench_ways(folder: Path, cpu: int, sources: Path, repetitions: int) -> dict[str, Way]:
    """Programs of lmbench. A round trip is two messages."""
    built = {
        name: lmbench_program(folder, sources, name) for name in ("lat_syscall", "lat_pipe", "lat_unix", "lat_sig")
    }
    return {
        name: Way(
            " ".join([program, *options]),
            unit,
            measures,
            lambda program=program, options=options, part=part: (
                1000 / part * number(MICROSECONDS, run([built[program], "-N", str(repetitions), *options], cpu))
            ),
        )
        for name, program, options, part, unit, measures in (
            ("null", "lat_syscall", ["null"], 1, "ns a call", "getppid of libc, median of batches of some ms"),
            ("pipe", "lat_pipe", [], 2, "ns a message", "half a round trip, of 1 byte, mean of a batch"),
            ("unix", "lat_unix", [], 2, "ns a message", "half a round trip, of 1 byte, mean of a batch"),
            ("signal", "lat_sig", ["catch"], 1, "ns a signal", "kill with a handler, less kill of the number 0"),
        )
    }


def perf_way(cpu: int) -> Way:
    """`perf bench sched pipe`: a mean that holds the start of its two processes."""
    return Way(
        "perf bench sched pipe",
        "ns a message",
        "half a round trip, of 4 bytes, mean of 20000 with the start of both processes",
        lambda: 500 * number(r"([\d.]+) usecs/op", run(["perf", "bench", "sched", "pipe", "-l", "20000"], cpu)),
    )


def say_ratio(what: str, ours: list[float], theirs: list[float]) -> None:
    """Ours over theirs, turn by turn."""
    times = [a / b for a, b in zip(ours, theirs, strict=True)]
    say(f"{what:42} {statistics.median(times):10.3f} [{min(times):.3f}, {max(times):.3f}] times theirs")


def main() -> None:
    """Measure everything in turn, in an order that is drawn for each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmbench", type=Path, help="folder with the sources of lmbench")
    parser.add_argument("--turns", type=int, default=7, choices=range(1, 1000), metavar="N")
    parser.add_argument("--repetitions", type=int, default=5, choices=range(1, 100), metavar="N", help="of lmbench")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    given = parser.parse_args()
    os.environ.update(LMBENCH)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        ours = {name: our_way(folder, given.cpu, row) for name, row in OURS.items()}
        theirs: dict[str, Way] = {}
        if given.lmbench:
            theirs = lmbench_ways(folder, given.cpu, given.lmbench, given.repetitions)
        else:
            say("lmbench is not run: Debian's main archive has none, see --lmbench.")
        if shutil.which("perf"):
            theirs["perf"] = perf_way(given.cpu)
        else:
            say("perf bench sched pipe is not run: install the package linux-perf.")
        in_turn([*ours.values(), *theirs.values()], given.turns)
        report([*ours.values(), *theirs.values()])
        for ours_name, theirs_name in (("null", "null"), ("pipe", "pipe"), ("pipe", "perf"), ("unix", "unix")):
            if theirs_name in theirs:
                way = theirs[theirs_name]
                say_ratio(f"{ours_name} / {way.name}", ours[ours_name].found, way.found)
        if "signal" in theirs:
            less = [a - b for a, b in zip(ours["handler"].found, ours["check"].found, strict=True)]
            say_ratio(f"handler / {theirs['signal'].name}", ours["handler"].found, theirs["signal"].found)
            say_ratio(f"handler - check / {theirs['signal'].name}", less, theirs["signal"].found)


if __name__ == "__main__":
    main()
