"""A table of all rows as comma-separated values."""

from __future__ import annotations

import csv
import io
import json
import math

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import COLUMNS, Row
from fencepost.analysis.text.escape import cell

CSV_TEXTS = ("case", "kernel", "parameters", "cpus", "relation", "unit", "flags", "reason")


CSV_NUMBERS = (
    *("ns", "ns_low", "ns_high", "coverage", "cycles", "cycles_low", "cycles_high", "floor_ns", "rounds", "batches"),
    "disturbed_pct",
)


CSV_WITNESSED = ("basis", "found_ns", "found_ns_low", "found_ns_high", "free_pct", "neighbour_pct", "clock_pct")
"""Which figure ``ns`` is, the figure *as found*, and shares of batches in per cent. Older files do not have them."""


CSV_COLUMNS = (*CSV_TEXTS[:6], *CSV_NUMBERS, *CSV_TEXTS[6:], *CSV_WITNESSED)
"""Columns of the CSV: one row a case, times in ns per operation; empty where there is no figure."""


def csv_row(row: Row) -> list[str]:
    """The cells of one row of `estimate_cases` for `CSV_COLUMNS`."""
    texts = {
        "case": row.case,
        "kernel": row.kernel,
        "parameters": json.dumps(dict(row.parameters), sort_keys=True),
        "cpus": " ".join(map(str, row.cpus)),
        "relation": row.relation or "",
        "unit": row.unit,
        "flags": " ".join(row.flags),
        "reason": row.reason or "",
        "basis": row.basis or "",
    }
    numbers = {name: digits(COLUMNS[name](row)) for name in (*CSV_NUMBERS, *CSV_WITNESSED[1:])}
    return [cell(texts[name]) if name in texts else numbers[name] for name in CSV_COLUMNS]


def digits(value: float) -> str:
    return repr(value) if isinstance(value, int) else repr(float(value)) if math.isfinite(value) else ""


def write_csv(analysis: Analysis) -> Exported:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(csv_row(row) for row in analysis.rows)
    return Exported(sink.getvalue(), [])
