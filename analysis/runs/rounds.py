"""Rounds of a run folder: reading and checking one file each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from fencepost.analysis.runs.unfolded import open_parquet
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, RoundRecord, RunJson
from fencepost.bench.files import words_of
from fencepost.bench.schema import RunFolderError

if TYPE_CHECKING:
    import pandas as pd

_ARROW_TYPES: dict[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}


@dataclass(frozen=True)
class Round:
    """One round: its number, the checked record of its metadata, and the rows with the columns that were asked for."""

    path: Path
    number: int
    record: RoundRecord
    rows: pa.Table


def iter_rounds(folder: Path | str, columns: Sequence[str] | None = None) -> Iterator[Round]:
    """Complete rounds of a run folder in order, one in memory at a time.

    Parameters
    ----------
    folder
        a run folder.
    columns
        which of `fencepost.bench.schema.COLUMNS` to read; all by default. Those of `WITNESS_COLUMNS` are left out
        where a round has none.

    Raises
    ------
    RunFolderError
        naming file and field: a file is truncated, lacks a column, has one of the wrong type, or a record edited by
        hand.
    """
    for number, path in schema.round_files(Path(folder)).items():
        yield read_round(path, number, tuple(columns or schema.COLUMNS))


def load_batches(folder: Path | str) -> pd.DataFrame:
    """All batches of one run: every column of the schema, and ``value_ticks``, ``value_ns`` per operation net of
    overhead.

    ``case`` is a categorical. For runs that fit into memory; `process_medians` has no such limit.
    """
    import pandas as pd

    frames = []
    for item in iter_rounds(folder):
        frame = item.rows.to_pandas()
        frame["case"] = frame["case"].astype("category")
        frame["value_ticks"] = (frame["ticks"] - frame["overhead_ticks"]) / frame["operations"]
        frame["value_ns"] = frame["value_ticks"] / item.record["worker"]["tick_hz"] * 1e9
        frames.append(frame)
    if not frames:
        return pd.DataFrame({name: [] for name in (*schema.COLUMNS, "value_ticks", "value_ns")})
    categories = pd.api.types.union_categoricals([frame["case"] for frame in frames]).categories
    for frame in frames:
        frame["case"] = frame["case"].cat.set_categories(categories)
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole


def read_round(path: Path, number: int, columns: tuple[str, ...]) -> Round:
    try:
        file = open_parquet(path)
        kinds = {field.name: field.type for field in file.schema_arrow}
        metadata = file.metadata.metadata
    except OSError as error:
        raise RunFolderError(f"{path}: {words_of(error)}") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path}: not a complete Parquet file ({_first_line(error)}); delete this round and run `fencepost run "
            "--resume`"
        ) from error
    # Rounds of older versions have no witnesses.
    witnessed = any(name in kinds for name in schema.WITNESS_COLUMNS)
    columns = tuple(name for name in columns if witnessed or name not in schema.WITNESS_COLUMNS)
    for name in columns:
        if name not in kinds:
            raise RunFolderError(f"{path}: column {name} is missing; this is not a round written by fencepost")
        _check_type(path, name, kinds[name])
    record = _record(path, metadata)
    if record["round"] != number:
        raise RunFolderError(f"{path}: field round: {record['round']} in the record, {number} in the name of the file")
    try:
        rows = file.read(columns=list(columns), use_threads=False)
        if "case" in columns:  # names that are no UTF-8, indices beyond the dictionary
            rows.column("case").validate(full=True)
            if not pa.types.is_dictionary(kinds["case"]):
                rows = rows.set_column(rows.column_names.index("case"), "case", rows.column("case").dictionary_encode())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RunFolderError(f"{path}: rows cannot be read ({_first_line(error)}); the file is damaged") from error
    for name in columns:
        if rows.column(name).null_count:
            raise RunFolderError(f"{path}: column {name} has {rows.column(name).null_count} empty values")
    return Round(path, number, record, rows)


def _check_type(path: Path, name: str, kind: pa.DataType) -> None:
    wanted = schema.COLUMNS[name]
    if wanted == "dictionary":
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        fine = pa.types.is_string(text) or pa.types.is_large_string(text)
    else:
        fine = kind == _ARROW_TYPES[wanted]
    if not fine:
        raise RunFolderError(f"{path}: column {name} is of type {kind}, expected {wanted}")


def _record(path: Path, metadata: Mapping[bytes, bytes] | None) -> RoundRecord:
    record = schema.parse_round_record(path, metadata)
    worker = record["worker"]
    if not worker["tick_hz"] > 0:
        raise RunFolderError(f"{path}: field worker.tick_hz: {worker['tick_hz']} is not a rate")
    for name, case in record["cases"].items():
        histogram = case.get("histogram")
        if histogram and len(histogram["ticks"]) != len(histogram["count"]):
            raise RunFolderError(f"{path}: field cases.{name}.histogram: ticks and count differ in length")
    return record


def check_belongs(item: Round, run: RunJson, planned: Mapping[str, CaseJson]) -> None:
    if item.record["run"] != run["id"]:
        raise RunFolderError(
            f"{item.path}: field run: {item.record['run']!r:.80}, but run.json has id "
            f"{run['id']!r:.80}; the round is of another run"
        )
    stranger = next((name for name in item.record["cases"] if name not in planned), None)
    if stranger is not None:
        raise RunFolderError(f"{item.path}: field cases: {stranger!r:.200} is not in the plan of run.json")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
