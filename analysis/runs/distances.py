"""One figure measured at several distances, as its metrics tell it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import core_hz
from fencepost.analysis.stats.interval import Floats, Interval, interval_of

_AT_K = re.compile(r"k(\d+)_(?:.*_)?(ticks|ns)")


@dataclass(frozen=True)
class AtDistance:
    """Metrics ``k0…``, ``k1…`` of a case as a matrix: `ns` has shape (processes, len(k)), `core_hz` shape
    (processes,), NaN where unknown.
    """

    k: Floats
    ns: Floats
    core_hz: Floats
    tick_hz: Floats


def at_distances(analysis: Analysis, case: str) -> AtDistance | None:
    """Metrics named by a distance k (``k16_ticks``, ``k16_mean_ticks``, ``k16_ns``) of all processes of a case; None
    where there are none.
    """
    frame = analysis.processes
    rows = frame[(frame["case"] == case) & (frame["status"] == "ok")]
    names = sorted({name for metrics in rows["metrics"] for name in metrics if _AT_K.fullmatch(name)}, key=_distance)
    if not names:
        return None
    tick_hz = rows["tick_hz"].to_numpy(float)
    raw = np.array([[metrics.get(name, math.nan) for name in names] for metrics in rows["metrics"]], float)
    in_ticks = np.array([name.endswith("_ticks") for name in names])
    ns = np.where(in_ticks, raw / tick_hz[:, None] * 1e9, raw)
    return AtDistance(np.array([_distance(name) for name in names], float), ns, core_hz(rows), tick_hz)


def is_distance(name: str) -> bool:
    """Whether a metric belongs to a series over a distance k (``k16_ticks``), which figures show as a line."""
    return _AT_K.fullmatch(name) is not None


def _distance(name: str) -> int:
    match = _AT_K.fullmatch(name)
    assert match
    return int(match[1])


def interval_of_known(values: Floats) -> Interval:
    return interval_of(values[np.isfinite(values)])
