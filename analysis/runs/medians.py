"""Run folders into frames: batches, medians per process, histograms and time series.

A run folder may be large and a thousand of them larger still, so everything is read round by round, and only the
columns that are asked for. What leaves this module is small: one row a case and process.

Units: ``*_ticks`` are ticks of the machine's counter, ``*_ns`` nanoseconds by the rate that the same process measured.
"""

from __future__ import annotations

import gc
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError

__all__ = [
    "Histogram",
    "Reduced",
    "Round",
    "RunFolderError",
    "iter_rounds",
    "load_batches",
    "map_runs",
    "process_medians",
    "reduce_run",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

REDUCE_COLUMNS = ("case", "thread", "ticks", "operations", "overhead_ticks", "involuntary", "flags")
"""Columns that medians per process need; the others stay on disk."""

_ARROW_TYPES: dict[str, pa.DataType] = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}
_DISTURBED = schema.FLAGS["migrated"] | schema.FLAGS["switched"] | schema.FLAGS["faulted"] | schema.FLAGS["low_overlap"]
_SWITCHED = schema.FLAGS["switched"]


@dataclass(frozen=True)
class Round:
    """One round: its number, the checked record of its metadata, and the rows with the columns that were asked for."""

    path: Path
    number: int
    record: dict[str, Any]
    rows: pa.Table


@dataclass(frozen=True)
class Histogram:
    """All events of a case over all processes of a run: ascending `ticks`, how often each was seen, and the tick
    rate.
    """

    ticks: Integers
    count: Integers
    tick_hz: float

    @property
    def ns(self) -> Floats:
        """The values in nanoseconds, by the median rate of the processes (rates of one machine differ by parts per
        million).
        """
        return np.asarray(self.ticks * (1e9 / self.tick_hz), np.float64)


@dataclass(frozen=True)
class Reduced:
    """What a run folder comes to: see `reduce_run`."""

    folder: Path
    run: dict[str, Any]
    machine: dict[str, Any]
    processes: pd.DataFrame
    workers: pd.DataFrame
    histograms: dict[str, Histogram] = field(default_factory=dict)
    series: dict[str, pd.DataFrame] = field(default_factory=dict)


def iter_rounds(folder: Path | str, columns: Sequence[str] | None = None) -> Iterator[Round]:
    """Complete rounds of a run folder in order, one in memory at a time.

    Parameters
    ----------
    folder
        a run folder.
    columns
        which of `fencepost.bench.schema.COLUMNS` to read; all by default.

    Raises
    ------
    RunFolderError
        naming file and field: a file is truncated, lacks a column, has one of the wrong type, or a record edited by
        hand.
    """
    for number, path in schema.round_files(Path(folder)).items():
        yield _read_round(path, number, tuple(columns or schema.COLUMNS))


def load_batches(folder: Path | str) -> pd.DataFrame:
    """All batches of one run: every column of the schema, and ``value_ticks``, ``value_ns`` per operation net of
    overhead.

    ``case`` is a categorical. For runs that fit into memory; `process_medians` has no such limit.
    """
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


def process_medians(folders: Path | str | Iterable[Path | str], *, processes: int | None = None) -> pd.DataFrame:
    """Median per process and case of one or many runs.

    Parameters
    ----------
    folders
        a run folder or several.
    processes
        how many worker processes read side by side; by default one a usable CPU when there are more than eight folders.

    Returns
    -------
    pandas.DataFrame
        one row a run, round and case: ``run``, ``case`` (categoricals), ``round``, ``status``, ``reason``, ``ticks``
        and
        ``floor_ticks`` (median and smallest batch per operation, net of the empty window), the same as ``ns`` and
        ``floor_ns`` by that process's own tick rate, ``batches``, shares of rows between 0 and 1 with a flag set
        (``flagged`` for any,
        ``disturbed`` for those that point at noise, and one column a flag), ``tick_hz``, ``resolution_ns`` (one quantum
        of the counter, per operation), ``core_hz``, ``chain_ratio``, ``metrics`` (dict of floats, NaN where the kernel
        set none), ``elapsed_ns``.
    """
    several = [folders] if isinstance(folders, str | Path) else list(folders)
    frames = [frame for frame in map_runs(_processes_only, several, processes=processes) if len(frame)]
    if not frames:
        return process_frame([])
    for name in ("run", "case", "kernel"):
        categories = pd.api.types.union_categoricals([frame[name] for frame in frames]).categories
        for frame in frames:
            frame[name] = frame[name].cat.set_categories(categories)
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole


