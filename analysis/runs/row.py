"""One row of the estimate: a case with its time, its cycles and its metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from fencepost.analysis.runs.model import Count
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.numbers import nanoseconds
from fencepost.bench.documents import DescribedJson

if TYPE_CHECKING:
    import pandas as pd


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


@dataclass(frozen=True, slots=True)
class Regime:
    """A row of several CPUs while they were at one distance: the round trip of a line between them in ns, the share of
    the batches, and the row's time.
    """

    name: str
    distance_ns: float
    share: float
    time: Interval

    @property
    def xraw(self) -> Interval:
        """The time over the round trip, at this distance."""
        return self.time.over(self.distance_ns)

    def as_dict(self) -> dict[str, object]:
        """The form in which files hold it."""
        value, low, high, _, n = self.time
        about = {"name": self.name, "distance_ns": self.distance_ns, "share": self.share}
        return about | {"ns": value, "ns_low": low, "ns_high": high, "n": n}

    def text(self) -> str:
        """``near 52 ns [51, 53] (40 %, CPUs 105 ns apart)``."""
        return f"{self.name} {self.time.ns_text()} ({self.share:.0%}, CPUs {nanoseconds(self.distance_ns, 3)} apart)"


def cost_text(time: Interval, regimes: Sequence[Regime], modes: Sequence[Mode]) -> str:
    """A time with its interval, or each of several by itself with its share and never something in between:
    ``near 52 ns [51, 53] (40%), far 190 ns [188, 193] (60%)``, ``46 ns (60%) or 210 ns (40%)``.
    """
    if regimes:
        return ", ".join(f"{regime.name} {regime.time.ns_text()} ({regime.share:.0%})" for regime in regimes)
    if modes:
        return " or ".join(f"{nanoseconds(mode.ns)} ({mode.share:.0%})" for mode in modes)
    return time.ns_text()


REGIME_NAMES = {2: ("near", "far"), 3: ("near", "middle", "far")}
"""By their number: the names of regimes, the nearest first."""


def regime_names(number: int) -> tuple[str, ...]:
    """Names of so many regimes, the nearest first. More than three are numbered."""
    return REGIME_NAMES.get(number) or tuple(f"place {place}" for place in range(1, number + 1))


@dataclass(frozen=True)
class Row:
    """A case of the plan, with what was measured of it or the reason why nothing was.

    ``time`` (ns) and ``cycles`` are medians over processes with their intervals. Of a row that is ``alone`` they are
    the cost with the core to itself, from its quiet batches. Of any other they are ``found``, the median over all its
    batches. ``never_alone`` says why a row cannot be alone, whatever its batches are. Of a row with ``regimes`` they
    belong to the one that held longest. They have no bounds with fewer than six processes or with several ``modes``.

    ``free_pct``, ``neighbour_pct`` and ``clock_pct`` are shares of batches, see `fencepost.analysis.runs.witnesses`;
    NaN where no witness was. ``regimes`` has the time at each distance of the row's CPUs, where there were several.
    ``cycles`` counts by the core clock that each process measured beside the case. ``floor_ns`` is the smallest batch.
    A case of the kind ``counts`` has no time. ``quantiles``: of event kernels, see `pooled_quantiles` in
    `fencepost.analysis.runs.estimate`. ``paired``: the time is an operation less its control, so it may be negative and
    has no floor. ``flags``: sorted names, see `fencepost.analysis.report.warnings`.
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
    found: Interval = UNKNOWN
    alone: bool = False
    never_alone: str | None = None
    free_pct: float = math.nan
    neighbour_pct: float = math.nan
    clock_pct: float = math.nan
    regimes: tuple[Regime, ...] = ()
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
    def single(self) -> bool:
        """Whether a single thread runs it."""
        return len(self.cpus) == 1

    @property
    def measured(self) -> bool:
        """Whether it has a time."""
        return not math.isnan(self.time.value)

    @property
    def basis(self) -> str | None:
        """Which of its two figures ``time`` is: ``alone`` or ``as found``; None where it has none."""
        return None if not self.measured else "alone" if self.alone else "as found"

    @property
    def witnessed(self) -> bool:
        """Whether witnesses beside its batches say which of them were quiet."""
        return not math.isnan(self.free_pct)

    @property
    def why_found(self) -> str:
        """Why ``time`` is not *alone*, in words; empty where it is, and where there was no witness."""
        if not self.witnessed or self.alone:
            return ""
        return self.never_alone or "too few quiet batches"

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

    def time_text(self) -> str:
        """The time with its interval; that at each distance, where there were several."""
        return cost_text(self.time, self.regimes, ())

    def xraw_text(self) -> str:
        """The time over the raw round trip, with its interval; that at each distance, where there were several."""
        if self.regimes:
            return ", ".join(f"{regime.name} {regime.xraw.text()}" for regime in self.regimes)
        return self.metric("xraw").text()

    def remarks(self) -> str:
        """Flags in words; modes with their shares."""
        words = [name.replace("_", " ") for name in self.flags if name not in ("modes", "regimes", "never_quiet")]
        if self.modes:
            words.append("modes " + ", ".join(f"{nanoseconds(mode.ns, 3)} ({mode.share:.0%})" for mode in self.modes))
        words += [regime.text() for regime in self.regimes]
        if self.why_found:
            words.append(f"as found: {self.why_found}")
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
    "basis": lambda row: row.basis,
    "found_ns": attrgetter("found.value"),
    "found_ns_low": attrgetter("found.low"),
    "found_ns_high": attrgetter("found.high"),
    **{name: attrgetter(name) for name in ("free_pct", "neighbour_pct", "clock_pct", "regimes")},
    "cycles": attrgetter("cycles.value"),
    "cycles_low": attrgetter("cycles.low"),
    "cycles_high": attrgetter("cycles.high"),
    **{name: attrgetter(name) for name in ("floor_ns", "core_hz", "rounds", "batches", "disturbed_pct")},
    **{name: attrgetter(name) for name in ("resolution_ns", "flags", "modes", "metrics", "counts")},
    "quantiles": lambda row: row.quantiles or None,
}
"""A row's columns, in order, wherever rows become a table or a file. Tables with fewer of them are listed below."""


