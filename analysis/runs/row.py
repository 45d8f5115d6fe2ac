"""One row of the estimate, and its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fencepost.analysis.runs.model import Count
from fencepost.analysis.stats.interval import Floats
from fencepost.analysis.text.numbers import nanoseconds


class Counted(NamedTuple):
    """A count over all processes: as found and as expected in the first that differs, or in the first of all; whether
    all are `equal`; how many `processes` counted; whether it `varies` between them.
    """

    found: int
    expected: int
    equal: bool
    processes: int
    varies: bool
    unit: str
    summary: str


def counted(described: Sequence[Mapping[str, Any]], processes: Sequence[Mapping[str, Count]]) -> dict[str, Counted]:
    """The counts of a case that run.json describes, by name, from those of its processes."""
    found = {}
    for item in described:
        taken = [process[item["name"]] for process in processes if item["name"] in process]
        if taken:
            shown = next((count for count in taken if count.found != count.expected), taken[0])
            equal = shown.found == shown.expected
            varies = len(set(taken)) > 1
            found[item["name"]] = Counted(*shown, equal, len(taken), varies, item["unit"], item["summary"])
    return found


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dicts by column name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def remarks(row: Mapping[str, Any]) -> str:
    """Flags of a row in words; modes with their shares."""
    words = [name.replace("_", " ") for name in row["flags"] if name != "modes"]
    if row["modes"]:
        words.append("modes " + ", ".join(f"{nanoseconds(mode.ns, 3)} ({mode.share:.0%})" for mode in row["modes"]))
    if row["twin_of"]:
        words.append("A/A twin")
    if row["paired"]:
        words.append("less its control")
    return "; ".join(words)


NOTHING = (math.nan, math.nan, math.nan)


def bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats, Floats]:
    ns, low, high = (np.array([row[name] for row in rows], float) for name in ("ns", "ns_low", "ns_high"))
    return ns, low, high


def value_of(row: Mapping[str, Any], metric: str) -> tuple[float, float, float]:
    """A metric with its bounds, NaN where the row has none."""
    item = row["metrics"].get(metric)
    return NOTHING if item is None else (item["value"], item["low"], item["high"])
