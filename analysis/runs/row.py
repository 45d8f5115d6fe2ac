"""One row of the estimate: a case with its time, its cycles and its metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

import pandas as pd

from fencepost.analysis.runs.model import Count
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.numbers import nanoseconds
from fencepost.bench.documents import DescribedJson


class Counted(NamedTuple):
    """A count over all processes: as found and as expected in the first that differs, or in the first of all; whether
    all are `equal`; how many `processes` counted; whether it `varies` between them.
    """

    found: int
    expected: int
    equal: bool
    processes: int
    varies: bool
    unit: str
    summary: str


def counted(described: Sequence[DescribedJson], processes: Sequence[Mapping[str, Count]]) -> dict[str, Counted]:
    """The counts of a case that run.json describes, by name, from those of its processes."""
    found = {}
    for item in described:
        taken = [process[item["name"]] for process in processes if item["name"] in process]
        if taken:
            shown = next((count for count in taken if count.found != count.expected), taken[0])
            equal = shown.found == shown.expected
            varies = len(set(taken)) > 1
            found[item["name"]] = Counted(*shown, equal, len(taken), varies, item["unit"], item["summary"])
    return found


@dataclass(frozen=True, slots=True)
class Metric:
    """What a kernel tells beside its time: one value a process, and their median with its interval."""

    interval: Interval
    unit: str
    summary: str
    ns: Interval | None = None
    """The same in ns, of a metric in ticks."""

    def as_dict(self) -> dict[str, object]:
        """The form in which files hold it."""
        value, low, high, _, n = self.interval
        found = {"value": value, "low": low, "high": high, "n": n, "unit": self.unit, "summary": self.summary}
        if self.ns is not None:
            found |= {"ns": self.ns.value, "ns_low": self.ns.low, "ns_high": self.ns.high}
        return found


@dataclass(frozen=True)
class Row:
    """A case of the plan, with what was measured of it or the reason why nothing was.

    ``time`` (ns) and ``cycles`` are medians over processes with their intervals. They have no bounds with fewer than
    six processes or with several ``modes``. ``cycles`` counts by the core clock that each process measured beside the
    case. ``floor_ns`` is the smallest batch. A case of the kind ``counts`` has no time. ``quantiles``: of event
    kernels, see `pooled_quantiles` in `fencepost.analysis.runs.estimate`. ``paired``: the time is an operation less its
    control, so it may be negative and has no floor. ``flags``: sorted names, see `fencepost.analysis.report.warnings`.
    """

    case: str
    kernel: str
    parameters: Mapping[str, str | int]
    cpus: tuple[int, ...]
    unit: str
    relation: str | None = None
    summary: str = ""
    kind: str = "loop"
    once: bool = False
    twin_of: str | None = None
    paired: bool = False
    reason: str | None = None
    time: Interval = UNKNOWN
    cycles: Interval = UNKNOWN
    floor_ns: float = math.nan
    core_hz: float = math.nan
    rounds: int = 0
    batches: int = 0
    disturbed_pct: float = math.nan
    resolution_ns: float = math.nan
    flags: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    counts: Mapping[str, Counted] = field(default_factory=dict)
    quantiles: Mapping[str, float] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """The part of the kernel's name before the slash."""
        return self.kernel.partition("/")[0]

    @property
    def alone(self) -> bool:
        """Whether a single thread runs it."""
        return len(self.cpus) == 1

    @property
    def measured(self) -> bool:
        """Whether it has a time."""
        return not math.isnan(self.time.value)

    def parameter(self, name: str) -> str | None:
        """The value of a parameter as text; None where the kernel has none of this name."""
        return None if self.parameters.get(name) is None else str(self.parameters[name])

    def number(self, name: str) -> float:
        """The value of a parameter as a number; NaN where it is none, or is not there."""
        try:
            return float(str(self.parameters.get(name)))
        except ValueError:
            return math.nan

    def has(self, **wanted: object) -> bool:
        """Whether its parameters have these values, compared as texts."""
        return all(str(self.parameters.get(name)) == str(value) for name, value in wanted.items())

    def metric(self, name: str) -> Interval:
        """A metric; unknown where the row has none of this name."""
        found = self.metrics.get(name)
        return UNKNOWN if found is None else found.interval

    def ns_of(self, name: str) -> Interval:
        """A metric in ticks, in ns; unknown where the row has none of this name."""
        found = self.metrics.get(name)
        return UNKNOWN if found is None or found.ns is None else found.ns

    def remarks(self) -> str:
        """Flags in words; modes with their shares."""
        words = [name.replace("_", " ") for name in self.flags if name != "modes"]
        if self.modes:
            words.append("modes " + ", ".join(f"{nanoseconds(mode.ns, 3)} ({mode.share:.0%})" for mode in self.modes))
        if self.twin_of:
            words.append("A/A twin")
        if self.paired:
            words.append("less its control")
        return "; ".join(words)

    def as_dict(self) -> dict[str, object]:
        """Its columns by name, see `COLUMNS`."""
        return {name: value(self) for name, value in COLUMNS.items()}


COLUMNS: dict[str, Callable[[Row], Any]] = {
    **{
        name: attrgetter(name)
        for name in ("case", "kernel", "parameters", "cpus", "relation", "unit", "summary", "kind", "once", "twin_of")
    },
    **{name: attrgetter(name) for name in ("paired", "reason")},
    "ns": attrgetter("time.value"),
    "ns_low": attrgetter("time.low"),
    "ns_high": attrgetter("time.high"),
    "coverage": lambda row: row.time.coverage or math.nan,
    "cycles": attrgetter("cycles.value"),
    "cycles_low": attrgetter("cycles.low"),
    "cycles_high": attrgetter("cycles.high"),
    **{name: attrgetter(name) for name in ("floor_ns", "core_hz", "rounds", "batches", "disturbed_pct")},
    **{name: attrgetter(name) for name in ("resolution_ns", "flags", "modes", "metrics", "counts")},
    "quantiles": lambda row: row.quantiles or None,
}
"""A row's columns, in order, wherever rows become a table or a file."""


_NAMES_OR_NONE = ("reason", "relation", "twin_of", "quantiles")


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a frame with the columns of `COLUMNS`; times in ns, NaN where a figure is not known."""
    every = list(rows)
    columns = {name: [value(row) for row in every] for name, value in COLUMNS.items()}
    # Left alone, pandas turns None into NaN.
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object if name in _NAMES_OR_NONE else None) for name, values in columns.items()}
    )
