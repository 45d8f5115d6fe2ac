"""Latency of queues in a run of `fencepost peers`: from the time at which an item was due until it was received."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from fencepost.analysis.compare.peers import OURS, PEERS, is_latency
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval, interval_of

QUANTILES = ("p50", "p99", "p99_9")
"""Of all items of a process, by the metrics of csrc/kernels/ring/latency.h."""


@dataclass(frozen=True)
class LatencyRow:
    """One queue at one rate, in ns. Each interval is that of the median over processes."""

    name: str
    case: str
    gap_ns: int
    """Time from one item to the next."""
    p50: Interval
    p99: Interval
    p99_9: Interval
    late_pct: float
    """Share of the items whose sender was late by more than the gap: high above saturation, or without its CPU."""
    ratio: Interval
    """Its p50 over that of the library's ring, paired by rounds."""
    reason: str | None
    """Why a process of it failed; None where none did."""


def latency_rows(analysis: Analysis) -> Sequence[LatencyRow]:
    """The rows of all kernels that time single items, by rate and then by p50."""
    rows = [row for row in analysis.rows if row.kernel.startswith((OURS, PEERS)) and is_latency(row.kernel)]
    frames = {row.case: _quantiles(analysis.processes, row.case) for row in rows}
    ours = {row.parameters["gap_ns"]: frames[row.case]["p50"] for row in rows if row.kernel.startswith(OURS)}
    found = [_row(row, frames[row.case], analysis.processes, ours.get(row.parameters["gap_ns"])) for row in rows]
    return sorted(found, key=lambda one: (one.gap_ns, math.isnan(one.p50.value), one.p50.value))


def _quantiles(processes: pd.DataFrame, case: str) -> pd.DataFrame:
    """Of each process that did not fail, by round: the quantiles in ns, and the share of late items."""
    good = processes[(processes["case"] == case) & (processes["status"] == "ok")]
    found = {
        name: [
            metrics.get(f"{name}_ticks", math.nan) / hz * 1e9
            for metrics, hz in zip(good["metrics"], good["tick_hz"], strict=True)
        ]
        for name in QUANTILES
    }
    late = [metrics.get("late_pct", math.nan) for metrics in good["metrics"]]
    return pd.DataFrame({**found, "late_pct": late}, index=pd.Index(good["round"], name="round"), dtype=float)


def _row(row: Row, frame: pd.DataFrame, processes: pd.DataFrame, ours: pd.Series | None) -> LatencyRow:
    bad = processes[(processes["case"] == row.case) & (processes["status"] != "ok")]
    p50, p99, p99_9 = (interval_of(frame[name].dropna().to_numpy(float)) for name in QUANTILES)
    ratio = UNKNOWN if ours is None else interval_of((frame["p50"] / ours).dropna().to_numpy(float))
    return LatencyRow(
        row.kernel,
        row.case,
        int(row.parameters["gap_ns"]),
        p50,
        p99,
        p99_9,
        float(frame["late_pct"].median()),
        ratio,
        None if bad.empty else str(bad.iloc[0]["reason"]),
    )


def as_json(rows: Sequence[LatencyRow]) -> list[dict[str, object]]:
    """The rows as `fencepost peers --json` prints them."""

    def interval(of: Interval) -> dict[str, object]:
        return {"value": of.value, "low": of.low, "high": of.high, "rounds": of.n}

    return [
        {
            "ring": row.name,
            "case": row.case,
            "gap_ns": row.gap_ns,
            "p50_ns": interval(row.p50),
            "p99_ns": interval(row.p99),
            "p99_9_ns": interval(row.p99_9),
            "late_pct": row.late_pct,
            "ratio": interval(row.ratio),
            "reason": row.reason,
        }
        for row in rows
    ]