def map_runs(function: Any, folders: Sequence[Path | str], *, processes: int | None = None) -> Iterator[Any]:
    """``function(folder)`` for each folder, in order; side by side in worker processes where there are more than eight.

    `function` must be importable by name. Only its results are held, so that memory does not grow with the size of a
    run.
    """
    paths = [Path(folder) for folder in folders]
    count = processes or (min(len(os.sched_getaffinity(0)), 8) if len(paths) > 8 else 1)
    if count <= 1:
        yield from map(function, paths)
        return
    # Not fork: pyarrow and pandas have threads. Chunks are small, so that no more than a few results wait at once.
    with ProcessPoolExecutor(count, mp_context=get_context("forkserver"), initializer=_one_thread_each) as pool:
        yield from pool.map(function, paths, chunksize=4)


def reduce_run(folder: Path | str) -> Reduced:
    """Reduce one run folder: medians per process, histograms of event kernels, time series of cases measured once.

    A folder that holds them already (``rows.parquet``: published, or imported) is read with `read_reduced`.

    Returns
    -------
    Reduced
        ``processes`` as in `process_medians`; ``workers``: one row a round with its tick rate, quantum and overhead;
        ``series``: per case that was measured once, one row a batch with ``seconds`` since the case began, ``ns``,
        ``cpu``, ``flags``.
    """
    folder = Path(folder)
    if (folder / schema.ROWS_FILE).exists():
        from fencepost.analysis.reduced import read_reduced

        return read_reduced(folder)
    run = read_run(folder)
    machine = schema.read_machine(folder)
    if schema.IMPORTED in run:
        raise RunFolderError(f"{folder / schema.ROWS_FILE}: not found in an imported run; import its file again")
    planned = {case["case"]: case for case in run["plan"]["cases"]}
    once = {name for name, case in planned.items() if case["once"]}
    rows: list[dict[str, Any]] = []
    workers: list[dict[str, Any]] = []
    events: dict[str, tuple[list[Integers], list[Integers], list[float]]] = {}
    series: dict[str, pd.DataFrame] = {}
    for number, path in schema.round_files(folder).items():
        columns = (*REDUCE_COLUMNS, "begin_ticks", "cpu_begin") if once and number == 1 else REDUCE_COLUMNS
        item = _read_round(path, number, columns)
        _check_belongs(item, run, planned)
        worker = item.record["worker"]
        workers.append({"round": number, **{name: value for name, value in worker.items() if name != "cpus"}})
        rows += _reduce_round(item, run["id"], planned)
        for name, case in item.record["cases"].items():
            histogram = case.get("histogram")
            if histogram and case["status"] == "ok":
                ticks, count, rates = events.setdefault(name, ([], [], []))
                ticks.append(np.asarray(histogram["ticks"], np.int64))
                count.append(np.asarray(histogram["count"], np.int64))
                rates.append(worker["tick_hz"])
        if "begin_ticks" in columns:
            series |= _series(item, once)
    histograms = {name: _pool(*parts) for name, parts in events.items()}
    return Reduced(folder, run, machine, process_frame(rows), pd.DataFrame(workers), histograms, series)


def _processes_only(folder: Path) -> pd.DataFrame:
    return reduce_run(folder).processes


def _one_thread_each() -> None:
    # A worker only makes garbage that reference counts find; looking for cycles took a fifth of its time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _pool(ticks: list[Integers], count: list[Integers], rates: list[float]) -> Histogram:
    values, where = np.unique(np.concatenate(ticks), return_inverse=True)
    total = np.bincount(where, weights=np.concatenate(count), minlength=len(values)).astype(np.int64)
    return Histogram(values, total, float(np.median(rates)))


def _series(item: Round, once: set[str]) -> dict[str, pd.DataFrame]:
    frame = item.rows.to_pandas()
    frame["case"] = frame["case"].astype("category")
    hz = item.record["worker"]["tick_hz"]
    found = {}
    for name, rows in frame[frame["case"].isin(once)].groupby("case", observed=True):
        value = (rows["ticks"] - rows["overhead_ticks"]) / rows["operations"]
        found[str(name)] = pd.DataFrame(
            {
                "seconds": (rows["begin_ticks"] / hz).to_numpy(),
                "ns": (value / hz * 1e9).to_numpy(),
                "cpu": rows["cpu_begin"].to_numpy(),
                "flags": rows["flags"].to_numpy(),
            }
        )
    return found


