"""Rows that real kernels left, and faults to plant in them.

tests/data/claims holds the rows that claims ask for: of the run published on 2026-11-23, and of kernels of memory/*
and ring/printk from a run of 2026-11-29 on a noisy guest. Both are reduced to one row a case and process, and cut to
what claims read. A kernel that came later has its rows beside the tests of its topic, in
tests/topics/TOPIC/rows/KERNEL.json, which tests/topics/cut.py writes.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.estimate import Analysis, estimate_cases
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.model import Count, Reduced, process_frame
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.twins import noise_floor
from fencepost.analysis.topics.claim import Outcome, Verdict, _verdict, claims

FOLDER = Path(__file__).resolve().parents[1] / "data" / "claims"
LATER = sorted(Path(__file__).resolve().parent.glob("*/rows/*.json"))

Change = float | Callable[[int], float]
"""A number, or one for each round."""


@functools.cache
def _reduced() -> Reduced:
    return reduce_run(FOLDER)


@functools.cache
def _stored_lines() -> list[dict[str, Any]]:
    lines = _reduced().processes.astype(object).to_dict("records")
    found = [{str(name): value for name, value in line.items()} for line in lines]
    usual = {line["round"]: line for line in found}
    return found + [line for of in _later() for line in _lines_of(of, usual)]


@functools.cache
def _later() -> list[dict[str, Any]]:
    """The kernels that came later, a case at a time: the case as it was planned, and a list a figure with one number
    for each process.
    """
    return list(itertools.chain.from_iterable(json.loads(path.read_text(encoding="utf-8")) for path in LATER))


def _lines_of(of: Mapping[str, Any], usual: Mapping[int, Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """A later case process by process. What is not kept of it is as in any other row of the round."""
    case = of["case"]
    for place, number in enumerate(of["round"]):
        ns = of["ns"][place] if of["ns"] else None  # None also where a process had no quiet batch
        times = dict.fromkeys(("ns", "floor_ns", "found_ns"), math.nan if ns is None else ns)
        yield {
            **usual[number],
            **times,
            "case": case["case"],
            "kernel": case["kernel"],
            "status": "ok",
            "resolution_ns": of["resolution_ns"][place] if of.get("resolution_ns") else 1.0,
            "metrics": {name: values[place] for name, values in of["metrics"].items()},
            "counts": {name: Count(*values[place]) for name, values in of["counts"].items()},
        }


_ROWS: dict[str, Row] = {}
"""Rows of cases as they are stored, by case. Each is estimated once: a verdict asks for forty, and a plant changes few.
"""


def _only(reduced: Reduced, names: Collection[str]) -> Reduced:
    """The same with only these cases in the plan."""
    plan = reduced.run["plan"]
    cases = [case for case in plan["cases"] if case["case"] in names]
    return replace(reduced, run={**reduced.run, "plan": {**plan, "cases": cases}})


class Stored:
    """The stored rows, to be changed. Each method that plants something names a kernel and values of parameters."""

    def __init__(self) -> None:
        reduced = _reduced()
        later = [of["case"] for of in _later()]
        self.cases: list[dict[str, Any]] = [{**case} for case in (*reduced.run["plan"]["cases"], *later)]
        # Those of all plants: `_own` copies a line before it is changed.
        self.lines = [*_stored_lines()]
        self.planted: set[str] = set()
        """Cases whose lines are no longer the stored ones."""
        self.series = {case: series.copy() for case, series in reduced.series.items()}

    def scale(self, factor: Change, kernel: str, *, cpus: int = 0, **wanted: object) -> Stored:
        """Multiply times."""
        for line in self._lines(kernel, cpus, wanted):
            for name in ("ns", "floor_ns", "resolution_ns"):
                line[name] *= _in_round(factor, line)
        return self

    def put(self, metric: str, value: Change, kernel: str, *, cpus: int = 0, **wanted: object) -> Stored:
        """Let a metric have this value."""
        for line in self._lines(kernel, cpus, wanted):
            line["metrics"][metric] = _in_round(value, line)
        return self

    def scale_metric(self, factor: Change, begins: str, ends: str, kernel: str, **wanted: object) -> Stored:
        """Multiply the metrics whose names begin and end so."""
        for line in self._lines(kernel, 0, wanted):
            for name in [name for name in line["metrics"] if name.startswith(begins) and name.endswith(ends)]:
                line["metrics"][name] *= _in_round(factor, line)
        return self

    def add_to(self, control: Mapping[str, object], ns: float, kernel: str, **wanted: object) -> Stored:
        """Let rows take in each round what the row of `control` takes, and so many ns more."""
        base = {line["round"]: line for line in self._lines(kernel, 0, control)}
        for line in self._lines(kernel, 0, wanted):
            line["ns"] = line["floor_ns"] = base[line["round"]]["ns"] + ns
            line["resolution_ns"] = base[line["round"]]["resolution_ns"]
        return self

    def fail(self, reason: str, kernel: str, step: str = "check", *, case: str = "", **wanted: object) -> Stored:
        """Let the kernel's check, or another step, fail in the third process, as the engine stores it: of the row
        `case` alone, where it is given.
        """
        for line in self._lines(kernel, 0, wanted):
            if line["round"] == 3 and case in ("", line["case"]):
                line |= {"status": "failed", "reason": f"{step} failed: {reason}", "metrics": {}, "batches": 0}
        return self

    def drop(self, kernel: str) -> Stored:
        """Leave a kernel out, as if it had not been run."""
        return self._without({case["case"] for case in self.cases if case["kernel"] == kernel})

    def teams(self, factors: Mapping[int, float], kernel: str, **wanted: object) -> Stored:
        """Put rows of larger teams beside the row of two threads, at so many times its cost."""
        (two,) = (case for case in self.cases if self._fits(case, kernel, 2, wanted))
        lines = [line for line in self.lines if line["case"] == two["case"]]
        for threads, factor in factors.items():
            name = two["case"].partition("@")[0] + "@" + ",".join(f"cpu{cpu}" for cpu in range(threads))
            self.cases.append({**two, "case": name, "cpus": list(range(threads))})
            self.planted.add(name)
            self.lines += [{**line, "case": name, "ns": line["ns"] * factor} for line in lines]
        return self

    def noise(self, share: float) -> Stored:
        """Let the same code differ from itself by this share, now one way and now the other."""
        twins = {case["case"] for case in self.cases if case["twin_of"]}
        for line in self._own(twins):
            line["ns"] *= 1 + share if line["round"] % 2 else 1 / (1 + share)
        return self

    def rounds(self, number: int) -> Stored:
        """Only the first so many processes."""
        self.lines = [line for line in self.lines if line["round"] <= number]
        self.planted |= {case["case"] for case in self.cases}
        return self

    def analysis(self, topics: Collection[str] = ()) -> Analysis:
        """What the changed rows of these topics, and the A/A rows, are estimated to; all where none is named."""
        reduced = _reduced()
        originals = {case["twin_of"] for case in self.cases}
        cases = [
            case
            for case in self.cases
            if not topics or case["twin_of"] or case["case"] in originals or case["kernel"].partition("/")[0] in topics
        ]
        names = {case["case"] for case in cases}
        lines = [line for line in self.lines if line["case"] in names]
        columns = {name: [line[name] for line in lines] for name in reduced.processes.columns}
        kept = {line["round"] for line in self.lines}
        changed = replace(
            reduced,
            run={**reduced.run, "plan": {**reduced.run["plan"], "cases": cases}},  # type: ignore[typeddict-item]
            by_process=Columns.of(process_frame(columns)),
            by_round=Columns.of(reduced.workers[reduced.workers["round"].isin(kept)]),
            series=self.series,
        )
        fresh = {row.case: row for row in estimate_cases(_only(changed, self.planted))}
        missing = names - fresh.keys() - _ROWS.keys()
        _ROWS.update((row.case, row) for row in estimate_cases(_only(changed, missing)) if row.case in missing)
        known = {**_ROWS, **fresh}
        rows = [known[case["case"]] for case in cases]
        rows += [row for name, row in fresh.items() if name not in names]  # could not be measured
        return Analysis(changed, tuple(rows), noise_floor(changed))

    def verdict(self, name: str) -> Verdict:
        """What they say to a claim, as `verdicts` says it to each of them."""
        asked = next(claim for claim in claims() if claim.id == name)
        topics = {asked.topic, *(kernel.partition("/")[0] for kernel in asked.kernels)}
        return _verdict(self.analysis(topics), asked)

    def _without(self, names: Iterable[str]) -> Stored:
        gone = set(names)
        self.cases = [case for case in self.cases if case["case"] not in gone]
        self.lines = [line for line in self.lines if line["case"] not in gone]
        return self

    def _lines(self, kernel: str, cpus: int, wanted: Mapping[str, object]) -> list[dict[str, Any]]:
        names = {case["case"] for case in self.cases if self._fits(case, kernel, cpus, wanted)}
        assert names, f"no stored row of {kernel} has {dict(wanted)}"
        return self._own(names)

    def _own(self, names: Collection[str]) -> list[dict[str, Any]]:
        """The lines of these cases, to be changed."""
        found = []
        self.planted |= set(names)
        for place, line in enumerate(self.lines):
            if line["case"] in names:
                self.lines[place] = {**line, "metrics": {**line["metrics"]}}
                found.append(self.lines[place])
        return found

    @staticmethod
    def _fits(case: Mapping[str, Any], kernel: str, cpus: int, wanted: Mapping[str, object]) -> bool:
        values = {name: str(value) for name, value in case["parameters"].items()}
        return (
            case["kernel"] == kernel
            and not case["twin_of"]
            and cpus in (0, len(case["cpus"]))
            and all(values.get(name) == str(value) for name, value in wanted.items())
        )


def _in_round(change: Change, line: Mapping[str, Any]) -> float:
    return float(change(line["round"]) if callable(change) else change)


def in_turn(first: float, second: float) -> Callable[[int], float]:
    """One number in every other round, another in the others: half of the processes tell otherwise."""
    return lambda number: first if number % 2 else second


Plant = Callable[[Stored], Stored]
Planted = Mapping[str, Mapping[Outcome, Plant]]
"""By claim and verdict: what has to be planted in the stored rows for it."""


def as_stored(run: Stored) -> Stored:
    """Nothing: the rows say so as they are."""
    return run
