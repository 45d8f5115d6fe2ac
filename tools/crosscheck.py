"""`make crosscheck`: our figures beside those of tools that Debian packages, in one interleaved run.

Each turn measures every way once, in an order that is drawn anew. So the two sides of a ratio see the same machine.
A tool that is missing, or that cannot run here, gets a row that says why. The table goes into docs/crosscheck.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "crosscheck.md"
BEGIN, END = "<!-- crosscheck: begin -->", "<!-- crosscheck: end -->"
TURNS = 6
"""The least and the most of six ratios hold the true median with 97 %: 1 - 2 / 2^6."""
PATIENCE_S = 120
PIPES, CALLS, WAKEUPS, FORKS = 20_000, 1_000_000, 300, 500
COPY_MB = 64
COINS = "branch/penalty"
"""Takes half of its coins as mispredicted. Of the 64 branches of a block 0, 8, ... 64 are coins, so 32 in the mean."""


class CannotError(Exception):
    """A side cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Pair:
    """A figure of another tool, and the row of ours that measures the same, or nearly.

    `ours` is a kernel, its values and a metric (empty: the time); `scale` makes it what the tool prints, in `unit`.
    `known` is what our kernel takes for granted, in place of a measurement. `low` and `high` are the ratios
    ours / theirs that `reason` explains. `environment` is for the tool.
    """

    name: str
    package: str
    command: tuple[str, ...]
    read: Callable[[str], float]
    ours: tuple[str, tuple[str, ...], str]
    unit: str
    low: float
    high: float
    reason: str
    scale: float = 1.0
    known: float | None = None
    environment: tuple[tuple[str, str], ...] = ()
    ratios: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)


def found(pattern: str, text: str) -> float:
    """The number that a tool printed.

    Raises
    ------
    CannotError
        It printed none.
    """
    match = re.search(pattern, text)
    if match is None:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        raise CannotError(f"no figure in its answer: {lines[-1][:100] if lines else 'it said nothing'}")
    return float(match[1])


def perf_ns(text: str) -> float:
    """`perf bench`: microseconds an operation, as ns."""
    return found(r"([\d.]+) usecs/op", text) * 1e3


def perf_gb_per_s(text: str) -> float:
    """`perf bench mem`: its MB and GB are of 2^20 and 2^30 bytes. As 10^9 bytes a second."""
    unit = 2**30 if "GB/sec" in text else 2**20
    return found(r"([\d.]+) [MG]B/sec", text) * unit / 1e9


def cyclictest_ns(text: str) -> float:
    """The median of the histogram of `cyclictest -h`, in ns. Its steps are 1 us: the middle of one is taken."""
    counts = [(int(us), int(count)) for us, count in re.findall(r"^(\d{6}) (\d{6})$", text, re.MULTILINE)]
    half, seen = sum(count for _, count in counts) / 2, 0
    for us, count in counts:
        seen += count
        if count and seen >= half:
            return us * 1e3 + 500
    raise CannotError("no figure in its answer: its histogram is empty")


def stress_ns(text: str) -> float:
    """`stress-ng --metrics-brief`: operations a second of real time, as ns an operation."""
    return 1e9 / found(r"metrc:.*?\s\w+\s+\d+\s+[\d.]+\s+[\d.]+\s+[\d.]+\s+([1-9][\d.]*)", text)


def futex_ns(text: str) -> float:
    """`perf bench futex hash`: calls a second, as ns a call."""
    return 1e9 / found(r"Averaged (\d+) operations/sec", text)


def mispredicted(text: str) -> float:
    """The file of cachegrind: mispredicted branches by branches, in the function that tosses the coins."""
    function, events, branches, misses = "", [], 0, 0
    for line in text.splitlines():
        if line.startswith("events: "):
            events = ["line", *line.split()[1:]]
        elif line.startswith("fn="):
            function = line.removeprefix("fn=")
        elif function == "toss" and line[:1].isdigit():
            # Zeros at the end of a line are left out.
            counts = dict(zip(events, map(int, line.split()), strict=False))
            branches, misses = branches + counts.get("Bc", 0), misses + counts.get("Bcm", 0)
    if not branches:
        raise CannotError("no figure in its answer: no branch of the function toss")
    return misses / branches


