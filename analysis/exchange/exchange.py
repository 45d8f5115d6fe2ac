"""Runs in the formats of other tools, and other tools' files as runs.

Export writes what a format can hold, and says what it cannot. Import makes a reduced run (see
`fencepost.analysis.reduced`) of one or several files; nothing but the times of such a run is known, above all not how
its machine was kept quiet.

The unit of replication is a process, here as everywhere (docs/statistics.md). A file of pytest-benchmark or of Google
Benchmark holds values of one process, and one process gives no interval: several files of the same suite, imported
together, do. A file of pyperf holds several processes.

Sources of the formats: pytest-benchmark 5 (storage files), pyperf 2 (its file format "1.0"), Google Benchmark
(docs/user_guide.md, Output Formats), Bencher (bencher.dev, Bencher Metric Format), core-to-core-latency (``--csv``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fencepost.analysis import reduced as rows_file
from fencepost.analysis.estimate import Analysis, analyse, records
from fencepost.analysis.frame import Reduced, process_frame
from fencepost.analysis.sharing import matrix
from fencepost.analysis.text import cell, one_line
from fencepost.bench import schema

LARGEST_BYTES = 256 << 20
"""A file of another tool that is larger is refused: it would not be read in reasonable memory."""
NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
MOST_NAME = 1000
_KEY = "fencepost"
"""Name under which our own files say what the format has no word for; see `_about`."""


class ExchangeError(ValueError):
    """A file cannot be read, or a run not be written in a format: one sentence with file, field and the way out."""


# ---- what both directions share ----


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a file: its name, what is known of it, and its values in ns, one list a process.

    `floor_ns` is the smallest value where the file tells it but holds no values, otherwise NaN.
    """

    name: str
    processes: list[list[float]]
    about: Mapping[str, Any] = field(default_factory=dict)
    floor_ns: float = math.nan
    batches: int | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Parsed:
    """A file of another tool: its format, the tool with its version, the CPU if it is named, and its benchmarks."""

    format: str
    tool: str
    cpu: str | None
    benchmarks: list[Benchmark]


@dataclass(frozen=True)
class Exported:
    """The text of a file, and one sentence for each thing that the format could not hold."""

    text: str
    left_out: list[str]


@dataclass(frozen=True)
class _Row:
    """A measured case with its values in ns, one list a process."""

    row: Mapping[str, Any]
    processes: list[list[float]]

    @property
    def samples(self) -> list[float]:
        return [value for process in self.processes for value in process]


_ABOUT = {
    "kernel": str,
    "unit": str,
    "summary": str,
    "relation": str | None,
    "parameters": dict,
    "cpus": list,
    "value_per": str,
    "step_ns": float | int,
}


def _about(row: Mapping[str, Any], own: bool) -> dict[str, Any]:
    names = ("kernel", "unit", "relation", "parameters", "cpus")
    return {
        **{name: row[name] for name in names},
        "summary": row["summary"] or "",
        "value_per": "process" if own else "sample",
        # By how much the counter's steps widen the interval: other tools' files have no place for it.
        "step_ns": row["resolution_ns"] if row["kind"] != "events" else 0.0,
    }


# ---- export ----


def export(folder: Path | str, wanted: str) -> Exported:
    """A run folder in the format `wanted`, one of `FORMATS`.

    Raises
    ------
    ExchangeError
        where the run has nothing that the format could hold, or there is no such format.
    RunFolderError
        where the folder is damaged.
    """
    if wanted not in _WRITERS:
        raise ExchangeError(f"no format {wanted!r}; there are {', '.join(FORMATS)}")
    analysis = analyse(folder)
    if not analysis.rounds:
        raise ExchangeError(f"{folder}: no complete round yet, so there is nothing to export; run it to its end first")
    return _WRITERS[wanted](analysis)