_PLACED = ("case", "kernel", "parameters", "cpus")


_TIME = ("ns", "ns_low", "ns_high", "coverage")


_CYCLES = ("cycles", "cycles_low", "cycles_high", "floor_ns")


_WITNESSED = ("found_ns", "found_ns_low", "found_ns_high", "free_pct", "neighbour_pct", "clock_pct")


_SUPPORT = ("rounds", "batches", "disturbed_pct")


CSV_FIGURES = (*_TIME, *_CYCLES, *_SUPPORT, *_WITNESSED)
"""Those of `CSV_COLUMNS` that are numbers."""


CSV_COLUMNS = (*_PLACED, "relation", "unit", *_TIME, *_CYCLES, *_SUPPORT, "flags", "reason", "basis", *_WITNESSED)
"""Of comma-separated values. What older files do not have stands last."""


EXTRA_INFO_COLUMNS = (*_PLACED, "unit", *_TIME, "basis", *_CYCLES, "core_hz")
"""Of what goes beside a row of pytest-benchmark."""


SERIES_COLUMNS = ("ns", "ns_low", "ns_high", "found_ns", "found_ns_low", "found_ns_high")
"""Of a row that is followed over many runs."""


MANY_RUNS_COLUMNS = ("case", "kernel", "ns", "ns_low", "ns_high", "cycles", "floor_ns", "rounds", "batches")
"""Of the table of many runs, which has to fit into memory."""


_NAMES_OR_NONE = ("basis", "reason", "relation", "twin_of", "quantiles")


def frame_of(rows: Iterable[Row], names: Iterable[str] | None = None) -> pd.DataFrame:
    """Rows as a frame with the columns `names` of `COLUMNS` (default: all); times in ns, NaN where a figure is not
    known.
    """
    import pandas as pd  # half a second, which an answer that was kept does without

    every = list(rows)
    columns = {name: [COLUMNS[name](row) for row in every] for name in names or COLUMNS}
    # Left alone, pandas turns None into NaN.
    return pd.DataFrame(
        {name: pd.Series(values, dtype=object if name in _NAMES_OR_NONE else None) for name, values in columns.items()}
    )
