"""The parts that readers and writers of other tools' files share."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, cast

import numpy as np

from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.rows_file import values_of
from fencepost.analysis.runs.shares import bases_of, basis_text
from fencepost.analysis.text.escape import one_line
from fencepost.bench import schema

LARGEST_BYTES = 256 << 20
"""A file of another tool that is larger is refused: it would not be read in reasonable memory."""


NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


MOST_NAME = 1000


LARGEST_COUNT = 2**53
"""JSON promises no exact whole number above this one (RFC 8259). The counts of many files are added up in 64 bits."""
LARGEST_TIME = 1e140
"""In the unit of a file. In ns the product of two is still a finite number."""


KEY = "fencepost"
"""Name under which our own files say what the format has no word for; see `about_row`."""


# ---- what both directions share ----


class AboutJson(TypedDict, total=False):
    """What our own files say beside a benchmark, as far as they do; `step_ns` in ns."""

    kernel: str
    unit: str
    relation: str | None
    parameters: dict[str, str | int]
    cpus: list[int]
    summary: str
    value_per: str
    """``process`` or ``sample``."""
    basis: str | None
    """``alone`` or ``as found``: which figure of its row the values are."""
    step_ns: float
    process: int
    """Number of the process that a value is of, from 0."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a file: its name, what is known of it, and its values in ns, one list a process.

    `floor_ns` is the smallest value where the file tells it but holds no values, otherwise NaN. `failed` has the reason
    of each repetition that gave no value.
    """

    name: str
    processes: list[list[float]]
    about: AboutJson = field(default_factory=AboutJson)
    floor_ns: float = math.nan
    batches: int | None = None
    failed: tuple[str, ...] = ()

    @property
    def failures(self) -> str:
        """How many repetitions gave no value, and why the first one did not; empty where all did."""
        if not self.failed:
            return ""
        tried = len(self.failed) + sum(map(len, self.processes))
        why = self.failed[0]
        return why if tried == 1 else f"{len(self.failed)} of {tried} repetitions gave no value ({why})"


@dataclass(frozen=True)
class Parsed:
    """A file of another tool.

    `tool` has the version, `cpu` is None where the file does not name one. `facts` holds, for each part of the file
    that was measured on its own, what must be equal in all parts that are pooled. `left_out` has a sentence for each
    row that is no measurement.
    """

    format: str
    tool: str
    cpu: str | None
    benchmarks: list[Benchmark]
    facts: tuple[dict[str, str], ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Sampled:
    """A measured case with its values in ns, one list a process."""

    row: Row
    processes: list[list[float]]

    @property
    def samples(self) -> list[float]:
        return [value for process in self.processes for value in process]


_ABOUT = {
    "kernel": str,
    "unit": str,
    "summary": str,
    "relation": str | None,
    "parameters": dict,
    "cpus": list,
    "value_per": str,
    "step_ns": float | int,
    "basis": str | None,
}


def about_row(row: Row, own: bool) -> AboutJson:
    return {
        "kernel": row.kernel,
        "unit": row.unit,
        "relation": row.relation,
        "parameters": dict(row.parameters),
        "cpus": list(row.cpus),
        "summary": row.summary,
        "value_per": "process" if own else "sample",
        "basis": row.basis,
        # By how much the counter's steps widen the interval: other tools' files have no place for it.
        "step_ns": row.resolution_ns if row.kind != "events" else 0.0,
    }


def measured(analysis: Analysis) -> tuple[list[_Sampled], bool]:
    """Measured rows, and whether a value is the median of a process (ours) or a sample (imported)."""
    held = values_of(analysis.folder) if (analysis.folder / schema.ROWS_FILE).exists() else {}
    processes = analysis.processes[analysis.processes["status"] == "ok"]
    medians: dict[str, list[list[float]]] = {}
    own = schema.IMPORTED not in analysis.run
    for case, number, ns in zip(processes["case"], processes["round"], processes["ns"], strict=True):
        # A process with too few quiet batches, or at another distance, has no figure of this kind.
        if math.isnan(ns):
            continue
        values = held.get((str(case), int(number)), [ns])
        medians.setdefault(str(case), []).append([float(value) for value in values])
    rows = analysis.measured()
    samples = any(len(process) > 1 for row in rows for process in medians[row.case])
    return [_Sampled(row, medians[row.case]) for row in rows], own or not samples


def kept_rows(rows: list[_Sampled], fits: Callable[[_Sampled], bool], why: str) -> tuple[list[_Sampled], list[str]]:
    out = [row.row.case for row in rows if not fits(row)]
    kept = [row for row in rows if fits(row)]
    if not kept:
        raise ExchangeError(f"nothing left to export: {why}")
    return kept, [f"{one_line(name)}: left out, {why}" for name in out]


def basis_lost(rows: Iterable[Row]) -> list[str]:
    """The sentence that says which figures a file without room for it holds; nothing where no row had a witness."""
    every = list(rows)
    if not any(row.witnessed for row in every):
        return []
    return [f"which figure each time is ({basis_text(bases_of(every))}): the format has no place for it"]


def interval(row: Row) -> dict[str, float]:
    return {"ns_low": row.time.low, "ns_high": row.time.high} if row.time.bounded else {}


def json_text(document: Mapping[str, object]) -> str:
    return json.dumps(_plain(document), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


NONE_OF_THEM = (
    "not a file of pytest-benchmark, pyperf, Google Benchmark, hyperfine, core-to-core-latency or in Bencher's format"
)


@dataclass(frozen=True)
class Place:
    """A field of a file, for sentences: reading through it checks the type."""

    file: str
    field: str = ""

    def __getitem__(self, key: str | int) -> Place:
        inner = f"{self.field}[{key}]" if isinstance(key, int) else f"{self.field}.{key}" if self.field else key
        return Place(self.file, inner)

    def wrong(self, words: str) -> ExchangeError:
        """The error that says what is wrong with this field."""
        return ExchangeError(f"{self.file}: field {one_line(self.field)}: {words}")

    def of(self, value: object, kind: type, words: str) -> Any:
        """The value, where it is of this kind."""
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise self.wrong(f"{one_line(json.dumps(value, default=str), 60)} is not {words}")
        return value

    def mapping(self, value: object) -> dict[str, object]:
        """The value, where it is an object."""
        found: dict[str, object] = self.of(value, dict, "an object")
        return found

    def sequence(self, value: object) -> list[object]:
        """The value, where it is a list."""
        found: list[object] = self.of(value, list, "a list")
        return found

    def name(self, value: object) -> str:
        """The value, where it is a name."""
        text = str(self.of(value, str, "a name"))
        if not text.strip() or len(text) > MOST_NAME:
            raise self.wrong(f"a name has 1 to {MOST_NAME} characters, this one has {len(text.strip())}")
        return text

    def count(self, value: object) -> int:
        """The value, where it is a whole number of at least 1 that has room in a column."""
        number: int = self.of(value, int, "a whole number")
        if not 1 <= number <= LARGEST_COUNT:
            raise self.wrong(f"{one_line(str(number), 60)} is not a number between 1 and {LARGEST_COUNT}")
        return number

    def number(self, value: object, *, difference: bool = False) -> float:
        """The value, where it is a time: a finite number, and one that has room for its unit. It is below zero only
        where it may be a `difference` of two times.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"{one_line(json.dumps(value, default=str), 60)} is not a number")
        if value != value or abs(value) > LARGEST_TIME:
            raise self.wrong(f"{'NaN' if value != value else 'an infinite value'} is not a time")
        if value < 0 and not difference:
            raise self.wrong(f"{value:g} is below zero, and no time is")
        return float(value)


