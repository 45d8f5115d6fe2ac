"""A table of all rows as comma-separated values."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import COLUMNS, CSV_COLUMNS, Row
from fencepost.analysis.text.escape import cell


def csv_row(row: Row) -> list[str]:
    """The cells of one row of `estimate_cases` for `CSV_COLUMNS`; empty where there is no figure."""
    return [_cell(COLUMNS[name](row)) for name in CSV_COLUMNS]


def _cell(value: object) -> str:
    """Parameters as JSON, several words or numbers with spaces between them."""
    if isinstance(value, int | float):
        return digits(value)
    if isinstance(value, Mapping):
        return cell(json.dumps(dict(value), sort_keys=True))
    return cell(" ".join(map(str, value)) if isinstance(value, tuple) else str(value or ""))


def digits(value: float) -> str:
    return repr(value) if isinstance(value, int) else repr(float(value)) if math.isfinite(value) else ""


def write_csv(analysis: Analysis) -> Exported:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(csv_row(row) for row in analysis.rows)
    return Exported(sink.getvalue(), [])
