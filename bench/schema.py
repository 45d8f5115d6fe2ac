"""The run folder: the only thing that `fencepost.bench` and `fencepost.analysis` share.

A run folder is ``results/runs/<UTC time>-<machine>@<host>/`` and holds

``run.json``
    what was asked for and with what: plan, seed, command, versions, compiler, flags, hash of the engine (`RUN_SCHEMA`);
``machine.json``
    what it ran on (`MACHINE_SCHEMA`);
``rounds/0001.parquet`` …
    one file a round, one row a batch and thread (`COLUMNS`), and in the file's own key-value metadata, under
    `ROUND_KEY`, one JSON record with what belongs to the process and to each case (`ROUND_SCHEMA`). A round is one
    file so that it is there entirely or not at all.

A run folder whose rounds were reduced to one row a case and process has ``rows.parquet`` (`ROWS_FILE`) in their place:
that is what is published, and what an import from another tool's file comes to. In its metadata, under the same key,
is a record of its own (`ROWS_SCHEMA`). An imported run says so in run.json (``imported``); it names no CPU, and nothing
in it but the times is known.

``cache/`` holds what was derived from the run (`fencepost.analysis.runs.kept`). It may be deleted at any time.

Everything is read through `read_run`, `read_machine` and `parse_round_record`, which answer damage with one sentence
that names the file and the field.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from fencepost.bench import labels
from fencepost.bench.documents import MachineJson, RoundRecord, RowsRecord, RunJson
from fencepost.bench.files import MOST_BYTES, first_fault, parse_json, read_regular

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

SCHEMA_VERSION = 1
RUN_FILE = "run.json"
MACHINE_FILE = "machine.json"
ROUNDS_FOLDER = "rounds"
ROWS_FILE = "rows.parquet"
IMPORTED: Final = "imported"
"""Key in run.json of a run that another tool measured; also the beginning of its machine's key."""
ROUND_KEY = b"fencepost"
HASH_KEY = b"fencepost-sha256"
MOST_JSON_BYTES = 64 << 20

FLAGS = {"migrated": 1, "switched": 2, "faulted": 4, "low_overlap": 8, "short": 16, "hand_over_drift": 32}
"""Names of the bits of the column ``flags`` (the FLAG_ constants of csrc/kernel.h)."""

COLUMNS = {
    "case": "dictionary",
    "round": "int32",
    "batch": "int32",
    "thread": "int32",
    "ticks": "int64",
    "operations": "int64",
    "overhead_ticks": "float64",
    "begin_ticks": "int64",
    "cpu_begin": "int32",
    "cpu_end": "int32",
    "voluntary": "int32",
    "involuntary": "int32",
    "minor_faults": "int32",
    "major_faults": "int32",
    "flags": "int32",
    "overlap": "float32",
    "width_ticks": "float32",
    "additions_ticks": "float32",
    "clock_ticks": "float32",
    "distance_ticks": "float32",
}
"""Columns of a round file and their Arrow types; ``dictionary`` is a dictionary of strings. The rows of one case follow
each other. The value of a row is ``(ticks - overhead_ticks) / operations`` ticks per operation."""

WITNESS_COLUMNS = ("width_ticks", "additions_ticks", "clock_ticks", "distance_ticks")
"""What the core gave beside each row: ticks of 1000 additions with a quarter as many taken branches, halved, of the
additions alone, of 1000 multiplications, and of a round trip of one line between the first two CPUs. NaN where it is
not known. Rounds of older versions do not have these columns."""

WORKER_NUMBERS = ("tick_hz", "quantum_ticks", "overhead_ticks", "startup_ms", "elapsed_ms")
"""What every worker process tells of itself; ``tick_hz`` converts its ticks."""

_ANY: dict[str, object] = {}
"""A key that is known and not checked: what it holds is shown, or compared, and nothing is computed from it."""
_STRING = {"type": "string"}
_NUMBER = {"type": "number"}
_INTEGER = {"type": "integer"}
_NUMBER_OR_NULL = {"type": ["number", "null"]}
_STRING_OR_NULL = {"type": ["string", "null"]}

