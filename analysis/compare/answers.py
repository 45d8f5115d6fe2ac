"""Stored runs compared: at once where they were compared before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fencepost.analysis.compare.comparison import ComparedRow, MachineComparison, MachineRow, RunComparison, Span
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.labels import Kinship
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision

NAME = "comparison.json"
"""In the folder of the last run: the first is often one that many others are compared with."""


@dataclass(frozen=True)
class Compared:
    """Runs held against the first of them: `pairs` has a comparison for each further run where all are of one machine;
    `machines` is there where they are not. `ids` are those of the runs, in the same order.
    """

    ids: tuple[str, ...]
    pairs: tuple[RunComparison, ...] = ()
    machines: MachineComparison | None = None


def compared(folders: Sequence[Path], margin: float, *, anyway: bool = False) -> Compared:
    """What `compare_runs`, or `compare_machines`, says of stored runs.

    Parameters
    ----------
    folders
        of the runs: two or more.
    margin
        a share between 0 and 1.
    anyway
        compare runs of different engines or compiler flags too.

    Raises
    ------
    RunFolderError, ComparisonError, NothingMeasuredError
        as `read_runs` and `compare_runs` do.
    """
    *others, last = folders
    asked = repr((margin, anyway))
    key = kept.key_of(last, *others, asked=asked)
    data = kept.read(last, NAME, key)
    if data is not None:
        try:
            return _decoded(json.loads(data))
        except (ValueError, TypeError, KeyError):  # written by somebody else, with a right key
            pass
    found = _compared(folders, margin, anyway)
    kept.write(last, NAME, key, json.dumps(found, default=vars).encode(), *others, asked=asked)
    return found


def _compared(folders: Sequence[Path], margin: float, anyway: bool) -> Compared:
    # Only now, as their imports take longer than an answer that was kept.
    from fencepost.analysis.compare.runs import compare_runs, read_runs, same_machine

    runs = read_runs(folders)
    ids = tuple(str(run.run["id"]) for run in runs)
    if not same_machine(runs):
        from fencepost.analysis.compare.machines import compare_machines

        return Compared(ids, machines=compare_machines(runs))
    return Compared(ids, tuple(compare_runs(runs[0], run, margin, anyway=anyway) for run in runs[1:]))


def _decoded(found: Mapping[str, Any]) -> Compared:
    machines = found["machines"]
    return Compared(
        tuple(found["ids"]),
        tuple(map(_pair, found["pairs"])),
        None if machines is None else _machines(machines),
    )


def _pair(item: Mapping[str, Any]) -> RunComparison:
    rows = {name: tuple(map(_row, item[name])) for name in ("rows", "twins", "controls")}
    return RunComparison(**{**item, **rows, **_texts(item)})


def _texts(item: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(item[name]) for name in ("notes", "sentences")}


def _row(item: Mapping[str, Any]) -> ComparedRow:
    return ComparedRow(**{**item, "decision": _decision(item["decision"])})


def _decision(item: Mapping[str, Any]) -> Decision:
    return Decision(**{**item, "verdict": ChangeVerdict(item["verdict"])})


def _machine_row(item: Mapping[str, Any]) -> MachineRow:
    times = tuple(Span(*time) for time in item["times"])
    return MachineRow(**{**item, "ratios": tuple(map(_decision, item["ratios"])), "times": times})


def _machines(item: Mapping[str, Any]) -> MachineComparison:
    return MachineComparison(
        tuple(item["runs"]),
        tuple(item["machines"]),
        tuple(item["names"]),
        tuple(item["titles"]),
        tuple(map(_machine_row, item["rows"])),
        {name: tuple(texts) for name, texts in item["differences"].items()},
        labels=item["labels"],
        scales=item["scales"],
        relation=Kinship(item["relation"]),
        **_texts(item),
    )