def _measured(analysis: Analysis) -> tuple[list[_Row], bool]:
    """Measured rows, and whether a value is the median of a process (ours) or a sample (imported)."""
    held = rows_file.values_of(analysis.folder) if (analysis.folder / schema.ROWS_FILE).exists() else {}
    processes = analysis.processes[analysis.processes["status"] == "ok"]
    medians: dict[str, list[list[float]]] = {}
    own = schema.IMPORTED not in analysis.run
    for case, number, ns in zip(processes["case"], processes["round"], processes["ns"], strict=True):
        values = held.get((str(case), int(number)), [ns])
        medians.setdefault(str(case), []).append([float(value) for value in values])
    rows = [row for row in records(analysis.rows) if math.isfinite(row["ns"])]
    samples = any(len(process) > 1 for row in rows for process in medians[row["case"]])
    return [_Row(row, medians[row["case"]]) for row in rows], own or not samples


def _kept(rows: list[_Row], fits: Callable[[_Row], bool], why: str) -> tuple[list[_Row], list[str]]:
    out = [row.row["case"] for row in rows if not fits(row)]
    kept = [row for row in rows if fits(row)]
    if not kept:
        raise ExchangeError(f"nothing left to export: {why}")
    return kept, [f"{one_line(name)}: left out, {why}" for name in out]


_STATISTICS = (
    *("min", "max", "mean", "stddev", "rounds", "median", "iqr", "q1", "q3", "iqr_outliers", "stddev_outliers"),
    *("outliers", "ld15iqr", "hd15iqr", "ops", "total"),
)


def _pytest_benchmark(analysis: Analysis) -> Exported:
    from pytest_benchmark.stats import Stats

    rows, own = _measured(analysis)
    if not rows:
        raise ExchangeError("nothing left to export: no row of this run was measured")
    benchmarks = []
    for item in rows:
        stats: Any = Stats()  # type: ignore[no-untyped-call]
        for value in item.samples:
            stats.update(value / 1e9)
        row = item.row
        benchmarks.append(
            {
                "group": row["kernel"],
                "name": row["case"],
                "fullname": row["case"],
                "params": row["parameters"] or None,
                "param": None,
                "extra_info": {_KEY: _about(row, own), "ns": row["ns"], **_interval(row)},
                "options": {
                    "disable_gc": True,
                    "timer": "fencepost",
                    "min_rounds": 1,
                    "max_time": 0,
                    "min_time": 0,
                    "warmup": False,
                },
                "stats": {**{name: getattr(stats, name) for name in _STATISTICS}, "data": stats.data, "iterations": 1},
            }
        )
    machine = analysis.machine
    document = {
        # Without the name of the host, which pytest-benchmark itself would write here.
        "machine_info": {
            "node": "",
            "processor": "",
            "machine": machine["arch"],
            "system": "Linux",
            "release": machine["kernel"],
            "python_version": analysis.run["versions"].get("python", ""),
            "cpu": {"brand_raw": machine["cpu_model"], "arch": machine["arch"]},
            "fencepost_key": machine["key"],
        },
        "commit_info": {"id": "unknown", "time": None, "dirty": False, "project": "fencepost", "branch": "(unknown)"},
        "benchmarks": benchmarks,
        "datetime": analysis.run["created_utc"].replace("Z", "+00:00"),
        "version": "5.0.0",
    }
    return Exported(_json(document), [])


def _interval(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in ("ns_low", "ns_high") if math.isfinite(row[name])}


def _pyperf(analysis: Analysis) -> Exported:
    rows, own = _measured(analysis)
    rows, left_out = _kept(
        rows, lambda item: min(item.samples) > 0, "pyperf holds only times above zero, and a process read less"
    )
    benchmarks = []
    names = _distinct(one_line(item.row["case"], MOST_NAME) for item in rows)
    for name, item in zip(names, rows, strict=True):
        metadata = {"name": name, "unit": "second", _KEY: json.dumps(_about(item.row, own))}
        runs = [{"values": [value / 1e9 for value in process]} for process in item.processes]
        benchmarks.append({"metadata": metadata, "runs": runs})
    common = {"cpu_model_name": one_line(analysis.machine["cpu_model"]) or "unknown", "unit": "second"}
    return Exported(_json({"version": "1.0", "metadata": common, "benchmarks": benchmarks}), left_out)