_HASHED = {"type": "object", "required": ["name", "sha256"], "properties": {"name": _STRING, "sha256": _STRING}}
_LINES = {"type": "object", "additionalProperties": _INTEGER}
_AROUND = {"interrupts": {"type": "object", "additionalProperties": _LINES}, "traced": {"type": "boolean"}}
_CASE = {
    "type": "object",
    "required": ["case", "kernel", "parameters", "values", "cpus", "unit", "kind", "once", "twin_of"],
    "properties": {
        "case": _STRING,
        "kernel": _STRING,
        "parameters": {"type": "object"},
        "values": {"type": "array", "items": _INTEGER},
        "cpus": {"type": "array", "items": _INTEGER},
        "relation": _STRING_OR_NULL,
        "unit": _STRING,
        "summary": _STRING,
        "kind": {"enum": ["loop", "events", "counts"]},
        "once": {"type": "boolean"},
        "twin_of": _STRING_OR_NULL,
        "paired": {"type": "boolean"},
        "counts": {"type": "array", "items": {"type": "object", "required": ["name", "unit", "summary"]}},
        "metrics": {"type": "array", "items": {"type": "object", "required": ["name", "unit", "summary"]}},
        "expected_ns": _NUMBER,
        "object": _STRING,
        "row": _STRING_OR_NULL,
        "side": {"enum": ["old", "new", None]},
        "every": {"type": "integer", "minimum": 1},
        "visits": {"type": "integer", "minimum": 1},
    },
}

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "id", "created_utc", "command", "launcher", "plan", "versions", "engine", "machine_key"],
    "properties": {
        "schema": _INTEGER,
        "id": _STRING,
        "created_utc": _STRING,
        "command": {"type": "array", "items": _STRING},
        "launcher": {"enum": ["taskset", "sched_setaffinity", "another tool"]},
        "machine_key": _STRING,
        "labels": labels.SCHEMA,
        "versions": {"type": "object", "additionalProperties": _STRING},
        "engine": {
            "type": "object",
            "required": ["arch", "compiler", "flags", "sha256"],
            "properties": {"arch": _STRING, "compiler": _STRING, "flags": _STRING, "sha256": _STRING},
        },
        "objects": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["label", "files", "source_sha256", "sha256", "compiler", "flags", "key"],
                "properties": {
                    "label": {"type": "string", "minLength": 1},
                    "files": {"type": "array", "items": _STRING},
                    "source_sha256": _STRING,
                    "sha256": _STRING,
                    "compiler": _STRING,
                    "flags": _STRING,
                    "key": {"type": "string", "pattern": "^[0-9a-f]{40,64}$"},
                },
            },
        },
        "doctor": {
            "type": "object",
            "required": ["profile", "fit", "findings"],
            "properties": {
                "profile": _STRING,
                "fit": {"type": "boolean"},
                "best_change": _STRING_OR_NULL,
                "findings": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["knob", "value", "effect", "change", "reboot", "severity"],
                        "properties": {
                            "knob": _STRING,
                            "value": _STRING_OR_NULL,
                            "effect": _STRING,
                            "change": _STRING_OR_NULL,
                            "reboot": {"type": "boolean"},
                            "severity": _STRING,
                        },
                    },
                },
            },
        },
        "plan": {
            "type": "object",
            "required": ["profile", "seed", "rounds", "batches", "batch_ns", "cpus", "cases", "unmeasurable"],
            "properties": {
                "profile": _STRING,
                "seed": _INTEGER,
                "rounds": {"type": "integer", "minimum": 1},
                "batches": {"type": "integer", "minimum": 1},
                "batch_ns": {"type": "integer", "minimum": 1},
                "quiet_batches": _INTEGER,
                "most_batches": _INTEGER,
                "again_ns": _INTEGER,
                "cpus": {"type": "array", "items": _INTEGER},
                "cases": {"type": "array", "items": _CASE},
                "warmup_batches": _ANY,
                "notes": _ANY,
                "unmeasurable": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["case", "kernel", "parameters", "cpus", "unit", "reason"],
                        "properties": {
                            "case": _STRING,
                            "kernel": _STRING,
                            "parameters": {"type": "object"},
                            "cpus": {"type": "array", "items": _INTEGER},
                            "unit": _STRING,
                            "reason": _STRING,
                        },
                    },
                },
            },
        },
        "plan_sha256": _ANY,
        "sha256": _STRING,
        "rounds_a_repeat": _ANY,
        "disturb": _ANY,
        "published": _ANY,
        IMPORTED: {
            "type": "object",
            "required": ["format", "files", "tool"],
            "properties": {
                "format": _STRING,
                "files": {"type": "array", "minItems": 1, "items": _HASHED},
                "tool": _STRING,
                "facts": {"type": "object", "additionalProperties": _STRING},
                "notes": {"type": "array", "items": _STRING},
            },
        },
    },
    # Only of an imported run is it not known where it ran.
    "if": {"not": {"required": [IMPORTED]}},
    "then": {
        "properties": {
            "launcher": {"enum": ["taskset", "sched_setaffinity"]},
            "plan": {
                "properties": {
                    "cpus": {"minItems": 1},
                    "cases": {"items": {"properties": {"cpus": {"minItems": 1}}}},
                }
            },
        }
    },
}
"""What run.json must hold (JSON Schema 2020-12). Further keys are allowed and kept. ``objects`` are the kernels of a
user's own (`fencepost.bench.objects`); the key ``object`` of a case names the one that holds its kernel, by label.
A ``paired`` case is measured as a difference: each event is an operation less its control, and may be negative.
``counts`` describes the whole numbers that a case finds; a case of the kind ``counts`` takes no time. ``labels`` are
what the user says of the machine, its ``name`` and ``host`` among them (`fencepost.bench.labels`)."""

