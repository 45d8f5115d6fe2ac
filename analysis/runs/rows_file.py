"""``rows.parquet``: a run reduced to one row a case and process, without its batches.

It holds all that the report and the estimates are made of, so that a published folder, or what another tool's file was
imported to, is a run folder like any other: `fencepost report`, `compare` and `export` read it. The figures are the
same to the last bit.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.analysis.runs.columns import Column, Columns
from fencepost.analysis.runs.model import (
    BY_FRONT_END,
    PROCESS_COLUMNS,
    WITNESSED,
    Count,
    Histogram,
    Reduced,
    process_frame,
)
from fencepost.analysis.runs.regimes import InPlace
from fencepost.analysis.runs.unfolded import open_parquet
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, ReducedWorkerRecord, RowsRecord
from fencepost.bench.files import words_of
from fencepost.bench.schema import ROWS_FILE, RunFolderError

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = (
    *("ticks", "floor_ticks", "ns", "floor_ns", "resolution_ns", "flagged", "disturbed", *schema.FLAGS),
    *("tick_hz", "core_hz", "chain_ratio", "elapsed_ns"),
)


_LARGEST = 1e150
"""Of a value: the product of two is a number still."""


_POINT = pa.struct([("seconds", pa.float64()), ("ns", pa.float64()), ("cpu", pa.int32()), ("flags", pa.int32())])


LAYOUT = pa.schema(
    [
        ("case", pa.dictionary(pa.int32(), pa.string())),
        ("round", pa.int32()),
        ("status", pa.dictionary(pa.int32(), pa.string())),
        ("reason", pa.string()),
        ("batches", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
        ("metrics", pa.map_(pa.string(), pa.float64())),
        # In the first row of a case only: all events of the run, and what was measured once over time.
        ("events_ticks", pa.list_(pa.int64())),
        ("events_count", pa.list_(pa.int64())),
        ("events_tick_hz", pa.float64()),
        ("series", pa.list_(_POINT)),
        # Of an imported run: all values of the process, in ns.
        ("values_ns", pa.list_(pa.float64())),
    ]
)
"""Columns of rows.parquet: those of `process_medians` in `fencepost.analysis.runs.medians`, and what belongs to a whole
case.
"""

COUNTS = pa.field("counts", pa.map_(pa.string(), pa.struct([("found", pa.int64()), ("expected", pa.int64())])))
"""A last column that is there only where a case of the run counts something."""

WITNESSES = (
    *(pa.field(name, pa.float64()) for name in WITNESSED),
    pa.field(
        "places",
        pa.list_(pa.struct([("distance_ns", pa.float64()), ("ns", pa.float64()), ("batches", pa.int64())])),
    ),
)
"""Columns before it that are there only where the run has witnesses, see `fencepost.analysis.runs.witnesses`."""


_STATUS = ("ok", "unsupported", "failed")


_OPTIONAL_LISTS = ("events_ticks", "events_count", "series", "values_ns")


def encode_rows(reduced: Reduced, values_ns: Mapping[tuple[str, int], Sequence[float]] | None = None) -> bytes:
    """A reduced run as the bytes of its ``rows.parquet``.

    Parameters
    ----------
    reduced
        what `reduce_run` gave.
    values_ns
        all values of a case (its id) in a process (its round), in ns, where they are known: of imported runs.
    """
    columns = _columns(reduced)
    if values_ns:
        places = zip(columns["case"], columns["round"].tolist(), strict=True)
        columns["values_ns"] = [values_ns.get(place) for place in places]
    workers: list[ReducedWorkerRecord] = [
        {
            "round": row["round"],
            "tick_source": row["tick_source"],
            "tick_hz": _number_or_none(row["tick_hz"]),
            "quantum_ticks": _number_or_none(row["quantum_ticks"]),
            "overhead_ticks": _number_or_none(row["overhead_ticks"]),
            "startup_ms": _number_or_none(row["startup_ms"]),
            "elapsed_ms": _number_or_none(row["elapsed_ms"]),
        }
        for row in reduced.workers.to_dict("records")
    ]
    for worker, row in zip(workers, reduced.workers.to_dict("records"), strict=True):
        # Runs of older versions and of other tools know none.
        if isinstance(row.get("interrupts"), dict):
            worker["interrupts"] = row["interrupts"]
        if row.get("traced") is True:
            worker["traced"] = True
    record: RowsRecord = {"schema": schema.SCHEMA_VERSION, "run": reduced.run["id"], "workers": workers}
    witnessed = bool(np.isfinite(columns["free"]).any() or any(columns["places"]))
    layout = _layout(witnesses=witnessed, counts=any(columns[COUNTS.name]))
    arrays = [pa.array(columns[field.name], field.type) for field in layout]
    table = pa.Table.from_arrays(arrays, schema=layout.with_metadata(schema.record_metadata(record)))
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()


def _layout(*, witnesses: bool, counts: bool) -> pa.Schema:
    """The columns of a file with or without the optional ones."""
    more = [*(WITNESSES if witnesses else ()), *([COUNTS] if counts else ())]
    return pa.schema([*LAYOUT, *more])


LAYOUTS = tuple(_layout(witnesses=witnesses, counts=counts) for witnesses in (False, True) for counts in (False, True))


def _columns(reduced: Reduced) -> dict[str, Any]:
    """The columns of a file by name, without the values of an imported run."""
    frame = reduced.processes
    cases = frame["case"].astype(str).tolist()
    columns: dict[str, Any] = {name: frame[name].to_numpy(float) for name in _NUMBERS}
    columns |= {name: frame[name].to_numpy() for name in ("round", "batches")}
    columns |= {"case": cases, "status": frame["status"].astype(str).tolist()}
    columns["reason"] = [reason if isinstance(reason, str) else None for reason in frame["reason"]]
    columns["metrics"] = [list(metrics.items()) for metrics in frame["metrics"]]
    columns |= {name: frame[name].to_numpy(float) for name in WITNESSED}
    columns["places"] = [[place._asdict() for place in places] for places in frame["places"]]
    columns["counts"] = [[(name, count._asdict()) for name, count in counts.items()] for counts in frame["counts"]]
    columns |= {name: [None] * len(frame) for name in (*_OPTIONAL_LISTS, "events_tick_hz")}
    first = {case: place for place, case in reversed(list(enumerate(cases)))}
    for case, histogram in reduced.histograms.items():
        columns["events_ticks"][first[case]] = histogram.ticks
        columns["events_count"][first[case]] = histogram.count
        columns["events_tick_hz"][first[case]] = histogram.tick_hz
    for case, series in reduced.series.items():
        columns["series"][first[case]] = series.to_dict("records")
    return columns


def read_reduced(folder: Path | str) -> Reduced:
    """A run folder that holds ``rows.parquet``, as `reduce_run` would give it.

    Raises
    ------
    RunFolderError
        naming file and field, where something is damaged, unfit for the plan in run.json, or too large.
    """
    path = Path(folder) / ROWS_FILE
    return decode_rows(path, schema.read_file(path), Path(folder))


def decode_rows(path: Path, data: bytes, folder: Path) -> Reduced:
    """The run of `folder` from the bytes of a rows file, called `path` in sentences; raises as `read_reduced`."""
    run, machine = schema.read_run(folder), schema.read_machine(folder)
    table, record = _table(path, data)
    if record["run"] != run["id"]:
        raise RunFolderError(f"{path}: field run: {record['run']!r:.80}, but run.json has id {run['id']!r:.80}")
    planned = {case["case"]: case for case in run["plan"]["cases"]}
    _check_rows(path, table, record, planned)
    names = _texts(table.column("case"))
    events = [table.column(name) for name in ("events_ticks", "events_count", "events_tick_hz")]
    histograms = {}
    for place in _filled(events[0]):
        ticks, count = (np.asarray(column[place].as_py(), np.int64) for column in events[:2])
        histograms[names[place]] = Histogram(ticks, count, events[2][place].as_py())
    points = table.column("series")
    series = _Series(points, {names[place]: place for place in _filled(points)})
    by_process = _processes(run["id"], table, names, planned)
    return Reduced(folder, run, machine, by_process, _workers(record["workers"]), histograms, series)


class _Series(Mapping[str, "pd.DataFrame"]):
    """What was measured once over time, by case: a frame where it is asked for. `places`: rows of `points`."""

    def __init__(self, points: pa.ChunkedArray, places: Mapping[str, int]) -> None:
        self._points, self._places = points, places

    def __getitem__(self, case: str) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self._points[self._places[case]].as_py(), columns=_POINT.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _workers(workers: Sequence[ReducedWorkerRecord]) -> Columns:
    def column(name: str) -> Column:
        values = [worker.get(name) for worker in workers]
        return np.array(values, float if name in schema.WORKER_NUMBERS else object)

    def frame() -> pd.DataFrame:
        import pandas as pd

        found = pd.DataFrame(workers)
        for name in schema.WORKER_NUMBERS:
            found[name] = found[name].astype(float)
        return found

    return Columns(len(workers), column, frame)


def _processes(run: str, table: pa.Table, cases: Sequence[str], planned: Mapping[str, CaseJson]) -> Columns:
    """One row a case and process. `cases`: the column of that name."""
    seen = WITNESSED[0] in table.column_names

    def column(name: str) -> Column:
        if name in WITNESSED and not seen:
            return found["ns"] if name == "found_ns" else np.full(len(cases), np.nan)
        if name in ("round", "batches"):
            return _array(table.column(name)).astype(np.int64)
        if name in (*_NUMBERS, *WITNESSED):
            return _array(table.column(name))
        return _objects(_made(name))

    def _made(name: str) -> Sequence[object]:
        if name == "run":
            return [run] * len(cases)
        if name in ("case", "kernel"):
            return cases if name == "case" else [planned[case]["kernel"] for case in cases]
        if name == "status":
            return _texts(table.column(name))
        if name == "reason":
            return _listed(table, name)
        if name == "places":
            return _places(table.column(name)) if seen else [()] * len(cases)
        return [_KINDS[name](items) for items in _listed(table, name) or [()] * len(cases)]

    def frame() -> pd.DataFrame:
        columns: dict[str, object] = {name: found[name] for name in PROCESS_COLUMNS if name not in BY_FRONT_END}
        return process_frame(columns | {"run": run})

    found = Columns(len(cases), column, frame)
    return found


_KINDS: dict[str, Callable[[Any], object]] = {
    "metrics": dict,
    "counts": lambda items: {name: Count(**count) for name, count in items},
}
"""What the lists of a column become: one for each case and process."""


def _places(column: pa.ChunkedArray) -> list[tuple[InPlace, ...]]:
    """Those of each case and process. Most have none."""
    whole = column.combine_chunks()
    fields = (_array(_inside(whole).field(name)).tolist() for name in InPlace._fields)
    places = list(map(InPlace, *fields))
    return [tuple(places[start:end]) for start, end in pairwise(_array(whole.offsets).tolist())]


def _inside(lists: pa.ListArray) -> pa.StructArray:
    """What is in all lists, one after the other."""
    return lists.values  # noqa: PD011 - of Arrow, not of pandas


def _listed(table: pa.Table, name: str) -> list[Any]:
    """The values of a column; none where the file does not have it."""
    values: list[Any] = table.column(name).to_pylist() if name in table.column_names else []
    return values


def _objects(values: Sequence[object]) -> Column:
    """An array that holds lists and dictionaries as they are."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _texts(column: pa.ChunkedArray) -> list[str]:
    """A column without empty values. Of its many texts few differ, and only these are made."""
    codes, texts = _coded(column)
    return [texts[code] for code in codes.tolist()]