def _distinct(names: Iterable[str]) -> list[str]:
    """Names that may have become the same when they were made fit, numbered from the second on."""
    found: dict[str, None] = {}
    for name in names:
        number = 1
        other = name
        while other in found:
            number += 1
            other = f"{name} ({number})"
        found[other] = None
    return list(found)


def _google(analysis: Analysis) -> Exported:
    rows, own = _measured(analysis)
    rows, left_out = _kept(rows, lambda item: bool(item.samples), "it has no values")
    machine = analysis.machine
    benchmarks = []
    for family, item in enumerate(rows):
        about = _about(item.row, own)
        values = [(number, value) for number, process in enumerate(item.processes) for value in process]
        for index, (number, value) in enumerate(values):
            benchmarks.append(
                {
                    "name": item.row["case"],
                    "family_index": family,
                    "per_family_instance_index": 0,
                    "run_name": item.row["case"],
                    "run_type": "iteration",
                    "repetitions": len(values),
                    "repetition_index": index,
                    "threads": max(1, len(item.row["cpus"])),
                    "iterations": 1,
                    "real_time": value,
                    # A pinned thread that only computes spends what passes; the format cannot leave it open.
                    "cpu_time": value,
                    "time_unit": "ns",
                    _KEY: {**about, "process": number} if index == 0 else {"process": number},
                }
            )
    context = {
        "date": analysis.run["created_utc"],
        "host_name": "",
        "executable": "fencepost",
        "num_cpus": max(1, len(machine.get("cpus_present") or ())),
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": False,
        "caches": [],
        "load_avg": [],
        "library_build_type": "release",
        "cpu_time": "not measured: equals real_time",
        "cpu_model": machine["cpu_model"],
    }
    return Exported(_json({"context": context, "benchmarks": benchmarks}), left_out)


def _bmf(analysis: Analysis) -> Exported:
    rows, _ = _measured(analysis)
    rows, left_out = _kept(
        rows, lambda item: len(item.row["case"]) <= 1024, "its name is longer than Bencher's 1024 characters"
    )
    document: dict[str, Any] = {}
    for item in rows:
        row = item.row
        latency = {"value": row["ns"]}
        if math.isfinite(row["ns_low"]):
            latency |= {"lower_value": row["ns_low"], "upper_value": row["ns_high"]}
        document[row["case"]] = {"latency": latency}
    return Exported(_json(document), left_out)


CSV_TEXTS = ("case", "kernel", "parameters", "cpus", "relation", "unit", "flags", "reason")
CSV_NUMBERS = (
    *("ns", "ns_low", "ns_high", "coverage", "cycles", "cycles_low", "cycles_high", "floor_ns", "rounds", "batches"),
    "disturbed_pct",
)
CSV_COLUMNS = (*CSV_TEXTS[:6], *CSV_NUMBERS, *CSV_TEXTS[6:])
"""Columns of the CSV: one row a case, times in ns per operation; empty where there is no figure."""


def csv_row(row: Mapping[str, Any]) -> list[str]:
    """The cells of one row of `estimate_cases` for `CSV_COLUMNS`."""
    texts = {
        "case": row["case"],
        "kernel": row["kernel"],
        "parameters": json.dumps(row["parameters"], sort_keys=True),
        "cpus": " ".join(map(str, row["cpus"])),
        "relation": row["relation"] or "",
        "unit": row["unit"],
        "flags": " ".join(row["flags"]),
        "reason": row["reason"] or "",
    }
    numbers = {name: _digits(row[name]) for name in CSV_NUMBERS}
    return [cell(texts[name]) if name in texts else numbers[name] for name in CSV_COLUMNS]


def _digits(value: float) -> str:
    return repr(value) if isinstance(value, int) else repr(float(value)) if math.isfinite(value) else ""


