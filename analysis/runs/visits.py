"""The visits of a round to its cases: those that were planned, and those that looked for quiet batches afterwards."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fencepost.analysis.runs.rounds import Round
from fencepost.analysis.stats.interval import Floats
from fencepost.bench.schema import RunFolderError


@dataclass(frozen=True)
class Visits:
    """Of each batch of a round the visit it belongs to; arrays of shape (rows,)."""

    number: npt.NDArray[np.int32]
    """From 0 in each case."""
    planned: npt.NDArray[np.bool_]
    """Not planned are the visits that looked for quiet batches. They end when they have met some, so that all that a
    machine charges as it is found comes from the planned ones."""
    core_hz: Floats
    """The core clock beside the visit; NaN where the round does not know it."""

    @property
    def follows(self) -> npt.NDArray[np.bool_]:
        """Whether a batch may come right after the row above it: the row is of the same visit, or of another case."""
        follows: npt.NDArray[np.bool_] = np.zeros(len(self.number), bool)
        follows[1:] = self.number[1:] == self.number[:-1]
        return follows


def rows_by_code(codes: npt.NDArray[np.int32], count: int) -> list[npt.NDArray[np.intp]]:
    """By code from 0 to `count` - 1 the places where it stands in `codes`, in ascending order."""
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=count)).tolist()
    return [order[first:end] for first, end in pairwise([0, *ends])]


def visits_in(item: Round, names: Sequence[str], codes: npt.NDArray[np.int32]) -> Visits:
    """The visits of a round.

    Parameters
    ----------
    names, codes
        of the cases: `codes`, shape (rows,), are places in `names`.

    Raises
    ------
    RunFolderError
        where the visits of a case in the record do not fit its rows.
    """
    number = np.zeros(len(codes), np.int32)
    planned = np.ones(len(codes), bool)
    times = Counter(item.record["order"])
    cases = [item.record["cases"].get(name) for name in names]
    clocks = [math.nan if case is None else case["core_hz"] or math.nan for case in cases]
    core_hz: npt.NDArray[Any] = np.array(clocks, float)[codes] if names else np.empty(0)
    for name, case, where in zip(names, cases, rows_by_code(codes, len(names)), strict=True):
        if case is None or "visits" not in case:
            continue
        lengths = case["visits"]
        if sum(lengths) != len(where) or min(lengths, default=0) < 0:
            raise RunFolderError(
                f"{item.path}: field cases.{name}.visits: {sum(lengths)} rows, the file has {len(where)}"
            )
        number[where] = np.repeat(np.arange(len(lengths)), lengths)
        planned[where] = number[where] < times[name]
        hz = case.get("visits_hz")
        if hz is not None:
            if len(hz) != len(lengths):
                raise RunFolderError(
                    f"{item.path}: field cases.{name}.visits_hz: {len(hz)} clocks of {len(lengths)} visits"
                )
            core_hz[where] = np.repeat([clock or math.nan for clock in hz], lengths)
    return Visits(number, planned, core_hz)
