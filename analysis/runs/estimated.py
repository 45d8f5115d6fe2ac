"""A run's analysis, estimated once and kept beside its rounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, Twin, analyse
from fencepost.analysis.runs.row import Counted, Metric, Regime, Row
from fencepost.analysis.runs.rows_file import decode_rows, encode_rows
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.modes import Mode

NAME = "estimate"
"""A line of JSON with the rows and the twins, then the reduced run as a rows file."""


def analysis_of(folder: Path | str) -> Analysis:
    """The analysis of a run: as it was kept, where nothing has changed since; else estimated, and kept.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    """
    folder = Path(folder)
    key = kept.key_of(folder)
    data = kept.read(folder, NAME, key)
    if data is not None:
        try:
            return _decoded(folder, data)
        except (ValueError, TypeError, KeyError):  # written by somebody else, with a right key
            pass
    analysis = analyse(folder)
    if analysis.rounds:
        kept.write(folder, NAME, key, _encoded(analysis))
    return analysis


def _encoded(analysis: Analysis) -> bytes:
    rows = [{item.name: getattr(row, item.name) for item in fields(Row)} for row in analysis.rows]
    twins = [(twin.case, twin.original, twin.effect_pct) for twin in analysis.twins]
    text = json.dumps({"rows": rows, "twins": twins}, default=_fields, separators=(",", ":"))
    return text.encode() + b"\n" + encode_rows(analysis.reduced)


def _fields(value: object) -> list[object]:
    if not isinstance(value, Metric | Regime):
        raise TypeError(f"{type(value).__name__} cannot be kept")
    return [getattr(value, item.name) for item in fields(value)]


def _decoded(folder: Path, data: bytes) -> Analysis:
    text, _, rows = data.partition(b"\n")
    document = json.loads(text)
    twins = [Twin(case, original, Interval(*effect)) for case, original, effect in document["twins"]]
    reduced = decode_rows(folder / kept.FOLDER / NAME, rows, folder)
    return Analysis(reduced, tuple(_row(item) for item in document["rows"]), twins)


def _row(item: Mapping[str, Any]) -> Row:
    return Row(
        **{
            **item,
            **{name: tuple(item[name]) for name in ("cpus", "flags")},
            **{name: Interval(*item[name]) for name in ("time", "found", "cycles")},
            "regimes": tuple(
                Regime(name, distance, share, Interval(*time)) for name, distance, share, time in item["regimes"]
            ),
            "modes": tuple(Mode(*mode) for mode in item["modes"]),
            "counts": {name: Counted(*count) for name, count in item["counts"].items()},
            "metrics": {
                name: Metric(Interval(*interval), unit, summary, None if ns is None else Interval(*ns))
                for name, (interval, unit, summary, ns) in item["metrics"].items()
            },
        }
    )
