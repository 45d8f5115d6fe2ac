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

import gzip
import hashlib
import io
import math
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from fencepost.analysis.exchange.bencher import is_bmf, read_bmf
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
from fencepost.analysis.exchange.hyperfine import read_hyperfine
from fencepost.analysis.exchange.pyperf import read_pyperf
from fencepost.analysis.exchange.pytest_benchmark import read_pytest
from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.model import Reduced, process_frame
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, ImportedFileJson, MachineJson, RunFactsJson, RunJson
from fencepost.bench.files import parse_json, read_regular, words_of
from fencepost.bench.labels import NAME

# ---- files ----


def read_bytes(path: Path) -> bytes:
    """The contents of a file of moderate size, unpacked if it is compressed; raises `ExchangeError` for all else."""
    try:
        if path.is_dir():
            raise ExchangeError(f"{shown(path)}: a folder; name the file that the tool wrote")
        data = read_regular(path, ExchangeError, LARGEST_BYTES)
        if data[:2] == _GZIP:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(LARGEST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ExchangeError(f"{shown(path)}: not a whole gzip file ({error}); let the tool write it again") from error
    except OSError as error:
        raise ExchangeError(f"{shown(path)}: cannot be read ({words_of(error)})") from error
    if len(data) > LARGEST_BYTES:
        raise ExchangeError(f"{shown(path)}: larger than {LARGEST_BYTES >> 20} MiB; export fewer benchmarks")
    return data


def shown(path: Path | str) -> str:
    """A path as text that any file and terminal takes: bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def parse(name: str, data: bytes) -> Parsed:
    """The same from the bytes of a file called `name` in sentences."""
    text = _text(name, data)
    if not text.strip():
        raise ExchangeError(f"{name}: empty; let the tool write it again")
    if text.lstrip()[0] not in "{[":
        return read_matrix(name, text)
    document: Any = parse_json(name, text, ExchangeError, of_ours=False)
    if "\\ud" in text.lower():
        document = _unicode(document)
    at = Place(name)
    if isinstance(document, dict) and isinstance(document.get("results"), list):
        return read_hyperfine(at, document)
    benchmarks = document.get("benchmarks") if isinstance(document, dict) else None
    if not isinstance(benchmarks, list):
        if is_bmf(document):
            return read_bmf(at, document)
        raise ExchangeError(f"{name}: {NONE_OF_THEM} (field benchmarks is missing)")
    if not benchmarks:
        raise ExchangeError(f"{name}: field benchmarks is empty, so there is nothing to import")
    if "machine_info" in document or "commit_info" in document:
        return read_pytest(at, document)
    if "context" in document:
        return read_google(at, document)
    if any(isinstance(item, dict) and "runs" in item for item in benchmarks):
        return read_pyperf(at, document)
    raise ExchangeError(f"{name}: {NONE_OF_THEM}")


_GZIP = b"\x1f\x8b"


def _text(name: str, data: bytes) -> str:
    # Some shells write what they redirect in UTF-16, with its mark.
    coding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(coding)
    except UnicodeDecodeError as error:
        raise ExchangeError(f"{name}: not text in UTF-8 (byte {error.start}); is this the right file?") from error


def _unicode(value: Any) -> Any:
    """A document with a replacement character for each half of a pair that JSON may hold, but no file."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_unicode(key): _unicode(item) for key, item in value.items()}
    return [_unicode(item) for item in value] if isinstance(value, list) else value


# ---- a run ----


def merge(parsed: Sequence[Parsed], names: Sequence[str], said: list[str]) -> list[Benchmark]:
    """Benchmarks of several files of one format: the processes of the same benchmark stand one after the other.

    A process that another file holds as well is taken once, and `said` gets a sentence.
    """
    first = parsed[0]
    for other, name in zip(parsed, names, strict=True):
        if other.format != first.format:
            raise ExchangeError(
                f"{name}: a file of {other.format}, but {names[0]} is one of {first.format}; import them apart"
            )
    merged: dict[str, Benchmark] = {}
    for other, name in zip(parsed, names, strict=True):
        again = 0
        for item in other.benchmarks:
            before = merged.get(item.name)
            if before is None:
                merged[item.name] = item
                continue
            # Several values that agree to the last digit are the same values.
            there = {tuple(values) for values in before.processes if len(values) >= _TELLING}
            new = [values for values in item.processes if tuple(values) not in there]
            again += len(item.processes) - len(new)
            merged[item.name] = _joined(before, replace(item, processes=new))
        if again:
            said.append(f"{name}: {again} of its processes are in another of these files as well; each is taken once")
    return list(merged.values())


_TELLING = 3


def _joined(before: Benchmark, item: Benchmark) -> Benchmark:
    floors = [value for value in (before.floor_ns, item.floor_ns) if not math.isnan(value)]
    return Benchmark(
        item.name,
        [*before.processes, *item.processes],
        before.about or item.about,
        min(floors, default=math.nan),
        (before.batches + item.batches) if before.batches and item.batches else None,
        (*before.failed, *item.failed),
    )


def check_alike(parsed: Sequence[Parsed], names: Sequence[str], said: list[str], *, anyway: bool) -> dict[str, str]:
    """What all that is pooled has in common; `said` gets what differs, if it is taken `anyway`.

    Raises
    ------
    ExchangeError
        where the processor, an interpreter, or a version differs.
    """
    found: dict[str, tuple[str, str]] = {}
    for other, name in zip(parsed, names, strict=True):
        for fact, value in ((fact, value) for facts in other.facts for fact, value in facts.items()):
            where, before = found.setdefault(fact, (name, value))
            if before == value:
                continue
            there = "the same file" if where == name else where
            sentence = f"{name}: {fact} is {value}, and {before} in {there}"
            if not anyway:
                raise ExchangeError(f"{sentence}. Import them apart and compare the runs, or pool them with --anyway")
            if sentence not in said:
                said.append(f"{sentence}; they are pooled")
    return {fact: value for fact, (_, value) in found.items()}


def _read(paths: Sequence[Path | str], said: list[str]) -> dict[str, tuple[bytes, Parsed]]:
    """Bytes and contents of each file by its name; a file that is there already is left out with a sentence."""
    read: dict[str, tuple[bytes, Parsed]] = {}
    for path in paths:
        name = shown(path)
        data = read_bytes(Path(path))
        found = parse(name, data)
        twice = next((other for other, (_, there) in read.items() if there.benchmarks == found.benchmarks), None)
        if twice is not None:
            said.append(f"{name}: it has the same values as {twice}, and is left out")
            continue
        read[name] = (data, found)
        said += found.left_out
    return read


def import_files(
    paths: Sequence[Path | str], *, labels: Mapping[str, str] = MappingProxyType({}), anyway: bool = False
) -> tuple[RunFactsJson, MachineJson, Callable[[RunJson], bytes]]:
    """What one or several files of one tool come to as a run.

    Parameters
    ----------
    labels
        what the user says of the machine, see `fencepost.bench.labels`.
    anyway
        pool files of different processors, interpreters and versions.

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
    said: list[str] = []
    read = _read(paths, said)
    parsed = [found for _, found in read.values()]
    benchmarks = merge(parsed, [*read], said)
    facts = check_alike(parsed, [*read], said, anyway=anyway)
    first = parsed[0]
    files: list[ImportedFileJson] = [
        {"name": Path(name).name, "sha256": hashlib.sha256(data).hexdigest()} for name, (data, _) in read.items()
    ]
    machine = _machine(first, facts, files, labels.get(NAME, ""))
    run: RunFactsJson = {
        "command": ["fencepost", "import", *(file["name"] for file in files)],
        "launcher": "another tool",
        "versions": {},
        "engine": {"arch": "unknown", "compiler": "unknown", "flags": "", "sha256": ""},
        schema.IMPORTED: {
            "format": first.format,
            "tool": first.tool,
            "files": files,
            "facts": facts,
            "notes": said,
        },
        "plan": {
            "profile": schema.IMPORTED,
            "seed": 0,
            "rounds": max((1, *(len(item.processes) for item in benchmarks))),
            "batches": max((1, *(len(values) for item in benchmarks for values in item.processes))),
            "batch_ns": 1,
            "cpus": sorted({cpu for item in benchmarks for cpu in item.about.get("cpus", ())}),
            "cases": [_planned(item, first) for item in benchmarks],
            "unmeasurable": [],
        },
    }
    if labels:
        run["labels"] = dict(labels)
    return run, machine, lambda whole: _encode(whole, machine, benchmarks)


def _machine(first: Parsed, facts: Mapping[str, str], files: Sequence[ImportedFileJson], label: str) -> MachineJson:
    """machine.json. Two imports are of one machine where their files name the same processor, or the user calls them
    the same.
    """
    hashes = "".join(file["sha256"] for file in files)
    told = facts.get("CPU") or (f"label {label}" if label else hashes)
    key = f"{schema.IMPORTED}-{first.format}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    return {
        "schema": schema.SCHEMA_VERSION,
        "key": key,
        "cpu_model": first.cpu or f"a machine that {first.format} does not name",
        "arch": "unknown",
        "topology": {},
        "kernel": "unknown",
    }


def _planned(item: Benchmark, parsed: Parsed) -> CaseJson:
    about = item.about
    told = about.get("summary") or f"imported from a file of {parsed.format}"
    return {
        "case": item.name,
        "kernel": about.get("kernel", f"{schema.IMPORTED}/{parsed.format}"),
        "parameters": about.get("parameters", {}),
        "values": [],
        "cpus": about.get("cpus", []),
        "relation": about.get("relation"),
        "unit": about.get("unit", "call"),
        "summary": "; ".join(filter(None, (told, item.failures))),
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
        # Where some repetitions gave values, the summary says how many did not.
        if not item.processes:
            failed = {"run": run["id"], "round": 1, "case": item.name, "kernel": kernel, "batches": 0, "metrics": {}}
            rows.append({**_UNKNOWN, **failed, "status": "failed", "reason": item.failures})
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
    reduced = Reduced(Path(), run, machine, Columns.of(process_frame(rows)), Columns.of(workers))
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