def read_run(folder: Path) -> dict[str, Any]:
    """`schema.read_run`, which is not asked about a document that is plainly right: for a thousand runs that is
    worth it.
    """
    try:
        document = json.loads((folder / schema.RUN_FILE).read_bytes())
    except (OSError, ValueError):
        document = None
    if _run_plainly_right(document):
        assert isinstance(document, dict)
        return document
    return schema.read_run(folder)


def _run_plainly_right(document: Any) -> bool:
    try:
        plan, engine = document["plan"], document["engine"]
        texts = [document[name] for name in ("id", "created_utc", "machine_key")]
        texts += [plan["profile"], *document["command"], *document["versions"].values()]
        texts += [engine[name] for name in ("arch", "compiler", "flags", "sha256")]
        integers = [document["schema"], plan["seed"], plan["rounds"], plan["batches"], plan["batch_ns"], *plan["cpus"]]
        dicts, lists = [document, plan, engine, document["versions"]], [document["command"], plan["cpus"]]
        lists += [plan["cases"], plan["unmeasurable"]]
        if "doctor" in document:
            doctor = document["doctor"]
            texts += [doctor["profile"], *(text for text in [doctor.get("best_change")] if text is not None)]
            dicts, lists = [*dicts, doctor, *doctor["findings"]], [*lists, doctor["findings"]]
            flags = [doctor["fit"], *(found["reboot"] for found in doctor["findings"])]
            for found in doctor["findings"]:
                texts += (found[name] for name in ("knob", "effect", "severity"))
                texts += (found[name] for name in ("value", "change") if found[name] is not None)
            if any(type(flag) is not bool for flag in flags):
                return False
        for case in plan["cases"]:
            texts += (case["case"], case["kernel"], case["unit"], case.get("summary", ""))
            texts += (text for text in (case.get("relation"), case["twin_of"]) if text is not None)
            integers += case["values"]
            integers += case["cpus"]
            dicts += (case, case["parameters"], *case.get("metrics", ()))
            lists += (case["values"], case["cpus"], case.get("metrics", []))
            if type(case["once"]) is not bool or case["kind"] not in _KINDS or not case["cpus"]:
                return False
            if type(case.get("expected_ns", 0)) not in _NUMBERS:
                return False
            if not all(metric.keys() >= _METRIC_KEYS for metric in case.get("metrics", ())):
                return False
        for item in plan["unmeasurable"]:
            texts += (item["case"], item["kernel"], item["unit"], item["reason"])
            integers += item["cpus"]
            dicts += (item, item["parameters"])
            lists.append(item["cpus"])
        least = min(plan["rounds"], plan["batches"], plan["batch_ns"]) if set(map(type, integers)) == {int} else 0
        return (
            document["schema"] == schema.SCHEMA_VERSION
            and document["launcher"] in _LAUNCHERS
            and least >= 1
            and bool(plan["cpus"])
            and set(map(type, texts)) == {str}
            and set(map(type, dicts)) == {dict}
            and set(map(type, lists)) == {list}
        )
    except (KeyError, TypeError, AttributeError):
        return False


_KINDS = ("loop", "events")
_LAUNCHERS = ("taskset", "sched_setaffinity")
_METRIC_KEYS = frozenset(("name", "unit", "summary"))


def _read_round(path: Path, number: int, columns: tuple[str, ...]) -> Round:
    try:
        # A buffer rather than a memory map: a file that shrinks while mapped would end the process with SIGBUS.
        file = pq.ParquetFile(pa.BufferReader(path.read_bytes()), page_checksum_verification=True)
        kinds = {field.name: field.type for field in file.schema_arrow}
        text = (file.metadata.metadata or {}).get(schema.ROUND_KEY)
    except OSError as error:
        raise RunFolderError(f"{path}: {error.strerror or error}") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path}: not a complete Parquet file ({_first_line(error)}); delete this round and run `fencepost run "
            "--resume`"
        ) from error
    for name in columns:
        if name not in kinds:
            raise RunFolderError(f"{path}: column {name} is missing; this is not a round written by fencepost")
        _check_type(path, name, kinds[name])
    record = _record(path, text)
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


def _record(path: Path, text: bytes | None) -> dict[str, Any]:
    # The validator costs more than reading the rows. A record whose every field is plainly right passes a short check;
    # anything else goes to the validator, which has the words for what is wrong.
    try:
        document = json.loads(text) if text is not None else None
    except ValueError:
        document = None
    record = document if _plainly_right(document) else schema.parse_round_record(path, text)
    assert isinstance(record, dict)
    worker = record["worker"]
    if not worker["tick_hz"] > 0:
        raise RunFolderError(f"{path}: field worker.tick_hz: {worker['tick_hz']} is not a rate")
    for name, case in record["cases"].items():
        histogram = case.get("histogram")
        if histogram and len(histogram["ticks"]) != len(histogram["count"]):
            raise RunFolderError(f"{path}: field cases.{name}.histogram: ticks and count differ in length")
    return record