def _csv(analysis: Analysis) -> Exported:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(csv_row(row) for row in records(analysis.rows))
    return Exported(sink.getvalue(), [])


def _core_to_core(analysis: Analysis) -> Exported:
    # That tool's own default is a compare-and-swap by both sides.
    found = next((m for m in (matrix(analysis, "cas"), matrix(analysis, "load_store")) if m is not None), None)
    if found is None:
        raise ExchangeError("no core-to-core figure in this run: measure some with `fencepost run line/pingpong`")
    variant = "cas" if matrix(analysis, "cas") is not None else "load_store"
    left_out = [] if variant == "cas" else ["variant load_store was written: this run has no line/pingpong with cas"]
    if found.cpus != list(range(len(found.cpus))):
        names = ", ".join(map(str, found.cpus))
        left_out.append(f"the numbers of the CPUs: the format counts from 0, and these are {names}")
    lines = [
        ",".join(_digits(found.ns[i, j]) if j < i else "" for j in range(len(found.cpus)))
        for i in range(len(found.cpus))
    ]
    return Exported("\n".join(lines) + "\n", left_out)


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(_plain(document), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


_WRITERS: dict[str, Callable[[Analysis], Exported]] = {
    "pytest-benchmark": _pytest_benchmark,
    "pyperf": _pyperf,
    "google-benchmark": _google,
    "bmf": _bmf,
    "csv": _csv,
    "core-to-core": _core_to_core,
}
FORMATS = tuple(_WRITERS)


# ---- import: files ----


def read_file(path: Path | str) -> Parsed:
    """Read a file of pytest-benchmark, pyperf, Google Benchmark or core-to-core-latency; the format is found out.

    Raises
    ------
    ExchangeError
        one sentence: the file is missing, empty, truncated, of none of these formats, or a field is wrong.
    """
    path = Path(path)
    return parse(str(path), read_bytes(path))


def read_bytes(path: Path) -> bytes:
    """The contents of a file of moderate size; raises `ExchangeError` for all that is none."""
    try:
        if path.is_dir():
            raise ExchangeError(f"{path}: a folder; name the file that the tool wrote")
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ExchangeError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})") from error
    if len(data) > LARGEST_BYTES:
        raise ExchangeError(f"{path}: larger than {LARGEST_BYTES >> 20} MiB; export fewer benchmarks")
    return data


def parse(name: str, data: bytes) -> Parsed:
    """The same from the bytes of a file called `name` in sentences."""
    if data[:2] == b"\x1f\x8b":
        raise ExchangeError(f"{name}: compressed; unpack it first (`gunzip`)")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExchangeError(f"{name}: not text in UTF-8 (byte {error.start}); is this the right file?") from error
    if not text.strip():
        raise ExchangeError(f"{name}: empty; let the tool write it again")
    if text.lstrip()[0] not in "{[":
        return _read_matrix(name, text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"{name}: not valid JSON ({error}); the file is truncated or was edited by hand") from error
    at = _Place(name)
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list):
        raise ExchangeError(f"{name}: {_NONE_OF_THEM} (field benchmarks is missing)")
    if not benchmarks:
        raise ExchangeError(f"{name}: field benchmarks is empty, so there is nothing to import")
    if "machine_info" in document or "commit_info" in document:
        return _read_pytest(at, document)
    if "context" in document:
        return _read_google(at, document)
    if isinstance(benchmarks[0], dict) and "runs" in benchmarks[0]:
        return _read_pyperf(at, document)
    raise ExchangeError(f"{name}: {_NONE_OF_THEM}")


_NONE_OF_THEM = "not a file of pytest-benchmark, pyperf, Google Benchmark or core-to-core-latency"


