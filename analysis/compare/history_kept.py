"""The history of a folder of runs, kept in the last of them so that it need not be found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fencepost.analysis.compare.collected import Collected
from fencepost.analysis.compare.history import (
    Change,
    History,
    MachineHistory,
    MachineShift,
    RowSeries,
    Run,
    RunMark,
    history,
    history_of,
)
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.labels import MachineIdentity
from fencepost.bench.labels import run_folders

NAME = "history.json"

MOST_POINTS, MOST_RUNS = 500_000, 10_000
"""Of a larger history, reading what was kept takes as long as finding it again."""


def kept_history(folder: Path | str, patterns: Sequence[str] = (), executor: Executor | None = None) -> History:
    """The `history` of a folder: as it was kept, where no run has come, gone or changed since.

    New runs are read by `executor`, where one is given.

    Raises
    ------
    TooFewRunsError, HistoryError
        as `history` does.
    """
    base = Path(folder)
    paths = run_folders(base)
    if not paths:
        return history(base, patterns)
    with Collected(base, paths, None, executor) as collected:
        asked = repr((collected.key, str(base), *patterns))
        key, last = hashlib.sha256(asked.encode()).hexdigest(), paths[-1]
        data = kept.read(last, NAME, key)
        if data is not None:
            try:
                return _decoded(base, json.loads(data))
            except (ValueError, TypeError, KeyError):  # written by somebody else, with a right key
                pass
        found = history_of(collected, base, patterns)
    points = sum(len(one.ns) for machine in found.machines for one in machine.series)
    if points <= MOST_POINTS and len(paths) <= MOST_RUNS:
        kept.put(last, NAME, kept.with_head(key, json.dumps(asdict(found), default=_plain).encode()))
    return found


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _decoded(base: Path, found: Mapping[str, Any]) -> History:
    return History(base, [_machine(item) for item in found["machines"]], list(found["notes"]))


def _machine(item: Mapping[str, Any]) -> MachineHistory:
    return MachineHistory(
        item["key"],
        list(map(_run, item["runs"])),
        [_series(one) for one in item["series"]],
        item["floor_pct"],
        [Change(**change) for change in item["changes"]],
        [MachineShift(**{**shift, "cases": tuple(shift["cases"])}) for shift in item["shifts"]],
        [RunMark(**mark) for mark in item["marks"]],
    )


def _run(item: Mapping[str, Any]) -> Run:
    created, identity = datetime.fromisoformat(item["created"]), MachineIdentity(*item["identity"])
    return Run(**{**item, "created": created, "identity": identity})


def _series(item: Mapping[str, Any]) -> RowSeries:
    times = {name: np.array(item[name], float) for name in ("ns", "low", "high")}
    return RowSeries(**{**item, "run": np.array(item["run"], np.int64), **times})