_TOOLS = {"core-to-core": "core-to-core-latency", "bmf": "Bencher Metric Format"}
"""Tools that are called otherwise than their formats."""


@dataclass
class Reading:
    """The rows of one file as they are read: a row that cannot be read is left out, and the others are kept."""

    at: Place
    found: list[Benchmark] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    facts: list[dict[str, str]] = field(default_factory=list)
    first_fault: ExchangeError | None = None

    @contextmanager
    def row(self, what: str = "row") -> Iterator[None]:
        """Around the reading of one row: a fault becomes a sentence in `left_out`."""
        try:
            yield
        except ExchangeError as error:
            self.first_fault = self.first_fault or error
            self.left_out.append(f"{error}; this {what} is left out")

    def fact(self, **facts: object) -> None:
        """Note what must be equal in all that is pooled; what is empty or no text says nothing."""
        known = {name.replace("_", " "): one_line(str(value), 80) for name, value in facts.items() if value}
        if known and known not in self.facts:
            self.facts.append(known)

    def parsed(self, kind: str, version: object, cpu: object) -> Parsed:
        """The file as a whole.

        Raises
        ------
        ExchangeError
            where no row is left: the fault of the first one.
        """
        if not self.found:
            raise self.first_fault or self.at.wrong("none of them is a measurement")
        tool = _TOOLS.get(kind, kind)
        tool = f"{tool} {one_line(str(version), 40)}" if isinstance(version, str | int) else tool
        named = one_line(cpu) if isinstance(cpu, str) else ""
        return Parsed(kind, tool, named or None, self._apart(), tuple(self.facts), tuple(self.left_out))

    def _apart(self) -> list[Benchmark]:
        """The benchmarks, those of one name numbered from the second on: they are not pooled."""
        names = distinct(item.name for item in self.found)
        twice = [name for name, count in Counter(item.name for item in self.found).items() if count > 1]
        self.left_out += [
            f"{self.at.file}: {one_line(name, 80)!r} is there more than once; the others are numbered from (2) on"
            for name in twice
        ]
        return [replace(item, name=name) for item, name in zip(self.found, names, strict=True)]


def distinct(names: Iterable[str]) -> list[str]:
    """The names, numbered from the second on where they are the same."""
    found: dict[str, None] = {}
    for name in names:
        number = 1
        other = name
        while other in found:
            number += 1
            other = f"{name} ({number})"
        found[other] = None
    return list(found)


def read_about(at: Place, value: object) -> AboutJson:
    """What our own export says beside a benchmark; nothing where it is not ours."""
    if value is None:
        return {}
    found = at.mapping(value)
    for name, kind in _ABOUT.items():
        if name in found and not isinstance(found[name], kind):
            raise at[name].wrong(f"{one_line(json.dumps(found[name], default=str), 60)} is of the wrong type")
    about = cast(AboutJson, found)
    if not all(type(cpu) is int and cpu >= 0 for cpu in about.get("cpus", ())):
        raise at["cpus"].wrong("not a list of numbers of CPUs")
    if not all(isinstance(item, str | int) for item in about.get("parameters", {}).values()):
        raise at["parameters"].wrong("values of parameters are texts or whole numbers")
    if not (math.isfinite(about.get("step_ns", 0.0)) and about.get("step_ns", 0.0) >= 0):
        raise at["step_ns"].wrong("not a time")
    if "process" in about and (type(about["process"]) is not int or about["process"] < 0):
        raise at["process"].wrong("not the number of a process")
    return about