def _coded(column: pa.ChunkedArray) -> tuple[Column, list[str]]:
    """A column without empty values: places in its few texts, and these."""
    whole = column.combine_chunks()
    encoded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    return _array(encoded.indices), encoded.dictionary.to_pylist()


def _once(codes: Column) -> list[int]:
    """The codes that occur, by where they do so first."""
    found, first = np.unique(codes, return_index=True)
    codes_in_order: list[int] = found[np.argsort(first)].tolist()
    return codes_in_order


def _filled(column: pa.ChunkedArray) -> list[int]:
    """Places that are not empty."""
    whole = column.combine_chunks()
    if not whole.null_count:
        return list(range(len(whole)))
    bits = np.unpackbits(np.frombuffer(whole.buffers()[0], np.uint8), bitorder="little")
    places: list[int] = np.flatnonzero(bits[whole.offset : whole.offset + len(whole)]).tolist()
    return places


def _array(column: pa.Array | pa.ChunkedArray) -> Column:
    """Numbers without empty values. Their own way to numpy imports pandas."""
    return np.from_dlpack(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)


def values_of(folder: Path | str) -> dict[tuple[str, int], list[float]]:
    """All values of each case and process of an imported run, in ns; empty for a run that has medians only."""
    path = Path(folder) / ROWS_FILE
    table, _ = _table(path, schema.read_file(path))
    cases, rounds, values = (table.column(name).to_pylist() for name in ("case", "round", "values_ns"))
    return {
        (case, number): inside for case, number, inside in zip(cases, rounds, values, strict=True) if inside is not None
    }


