"""A case of a plan: a kernel with values of its parameters on given CPUs, or the reason why it cannot be measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fencepost.bench.documents import CaseJson, DescribedJson, UnmeasurableJson, in_round

TWIN_SUFFIX = "~twin"
SIDES = ("old", "new")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kernel with parameter values on given CPUs. Its fields are the keys of a case in run.json."""

    case: str
    kernel: str
    parameters: Mapping[str, str | int]
    values: tuple[int, ...]
    cpus: tuple[int, ...]
    relation: str | None = None
    unit: str
    summary: str = ""
    kind: str
    once: bool
    twin_of: str | None
    metrics: tuple[DescribedJson, ...] = ()
    expected_ns: int = 0
    paired: bool = False
    """Whether its figure is a difference: the operation less its control."""
    counts: tuple[DescribedJson, ...] = ()
    """Whole numbers that it finds, each with what it must be: name, unit and summary."""
    object: str = ""
    """Label of the object that holds the kernel; "" for the suite."""
    row: str | None = None
    """Name of the comparison that this case is one side of; None in an ordinary run."""
    side: str | None = None
    """Which side of it: one of `SIDES`."""
    every: int = 1
    """It is measured in each round, in each second one, and so on, from the first on."""
    visits: int = 1
    """At so many moments of a round, with a part of its batches at each: see `fencepost.bench.moments`."""

    def in_round(self, number: int) -> bool:
        """Whether it is measured in the round `number`, from 1."""
        return in_round(number, once=self.once, every=self.every)

    def as_json(self) -> CaseJson:
        """As run.json holds it."""
        document: CaseJson = {
            "case": self.case,
            "kernel": self.kernel,
            "parameters": dict(self.parameters),
            "values": list(self.values),
            "cpus": list(self.cpus),
            "relation": self.relation,
            "unit": self.unit,
            "summary": self.summary,
            "kind": self.kind,
            "once": self.once,
            "twin_of": self.twin_of,
            "metrics": list(self.metrics),
            "expected_ns": self.expected_ns,
        }
        # Left out where they say nothing, so that the plans of older runs keep their digest.
        if self.paired:
            document["paired"] = self.paired
        if self.counts:
            document["counts"] = list(self.counts)
        if self.object:
            document["object"] = self.object
        if self.row:
            document["row"] = self.row
        if self.side:
            document["side"] = self.side
        if self.every != 1:
            document["every"] = self.every
        if self.visits != 1:
            document["visits"] = self.visits
        return document


def case_from_json(document: CaseJson) -> Case:
    """The case that a (checked) run.json holds; keys that are not known here are left out."""
    return Case(
        case=document["case"],
        kernel=document["kernel"],
        parameters=document["parameters"],
        values=tuple(document["values"]),
        cpus=tuple(document["cpus"]),
        relation=document.get("relation"),
        unit=document["unit"],
        summary=document.get("summary", ""),
        kind=document["kind"],
        once=document["once"],
        twin_of=document["twin_of"],
        metrics=tuple(document.get("metrics", ())),
        expected_ns=int(document.get("expected_ns", 0)),
        paired=document.get("paired", False),
        counts=tuple(document.get("counts", ())),
        object=document.get("object", ""),
        row=document.get("row"),
        side=document.get("side"),
        every=document.get("every", 1),
        visits=document.get("visits", 1),
    )


@dataclass(frozen=True)
class Unmeasurable:
    """A case that cannot be measured here, and why."""

    case: str
    kernel: str
    parameters: Mapping[str, str | int]
    unit: str
    reason: str

    def as_json(self) -> UnmeasurableJson:
        """As run.json holds it."""
        return {
            "case": self.case,
            "kernel": self.kernel,
            "parameters": dict(self.parameters),
            "cpus": [],
            "unit": self.unit,
            "reason": self.reason,
        }


def case_id(kernel: str, parameters: Mapping[str, str | int], cpus: Sequence[int]) -> str:
    """The id of a case: ``clock/delta[read=rdtscp]@cpu1``; without ``@`` where there are no CPUs."""
    brackets = "[" + ",".join(f"{name}={value}" for name, value in parameters.items()) + "]" if parameters else ""
    # A CPU with several threads is named once, with their number: cpu1x2.
    threads = Counter(cpus)
    names = [f"cpu{cpu}" if count == 1 else f"cpu{cpu}x{count}" for cpu, count in threads.items()]
    where = "@" + ",".join(names) if cpus else ""
    return f"{kernel}{brackets}{where}"
