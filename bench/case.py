"""A case of a plan: a kernel with values of its parameters on given CPUs, or the reason why it cannot be measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

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
    metrics: tuple[Mapping[str, str], ...] = ()
    expected_ns: int = 0
    paired: bool = False
    """Whether its figure is a difference: the operation less its control."""
    counts: tuple[Mapping[str, str], ...] = ()
    """Whole numbers that it finds, each with what it must be: name, unit and summary."""
    object: str = ""
    """Label of the object that holds the kernel; "" for the suite."""
    row: str | None = None
    """Name of the comparison that this case is one side of; None in an ordinary run."""
    side: str | None = None
    """Which side of it: one of `SIDES`."""

    def as_json(self) -> dict[str, Any]:
        """As run.json holds it."""
        document = {field.name: getattr(self, field.name) for field in fields(self)}
        # Left out where they say nothing, so that the plans of older runs keep their digest.
        for name in ("paired", "counts", "object", "row", "side"):
            if not document[name]:
                del document[name]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}


def case_from_json(document: Mapping[str, Any]) -> Case:
    """The case that a (checked) run.json holds; keys that are not known here are left out."""
    known: dict[str, Any] = {field.name: document[field.name] for field in fields(Case) if field.name in document}
    known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
    return Case(**known)


@dataclass(frozen=True)
class Unmeasurable:
    """A case that cannot be measured here, and why."""

    case: str
    kernel: str
    parameters: Mapping[str, str | int]
    unit: str
    reason: str

    def as_json(self) -> dict[str, Any]:
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
