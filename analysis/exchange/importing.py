"""Files of other tools as runs.

Import makes a reduced run (see `fencepost.analysis.runs.rows_file`) of one or several files. Nothing but the times of
such a run is known, above all not how its machine was kept quiet.

The unit of replication is a process, here as everywhere (docs/statistics.md). A file of pytest-benchmark or of Google
Benchmark holds values of one process, and one process gives no interval: several files of the same suite, imported
together, do. A file of pyperf holds several processes.

Sources of the formats: pytest-benchmark 5 (storage files), pyperf 2 (its file format "1.0"), Google Benchmark
(docs/user_guide.md, Output Formats), core-to-core-latency (``--csv``).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fencepost.analysis.exchange.core_to_core import read_matrix
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.formats import (
    LARGEST_BYTES,
    NONE_OF_THEM,
    Benchmark,
    Parsed,
    Place,
)
from fencepost.analysis.exchange.google_benchmark import read_google
from fencepost.analysis.exchange.pyperf import read_pyperf
from fencepost.analysis.exchange.pytest_benchmark import read_pytest
from fencepost.analysis.runs.model import Reduced, process_frame
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, MachineJson, RunFactsJson, RunJson

# ---- files ----


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
        return read_matrix(name, text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"{name}: not valid JSON ({error}); the file is truncated or was edited by hand") from error
    at = Place(name)
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list):
        raise ExchangeError(f"{name}: {NONE_OF_THEM} (field benchmarks is missing)")
    if not benchmarks:
        raise ExchangeError(f"{name}: field benchmarks is empty, so there is nothing to import")
    if "machine_info" in document or "commit_info" in document:
        return read_pytest(at, document)
    if "context" in document:
        return read_google(at, document)
    if isinstance(benchmarks[0], dict) and "runs" in benchmarks[0]:
        return read_pyperf(at, document)
    raise ExchangeError(f"{name}: {NONE_OF_THEM}")


# ---- a run ----


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


def import_files(paths: Sequence[Path | str]) -> tuple[RunFactsJson, MachineJson, Callable[[RunJson], bytes]]:
    """What one or several files of one tool come to as a run.

    Returns
    -------
    tuple
        run.json without id and time, machine.json, and a function from the whole run.json to the bytes of
        rows.parquet.

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
    machine: MachineJson = {
        "schema": schema.SCHEMA_VERSION,
        "key": key,
        "cpu_model": first.cpu or f"a machine that {first.format} does not name",
        "arch": "unknown",
        "topology": {},
        "kernel": "unknown",
    }
    rounds = max(1, *(len(item.processes) for item in benchmarks))
    run: RunFactsJson = {
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
            "cpus": sorted({cpu for item in benchmarks for cpu in item.about.get("cpus", ())}),
            "cases": [_planned(item, first) for item in benchmarks],
            "unmeasurable": [],
        },
    }
    return run, machine, lambda whole: _encode(whole, machine, benchmarks)


def _planned(item: Benchmark, parsed: Parsed) -> CaseJson:
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


def _encode(run: RunJson, machine: MachineJson, benchmarks: list[Benchmark]) -> bytes:
    rows: list[dict[str, object]] = []
    values = {}
    for item in benchmarks:
        kernel = item.about.get("kernel", "")
        if item.failed is not None:
            failed = {"run": run["id"], "round": 1, "case": item.name, "kernel": kernel, "batches": 0, "metrics": {}}
            rows.append({**_UNKNOWN, **failed, "status": "failed", "reason": item.failed})
        for number, process in enumerate(item.processes, 1):
            median, floor = float(np.median(process)), min(process)
            rows.append(
                {
                    **_UNKNOWN,
                    "run": run["id"],
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
            for number in range(1, run["plan"]["rounds"] + 1)
        ]
    )
    reduced = Reduced(Path(), run, machine, process_frame(rows), workers)
    return encode_rows(reduced, values)


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