def _number_or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _table(path: Path, data: bytes) -> tuple[pa.Table, RowsRecord]:
    try:
        file = open_parquet(path, data)
        metadata = file.metadata.metadata
        if not any(file.schema_arrow.equals(layout) for layout in LAYOUTS):
            raise RunFolderError(f"{path}: {_difference(file.schema_arrow)}")
        table = file.read(use_threads=False)
        table.validate(full=True)
    except OSError as error:
        raise RunFolderError(f"{path}: {words_of(error)}") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise RunFolderError(f"{path}: not a complete Parquet file ({first}); publish or import it again") from error
    return table, schema.parse_rows_record(path, metadata)


def _difference(found: pa.Schema) -> str:
    for field in LAYOUT:
        if field.name not in found.names:
            return f"column {field.name} is missing; fencepost did not write these rows"
        if found.field(field.name).type != field.type:
            return f"column {field.name} is of type {found.field(field.name).type}, expected {field.type}"
    extra = next((name for name in found.names if name not in LAYOUTS[-1].names), None)
    return f"column {extra} is unknown" if extra else "its columns are in another order than fencepost writes"


def _check_rows(path: Path, table: pa.Table, record: RowsRecord, planned: Mapping[str, CaseJson]) -> None:
    for name in table.column_names:
        if name not in (*_OPTIONAL_LISTS, "reason", "events_tick_hz") and table.column(name).null_count:
            raise RunFolderError(f"{path}: column {name} has {table.column(name).null_count} empty values")
    if WITNESSED[0] in table.column_names:
        places = _inside(table.column("places").combine_chunks())
        if places.null_count or any(places.field(name).null_count for name in InPlace._fields):
            raise RunFolderError(f"{path}: column places: an empty value in a place")
    rounds = [worker["round"] for worker in record["workers"]]
    if len(set(rounds)) != len(rounds):
        raise RunFolderError(f"{path}: field workers: a round is named twice")
    (codes, cases), numbers = _coded(table.column("case")), _array(table.column("round"))
    stranger = next((cases[code] for code in _once(codes) if cases[code] not in planned), None)
    if stranger is not None:
        raise RunFolderError(f"{path}: column case: {stranger!r:.200} is not in the plan of run.json")
    met = set(np.unique(numbers).tolist())
    if not met <= set(rounds):
        raise RunFolderError(f"{path}: column round: {min(met - set(rounds))} has no worker in the record")
    # By names, as a dictionary of a file may hold one twice.
    names: dict[str, int] = {}
    first = np.array([names.setdefault(case, len(names)) for case in cases], np.int64)[codes]
    if len(np.unique(first << 32 | numbers)) != len(codes):
        raise RunFolderError(f"{path}: column case: a case is twice in one round")
    codes, found = _coded(table.column("status"))
    statuses = {found[code] for code in _once(codes)}
    if not statuses <= set(_STATUS):
        raise RunFolderError(f"{path}: column status: {min(statuses - set(_STATUS))!r:.80} is not one of {_STATUS}")
    for name in {*_NUMBERS, *WITNESSED} & {*table.column_names}:
        values = _array(table.column(name))
        beyond = np.flatnonzero(np.abs(values) > _LARGEST)
        if beyond.size:
            raise RunFolderError(f"{path}: column {name}: {values[beyond[0]]:g} is beyond all that can be measured")
    events = [table.column(name) for name in ("events_ticks", "events_count", "events_tick_hz")]
    filled, *others = map(_filled, events)
    if others != [filled, filled]:
        raise RunFolderError(f"{path}: columns events_ticks, events_count and events_tick_hz do not belong together")
    for place in filled:
        ticks, count, rate = (column[place].as_py() for column in events)
        if len(ticks) != len(count) or not rate > 0 or None in ticks or None in count:
            raise RunFolderError(f"{path}: columns events_ticks and events_count differ in length, or have gaps")