MACHINE_FACTS = (
    *("cpu_vendor", "cpu_family", "cpu_model_number", "stepping", "microcode", "cpu_flags", "topology_source"),
    *("cpus_present", "cpus_offline", "cpus_isolated", "cpus_nohz_full", "cpus_usable", "clusters", "core_kinds"),
    *("numa_distances", "caches", "line_bytes", "kernel_version", "boot_parameters", "mitigations"),
    *("frequency_driver", "governor", "energy_performance_preference", "turbo", "smt", "thp", "thp_defrag", "aslr"),
    *("clocksource", "clocksources_available", "hypervisor", "cgroup", "memory_bytes", "swap_bytes"),
    *("huge_page_bytes", "page_bytes", "libc", "capabilities", "perf_events", "tick"),
)
"""What machine.json may say besides, see `fencepost.bench.documents`; readers look twice at these."""

_CPUS = {"type": "array", "items": _INTEGER}
_GROUPS = {"type": "array", "items": _CPUS}
_TOPOLOGY = {
    "cpus": _CPUS,
    "numa": {"type": "object", "additionalProperties": _CPUS},
    **dict.fromkeys(("cores", "packages", "l2", "l3"), _GROUPS),
}

MACHINE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "key", "cpu_model", "arch", "topology", "kernel"],
    "properties": {
        "schema": _INTEGER,
        "key": _STRING,
        "cpu_model": _STRING,
        "arch": _STRING,
        "topology": {"type": "object", "properties": _TOPOLOGY},
        "kernel": _STRING,
        **dict.fromkeys(MACHINE_FACTS, _ANY),
    },
}
"""What machine.json must hold; most of its keys are optional, because machines differ in what they tell."""

