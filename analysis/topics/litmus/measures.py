"""What litmus tests and their end-to-end relatives say over all processes of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from fencepost.analysis.estimate import Analysis, Interval
from fencepost.analysis.paired import Floats, grid, pooled, processes_of

RENDEZVOUS = "rendezvous"
CONTROL = "none"


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


def upper_bound(trials: float) -> float:
    """Largest rate that no event in so many trials leaves possible, with 95 % confidence (Clopper and Pearson, exact,
    one-sided: for no event a quantile of the beta distribution). For equal trials; where processes differ it speaks of
    their mean.
    """
    if trials < 1:
        return math.nan
    return float(scipy.stats.beta.ppf(0.95, 1, int(trials)))


def per_process(analysis: Analysis, case: str, metric: str) -> Floats:
    """A metric of a case, one value a process that knows it, shape (processes,)."""
    return _known(list(processes_of(analysis, [case])["metrics"]), metric)


def _known(processes: Sequence[Mapping[str, float]], metric: str) -> Floats:
    values = np.array([process.get(metric, math.nan) for process in processes], float)
    known: Floats = values[np.isfinite(values)]
    return known


def rates(analysis: Analysis) -> list[Rate]:
    """All measured cases of the topic litmus, in the order of the plan."""
    rows = analysis.rows[analysis.rows["kernel"].str.startswith("litmus/")]
    found = []
    for kernel in dict.fromkeys(rows["kernel"]):
        for row in grid(analysis, str(kernel)).rows:
            found.append(_rate(analysis, row))
    return [item for item in found if item.trials > 0]


def _rate(analysis: Analysis, row: Mapping[str, Any]) -> Rate:
    case = str(row["case"])
    processes = list(processes_of(analysis, [case])["metrics"])
    weak, trials = (float(_known(processes, name).sum()) for name in ("weak", "trials"))
    of_processes = _known(processes, "weak_per_million")
    least, most = np.quantile(of_processes, (0.1, 0.9)) if len(of_processes) else (math.nan, math.nan)
    return Rate(
        str(row["kernel"]).partition("/")[2],
        str(row["parameters"].get("order")),
        str(row["parameters"].get("runner")),
        case,
        bool((_known(processes, "forbidden") > 0).any()),
        weak,
        trials,
        pooled(of_processes),
        pooled(_known(processes, "weak_per_s")),
        float(least),
        float(most),
        upper_bound(trials) * 1e6 if weak == 0 else math.nan,
    )


@dataclass(frozen=True)
class Loss:
    """Additions lost by an algorithm in one order, and the price of a section in ns."""

    algorithm: str
    order: str
    case: str
    lost: float
    sections: float
    per_million: Interval
    ns: tuple[float, float, float]

    @property
    def may_lose(self) -> bool:
        """Whether the order is not enough, so that losses are no failure."""
        return self.order in (CONTROL, "c11_acq_rel")


def losses(analysis: Analysis) -> list[Loss]:
    """``order/peterson`` and ``order/dekker`` by order."""
    found = []
    for algorithm in ("peterson", "dekker"):
        for row in grid(analysis, f"order/{algorithm}").rows:
            case = str(row["case"])
            lost, sections = (float(per_process(analysis, case, name).sum()) for name in ("lost", "sections"))
            rate = pooled(per_process(analysis, case, "lost_per_million"))
            ns = (row["ns"], row["ns_low"], row["ns_high"])
            found.append(Loss(algorithm, str(row["parameters"].get("order")), case, lost, sections, rate, ns))
    return found


def break_even(analysis: Analysis) -> Interval:
    """Fast turns for each slow one from which on ``order/membarrier`` pays: slow / (fenced - fast), by process."""
    table = grid(analysis, "order/membarrier")
    places = {name: table.find(side=name) for name in ("fast", "fenced", "slow")}
    if None in places.values():
        return pooled([])
    ticks = [
        per_process(analysis, str(table.rows[place]["case"]), "turn_ticks")
        for place in places.values()
        if place is not None
    ]
    if len({len(series) for series in ticks}) != 1:
        return pooled([])
    fast, fenced, slow = ticks
    return pooled(slow / np.where(fenced > fast, fenced - fast, np.nan))
