"""Run folders into frames: batches, medians per process, histograms and time series.

A run folder may be large and a thousand of them larger still, so everything is read round by round, and only the
columns that are asked for. What leaves this module is small: one row a case and process.

Units: ``*_ticks`` are ticks of the machine's counter, ``*_ns`` nanoseconds by the rate that the same process measured.
"""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.executors import in_order
from fencepost.analysis.runs.model import NOT_MEASURED, Count, Histogram, Reduced, process_frame
from fencepost.analysis.runs.regimes import TeamBatches, team_batches
from fencepost.analysis.runs.rounds import Round, check_belongs, read_round
from fencepost.analysis.runs.visits import visits_in
from fencepost.analysis.runs.witnesses import UNSEEN, choose_figures, quiet_figures, seen_in, width_floor_of
from fencepost.analysis.stats.interval import Floats, Integers
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, CaseRecord, MachineJson, RunJson
from fencepost.bench.schema import RunFolderError

REDUCE_COLUMNS = (
    *("case", "batch", "thread", "ticks", "operations", "overhead_ticks", "involuntary", "flags"),
    *schema.WITNESS_COLUMNS,
)
"""Columns that medians per process need; the others stay on disk."""

_SERIES_COLUMNS = ("begin_ticks", "cpu_begin")
"""Those that a case needs as well which is measured once."""


_DISTURBED = schema.FLAGS["migrated"] | schema.FLAGS["switched"] | schema.FLAGS["faulted"] | schema.FLAGS["low_overlap"]


_SWITCHED = schema.FLAGS["switched"]


def process_medians(
    folders: Path | str | Iterable[Path | str], *, processes: int | None = None, executor: Executor | None = None
) -> pd.DataFrame:
    """Median per process and case of one or many runs.

    Parameters
    ----------
    folders
        a run folder or several.
    processes
        how many processes read side by side; by default one a usable CPU when there are more than eight folders.
    executor
        reads them instead, such as ``distributed.Client(address).get_executor()``.

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
        set none), ``counts`` (dict of `Count`), ``elapsed_ns``.
    """
    several = [folders] if isinstance(folders, str | Path) else list(folders)
    found = map_runs(_processes_only, several, processes=processes, executor=executor)
    frames = [frame for frame in found if len(frame)]
    if not frames:
        return process_frame([])
    for name in ("run", "case", "kernel"):
        categories = pd.api.types.union_categoricals([frame[name] for frame in frames]).categories
        for frame in frames:
            frame[name] = frame[name].cat.set_categories(categories)
    whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return whole


def map_runs(
    function: Any,
    folders: Sequence[Path | str],
    *,
    processes: int | None = None,
    executor: Executor | None = None,
) -> Iterator[Any]:
    """``function(folder)`` for each folder, in order; side by side in worker processes where there are more than eight.

    `function` must be importable by name. Only its results are held, so that memory does not grow with the size of a
    run. With an `executor` it is called there, such as on the machines of a cluster.
    """
    paths = [Path(folder) for folder in folders]
    if executor is not None:
        yield from in_order(executor, function, paths)
        return
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
        from fencepost.analysis.runs.rows_file import read_reduced

        return read_reduced(folder)
    return reduce_rounds(folder)


def reduce_rounds(folder: Path) -> Reduced:
    """Reduce the rounds of a run folder, whatever else lies there; see `reduce_run`."""
    run = schema.read_run(folder)
    machine = schema.read_machine(folder)
    if schema.IMPORTED in run:
        raise RunFolderError(f"{folder / schema.ROWS_FILE}: not found in an imported run; import its file again")
    once = any(case["once"] for case in run["plan"]["cases"])
    rounds = (
        read_round(path, number, (*REDUCE_COLUMNS, *_SERIES_COLUMNS) if once and number == 1 else REDUCE_COLUMNS)
        for number, path in schema.round_files(folder).items()
    )
    return reduce_these(folder, run, machine, rounds, width_floor_of(folder, run["engine"]["arch"]))


