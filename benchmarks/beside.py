"""Other tools beside our rows: ways to measure that are run in turn, and what is said of them."""

from __future__ import annotations

import os
import random
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fencepost.analysis.runs.estimate import analyse

LMBENCH = ("lib_timing.c", "lib_mem.c", "lib_sched.c", "lib_stats.c", "lib_debug.c", "getopt.c")
"""What its single programs are linked with."""


INCLUDE = ("-DHAVE_uint=1", "-DHAVE_int64_t=1", "-I/usr/include/tirpc")
"""What its headers want on a system of today."""


@dataclass(frozen=True)
class Way:
    """One way to measure: its name, what it measures, and a function that measures once; values in `unit`."""

    name: str
    unit: str
    measures: str
    once: Callable[[], float]
    found: list[float] = field(default_factory=list)


def say(text: str) -> None:
    """A line for whoever started this."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(command: Sequence[str | Path], cpu: int | None = None) -> str:
    """What a program prints, on both streams. Some of these tools use the one, some the other."""
    pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
    done = subprocess.run(
        [*pinned, *map(str, command)], check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout


def number(pattern: str, text: str) -> float:
    """The number that a tool prints."""
    found = re.search(pattern, text)
    if not found:
        raise SystemExit(f"{sys.argv[0]}: no figure in what was printed: {text.strip()[-200:]}")
    return float(found[1])


def ours(folder: Path, cpu: int, kernel: str, setting: str, metric: str = "") -> float:
    """One process of one of our rows: nanoseconds, or a metric. One in ticks is given in ns."""
    out = Path(tempfile.mkdtemp(dir=folder))
    options = [f"--cpus={cpu}", "--rounds=1", "--quiet", f"--out={out}"]
    chosen = [word for part in setting.split() for word in ("-p", part)]
    run([Path(sys.executable).with_name("fencepost"), "run", kernel, *chosen, *options])
    row = next(iter(analyse(next(out.iterdir())).decided(kernel)), None)
    if row is None:
        raise SystemExit(f"{sys.argv[0]}: {kernel} with {setting} cannot be measured here")
    if not metric:
        return row.time.value
    return (row.ns_of(metric) if metric.endswith("_ticks") else row.metric(metric)).value


def compiled(folder: Path, name: str, sources: Sequence[Path], *options: str) -> Path:
    """A program, by the compiler and for the machine that our kernels are for."""
    program = folder / name
    run([*shlex.split(os.environ.get("CC", "cc")), "-O2", "-w", *map(str, sources), "-o", program, *options])
    return program


def lmbench_program(folder: Path, sources: Path, name: str) -> Path:
    """One of the single programs of lmbench."""
    common = [sources / "src" / part for part in LMBENCH]
    return compiled(folder, name, [sources / "src" / f"{name}.c", *common], *INCLUDE, "-lm")


def our_way(folder: Path, cpu: int, row: tuple[str, str, str, str, str]) -> Way:
    """A row of ours: kernel, setting, metric (or none: the time), unit, and what it measures."""
    kernel, setting, metric, unit, measures = row
    return Way(f"{kernel} {setting}", unit, measures, lambda: ours(folder, cpu, kernel, setting, metric))


def in_turn(ways: Sequence[Way], turns: int) -> None:
    """Measure each once a turn, in an order that is drawn for each turn."""
    for _ in range(turns):
        for way in random.sample(ways, len(ways)):
            way.found.append(way.once())


def report(ways: Sequence[Way]) -> None:
    """Median, least and most of each, and what it is."""
    for way in ways:
        middle, least, most = statistics.median(way.found), min(way.found), max(way.found)
        say(f"{way.name:42} {middle:10.4g} [{least:.4g}, {most:.4g}] {way.unit}\n{'':8}{way.measures}")
