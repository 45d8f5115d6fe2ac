"""A report as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fencepost.analysis.report.lecture import Sentence, as_rows, sentences
from fencepost.analysis.report.warnings import collect
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.escape import json_in_html
from fencepost.bench.schema import SCHEMA_VERSION

# ---- JSON ----

_LEFT_OUT = ("summary", "paired", "resolution_ns", "counts")
"""Columns of a row that the JSON does not have, or has only where they say something."""


def as_json(folder: Path | str) -> dict[str, Any]:
    """A run's estimates as plain data.

    Returns
    -------
    dict
        ``schema``, ``run``, ``machine`` (machine.json), ``rounds``, ``planned_rounds``, ``noise_floor_pct`` and
        ``twins`` (A/A rows), ``rows`` (one a case;
        ``reason`` says why where figures are null), ``warnings``, ``claims``. NaN and infinities are None throughout.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    """
    analysis = analyse(folder)
    return json_of(analysis, measured_sentences(analysis))


def measured_sentences(analysis: Analysis) -> list[Sentence]:
    return sentences(analysis) if analysis.rounds else []


def json_of(analysis: Analysis, said: Sequence[Sentence]) -> dict[str, Any]:
    document = {
        "schema": SCHEMA_VERSION,
        "run": analysis.run["id"],
        "machine": analysis.machine,
        "rounds": analysis.rounds,
        "planned_rounds": analysis.planned_rounds,
        "noise_floor_pct": analysis.noise_floor_pct,
        "twins": [
            {"case": twin.case, "twin_of": twin.original, "effect_pct": twin.effect_pct._asdict()}
            for twin in analysis.twins
        ],
        "rows": [_json_row(row) for row in analysis.rows],
        "warnings": [
            {
                "kind": str(item.kind),
                "seen": item.seen,
                "cause": item.cause,
                "next_step": item.next_step,
                "cases": list(item.cases),
            }
            for item in collect(analysis)
        ],
        "claims": as_rows(said),
    }
    clean = _plain_data(document)
    assert isinstance(clean, dict)
    return clean


def _json_row(row: Row) -> dict[str, Any]:
    found = {name: value for name, value in row.as_dict().items() if name not in _LEFT_OUT}
    found["modes"] = [mode._asdict() for mode in row.modes]
    found["metrics"] = {name: metric.as_dict() for name, metric in row.metrics.items()}
    # These two only where they say something: published documents stay as they are.
    if row.paired:
        found["paired"] = True
    if row.counts:
        found["counts"] = {name: count._asdict() for name, count in row.counts.items()}
    return found


EMBEDDED_DIGITS = 10
"""Of numbers within the page: enough that rounding them again gives what the tables show, and less than all 17."""


def embedded_json(document: Mapping[str, Any]) -> str:
    """A document as JSON that may stand inside of a script element."""
    hoisted = _said_once(_shortened(document))
    return json_in_html(json.dumps(hoisted, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _said_once(document: dict[str, Any]) -> dict[str, Any]:
    """What a metric is and its unit stand once a kernel instead of in each row: a third of the page would say the same
    again.
    """
    once: dict[str, dict[str, dict[str, str]]] = {"summary": {}, "unit": {}}
    rows = []
    for row in document["rows"]:
        metrics = {}
        for name, metric in row["metrics"].items():
            for key, found in once.items():
                found.setdefault(row["kernel"], {})[name] = metric[key]
            metrics[name] = {key: value for key, value in metric.items() if key not in once}
        rows.append(row | {"metrics": metrics})
    return document | {"metric_summaries": once["summary"], "metric_units": once["unit"], "rows": rows}


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        short = float(f"{value:.{EMBEDDED_DIGITS}g}")
        return int(short) if short.is_integer() else short  # 0 for 0.0: the same number
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _plain_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain_data(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