ROUND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "run", "round", "started_utc", "order", "worker", "cases"],
    "properties": {
        "schema": _INTEGER,
        "run": _STRING,
        "round": {"type": "integer", "minimum": 1},
        "started_utc": _STRING,
        "order": {"type": "array", "items": _STRING},
        "worker": {
            "type": "object",
            "required": ["tick_source", *WORKER_NUMBERS, "cpus"],
            "properties": {
                "tick_source": _STRING,
                "tick_hz": _NUMBER,
                "quantum_ticks": _NUMBER,
                "overhead_ticks": _NUMBER,
                "startup_ms": _NUMBER,
                "elapsed_ms": _NUMBER,
                "cpus": {"type": "array", "items": _INTEGER},
                "tick_hz_error_ppm": _ANY,
                "pid": _ANY,
                "launcher": _ANY,
                "width_floor": _NUMBER_OR_NULL,
                **_AROUND,
            },
        },
        "cases": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["status", "reason", "overhead_ticks", "core_hz", "chain_ratio", "metrics", "elapsed_ns"],
                "properties": {
                    "status": {"enum": ["ok", "unsupported", "failed"]},
                    "failure": {"enum": ["check", "error", "worker", None]},
                    "reason": _STRING_OR_NULL,
                    "overhead_ticks": _NUMBER_OR_NULL,
                    "core_hz": _NUMBER_OR_NULL,
                    "core_hz_before": _NUMBER_OR_NULL,
                    "core_hz_after": _NUMBER_OR_NULL,
                    "chain_ratio": _NUMBER_OR_NULL,
                    "raw_before_ticks": _NUMBER_OR_NULL,
                    "raw_after_ticks": _NUMBER_OR_NULL,
                    "metrics": {"type": "object", "additionalProperties": _NUMBER_OR_NULL},
                    "counts": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "required": ["found", "expected"],
                            "properties": {"found": _INTEGER, "expected": _INTEGER},
                        },
                    },
                    "elapsed_ns": _NUMBER,
                    "events": _INTEGER,
                    "visits": {"type": "array", "items": _INTEGER},
                    "visits_hz": {"type": "array", "items": _NUMBER_OR_NULL},
                    "turn_batches": {"type": "integer", "minimum": 1},
                    "histogram": {
                        "type": ["object", "null"],
                        "required": ["ticks", "count"],
                        "properties": {
                            "ticks": {"type": "array", "items": _INTEGER},
                            "count": {"type": "array", "items": _INTEGER},
                        },
                    },
                },
            },
        },
    },
}
"""The record in a round file's metadata. ``worker.tick_hz`` converts every tick of that round. ``worker.width_floor``
is the floor of its witnesses, see `fencepost.bench.witness`. A case with status
``unsupported`` or ``failed`` has no rows, and its reason is one sentence. ``failure`` says of the latter what failed:
the kernel's ``check``, a call that returned another ``error``, or the ``worker``, which ended or hung with it.
``histogram`` is there for event kernels: all events of the process, net of overhead, as ascending tick counts and how
often each was seen. ``visits`` is there for cases that a round visits several times: how many rows each visit left, in
the order of the visits, whose rows follow each other. ``visits_hz`` is the core clock beside each. The first visits are
those of ``order``, and the figures of the engine are means over them. Later ones looked for quiet batches. Where the
first took turns with another case's, a turn was ``turn_batches`` long. The metrics of a paired case include both sides
alone, ``operation_ticks`` and ``control_ticks``. ``counts`` is there for a case that counts, also where it failed."""

ROWS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["schema", "run", "workers"],
    "properties": {
        "schema": _INTEGER,
        "run": _STRING,
        "workers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["round", "tick_source", *WORKER_NUMBERS],
                "properties": {
                    "round": {"type": "integer", "minimum": 1},
                    "tick_source": _STRING,
                    **dict.fromkeys(WORKER_NUMBERS, _NUMBER_OR_NULL),
                    **_AROUND,
                },
            },
        },
    },
}
"""The record in the metadata of rows.parquet: one worker a round. Its numbers are null where they are not known."""


class RunFolderError(ValueError):
    """A run folder cannot be read: the message names the file, the field and the way out."""


def round_file(folder: Path, number: int) -> Path:
    """Path of the file of round `number` (counted from 1) in run folder `folder`."""
    return folder / ROUNDS_FOLDER / f"{number:04d}.parquet"


def round_files(folder: Path) -> dict[int, Path]:
    """Complete rounds of a run folder, by number, ascending."""
    paths = sorted((folder / ROUNDS_FOLDER).glob("[0-9][0-9][0-9][0-9]*.parquet"))
    return {int(path.stem): path for path in paths if path.stem.isdigit()}