PAIRS = (
    Pair(
        "perf bench syscall basic",
        "linux-perf",
        ("perf", "bench", "syscall", "basic", "-l", str(CALLS)),
        perf_ns,
        ("kernel/call", ("call=getppid_libc",), ""),
        "ns",
        0.8,
        1.1,
        "It calls getppid through libc, inside of a loop with a `switch`. Interruptions are in its mean",
    ),
    Pair(
        "perf bench sched pipe",
        "linux-perf",
        ("perf", "bench", "sched", "pipe", "-l", str(PIPES)),
        perf_ns,
        ("ipc/switch", ("by=pipe", "partner=process"), ""),
        "ns",
        0.5,
        1.1,
        "It counts a round trip with its four calls. Twice our switch is without these calls, about 0.7 of it",
        scale=2,
    ),
    Pair(
        "perf bench sched pipe, with calls",
        "linux-perf",
        ("perf", "bench", "sched", "pipe", "-l", str(PIPES)),
        perf_ns,
        ("ipc/switch", ("by=pipe", "partner=process"), "operation_ticks"),
        "ns",
        0.8,
        1.2,
        "The check of the row above. Twice our message with its calls is the same round trip",
        scale=2,
    ),
    Pair(
        "perf bench futex hash",
        "linux-perf",
        ("perf", "bench", "futex", "hash", "-t1", "-r1", "-s", "-f1"),
        futex_ns,
        ("kernel/call", ("call=getppid_libc",), ""),
        "ns",
        0.3,
        1.0,
        "Its call also takes a lock of the hash table and compares the value",
    ),
    Pair(
        "cyclictest",
        "rt-tests",
        ("cyclictest", "-q", "-t1", "-p80", "-i1000", f"-l{WAKEUPS}", "-h10000", "-a{cpu}", "--default-system"),
        cyclictest_ns,
        ("schedule/wakeup", ("policy=fifo", "beside=nobody"), ""),
        "ns late",
        0.7,
        1.4,
        "Both take the median. An idle guest has halted, so each wake-up waits for the host",
    ),
    Pair(
        "stress-ng --fork",
        "stress-ng",
        ("stress-ng", "--fork", "1", "--fork-ops", str(FORKS), "--metrics-brief"),
        stress_ns,
        ("process/create", ("how=fork",), ""),
        "ns",
        0.05,
        1.0,
        "Its process has 168 mappings and 10 MiB, of which a fork copies the tables. Ours has 1.4 MiB",
    ),
    Pair(
        "stress-ng --fork, of as much",
        "stress-ng",
        ("stress-ng", "--fork", "1", "--fork-ops", str(FORKS), "--metrics-brief"),
        stress_ns,
        ("process/create", ("how=fork", "touched=8MiB", "pages=small"), ""),
        "ns",
        0.7,
        1.4,
        "The check of the row above. Ours has as much memory as stress-ng",
    ),
    Pair(
        "stress-ng --vfork",
        "stress-ng",
        ("stress-ng", "--vfork", "1", "--vfork-ops", str(10 * FORKS), "--metrics-brief"),
        stress_ns,
        ("process/create", ("how=vfork",), ""),
        "ns",
        0.4,
        1.1,
        "A vfork copies nothing, so both are alike but for what stress-ng does beside",
    ),
    Pair(
        "perf bench mem memcpy",
        "linux-perf",
        ("perf", "bench", "mem", "memcpy", "-s", f"{COPY_MB // 2}MB", "-l", "10", "-f", "default"),
        perf_gb_per_s,
        ("memory/bandwidth", ("op=copy", f"size={COPY_MB}MiB"), "gb_per_s"),
        "GB/s",
        0.5,
        1.5,
        "It counts copied bytes once, we count them read and written. Its memory is on small pages, ours on huge ones",
        scale=0.5,
    ),
    Pair(
        "the same on huge pages",
        "linux-perf",
        ("perf", "bench", "mem", "memcpy", "-s", f"{COPY_MB // 2}MB", "-l", "10", "-f", "default"),
        perf_gb_per_s,
        ("memory/bandwidth", ("op=copy", f"size={COPY_MB}MiB"), "gb_per_s"),
        "GB/s",
        0.8,
        1.4,
        "The check of the row above, with glibc 2.35 or newer. It is a mean and ours a median, which is 5 %",
        scale=0.5,
        environment=(("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),),
    ),
    Pair(
        "cachegrind --branch-sim",
        "valgrind",
        (
            "valgrind",
            "--tool=cachegrind",
            "--branch-sim=yes",
            "--cache-sim=no",
            "--cachegrind-out-file={scratch}/counts",
            "{coins}",
            COINS,
        ),
        mispredicted,
        (COINS, (), "misses of a branch, as assumed"),
        "of a branch",
        0.9,
        1.05,
        "Half of the coins are mispredicted. The predictor that it simulates misses some of the other branches too",
        known=0.25,
    ),
)


def answer(command: Sequence[str], *, pinned: int | None = None, environment: Iterable[tuple[str, str]] = ()) -> str:
    """What a command printed, on both streams.

    Raises
    ------
    CannotError
        It is not here, failed, or did not end.
    """
    if shutil.which(command[0]) is None:
        raise CannotError("not installed")
    prefix = ["taskset", "-c", str(pinned)] if pinned is not None else []
    try:
        done = subprocess.run(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "LC_ALL": "C", **dict(environment)},
        )
    except subprocess.TimeoutExpired:
        raise CannotError(f"did not end within {PATIENCE_S} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise CannotError(f"exit status {done.returncode}: {lines[-1][:100] if lines else 'it said nothing'}")
    return done.stdout


def our_figure(document: str, kernel: str, metric: str) -> float:
    """The figure of the first measured row of `kernel` in the JSON of `fencepost run --json`."""
    for row in json.loads(document)["rows"]:
        if row["kernel"] == kernel and row["twin_of"] is None:
            unit = "ns" if metric.endswith("_ticks") else "value"
            value = row["metrics"].get(metric, {}).get(unit) if metric else row["found_ns"]
            if value is not None:
                return float(value)
    raise CannotError(f"{kernel} cannot be measured here")


def ours(pair: Pair, cpu: int, scratch: Path) -> float:
    """One process of our row."""
    if pair.known is not None:
        return pair.known
    kernel, values, metric = pair.ours
    chosen = [word for value in values for word in ("-p", value)]
    place = tempfile.mkdtemp(dir=scratch)
    program = str(Path(sys.executable).with_name("fencepost"))
    options = (f"--cpus={cpu}", "--rounds=1", "--quiet", f"--out={place}", "--json")
    said = answer([program, "run", kernel, *chosen, *options])
    return our_figure(said[said.index("{") :], kernel, metric) * pair.scale


def theirs(pair: Pair, cpu: int, scratch: Path) -> float:
    """One process of the other tool, pinned to the same CPU. What it wrote into a file follows what it printed."""
    places = {"cpu": cpu, "scratch": scratch, "coins": scratch / "coins"}
    if pair.known is not None and not (scratch / "coins").exists():
        build_coins(scratch / "coins")
    said = answer([word.format_map(places) for word in pair.command], pinned=cpu, environment=pair.environment)
    written = scratch / "counts"
    return pair.read(said + (written.read_text(encoding="utf-8") if pair.known is not None else ""))


def build_coins(program: Path) -> None:
    """The kernel of the coins as a plain program, which cachegrind can run."""
    sources = [*sorted((ROOT / "csrc" / "engine").glob("*.c")), ROOT / "csrc" / "kernels" / f"{COINS}.c"]
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = ("-std=gnu11", "-O2", "-g", "-pthread", f"-I{ROOT / 'csrc'}")
    answer([*compiler, *flags, *map(str, sources), "-o", str(program), "-lm", "-ldl"])


def measured(pairs: Sequence[Pair], turns: int, cpu: int) -> dict[str, str]:
    """Measure all pairs in turns; gives why a pair could not be measured, by its name."""
    faults: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="fencepost-crosscheck-") as scratch:
        for turn in range(turns):
            for pair in random.sample(pairs, len(pairs)):
                if pair.name in faults:
                    continue
                try:
                    if random.random() < 0.5:
                        other, own = theirs(pair, cpu, Path(scratch)), ours(pair, cpu, Path(scratch))
                    else:
                        own, other = ours(pair, cpu, Path(scratch)), theirs(pair, cpu, Path(scratch))
                except CannotError as error:
                    faults[pair.name] = str(error)
                    continue
                pair.theirs.append(other)
                pair.ratios.append(own / other)
            sys.stderr.write(f"turn {turn + 1} of {turns}\n")
    return faults


def line_of(pair: Pair, fault: str | None) -> str:
    """The row of the table."""
    kernel, values, metric = pair.ours
    row = " ".join((kernel, *values, *([metric] if metric else [])))
    if fault is not None or not pair.ratios:
        why = f"skipped: {fault} (package {pair.package})".replace("|", "/")
        return f"| {pair.name} | {row} | – | – | {pair.low:g} to {pair.high:g} | {why} |"
    middle, least, most = statistics.median(pair.ratios), min(pair.ratios), max(pair.ratios)
    digits = float(f"{statistics.median(pair.theirs):.4g}")
    there = f"{digits:.15g} {pair.unit}"  # without an exponent
    verdict = "" if pair.low <= middle <= pair.high else "**not explained.** "
    ratio = f"{middle:.2f} [{least:.2f}, {most:.2f}]"
    return f"| {pair.name} | {row} | {there} | {ratio} | {pair.low:g} to {pair.high:g} | {verdict}{pair.reason} |"


def updated(page: str, lines: Sequence[str], told: str) -> str:
    """The page with the table in its place."""
    head = [
        "| tool | our row | the tool's figure | ours / theirs | expected | why they differ |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n" + "\n".join([*head, *lines]) + f"\n\n{told}\n\n{END}{after}"


def sure(turns: int) -> str:
    """How sure the least and the most of so many ratios hold the true median."""
    return f"The brackets contain the true ratio with {100 * (1 - 2 / 2**turns):.0f} %."


def beside(load: float) -> str:
    """What ran in the minute before: the means of other tools grow with it, and our medians do not."""
    if load < 1:
        return "Nothing else ran."
    return f"The load average was {load:.0f} when it began. Beside other work the ratios say little."


def main() -> int:
    """Measure, print the table and write it into the page. Exit status 1: a ratio is not as explained."""
    parser = argparse.ArgumentParser(prog="make crosscheck", description="Our figures beside those of other tools.")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--print-only", action="store_true", help="leave docs/crosscheck.md as it is")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    faults = measured(PAIRS, given.turns, given.cpu)
    lines = [line_of(pair, faults.get(pair.name)) for pair in PAIRS]
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    told = f"{given.turns} turns on {datetime.now(UTC):%Y-%m-%d}, {system}, {platform.machine()}."
    told = f"{told} {sure(given.turns)} {beside(load)}"
    sys.stdout.write("\n".join([*lines, told]) + "\n")
    if not given.print_only:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), lines, told), encoding="utf-8")
    return int(any("**not explained.**" in line for line in lines))


if __name__ == "__main__":
    raise SystemExit(main())
