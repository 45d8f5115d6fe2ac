"""``cache/rows.parquet``: the estimate of a run in columns, one row a case, so that many runs are read as one table.

Its columns `COLUMNS` can be read by any reader of Parquet, such as DuckDB. `ESTIMATE` has each row as a whole, and
`REDUCED` the run reduced to processes, so that an analysis comes back to the last bit. A reader of columns never
touches these two.

Its metadata hold the key of `fencepost.analysis.runs.kept` under `KEY`, which names rounds and rule, and a digest of
the whole file under `DIGEST`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.analysis.runs import kept
from fencepost.analysis.runs.controls import is_control
from fencepost.analysis.runs.labels import label_of
from fencepost.analysis.runs.row import CSV_FIGURES, Row
from fencepost.analysis.runs.unfolded import open_parquet
from fencepost.bench.documents import MachineJson, RunJson
from fencepost.bench.labels import HOST
from fencepost.bench.schema import RunFolderError

if TYPE_CHECKING:
    from fencepost.analysis.runs.estimate import Analysis

NAME = "rows.parquet"

KEY, DIGEST = b"fencepost-key", b"fencepost-file-sha256"

_UNKNOWN_DIGEST = b"the digest of this file stands here".ljust(64)

ESTIMATE, REDUCED, TWINS = "estimate", "reduced", "twins"

_TEXT = pa.string()
_OF_RUN = {
    "run": _TEXT,
    "created_utc": _TEXT,
    "machine_key": _TEXT,
    "label": _TEXT,
    "host": _TEXT,
    "made_with": _TEXT,
    "noise_floor_pct": pa.float64(),
    "complete_rounds": pa.int64(),
}
_OF_ROW = {
    **dict.fromkeys(("case", "kernel", "topic", "parameters", "unit", "kind", "twin_of", "reason", "basis"), _TEXT),
    "control": pa.bool_(),
    **{name: pa.int64() if name in ("rounds", "batches") else pa.float64() for name in CSV_FIGURES},
    "flags": pa.list_(_TEXT),
}
COLUMNS = pa.schema([*_OF_RUN.items(), *_OF_ROW.items()])
"""What is told of the run, the same in each row, and of the case. Times are in ns."""

LAYOUT = pa.schema([*COLUMNS, (ESTIMATE, pa.string()), (TWINS, pa.string()), (REDUCED, pa.binary())])


def made_with(run: RunJson, machine: MachineJson) -> dict[str, str]:
    """What a run was made with: a border between two that differ in it is shown in a history."""
    engine, plan = run["engine"], run["plan"]
    return {
        "engine": engine["sha256"],
        "compiler": engine["compiler"],
        "flags": engine["flags"],
        "profile": f"{plan['profile']} ({plan['batches']} batches of {plan['batch_ns']} ns)",
        "kernel": str(machine.get("kernel")),
        "microcode": str(machine.get("microcode")),
        "launcher": run["launcher"],
        **{f"file {item['label']}": item["sha256"] for item in run.get("objects", ())},
    }


def encode(analysis: Analysis, key: str, estimates: Sequence[str], twins: str, reduced: bytes) -> bytes:
    """The bytes of a packed run.

    Parameters
    ----------
    analysis
        the run with its rows.
    key
        its key, see `fencepost.analysis.runs.kept.key_of`.
    estimates, twins, reduced
        each row as text, the A/A rows as text, and the reduced run as a rows file.
    """
    run, rows = analysis.run, analysis.rows
    of_run = {
        "run": run["id"],
        "created_utc": run["created_utc"],
        "machine_key": str(run["machine_key"]),
        "label": label_of(run),
        "host": label_of(run, HOST),
        "made_with": json.dumps(made_with(run, analysis.machine)),
        "noise_floor_pct": analysis.noise_floor_pct,
        "complete_rounds": analysis.rounds,
    }
    columns: dict[str, Sequence[object]] = {name: [value] * len(rows) for name, value in of_run.items()}
    told = [_of_row(row) for row in rows]
    columns |= {name: [one[name] for one in told] for name in _OF_ROW}
    first = [None] * max(len(rows) - 1, 0)
    columns |= {ESTIMATE: list(estimates), TWINS: [twins, *first], REDUCED: [reduced, *first]}
    arrays = [pa.array(columns[field.name][: len(rows)], field.type) for field in LAYOUT]
    return sealed(pa.Table.from_arrays(arrays, schema=LAYOUT), key)


def sealed(table: pa.Table, key: str) -> bytes:
    """The bytes of a packed run with the columns of `LAYOUT`, that name their key and their digest."""
    table = table.replace_schema_metadata({KEY: key.encode(), DIGEST: _UNKNOWN_DIGEST})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    data = sink.getvalue()
    return data.replace(_UNKNOWN_DIGEST, hashlib.sha256(data).hexdigest().encode())


def _of_row(row: Row) -> dict[str, object]:
    found = row.as_dict()
    return found | {
        "topic": row.topic,
        "parameters": json.dumps(row.parameters),
        "control": is_control(row.kernel, row.parameters),
        "flags": list(row.flags),
    }


def read(folder: Path, key: str | None, columns: Sequence[str] = COLUMNS.names) -> pa.Table | None:
    """Columns of the packed run of `folder`, if it belongs to `key` and is whole; else None."""
    data = kept.content(folder, NAME)
    return None if key is None or data is None else decode(folder / kept.FOLDER / NAME, data, key, columns)


def decode(path: Path, data: bytes, key: str, columns: Sequence[str] = COLUMNS.names) -> pa.Table | None:
    """Columns from the bytes of a packed run, called `path` in sentences, if it belongs to `key` and is whole."""
    try:
        file = open_parquet(path, data)
        metadata: Mapping[bytes, bytes] = file.metadata.metadata or {}
        digest = metadata.get(DIGEST, b"")
        if metadata.get(KEY) != key.encode() or len(digest) != len(_UNKNOWN_DIGEST):
            return None
        if hashlib.sha256(data.replace(digest, _UNKNOWN_DIGEST)).hexdigest().encode() != digest:
            return None
        return file.read(columns=list(columns), use_threads=False)
    except (OSError, ValueError, KeyError, pa.ArrowException, RunFolderError):
        return None
