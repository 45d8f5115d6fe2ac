"""What litmus tests and their end-to-end relatives say over all processes of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import known_values, processes_of
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import Interval, pooled, upper_bound

RENDEZVOUS = "rendezvous"


@dataclass(frozen=True)
class Rate:
    """One test in one order under one runner: `per_million` and `per_second` are medians over processes with their
    intervals, `least` and `most` the rates in a million between which eight of ten processes lie; `bound` is how many
    weak outcomes in a million trials are still possible where none was seen, NaN where some were.
    """

    test: str
    order: str
    runner: str
    case: str
    forbidden: bool
    weak: float
    trials: float
    per_million: Interval
    per_second: Interval
    least: float
    most: float
    bound: float


def rates(analysis: Analysis) -> list[Rate]:
    """All measured cases of the topic litmus, in the order of the plan."""
    found = []
    for kernel in dict.fromkeys(row.kernel for row in analysis.topic("litmus")):
        found += [_rate(analysis, row) for row in analysis.measured(kernel)]
    return [item for item in found if item.trials > 0]


def _rate(analysis: Analysis, row: Row) -> Rate:
    case = row.case
    processes = list(processes_of(analysis, [case])["metrics"])
    weak, trials = (float(known_values(processes, name).sum()) for name in ("weak", "trials"))
    of_processes = known_values(processes, "weak_per_million")
    least, most = np.quantile(of_processes, (0.1, 0.9)) if len(of_processes) else (math.nan, math.nan)
    return Rate(
        row.kernel.partition("/")[2],
        str(row.parameter("order")),
        str(row.parameter("runner")),
        case,
        bool((known_values(processes, "forbidden") > 0).any()),
        weak,
        trials,
        pooled(of_processes),
        pooled(known_values(processes, "weak_per_s")),
        float(least),
        float(most),
        upper_bound(trials) * 1e6 if weak == 0 else math.nan,
    )