@dataclass(frozen=True)
class _Place:
    """A field of a file, for sentences: reading through it checks the type."""

    file: str
    field: str = ""

    def __getitem__(self, key: str | int) -> _Place:
        inner = f"{self.field}[{key}]" if isinstance(key, int) else f"{self.field}.{key}" if self.field else key
        return _Place(self.file, inner)

    def wrong(self, words: str) -> ExchangeError:
        return ExchangeError(f"{self.file}: field {one_line(self.field)}: {words}")

    def of(self, value: object, kind: type, words: str) -> Any:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise self.wrong(f"{one_line(json.dumps(value, default=str), 60)} is not {words}")
        return value

    def mapping(self, value: object) -> dict[str, Any]:
        found: dict[str, Any] = self.of(value, dict, "an object")
        return found

    def sequence(self, value: object) -> list[Any]:
        found: list[Any] = self.of(value, list, "a list")
        return found

    def name(self, value: object) -> str:
        text = str(self.of(value, str, "a name"))
        if not text.strip() or len(text) > MOST_NAME:
            raise self.wrong(f"a name has 1 to {MOST_NAME} characters, this one has {len(text.strip())}")
        return text

    def number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(f"{one_line(json.dumps(value, default=str), 60)} is not a number")
        if abs(value) > 1e300 or not math.isfinite(value):
            raise self.wrong(f"{'NaN' if value != value else 'an infinite value'} is not a time")
        return float(value)


def _read_pytest(at: _Place, document: Mapping[str, Any]) -> Parsed:
    found = []
    for i, item in enumerate(document["benchmarks"]):
        here = at["benchmarks"][i]
        entry = here.mapping(item)
        stats = here["stats"].mapping(entry.get("stats"))
        name = here["fullname"].name(entry.get("fullname", entry.get("name")))
        extra = entry.get("extra_info")
        about = _read_about(here["extra_info"], extra.get(_KEY) if isinstance(extra, dict) else None)
        if not about and isinstance(extra, dict) and extra.keys() >= {"case", "kernel", "engine_sha256"}:
            # Stored by our own plugin: a row of the suite, whose samples are the medians of its processes.
            own_row = {name: extra[name] for name in ("kernel", "unit") if name in extra}
            about = _read_about(here["extra_info"], own_row | {"value_per": "process"})
            name = here["extra_info"]["case"].name(extra["case"])
        if stats.get("data"):
            place = here["stats"]["data"]
            values = [place[k].number(value) * 1e9 for k, value in enumerate(place.sequence(stats["data"]))]
            own = about.get("value_per") == "process"
            found.append(Benchmark(name, [[value] for value in values] if own else [values], about))
        else:  # saved without --benchmark-save-data
            median = here["stats"]["median"].number(stats.get("median")) * 1e9
            floor = here["stats"]["min"].number(stats.get("min")) * 1e9
            rounds = here["stats"]["rounds"].of(stats.get("rounds"), int, "a whole number")
            found.append(Benchmark(name, [[median]], about, floor, rounds))
    machine = document.get("machine_info")
    cpu = machine.get("cpu") if isinstance(machine, dict) else None
    brand = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    return _parsed(at, "pytest-benchmark", document.get("version"), brand, found)


def _read_pyperf(at: _Place, document: Mapping[str, Any]) -> Parsed:
    common = at["metadata"].mapping(document.get("metadata", {}))
    found = []
    for i, item in enumerate(document["benchmarks"]):
        here = at["benchmarks"][i]
        entry = here.mapping(item)
        # pyperf moves metadata that all have to the outside.
        metadata = {**common, **here["metadata"].mapping(entry.get("metadata", {}))}
        unit = metadata.get("unit", "second")
        if unit != "second":
            raise here["metadata"]["unit"].wrong(f"{one_line(str(unit), 40)!r} is not a unit of time (second)")
        name = here["metadata"]["name"].name(metadata.get("name"))
        processes = []
        for k, run in enumerate(here["runs"].sequence(entry.get("runs"))):
            place = here["runs"][k]
            values = place.mapping(run).get("values")
            if values is None:  # a run that only calibrated
                continue
            inside = place["values"]
            numbers = [inside[n].number(value) * 1e9 for n, value in enumerate(inside.sequence(values))]
            if numbers:
                processes.append(numbers)
        if not processes:
            raise here["runs"].wrong("none of them holds values; pyperf stopped before it measured")
        about = metadata.get(_KEY)
        known: object = None
        if isinstance(about, str):
            try:
                known = json.loads(about)
            except ValueError as error:
                raise here["metadata"][_KEY].wrong("not valid JSON; the file was edited by hand") from error
        found.append(Benchmark(name, processes, _read_about(here["metadata"][_KEY], known)))
    return _parsed(at, "pyperf", common.get("perf_version"), common.get("cpu_model_name"), found)


