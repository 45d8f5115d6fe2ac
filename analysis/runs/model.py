"""A reduced run: processes, histograms, and the run.json that they belong to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.stats.interval import Floats, Integers
from fencepost.bench import schema
from fencepost.bench.documents import MachineJson, RunJson

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Histogram:
    """All events of a case over all processes of a run: ascending `ticks`, how often each was seen, and the tick
    rate.
    """

    ticks: Integers
    count: Integers
    tick_hz: float

    @property
    def ns(self) -> Floats:
        """The values in nanoseconds, by the median rate of the processes (rates of one machine differ by parts per
        million).
        """
        return np.asarray(self.ticks * (1e9 / self.tick_hz), np.float64)


class Count(NamedTuple):
    """A whole number as a process found it, and as it must be."""

    found: int
    expected: int


@dataclass(frozen=True)
class Reduced:
    """What a run folder comes to: see `reduce_run`."""

    folder: Path
    run: RunJson
    machine: MachineJson
    by_process: Columns
    by_round: Columns
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    series: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def processes(self) -> pd.DataFrame:
        """`by_process` as a frame."""
        return self.by_process.frame

    @property
    def workers(self) -> pd.DataFrame:
        """`by_round` as a frame."""
        return self.by_round.frame


_MEASURED = ("ticks", "floor_ticks", "ns", "floor_ns", "resolution_ns", "flagged", "disturbed", *schema.FLAGS)


NOT_MEASURED: dict[str, float] = {"batches": 0, **dict.fromkeys(_MEASURED, float("nan"))}


WITNESSED = ("found_ns", "alone_ns", "free", "neighbour", "clock_moved")
"""The two figures of a case in a process, in ns, and shares of its batches between 0 and 1: with the core free,
beside a busy sibling thread, at another clock. NaN where there was no witness, but for ``found_ns``."""


BY_FRONT_END = ("units_ns", "fast_cycles", "slowed_cycles")
"""What quiet batches cost in a process, by the state of the core's front end: in ns in any of them, and in cycles where
taken branches were fast and where they were slowed. NaN of too few. They serve to choose ``ns`` and are not kept."""


PROCESS_COLUMNS = (
    "run",
    "round",
    "case",
    "kernel",
    "status",
    "reason",
    "batches",
    *_MEASURED,
    *WITNESSED,
    *BY_FRONT_END,
    "places",
    "tick_hz",
    "core_hz",
    "chain_ratio",
    "metrics",
    "counts",
    "elapsed_ns",
)


_NUMBERS = (*_MEASURED, "tick_hz", "core_hz", "chain_ratio", "elapsed_ns")


def process_frame(rows: Sequence[Mapping[str, object]] | Mapping[str, object]) -> pd.DataFrame:
    """Rows, one a case and process, or their columns by name, as the frame that `process_medians` describes."""
    import pandas as pd  # half a second, which an answer that was kept does without

    if isinstance(rows, Mapping):
        columns: dict[str, Any] = dict(rows)
    else:
        usual: dict[str, object] = {"counts": {}, "places": ()}
        columns = {name: _column(rows, name, usual.get(name, math.nan)) for name in PROCESS_COLUMNS}
        if rows:  # pandas looks at each value of a list to find that it is a number
            columns |= {name: np.asarray(columns[name], float) for name in _NUMBERS}
    count = len(columns["case"])
    for name in ("run", "case", "kernel", "status"):
        values = columns[name]
        columns[name] = _categories([values] * count if isinstance(values, str) else values)
    for name in (*WITNESSED, *BY_FRONT_END):  # where no case has them, nothing says that they are numbers
        values = np.asarray(columns.get(name, math.nan), float)
        columns[name] = values if values.ndim else np.full(count, values)
    return pd.DataFrame(columns, columns=list(PROCESS_COLUMNS))


def _column(rows: Sequence[Mapping[str, object]], name: str, usual: object) -> list[object]:
    try:
        return [row[name] for row in rows]
    except KeyError:  # rows of another tool's file leave some out; to ask each row takes five times as long
        return [row.get(name, usual) for row in rows]


def _categories(values: Sequence[object]) -> pd.Categorical[object]:
    """What pandas makes of the same texts. It looks at each of them several times, and a run has few."""
    import pandas as pd

    names = sorted(set(map(str, values)))
    places = {name: place for place, name in enumerate(names)}
    codes = [places[str(value)] for value in values]
    kind: pd.CategoricalDtype[object] = pd.CategoricalDtype(names)
    found: pd.Categorical[object] = pd.Categorical.from_codes(codes, dtype=kind)
    return found