def read_run(folder: Path) -> RunJson:
    """Read and check ``run.json``.

    Raises
    ------
    RunFolderError
        when it is missing, truncated, of a newer schema, has a wrong or missing field, or was changed.
    """
    path = folder / RUN_FILE
    run = cast(RunJson, _read_json(path, "run"))
    try:
        datetime.strptime(run["created_utc"], "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise RunFolderError(f"{path}: field created_utc: {run['created_utc'][:40]!r} is not a time in UTC") from None
    # Runs of older versions have no hash.
    if run.get("sha256", told := hash_of(run)) != told:
        raise RunFolderError(f"{path}: field sha256: not the hash of the other fields; the file was changed by hand")
    return run


def hash_of(run: Mapping[str, object]) -> str:
    """SHA-256 of all fields of run.json but the one that holds it."""
    fields = {name: value for name, value in run.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_machine(folder: Path) -> MachineJson:
    """Read and check ``machine.json``; raises `RunFolderError` like `read_run`."""
    return cast(MachineJson, _read_json(folder / MACHINE_FILE, "machine"))


def record_metadata(record: Mapping[str, object]) -> dict[bytes, bytes]:
    """A record as the metadata of a file, with its hash: the format itself has none for metadata."""
    text = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()
    return {ROUND_KEY: text, HASH_KEY: hashlib.sha256(text).hexdigest().encode()}


def parse_round_record(path: Path, metadata: Mapping[bytes, bytes] | None) -> RoundRecord:
    """Check the JSON record found under `ROUND_KEY` in the metadata of the round file `path`."""
    text = _record_text(path, metadata or {}, "this round")
    return cast(RoundRecord, _parse(path, text, "round"))


def parse_rows_record(path: Path, metadata: Mapping[bytes, bytes] | None) -> RowsRecord:
    """Check the JSON record found under `ROUND_KEY` in the metadata of the rows file `path`."""
    text = _record_text(path, metadata or {}, "these rows")
    return cast(RowsRecord, _parse(path, text, "rows"))


def _record_text(path: Path, metadata: Mapping[bytes, bytes], what: str) -> bytes:
    text = metadata.get(ROUND_KEY)
    if text is None:
        raise RunFolderError(f"{path}: no key {ROUND_KEY.decode()!r} in its metadata; fencepost did not write {what}")
    # Files of older versions have no hash.
    if HASH_KEY in metadata and metadata[HASH_KEY] != hashlib.sha256(text).hexdigest().encode():
        raise RunFolderError(f"{path}: its record is damaged (its hash differs); delete it, and measure again")
    return text


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The contents of a file of a run folder; raises `RunFolderError` for all that is no regular file, or too large."""
    try:
        return read_regular(path, RunFolderError, most)
    except FileNotFoundError:
        raise RunFolderError(f"{path}: not found; is {path.parent} a run folder?") from None


def _read_json(path: Path, kind: str) -> dict[str, object]:
    return _parse(path, read_file(path, MOST_JSON_BYTES), kind)


def _parse(path: Path, text: bytes, kind: str) -> dict[str, object]:
    document = parse_json(path, text, RunFolderError)
    version: object = document.get("schema") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunFolderError(
            f"{path}: field schema is {version}, newer than {SCHEMA_VERSION} which this fencepost reads; "
            "upgrade fencepost"
        )
    fault = first_fault(_validator(kind), document)
    if fault is not None:
        raise RunFolderError(f"{path}: {fault}")
    if not isinstance(document, dict):  # the schema says so already; this line tells the type checker
        raise RunFolderError(f"{path}: not a JSON object")
    return document


@functools.cache
def _validator(kind: str) -> Draft202012Validator:
    from jsonschema_rs import Draft202012Validator  # 40 ms to import: only readers of run folders pay it

    schemas = {"run": RUN_SCHEMA, "machine": MACHINE_SCHEMA, "round": ROUND_SCHEMA, "rows": ROWS_SCHEMA}
    return Draft202012Validator(schemas[kind])
