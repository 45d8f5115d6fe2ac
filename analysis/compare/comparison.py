"""What a comparison comes to: rows with verdicts, or ratios of several machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fencepost.analysis.stats.verdict import ChangeVerdict, Decision


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

    def as_json(self) -> dict[str, object]:
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


@dataclass(frozen=True)
class RunComparison:
    """Rows with verdicts, and what they were held against. `controls` and `notes` say what moved besides.

    `labels`: the headlines among the rows, by case, cheapest first. `sentences`: what changed, by topic.
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

    def as_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {
            "noise_floor_pct": self.noise_floor * 100,
            "margin_pct": self.margin * 100,
            "rows": [row.as_json() for row in self.rows],
            "headlines": dict(self.labels),
            "sentences": list(self.sentences),
            "twins": [row.as_json() for row in self.twins],
            "controls": [row.as_json() for row in self.controls],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class MachineRow:
    """A row of runs of several machines: the median in the first of them, and for each further run its ratio to it."""

    case: str
    unit: str
    ns: float
    ratios: tuple[Decision, ...]

    def as_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        ratios = [
            {"ratio": item.ratio, "low": item.low, "high": item.high, "counter_step_pct": item.step * 100}
            for item in self.ratios
        ]
        return {"case": self.case, "unit": self.unit, "first_ns": self.ns, "ratios": ratios}


@dataclass(frozen=True)
class MachineComparison:
    """Runs of several machines side by side: for each case one ratio a run, to the first; no verdicts. `machines` are
    their keys, and `names` are as short as tells them apart. `differences`:
    what differs between the machines, by name, one text a run. `labels`: the headlines among the rows, by case,
    cheapest first. `sentences`: which machine is faster in what.
    """

    runs: tuple[str, ...]
    machines: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[MachineRow, ...]
    differences: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    sentences: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {
            "runs": list(self.runs),
            "machines": list(self.machines),
            "names": list(self.names),
            "rows": [row.as_json() for row in self.rows],
            "headlines": dict(self.labels),
            "sentences": list(self.sentences),
            "differences": {name: list(texts) for name, texts in self.differences.items()},
            "notes": list(self.notes),
        }