def reduce_these(
    folder: Path, run: RunJson, machine: MachineJson, rounds: Iterable[Round], width_floor: float
) -> Reduced:
    """Reduce rounds that were read, one after the other; `width_floor` is that of `witnesses.width_floor_of`."""
    planned = {case["case"]: case for case in run["plan"]["cases"]}
    once = {name for name, case in planned.items() if case["once"]}
    rows: list[dict[str, object]] = []
    workers: list[dict[str, object]] = []
    events: dict[str, tuple[list[Integers], list[Integers], list[float]]] = {}
    series: dict[str, pd.DataFrame] = {}
    teams: list[TeamBatches] = []
    for item in rounds:
        check_belongs(item, run, planned)
        worker = item.record["worker"]
        workers.append({"round": item.number, **{name: value for name, value in worker.items() if name != "cpus"}})
        rows += _reduce_round(item, run["id"], planned, width_floor)
        teams += team_batches(item, planned)
        for name, case in item.record["cases"].items():
            histogram = case.get("histogram")
            if histogram and case["status"] == "ok":
                ticks, count, rates = events.setdefault(name, ([], [], []))
                ticks.append(np.asarray(histogram["ticks"], np.int64))
                count.append(np.asarray(histogram["count"], np.int64))
                rates.append(worker["tick_hz"])
        if once and item.number == 1:
            series = _series(item, once)
    histograms = {name: _pool(*parts) for name, parts in events.items()}
    processes = choose_figures(process_frame(rows), planned, teams, machine)
    by_round = Columns.of(pd.DataFrame(workers))
    return Reduced(folder, run, machine, Columns.of(processes), by_round, histograms, series)


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


@dataclass(frozen=True)
class _Cases:
    """Which batches of a round belong to which case.

    `codes` are places in `names`, one a batch. `present` are those that occur, in the order of the figures. A case has
    `lengths` batches, which begin at `starts` in the `order` of the batches (None: as they were stored).
    """

    names: list[str]
    codes: npt.NDArray[np.int32]
    present: list[int]
    starts: Integers
    lengths: Integers
    order: Integers | None

    def mean(self, rows: npt.NDArray[Any]) -> Floats:
        """Mean over the batches of each case."""
        if not len(rows):
            return np.empty(0)
        together = rows if self.order is None else rows[self.order]
        return np.add.reduceat(together, self.starts, dtype=float) / self.lengths


def _cases_of(names: list[str], codes: npt.NDArray[np.int32], present: list[int], starts: Integers) -> _Cases:
    """The cases of a round from the codes of its batches, and from what `_medians` found of them."""
    if len(present) == len(starts):
        return _Cases(names, codes, present, starts, np.diff(np.append(starts, len(codes))), None)
    lengths = np.bincount(codes, minlength=len(names))[present]
    gathered = np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)
    return _Cases(names, codes, present, gathered, lengths, np.argsort(codes, kind="stable"))


def _reduce_round(
    item: Round, run: str, planned: Mapping[str, CaseJson], width_floor: float
) -> list[dict[str, object]]:
    """One row for each case of the round's record, see `process_medians`."""
    record, worker = item.record, item.record["worker"]
    measured = _figures_of_cases(item, planned, width_floor)
    stranger = next((name for name in measured if name not in record["cases"]), None)
    if stranger is not None:
        raise RunFolderError(
            f"{item.path}: column case: {stranger!r} has rows but no entry in the record's field cases"
        )
    rows = []
    for name, case in record["cases"].items():
        kind = planned[name]["kind"] if name in planned else None
        silent = kind == "counts" or (kind == "events" and not case.get("events"))
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
                **(measured.get(name) or NOT_MEASURED),
                "tick_hz": float(worker["tick_hz"]),
                "core_hz": _float(case["core_hz"]),
                "chain_ratio": _float(case["chain_ratio"]),
                "metrics": {key: _float(value) for key, value in case["metrics"].items()}
                | _hand_over(case, measured.get(name), 1e9 / worker["tick_hz"]),
                "counts": {
                    key: Count(count["found"], count["expected"]) for key, count in case.get("counts", {}).items()
                },
                "elapsed_ns": float(case["elapsed_ns"]),
            }
        )
    return rows


