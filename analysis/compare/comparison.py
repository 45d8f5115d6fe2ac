"""What a comparison comes to: rows with verdicts, or ratios of several machines."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from fencepost.analysis.compare.documents import (
    ComparedRowJson,
    MachineComparisonJson,
    MachineRowJson,
    RatioJson,
    RunComparisonJson,
    TimeJson,
)
from fencepost.analysis.runs.labels import Kinship
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision

LEAST_REACH, MOST_REACH = 1.1, 4.0
"""How far a bar goes to either side of 1. Below the first, noise would look like a difference. Beyond the second, small
differences could not be seen, and a bar ends at its edge."""

FASTEST, TIED = "●", "≈"
"""Marks of times beside each other: the shortest, and those that cannot be told from it."""


class Span(NamedTuple):
    """A time in ns or a ratio, with its bounds; NaN where there is none."""

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it is there."""
        return math.isfinite(self.value)


NO_SPAN = Span(math.nan, math.nan, math.nan)


def span_of(decision: Decision) -> Span:
    """The ratio of a decision."""
    return Span(decision.ratio, decision.low, decision.high)


def ratio_of(first: Span, second: Span) -> Span:
    """The second time over the first, and what the bounds of both allow."""
    if not (first.value > 0 and second.value > 0):
        return NO_SPAN
    bounds = (second.low / first.high, second.high / first.low) if first.low > 0 else (math.nan, math.nan)
    return Span(second.value / first.value, *bounds)


def side_of(ratio: Span) -> str:
    """``faster`` or ``slower``, as the whole interval says of the second; ``open`` where it does not."""
    return "faster" if ratio.high < 1 else "slower" if ratio.low > 1 else "open"


def reach_of(ratios: Iterable[Span]) -> float:
    """How far bars go to either side of 1, for all of a table: as far as the farthest bound, within limits."""
    bounds = [value for item in ratios for value in (item.low, item.high) if math.isfinite(value) and value > 0]
    farthest = max((max(value, 1 / value) for value in bounds), default=LEAST_REACH)
    return min(max(farthest, LEAST_REACH), MOST_REACH)


def marks_of_times(times: Sequence[Span]) -> tuple[str, ...]:
    """For each of several times `FASTEST`, `TIED` where its interval touches that of the fastest, or nothing."""
    known = [time for time in times if time.known]
    if len(known) < 2:
        return ("",) * len(times)
    best = min(known, key=lambda time: time.value)
    return tuple(FASTEST if time is best else TIED if time.low <= best.high else "" for time in times)


class ComparisonError(ValueError):
    """What was given cannot be compared: the message says what, and what to do."""


class NothingMeasuredError(RuntimeError):
    """The comparison is well asked, but no row of it holds a usable measurement."""


@dataclass(frozen=True)
class ComparedRow:
    """A row of a comparison with its verdict. `old_ns` is a median over rounds, and `new_ns` that times the ratio.

    `basis`: the figures compared: ``alone``, ``as found``, or those at one distance, such as ``near``.
    """

    case: str
    unit: str
    old_ns: float
    new_ns: float
    decision: Decision
    twin: bool = False
    disturbed: float = 0.0
    basis: str = "as found"

    def as_json(self) -> ComparedRowJson:
        """As ``--json`` prints it."""
        decision = self.decision
        return {
            "case": self.case,
            "ratio": decision.ratio,
            "low": decision.low,
            "high": decision.high,
            "counter_step_pct": decision.step * 100,
            "verdict": str(decision.verdict),
            "rounds": decision.rounds,
            "more_rounds": decision.more if decision.verdict is ChangeVerdict.UNDECIDED else 0,
            "confidence": 1 - 2 * decision.error,
            "unit": self.unit,
            "basis": self.basis,
            "old_ns": self.old_ns,
            "new_ns": self.new_ns,
            "disturbed_pct": self.disturbed * 100,
            "reason": decision.reason,
        }


def why_found_notes(reasons: Iterable[str]) -> list[str]:
    """A sentence for each reason why rows are compared as found; `reasons` has one a row, empty for rows without."""
    counts = Counter(reason for reason in reasons if reason)
    return [
        f"{'1 row is' if number == 1 else f'{number} rows are'} compared as found: {reason}"
        for reason, number in counts.items()
    ]