def _read_google(at: _Place, document: Mapping[str, Any]) -> Parsed:
    context = at["context"].mapping(document["context"])
    iterations: dict[str, dict[int, list[float]]] = {}
    about: dict[str, dict[str, Any]] = {}
    aggregates: dict[str, float] = {}
    failed: dict[str, str] = {}
    for i, item in enumerate(document["benchmarks"]):
        here = at["benchmarks"][i]
        entry = here.mapping(item)
        kind = entry.get("run_type", "iteration")
        if kind == "aggregate" and entry.get("aggregate_name") != "median":
            continue
        name = here["run_name"].name(entry.get("run_name", entry.get("name")))
        if entry.get("error_occurred"):
            failed[name] = one_line(str(entry.get("error_message", "no reason is given")))
            continue
        unit = entry.get("time_unit")
        if unit not in NANOSECONDS:
            raise here["time_unit"].wrong(
                f"{one_line(json.dumps(unit, default=str), 40)} is not a unit of time (ns, us, ms or s)"
            )
        value = here["real_time"].number(entry.get("real_time")) * NANOSECONDS[unit]
        if kind == "aggregate":
            aggregates[name] = value
            continue
        known = _read_about(here[_KEY], entry.get(_KEY))
        about.setdefault(name, known)
        iterations.setdefault(name, {}).setdefault(known.get("process", 0), []).append(value)
    found = [
        Benchmark(name, [by_process[number] for number in sorted(by_process)], about[name])
        for name, by_process in iterations.items()
    ]
    found += [Benchmark(name, [[value]]) for name, value in aggregates.items() if name not in iterations]
    found += [Benchmark(name, [], failed=why) for name, why in failed.items() if name not in iterations]
    if not found:
        raise at["benchmarks"].wrong("none of them is a measurement or a median")
    version = context.get("library_version") or context.get("json_schema_version")
    return _parsed(at, "google-benchmark", version, context.get("cpu_model"), found)