_NUMBERS = (int, float)
_NUMBERS_OR_NONE = frozenset((int, float, type(None)))


def _plainly_right(document: Any) -> bool:
    try:
        if type(document["schema"]) is not int or document["schema"] != schema.SCHEMA_VERSION:
            return False
        if type(document["round"]) is not int or document["round"] < 1:
            return False
        if (
            type(document["run"]) is not str
            or type(document["started_utc"]) is not str
            or type(document["order"]) is not list
        ):
            return False
        worker = document["worker"]
        if type(worker["tick_source"]) is not str or type(worker["cpus"]) is not list:
            return False
        if any(type(worker[name]) not in _NUMBERS for name in _WORKER_NUMBERS):
            return False
        if not set(map(type, document["order"])) <= {str} or not set(map(type, worker["cpus"])) <= {int}:
            return False
        for case in document["cases"].values():
            reason = case["reason"]
            if case["status"] not in _STATUS or not (reason is None or type(reason) is str):
                return False
            if type(case["elapsed_ns"]) not in _NUMBERS:
                return False
            numbers = [case["overhead_ticks"], case["core_hz"], case["chain_ratio"], *case["metrics"].values()]
            numbers += [case.get("core_hz_before"), case.get("core_hz_after")]
            numbers += [case.get("raw_before_ticks"), case.get("raw_after_ticks")]
            if not set(map(type, numbers)) <= _NUMBERS_OR_NONE:
                return False
            if "events" in case and type(case["events"]) is not int:
                return False
            histogram = case.get("histogram")
            if histogram is not None and not set(map(type, histogram["ticks"] + histogram["count"])) <= {int}:
                return False
    except (KeyError, TypeError, AttributeError):
        return False
    return True


_STATUS = frozenset(("ok", "unsupported", "failed"))
_WORKER_NUMBERS = ("tick_hz", "quantum_ticks", "overhead_ticks", "startup_ms", "elapsed_ms")


def _check_belongs(item: Round, run: dict[str, Any], planned: dict[str, Any]) -> None:
    if item.record["run"] != run["id"]:
        raise RunFolderError(
            f"{item.path}: field run: {item.record['run']!r}, but run.json has id {run['id']!r}; the round is of "
            "another run"
        )
    stranger = next((name for name in item.record["cases"] if name not in planned), None)
    if stranger is not None:
        raise RunFolderError(f"{item.path}: field cases: {stranger!r} is not in the plan of run.json")


