"""The history of a folder of runs, kept so that it need not be found again: in the last run, or in the database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, overload

import duckdb
import numpy as np

from fencepost.analysis.compare.collected import MANY, Collected
from fencepost.analysis.compare.history import (
    Change,
    History,
    MachineHistory,
    MachineShift,
    RowSeries,
    Run,
    RunMark,
    history_of,
    require_runs,
)
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.labels import MachineIdentity

NAME = "history.json"

MOST_POINTS = 500_000
"""Of a larger history, reading what was kept takes as long as finding it again."""

MOST_RUNS = MANY
"""An answer about more runs is kept in the database."""


def kept_history(folder: Path | str, patterns: Sequence[str] = (), executor: Executor | None = None) -> History:
    """The `history` of a folder: as it was kept, where no run has come, gone or changed since.

    New runs are read by `executor`, where one is given.

    Raises
    ------
    TooFewRunsError, HistoryError
        as `history` does.
    """
    base = Path(folder)
    require_runs(base)
    with Collected(base, executor=executor) as collected:
        try:
            return _found(collected, base, patterns)
        except duckdb.Error:  # a damaged block, which is read now only
            collected.make_again()
            return _found(collected, base, patterns)


def _found(collected: Collected, base: Path, patterns: Sequence[str]) -> History:
    place = _InDatabase(collected, patterns) if len(collected) > MOST_RUNS else _InLastRun(collected, base, patterns)
    data = place.read()
    if data is not None:
        try:
            return _decoded(base, json.loads(data))
        except (ValueError, TypeError, KeyError):  # written by somebody else, with a right key
            pass
    found = history_of(collected, base, patterns)
    if sum(len(one.ns) for machine in found.machines for one in machine.series) <= MOST_POINTS:
        place.write(json.dumps(_told(found), default=_plain).encode())
    return found


class _InLastRun:
    """Where an answer is kept: in the last run, under a digest of all runs. It need not be written anew for others."""

    def __init__(self, collected: Collected, base: Path, patterns: Sequence[str]) -> None:
        asked = repr((collected.key, str(base), *patterns))
        self._key = hashlib.sha256(asked.encode()).hexdigest()
        self._run = collected.runs[-1].folder if collected.runs else None

    def read(self) -> bytes | None:
        return kept.read(self._run, NAME, self._key) if self._run else None

    def write(self, data: bytes) -> None:
        if self._run:
            kept.put(self._run, NAME, kept.with_head(self._key, data))


class _InDatabase:
    """Where an answer is kept of so many runs that a digest of all takes too long: beside what they are collected in,
    which knows when one has changed.
    """

    def __init__(self, collected: Collected, patterns: Sequence[str]) -> None:
        self._collected, self._asked = collected, repr(tuple(patterns))

    def read(self) -> bytes | None:
        return self._collected.answer(self._asked)

    def write(self, data: bytes) -> None:
        self._collected.keep(self._asked, data)


class _Runs(Sequence[Run]):
    """Runs as columns. Of many runs few are looked at, and an object for each takes seconds."""

    def __init__(self, columns: Mapping[str, Sequence[Any]], made_with: Sequence[Mapping[str, str]]) -> None:
        self._columns, self._made_with = columns, made_with

    def __len__(self) -> int:
        return len(self._columns["id"])

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        id_, created, machine, made, floor, identity = (self._columns[name][index] for name in _OF_RUN)
        return Run(
            id_, datetime.fromisoformat(created), machine, self._made_with[made], floor, MachineIdentity(*identity)
        )


_OF_RUN = ("id", "created", "machine", "made_with", "noise_floor_pct", "identity")


def _told(found: History) -> dict[str, Any]:
    """A history as plain data. What runs share stands there once."""
    made: dict[int, int] = {}
    made_with: list[Mapping[str, str]] = []
    machines = []
    for machine in found.machines:
        columns: dict[str, list[Any]] = {name: [] for name in _OF_RUN}
        for run in machine.runs:
            number = made.setdefault(id(run.made_with), len(made))
            if number == len(made_with):
                made_with.append(run.made_with)
            told = (run.id, run.created, run.machine, number, run.noise_floor_pct, run.identity)
            for values, value in zip(columns.values(), told, strict=True):
                values.append(value)
        own = asdict(replace(machine, runs=()))
        machines.append(own | {"runs": columns})
    return {"machines": machines, "notes": found.notes, "made_with": made_with}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _decoded(base: Path, found: Mapping[str, Any]) -> History:
    machines = [_machine(item, found["made_with"]) for item in found["machines"]]
    return History(base, machines, list(found["notes"]))


def _machine(item: Mapping[str, Any], made_with: Sequence[Mapping[str, str]]) -> MachineHistory:
    return MachineHistory(
        item["key"],
        _Runs({name: item["runs"][name] for name in _OF_RUN}, made_with),
        [_series(one) for one in item["series"]],
        item["floor_pct"],
        [Change(**change) for change in item["changes"]],
        [MachineShift(**{**shift, "cases": tuple(shift["cases"])}) for shift in item["shifts"]],
        [RunMark(**mark) for mark in item["marks"]],
    )


def _series(item: Mapping[str, Any]) -> RowSeries:
    times = {name: np.array(item[name], float) for name in ("ns", "low", "high")}
    return RowSeries(**{**item, "run": np.array(item["run"], np.int64), **times})
