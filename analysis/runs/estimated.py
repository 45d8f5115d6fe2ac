"""A run's analysis, estimated once and kept beside its rounds."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from fencepost.analysis.runs import kept, packed
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.row import Counted, Metric, Regime, Row
from fencepost.analysis.runs.rows_file import decode_rows, encode_rows
from fencepost.analysis.runs.twins import Twin
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.bench.schema import RunFolderError


def analysis_of(folder: Path | str) -> Analysis:
    """The analysis of a run: as it was kept, where nothing has changed since; else estimated, and kept.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    """
    folder = Path(folder)
    key = kept.key_of(folder)
    return _kept(folder, key) or _made(folder, key)[0]


def packed_of(folder: Path, columns: Sequence[str]) -> tuple[str, pa.Table]:
    """The key of a run, and columns of its packed file, which is made where it is missing; raises as `analysis_of`."""
    key = kept.key_of(folder)
    table = packed.read(folder, key, columns)
    if table is None:
        key = key or ""
        analysis, whole = _made(folder, key)
        table = packed.decode(folder / kept.FOLDER / packed.NAME, whole or _encoded(analysis, key), key, columns)
    if table is None or key is None:
        raise RunFolderError(f"{folder}: too large to be packed")
    return key, table


def _kept(folder: Path, key: str | None) -> Analysis | None:
    """The analysis that was kept under `key`; None where there is none."""
    table = packed.read(folder, key, (packed.ESTIMATE, packed.TWINS, packed.REDUCED))
    if table is not None:
        # Somebody else may have written nonsense, with a right key.
        with contextlib.suppress(ValueError, TypeError, KeyError, IndexError):
            return _decoded(folder, table)
    return None


def _made(folder: Path, key: str | None) -> tuple[Analysis, bytes]:
    """Estimate a run, and keep it: its analysis, and the bytes that were kept; none where it cannot be kept."""
    analysis = analyse(folder)
    if not analysis.rounds or not key:
        return analysis, b""
    whole = _encoded(analysis, key)
    kept.store(folder, packed.NAME, key, whole)
    return analysis, whole


def _encoded(analysis: Analysis, key: str) -> bytes:
    rows = [_text(_as_kept(row)) for row in analysis.rows]
    twins = _text([(twin.case, twin.original, twin.effect_pct) for twin in analysis.twins])
    return packed.encode(analysis, key, rows, twins, encode_rows(analysis.reduced))


def _as_kept(row: Row) -> dict[str, object]:
    """The fields of a row. Its metrics are a text within the text, which `_Metrics` need not read."""
    return {item.name: getattr(row, item.name) for item in fields(Row)} | {"metrics": _text(dict(row.metrics))}


class _Metrics(Mapping[str, Metric]):
    """Metrics of a row, read when they are first asked for: a comparison of runs needs those of few rows."""

    def __init__(self, text: str) -> None:
        self._text = text

    @functools.cached_property
    def _found(self) -> dict[str, Metric]:
        return {
            name: Metric(Interval(*interval), unit, summary, None if ns is None else Interval(*ns))
            for name, (interval, unit, summary, ns) in json.loads(self._text).items()
        }

    def __getitem__(self, name: str) -> Metric:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)


def _text(value: object) -> str:
    return json.dumps(value, default=_fields, separators=(",", ":"))


def _fields(value: object) -> list[object]:
    if not isinstance(value, Metric | Regime):
        raise TypeError(f"{type(value).__name__} cannot be kept")
    return [getattr(value, item.name) for item in fields(value)]


def _decoded(folder: Path, table: pa.Table) -> Analysis:
    rows, twins, reduced = (table.column(name) for name in (packed.ESTIMATE, packed.TWINS, packed.REDUCED))
    found = [Twin(case, original, Interval(*effect)) for case, original, effect in json.loads(twins[0].as_py())]
    path = folder / kept.FOLDER / packed.NAME
    whole = decode_rows(path, reduced[0].as_py(), folder)
    return Analysis(whole, tuple(_row(json.loads(text)) for text in rows.to_pylist()), found)


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
            "metrics": _Metrics(item["metrics"]),
        }
    )