def _reduce_round(item: Round, run: str, planned: dict[str, Any]) -> list[dict[str, Any]]:
    record, worker = item.record, item.record["worker"]
    scale = 1e9 / worker["tick_hz"]
    cases = item.rows.column("case").combine_chunks()
    names: list[str] = cases.dictionary.to_pylist()
    codes: npt.NDArray[np.int32] = cases.indices.to_numpy().astype(np.int32, copy=False)
    data = {name: item.rows.column(name).to_numpy() for name in REDUCE_COLUMNS if name != "case"}
    operations = data["operations"]
    if len(operations) and operations.min() < 1:
        raise RunFolderError(f"{item.path}: column operations: {int(operations.min())} is not a number of operations")
    value = (data["ticks"] - data["overhead_ticks"]) / operations
    median, floor, starts, present = _medians(codes, value)
    order = np.argsort(codes, kind="stable") if len(present) != len(starts) else None
    lengths = (
        np.diff(np.append(starts, len(codes))) if order is None else np.bincount(codes, minlength=len(names))[present]
    )
    if order is not None:
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)

    def mean(rows: npt.NDArray[Any]) -> Floats:
        if not len(rows):
            return np.empty(0)
        return np.add.reduceat(rows if order is None else rows[order], starts, dtype=float) / lengths

    flags = data["flags"]
    # An event kernel that waits gives up its CPU on purpose; only a switch that it did not ask for disturbs it.
    is_event = np.array([name in planned and planned[name]["kind"] == "events" for name in names], bool)
    own_switch = is_event[codes] & (data["involuntary"] == 0) if len(codes) else np.empty(0, bool)
    disturbing = flags & _DISTURBED & ~np.where(own_switch, _SWITCHED, 0)
    nothing = np.zeros(len(present))
    columns = {
        "ticks": median,
        "floor_ticks": floor,
        "ns": median * scale,
        "floor_ns": floor * scale,
        "batches": np.rint(mean(data["thread"] == 0) * lengths).astype(int),
        "resolution_ns": worker["quantum_ticks"] * scale / mean(operations.astype(float)),
        "flagged": mean(flags != 0),
        "disturbed": mean(disturbing != 0),
        **{name: mean((flags & bit) != 0) if (flags & bit).any() else nothing for name, bit in schema.FLAGS.items()},
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    measured = {names[code]: dict(zip(columns, row, strict=True)) for code, row in zip(present, values, strict=True)}
    stranger = next((name for name in measured if name not in record["cases"]), None)
    if stranger is not None:
        raise RunFolderError(
            f"{item.path}: column case: {stranger!r} has rows but no entry in the record's field cases"
        )
    rows = []
    for name, case in record["cases"].items():
        silent = name in planned and planned[name]["kind"] == "events" and not case.get("events")
        if case["status"] == "ok" and name not in measured and not silent:
            raise RunFolderError(f"{item.path}: field cases.{name}.status is ok, but the case has no rows")
        rows.append(
            {
                "run": run,
                "round": item.number,
                "case": name,
                "kernel": planned[name]["kernel"] if name in planned else name,
                "status": case["status"],
                "reason": case["reason"],
                **(measured.get(name) or _NOT_MEASURED),
                "tick_hz": float(worker["tick_hz"]),
                "core_hz": _float(case["core_hz"]),
                "chain_ratio": _float(case["chain_ratio"]),
                "metrics": {key: _float(value) for key, value in case["metrics"].items()}
                | _hand_over(case, measured.get(name), scale),
                "elapsed_ns": float(case["elapsed_ns"]),
            }
        )
    return rows


def _hand_over(case: Mapping[str, Any], measured: Mapping[str, float] | None, scale: float) -> dict[str, float]:
    """Of a team: the raw round trip taken beside it, and its own figure divided by that (`estimate.ENGINE_METRICS`)."""
    raw = (_float(case.get("raw_before_ticks")) + _float(case.get("raw_after_ticks"))) / 2 * scale
    if math.isnan(raw) or measured is None:
        return {}
    return {"raw_round_trip_ns": raw, "xraw": measured["ns"] / raw}


_MEASURED = ("ticks", "floor_ticks", "ns", "floor_ns", "resolution_ns", "flagged", "disturbed", *schema.FLAGS)
_NOT_MEASURED: dict[str, float] = {"batches": 0, **dict.fromkeys(_MEASURED, float("nan"))}
_PROCESS_COLUMNS = (
    "run",
    "round",
    "case",
    "kernel",
    "status",
    "reason",
    "batches",
    *_MEASURED,
    "tick_hz",
    "core_hz",
    "chain_ratio",
    "metrics",
    "elapsed_ns",
)


def process_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows, one a case and process, as the frame that `process_medians` describes."""
    frame = pd.DataFrame(rows, columns=list(_PROCESS_COLUMNS))
    for name in ("run", "case", "kernel", "status"):
        frame[name] = frame[name].astype("category")
    return frame


def _medians(codes: npt.NDArray[np.int32], value: Floats) -> tuple[Floats, Floats, Integers, list[int]]:
    """Median and minimum of each run of equal codes; where a code comes back later its rows are gathered first.

    Returns medians, minima, starts of the runs, and the codes in the order of the medians.
    """
    if not len(codes):
        return np.empty(0), np.empty(0), np.empty(0, np.int64), []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(codes)) + 1))
    present: list[int] = codes[starts].tolist()
    segment_starts = starts
    if len(set(present)) != len(present):
        present = sorted(set(present))
        order = np.lexsort((value, codes))
        lengths = np.bincount(codes)[present]
        segment_starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        ordered = value[order]
    else:
        lengths = np.diff(np.append(starts, len(codes)))
        if (lengths == lengths[0]).all():
            ordered = np.sort(value.reshape(len(lengths), -1), axis=1).ravel()
        else:
            segments = np.repeat(np.arange(len(lengths)), lengths)
            ordered = value[np.lexsort((value, segments))]
    low = segment_starts + (lengths - 1) // 2
    high = segment_starts + lengths // 2
    return (ordered[low] + ordered[high]) / 2, ordered[segment_starts], starts, present


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
