"""Bencher Metric Format."""

from __future__ import annotations

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import basis_lost, json_text, kept_rows, measured
from fencepost.analysis.runs.estimate import Analysis


def bmf(analysis: Analysis) -> Exported:
    rows, _ = measured(analysis)
    rows, left_out = kept_rows(
        rows, lambda item: len(item.row.case) <= 1024, "its name is longer than Bencher's 1024 characters"
    )
    document: dict[str, object] = {}
    for item in rows:
        row = item.row
        latency = {"value": row.time.value}
        if row.time.bounded:
            latency |= {"lower_value": row.time.low, "upper_value": row.time.high}
        document[row.case] = {"latency": latency}
    return Exported(json_text(document), left_out + basis_lost(item.row for item in rows))