def _read_matrix(name: str, text: str) -> Parsed:
    """One way between CPUs in ns: row i, column j; the upper half may be empty, and so may the diagonal."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        cells = list(csv.reader(lines))
    except csv.Error as error:
        raise ExchangeError(f"{name}: {_NONE_OF_THEM} ({error})") from error
    size = len(cells)
    numbers: list[list[float]] = []
    for i, row in enumerate(cells):
        numbers.append([])
        for j, word in enumerate(row):
            try:
                value = float(word) if word.strip() else math.nan
            except ValueError:
                raise ExchangeError(
                    f"{name}: {_NONE_OF_THEM} (line {i + 1}, cell {j + 1}: {one_line(word, 40)!r} is not a number)"
                ) from None
            if word.strip() and not (math.isfinite(value) and value > 0):
                raise ExchangeError(f"{name}: line {i + 1}, cell {j + 1}: {one_line(word, 40)} is not a time in ns")
            numbers[-1].append(value)
    if size < 2 or any(len(row) != size for row in numbers):
        raise ExchangeError(
            f"{name}: {_NONE_OF_THEM} (a matrix of core-to-core-latency has as many cells in each line as lines, at "
            f"least 2; this one has {size} lines, the first of {len(numbers[0])} cells)"
        )
    found = []
    for i in range(size):
        for j in range(size):
            # Where both halves are filled both directions were measured.
            if i == j or math.isnan(numbers[i][j]):
                continue
            about = {
                "kernel": "line/pingpong",
                "unit": "round trip",
                "summary": "imported: twice the one-way figure of core-to-core-latency",
                "parameters": {"variant": "cas", "pause": "no"},
                "cpus": [i, j],
            }
            case = f"line/pingpong[variant=cas,pause=no]@cpu{i},cpu{j}"
            found.append(Benchmark(case, [[2 * numbers[i][j]]], about))
    if not found:
        raise ExchangeError(f"{name}: every cell is empty, so there is nothing to import")
    cpu = one_line(Path(name).stem)
    return Parsed("core-to-core", "core-to-core-latency", cpu or None, found)


def _parsed(at: _Place, kind: str, version: object, cpu: object, found: list[Benchmark]) -> Parsed:
    names = [item.name for item in found]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) != len(names) else None
    if twice is not None:
        raise at["benchmarks"].wrong(f"{one_line(twice, 80)!r} stands there twice")
    tool = f"{kind} {one_line(str(version), 40)}" if isinstance(version, str | int) else kind
    return Parsed(kind, tool, cpu if isinstance(cpu, str) and cpu.strip() else None, found)


def _read_about(at: _Place, value: object) -> dict[str, Any]:
    """What our own export says beside a benchmark; nothing where it is not ours."""
    if value is None:
        return {}
    found = at.mapping(value)
    for name, kind in _ABOUT.items():
        if name in found and not isinstance(found[name], kind):
            raise at[name].wrong(f"{one_line(json.dumps(found[name], default=str), 60)} is of the wrong type")
    if not all(type(cpu) is int and cpu >= 0 for cpu in found.get("cpus", [])):
        raise at["cpus"].wrong("not a list of numbers of CPUs")
    if not all(isinstance(item, str | int) for item in found.get("parameters", {}).values()):
        raise at["parameters"].wrong("values of parameters are texts or whole numbers")
    if not (math.isfinite(found.get("step_ns", 0.0)) and found.get("step_ns", 0.0) >= 0):
        raise at["step_ns"].wrong("not a time")
    if "process" in found and (type(found["process"]) is not int or found["process"] < 0):
        raise at["process"].wrong("not the number of a process")
    return found


# ---- import: a run ----


def merge(parsed: Sequence[Parsed], names: Sequence[str]) -> list[Benchmark]:
    """Benchmarks of several files of one format: the processes of the same benchmark stand one after the other."""
    first = parsed[0]
    for other, name in zip(parsed, names, strict=True):
        if other.format != first.format:
            raise ExchangeError(
                f"{name}: a file of {other.format}, but {names[0]} is one of {first.format}; import them apart"
            )
    merged: dict[str, Benchmark] = {}
    for item in (item for other in parsed for item in other.benchmarks):
        before = merged.get(item.name)
        if before is None:
            merged[item.name] = item
            continue
        floors = [value for value in (before.floor_ns, item.floor_ns) if not math.isnan(value)]
        merged[item.name] = Benchmark(
            item.name,
            [*before.processes, *item.processes],
            before.about,
            min(floors, default=math.nan),
            (before.batches + item.batches) if before.batches and item.batches else None,
            before.failed or item.failed,
        )
    return list(merged.values())


def import_files(paths: Sequence[Path | str]) -> tuple[dict[str, Any], dict[str, Any], Callable[[str], bytes]]:
    """What one or several files of one tool come to as a run.

    Returns
    -------
    tuple
        run.json without id and time, machine.json, and a function from the run's id to the bytes of rows.parquet.

    Raises
    ------
    ExchangeError
        where a file cannot be read, or the files do not belong together.
    """
    read = [(str(path), read_bytes(Path(path))) for path in paths]
    parsed = [parse(name, data) for name, data in read]
    benchmarks = merge(parsed, [name for name, _ in read])
    first = parsed[0]
    digest = hashlib.sha256(b"".join(hashlib.sha256(data).digest() for _, data in read)).hexdigest()
    key = f"{schema.IMPORTED}-{first.format}-{digest[:8]}"
    machine = {
        "schema": schema.SCHEMA_VERSION,
        "key": key,
        "cpu_model": first.cpu or f"a machine that {first.format} does not name",
        "arch": "unknown",
        "topology": {},
        "kernel": "unknown",
    }
    rounds = max(1, *(len(item.processes) for item in benchmarks))
    run = {
        "command": ["fencepost", "import", *(Path(name).name for name, _ in read)],
        "launcher": "another tool",
        "versions": {},
        "engine": {"arch": "unknown", "compiler": "unknown", "flags": "", "sha256": ""},
        schema.IMPORTED: {
            "format": first.format,
            "tool": first.tool,
            "files": [{"name": Path(name).name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in read],
        },
        "plan": {
            "profile": schema.IMPORTED,
            "seed": 0,
            "rounds": rounds,
            "batches": max(1, *(len(values) for item in benchmarks for values in item.processes)),
            "batch_ns": 1,
            "cpus": sorted({cpu for item in benchmarks for cpu in item.about.get("cpus", [])}),
            "cases": [_planned(item, first) for item in benchmarks],
            "unmeasurable": [],
        },
    }
    return run, machine, lambda identity: _encode(identity, run, machine, benchmarks, rounds)


def _planned(item: Benchmark, parsed: Parsed) -> dict[str, Any]:
    about = item.about
    return {
        "case": item.name,
        "kernel": about.get("kernel", f"{schema.IMPORTED}/{parsed.format}"),
        "parameters": about.get("parameters", {}),
        "values": [],
        "cpus": about.get("cpus", []),
        "relation": about.get("relation"),
        "unit": about.get("unit", "call"),
        "summary": about.get("summary") or f"imported from a file of {parsed.format}",
        "kind": "loop",
        "once": False,
        "twin_of": None,
        "metrics": [],
    }


def _encode(
    identity: str, run: Mapping[str, Any], machine: Mapping[str, Any], benchmarks: list[Benchmark], rounds: int
) -> bytes:
    rows, values = [], {}
    for item in benchmarks:
        kernel = item.about.get("kernel", "")
        if item.failed is not None:
            failed = {"run": identity, "round": 1, "case": item.name, "kernel": kernel, "batches": 0, "metrics": {}}
            rows.append({**_UNKNOWN, **failed, "status": "failed", "reason": item.failed})
        for number, process in enumerate(item.processes, 1):
            median, floor = float(np.median(process)), min(process)
            rows.append(
                {
                    **_UNKNOWN,
                    "run": identity,
                    "round": number,
                    "case": item.name,
                    "kernel": kernel,
                    "status": "ok",
                    "reason": None,
                    "batches": item.batches if item.batches and len(process) == 1 else len(process),
                    "ns": median,
                    "floor_ns": floor if math.isnan(item.floor_ns) else item.floor_ns,
                    # Nothing is known of what disturbed it; the tools do not record that.
                    **dict.fromkeys(("flagged", "disturbed", *schema.FLAGS), 0.0),
                    "resolution_ns": float(item.about.get("step_ns", 0.0)),
                    "metrics": {},
                }
            )
            values[(item.name, number)] = process
    workers = pd.DataFrame(
        [
            {"round": number, "tick_source": "not known", **dict.fromkeys(schema.WORKER_NUMBERS, math.nan)}
            for number in range(1, rounds + 1)
        ]
    )
    reduced = Reduced(Path(), {**run, "id": identity}, dict(machine), process_frame(rows), workers)
    return rows_file.encode_rows(reduced, values)


_UNKNOWN: dict[str, float] = dict.fromkeys(
    (
        "ticks",
        "floor_ticks",
        "ns",
        "floor_ns",
        "resolution_ns",
        "flagged",
        "disturbed",
        *schema.FLAGS,
        "tick_hz",
        "core_hz",
        "chain_ratio",
        "elapsed_ns",
    ),
    math.nan,
)
