"""Interrupts of a whole run, by the lines in which Linux counts them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from fencepost.analysis.runs.estimate import Analysis

WORDS = {"interrupts": "interrupt", "softirqs": "softirq"}
"""What a line of each file of /proc counts."""


class ProcLine(NamedTuple):
    """A line of one of both files: how many came on the run's CPUs in all rounds, and how many a second."""

    kind: str
    name: str
    sum: int
    per_s: float


def lines(analysis: Analysis) -> list[ProcLine]:
    """Every line with any, of the rounds that say so, most first; none for runs of older versions."""
    workers = analysis.reduced.workers
    if "interrupts" not in workers:
        return []
    told = [row for row in workers.to_dict("records") if isinstance(row["interrupts"], dict)]
    seconds = sum(row["elapsed_ms"] for row in told) / 1000
    counts: Counter[tuple[str, str]] = Counter()
    for row in told:
        for file, of in row["interrupts"].items():
            counts.update({(WORDS.get(file, file), line): count for line, count in of.items()})
    return [ProcLine(kind, name, count, count / seconds) for (kind, name), count in counts.most_common() if seconds > 0]