def _figures_of_cases(item: Round, planned: Mapping[str, CaseJson], width_floor: float) -> dict[str, dict[str, Any]]:
    """By case, what its batches in this round come to: the columns of `NOT_MEASURED`."""
    worker = item.record["worker"]
    scale = 1e9 / worker["tick_hz"]
    column = item.rows.column("case").combine_chunks()
    names: list[str] = column.dictionary.to_pylist()
    codes: npt.NDArray[np.int32] = column.indices.to_numpy().astype(np.int32, copy=False)
    data = {name: item.rows.column(name).to_numpy() for name in item.rows.column_names if name != "case"}
    operations = data["operations"]
    if len(operations) and operations.min() < 1:
        raise RunFolderError(f"{item.path}: column operations: {int(operations.min())} is not a number of operations")
    value = (data["ticks"] - data["overhead_ticks"]) / operations
    visits = visits_in(item, names, codes)
    seen = seen_in(codes, data, visits, worker["tick_hz"], width_floor)
    witnessed = {} if seen is None else quiet_figures(names, codes, value * scale, seen, visits)
    if not visits.planned.all():
        codes, value, operations = (column[visits.planned] for column in (codes, value, operations))
        data = {name: column[visits.planned] for name, column in data.items()}
    median, floor, starts, present = _medians(codes, value)
    cases = _cases_of(names, codes, present, starts)
    flags = data["flags"]
    disturbing = _disturbing(flags, data["involuntary"], cases, planned)
    nothing = np.zeros(len(present))
    columns = {
        "ticks": median,
        "floor_ticks": floor,
        "ns": median * scale,
        "found_ns": median * scale,
        "floor_ns": floor * scale,
        "batches": np.rint(cases.mean(data["thread"] == 0) * cases.lengths).astype(int),
        "resolution_ns": worker["quantum_ticks"] * scale / cases.mean(operations.astype(float)),
        "flagged": cases.mean(flags != 0),
        "disturbed": cases.mean(disturbing != 0),
        **{
            name: cases.mean((flags & bit) != 0) if (flags & bit).any() else nothing
            for name, bit in schema.FLAGS.items()
        },
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return {
        names[code]: dict(zip(columns, row, strict=True)) | (witnessed.get(names[code]) or UNSEEN)
        for code, row in zip(present, values, strict=True)
    }


def _disturbing(
    flags: npt.NDArray[Any], involuntary: npt.NDArray[Any], cases: _Cases, planned: Mapping[str, CaseJson]
) -> npt.NDArray[Any]:
    """Of the flags of each batch, those that point at noise."""
    # An event kernel that waits gives up its CPU on purpose; only a switch that it did not ask for disturbs it.
    is_event = np.array([name in planned and planned[name]["kind"] == "events" for name in cases.names], bool)
    own_switch = is_event[cases.codes] & (involuntary == 0) if len(cases.codes) else np.empty(0, bool)
    found: npt.NDArray[Any] = flags & _DISTURBED & ~np.where(own_switch, _SWITCHED, 0)
    return found


def _hand_over(case: CaseRecord, measured: Mapping[str, float] | None, scale: float) -> dict[str, float]:
    """Of a team: the raw round trip taken beside it, and its own figure divided by that (`estimate.ENGINE_METRICS`)."""
    raw = (_float(case.get("raw_before_ticks")) + _float(case.get("raw_after_ticks"))) / 2 * scale
    if math.isnan(raw) or measured is None:
        return {}
    return {"raw_round_trip_ns": raw, "xraw": measured["ns"] / raw}


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