def left_out_notes(reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each reason why rows are left out; `reasons` by case. Many rows of a kernel share one name."""
    cases: dict[str, list[str]] = {}
    for case, reason in reasons.items():
        cases.setdefault(reason, []).append(case)
    return [
        f"{names[0]}: left out, {reason}"
        if len(names) == 1
        else f"{len(names)} rows are left out, {reason}: {_by_kernel(names)}"
        for reason, names in cases.items()
    ]


def _by_kernel(cases: Sequence[str]) -> str:
    """The cases, and how many of a kernel that has several."""
    kernels: dict[str, list[str]] = {}
    for case in cases:
        kernels.setdefault(case.partition("[")[0].partition("@")[0], []).append(case)
    return ", ".join(
        names[0] if len(names) == 1 else f"{kernel} ({len(names)} rows)" for kernel, names in kernels.items()
    )


@dataclass(frozen=True)
class RunComparison:
    """Rows with verdicts, and what they were held against. `controls` and `notes` say what moved besides.

    `labels`: the headlines among the rows, by case, cheapest first, and `scales` what the row's times are multiplied by
    for them. `sentences`: what changed, by topic.
    """

    margin: float
    noise_floor: float
    """The largest effect of identical code in the same rounds, as a share; NaN where there is none."""
    rows: tuple[ComparedRow, ...]
    twins: tuple[ComparedRow, ...] = ()
    controls: tuple[ComparedRow, ...] = ()
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    round_s: float = math.nan
    """How long a round took, in seconds, where one comparison is one measurement."""

    @property
    def headlines(self) -> list[tuple[str, ComparedRow]]:
        """The headlines by their labels, cheapest first, with the times that their labels speak of."""
        rows = {row.case: row for row in (*self.controls, *self.rows)}
        return [
            (label, replace(rows[case], old_ns=rows[case].old_ns * scale, new_ns=rows[case].new_ns * scale))
            for (case, label), scale in zip(self.labels.items(), self.scales.values(), strict=True)
        ]

    def count(self, verdict: ChangeVerdict) -> int:
        """How many rows have this verdict."""
        return sum(row.decision.verdict is verdict for row in self.rows)

    def fails(self, gate: str) -> bool:
        """Whether a gate (``slower``, ``changed``, ``undecided``) is to stop whoever set it."""
        if gate == "slower":
            return any(row.decision.verdict is ChangeVerdict.CHANGED and row.decision.ratio > 1 for row in self.rows)
        if gate == "changed":
            return self.count(ChangeVerdict.CHANGED) > 0
        return self.count(ChangeVerdict.UNDECIDED) + self.count(ChangeVerdict.WITHHELD) > 0

    def as_json(self) -> RunComparisonJson:
        """As ``--json`` prints it."""
        return {
            "noise_floor_pct": self.noise_floor * 100,
            "margin_pct": self.margin * 100,
            "round_s": self.round_s,
            "rows": [row.as_json() for row in self.rows],
            "headlines": dict(self.labels),
            "sentences": list(self.sentences),
            "twins": [row.as_json() for row in self.twins],
            "controls": [row.as_json() for row in self.controls],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class MachineRow:
    """A row of runs of several machines: the median in the first of them, and for each further run its ratio to it.

    `times`: the median in each run. Their bounds are such that two of them give the bounds of the ratio.
    """

    case: str
    unit: str
    ns: float
    ratios: tuple[Decision, ...]
    times: tuple[Span, ...]

    def scaled(self, scale: float) -> MachineRow:
        """The row with all times multiplied."""
        times = tuple(Span(*(value * scale for value in time)) for time in self.times)
        return replace(self, ns=self.ns * scale, times=times)

    def as_json(self) -> MachineRowJson:
        """As ``--json`` prints it."""
        ratios: list[RatioJson] = [
            {"ratio": item.ratio, "low": item.low, "high": item.high, "counter_step_pct": item.step * 100}
            for item in self.ratios
        ]
        times: list[TimeJson] = [{"ns": time.value, "low": time.low, "high": time.high} for time in self.times]
        return {"case": self.case, "unit": self.unit, "first_ns": self.ns, "ratios": ratios, "times": times}


@dataclass(frozen=True)
class MachineComparison:
    """Runs of several machines side by side: for each case one ratio a run, to the first; no verdicts. `machines` are
    their keys, `names` are as short as tells them apart, and `titles` say all that is known of them. `differences`:
    what differs between the machines, by name, one text a run. `relation`: whether they are of one make.
    `labels`: the headlines among the rows, by case, cheapest first, and `scales` what the row's times are multiplied by
    for them. `sentences`: which machine is faster in what.
    """

    runs: tuple[str, ...]
    machines: tuple[str, ...]
    names: tuple[str, ...]
    titles: tuple[str, ...]
    rows: tuple[MachineRow, ...]
    differences: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    relation: str = Kinship.MAKES

    @property
    def headlines(self) -> list[tuple[str, MachineRow]]:
        """The headlines by their labels, cheapest first, with the times that their labels speak of."""
        rows = {row.case: row for row in self.rows}
        return [
            (label, rows[case].scaled(scale))
            for (case, label), scale in zip(self.labels.items(), self.scales.values(), strict=True)
        ]

    def as_json(self) -> MachineComparisonJson:
        """As ``--json`` prints it."""
        return {
            "relation": self.relation,
            "runs": list(self.runs),
            "machines": list(self.machines),
            "names": list(self.names),
            "titles": list(self.titles),
            "rows": [row.as_json() for row in self.rows],
            "headlines": dict(self.labels),
            "sentences": list(self.sentences),
            "differences": {name: list(texts) for name, texts in self.differences.items()},
            "notes": list(self.notes),
        }
