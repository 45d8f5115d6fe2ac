"""What do other tools print for page faults, mappings and bandwidth, and what do they measure? Runs them and our
kernels in turn, on one CPU, and says of each what its figure is.

    python benchmarks/memory_peers.py --lmbench FOLDER --will-it-scale FOLDER --stream stream.c --multichase FOLDER

None of these tools is a package of Debian's main archive. The options name their sources on GitHub: intel/lmbench,
antonblanchard/will-it-scale (which needs libhwloc-dev), jeffhammond/STREAM and google/multichase. A tool that is not
given is named in a sentence. A plain loop of our own, benchmarks/triad.c, stands in for STREAM.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from beside import Way, compiled, in_turn, lmbench_program, number, our_way, report, run, say

FILE_BYTES = 4 << 20
"""Of the file that lat_pagefault and lat_mmap map: both want 1 MiB at least."""


def our_ways(folder: Path, cpu: int) -> list[Way]:
    """The rows of ours that the tools stand beside."""
    rows = (
        (
            "memory/fault",
            "access=write",
            "",
            "ns a page",
            "first write to a small page of anonymous memory, a fault each",
        ),
        ("memory/file", "access=around", "", "ns a page", "page of a cached file, one fault for 16 of them"),
        ("memory/file", "access=apart", "", "ns a page", "page of a cached file with a fault of its own"),
        ("memory/map", "call=untouched size=4096", "", "ns a turn", "mmap and munmap of one page, no touch"),
        ("memory/map", "call=touched size=4096", "", "ns a turn", "mmap, a write to one page, munmap"),
        ("memory/bandwidth", "op=triad size=256MiB", "gb_per_s", "GB/s", "triad by one thread, median of windows"),
    )

    return [our_way(folder, cpu, row) for row in rows]


def lmbench_ways(folder: Path, cpu: int, sources: Path) -> list[Way]:
    """lat_pagefault and lat_mmap."""
    programs = {name: lmbench_program(folder, sources, name) for name in ("lat_pagefault", "lat_mmap")}
    mapped = folder / "mapped"
    mapped.write_bytes(bytes(FILE_BYTES))
    return [
        Way(
            "lat_pagefault",
            "ns a page",
            "page of a cached file in random order, less mmap: a fault for up to 16, so neither a fault nor a page",
            lambda: 1000 * number(r"([\d.]+) microseconds", run([programs["lat_pagefault"], "-N", "1", mapped], cpu)),
        ),
        Way(
            "lat_mmap 1m",
            "ns a turn",
            "mmap of 1 MiB of a file, a write to every fourth page of its first tenth, munmap: calls and faults in one",
            lambda: 1000 * number(r"1\.048576 ([\d.]+)", run([programs["lat_mmap"], "-N", "1", "1m", mapped], cpu)),
        ),
    ]


def scale_ways(folder: Path, cpu: int, sources: Path) -> list[Way]:
    """page_fault1 of will-it-scale."""
    program = compiled(
        folder, "page_fault1", [sources / "main.c", sources / "tests" / "page_fault1.c"], "-lhwloc", "-lpthread"
    )
    return [
        Way(
            "page_fault1",
            "ns a page",
            "first write to anonymous memory and its share of munmap; with huge pages for all, 512 pages a fault",
            lambda: 1e9 / number(r"average:(\d+)", run([program, "-s", "1", "-t", "1", "-n"], cpu)),
        )
    ]


def chase_ways(folder: Path, cpu: int, sources: Path) -> list[Way]:
    """Of multichase as it comes, and asked for the same walk as ours. See docs/crosscheck.md."""
    built = shutil.copytree(sources, folder / "multichase")
    run(["make", "-C", built, "multichase"])
    return [
        *(
            our_way(folder, cpu, ("memory/chase", f"size=64MiB order=random pages={pages}", "", "ns a load", measures))
            for pages, measures in (("small", "random order over all lines, cold"), ("huge", "the same on huge pages"))
        ),
        *(
            Way(
                " ".join(["multichase", *options]),
                "ns a load",
                measures,
                lambda options=options: float(run([built / "multichase", "-n", "2", *options], cpu).split()[-1]),
            )
            for options, measures in (
                (["-m", "64m"], "a line of 256 bytes, and all of 256 KiB before the next 256 KiB; the best of means"),
                (["-m", "64m", "-s", "64", "-T", "64m"], "random order over all lines, warm; the best of means"),
                (["-m", "64m", "-s", "64", "-T", "64m", "-H"], "the same on huge pages"),
            )
        ),
    ]


def triad_ways(folder: Path, cpu: int, stream: Path | None) -> list[Way]:
    """The plain loop, and STREAM where it is given."""
    plain = compiled(folder, "triad", [Path(__file__).with_name("triad.c")], "-O3")
    ways = [
        Way(
            "plain triad",
            "GB/s",
            "the same loop as the compiler makes it, median of passes",
            lambda: float(run([plain], cpu)),
        ),
        Way(
            "plain triad, small pages", "GB/s", "the same without huge pages", lambda: float(run([plain, "small"], cpu))
        ),
    ]
    if stream:
        made = compiled(folder, "stream", [stream], "-O3")
        ways.append(
            Way(
                "STREAM",
                "GB/s",
                "triad by one thread on pages as they come, the best of nine passes",
                lambda: number(r"Triad:\s+([\d.]+)", run([made], cpu)) / 1000,
            )
        )
    return ways


def say_rates(ways: Sequence[Way]) -> None:
    """How much more our triad moves than each other."""
    rates = {way.name: statistics.median(way.found) for way in ways if way.unit == "GB/s"}
    for name, rate in list(rates.items())[1:]:
        mine = next(iter(rates.values()))
        say(f"memory/bandwidth moves {100 * (mine / rate - 1):+.1f} % against {name}.")


def main() -> None:
    """Measure everything in turn, in an order that is drawn for each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lmbench", type=Path, help="folder with the sources of lmbench")
    parser.add_argument("--will-it-scale", type=Path, help="folder with the sources of will-it-scale")
    parser.add_argument("--stream", type=Path, help="stream.c")
    parser.add_argument("--multichase", type=Path, help="folder with the sources of multichase")
    parser.add_argument("--turns", type=int, default=5, choices=range(1, 1000), metavar="N")
    parser.add_argument("--only", default="", help="only what has this word in its unit, such as GB/s")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        ways = our_ways(folder, given.cpu)
        if given.lmbench:
            ways += lmbench_ways(folder, given.cpu, given.lmbench)
        else:
            say("lat_pagefault and lat_mmap are not run: Debian's main archive has no lmbench, see --lmbench.")
        if given.will_it_scale:
            ways += scale_ways(folder, given.cpu, given.will_it_scale)
        else:
            say("page_fault1 is not run: Debian has no will-it-scale, see --will-it-scale.")
        if given.multichase:
            ways += chase_ways(folder, given.cpu, given.multichase)
        else:
            say("multichase is not run: Debian has no package of it, see --multichase.")
        if not given.stream:
            say("STREAM is not run: Debian has no package of it, see --stream. The plain loop stands in for it.")
        ways += triad_ways(folder, given.cpu, given.stream)
        ways = [way for way in ways if given.only in way.unit]
        in_turn(ways, given.turns)
        report(ways)
        say_rates(ways)


if __name__ == "__main__":
    main()
