"""Writing a run folder so that a kill at any moment loses at most the round under way.

Every file is written under a temporary name, fsynced and renamed, and the folder is fsynced. One process at a time may
write a folder. What the files hold is said in `fencepost.bench.schema`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import json
import os
import re
import shutil
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from fencepost.bench import parquet, schema
from fencepost.bench.documents import MachineJson, RoundRecord, RunFactsJson, RunJson
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.files import words_of
from fencepost.bench.frames import Records
from fencepost.bench.labels import run_folders, run_folders_like, run_id
from fencepost.bench.plan import Plan, plan_from_json

DEFAULT_BASE = Path("results") / "runs"
LATEST = "latest"
_TEMPORARY = ".tmp-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_ROUND_COLUMNS = ("case", "round", "overhead_ticks")
_SAMPLE_COLUMNS = {name: kind for name, kind in schema.COLUMNS.items() if name not in _ROUND_COLUMNS}


@dataclass(frozen=True)
class CaseRows:
    """The samples of one visit to a case in a round, by the fields of C's ``struct sample``; and the core clock beside
    it.
    """

    case: str
    overhead_ticks: float
    core_hz: float | None
    samples: Records


class CaseOutcome(NamedTuple):
    """How a case went in a round: fields of its entry in the round's record."""

    status: str
    failure: str | None
    reason: str | None


def _outcomes(record: RoundRecord) -> dict[str, CaseOutcome]:
    return {
        case: CaseOutcome(entry["status"], entry.get("failure"), entry["reason"])
        for case, entry in record["cases"].items()
    }


class RunFolder:
    """A run folder open for writing, locked against other writers. Use it as a context manager."""

    def __init__(self, path: Path, run: RunJson, lock: int) -> None:
        self.path = path
        self.run = run
        self._lock = lock
        self._written: dict[int, dict[str, CaseOutcome]] = {}

    @property
    def id(self) -> str:
        """The run's id, which is also in every round file."""
        return self.run["id"]

    @property
    def plan(self) -> Plan:
        """The plan in run.json."""
        return plan_from_json(self.run["plan"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the lock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def complete_rounds(self) -> list[int]:
        """Numbers of the rounds that are there, after checking that each belongs to this run and plan.

        Raises
        ------
        fencepost.bench.schema.RunFolderError
            when a round file is damaged or of another run or plan; the message names the file.
        """
        plan = self.plan
        numbers = []
        for number, path in schema.round_files(self.path).items():
            record = read_round_record(path)
            if record["run"] != self.id:
                raise schema.RunFolderError(
                    f"{path}: field run: it is of run {record['run']:.80}, not of {self.id:.80}"
                )
            if record["round"] != number or not 1 <= number <= plan.rounds:
                raise schema.RunFolderError(f"{path}: field round: {record['round']} does not fit its name and plan")
            if record["order"] != [case.case for case in plan.order(number)]:
                raise schema.RunFolderError(f"{path}: field order: not the order that the plan in run.json gives")
            numbers.append(number)
        return numbers

    def missing_rounds(self) -> list[int]:
        """Numbers of the rounds still to be measured, ascending."""
        there = set(self.complete_rounds())
        return [number for number in range(1, self.plan.rounds + 1) if number not in there]

    def write_round(self, record: RoundRecord, rows: Sequence[CaseRows]) -> Path:
        """Write one complete round."""
        path = schema.round_file(self.path, record["round"])
        atomic_write(path, encode_round(record, rows))
        self._written[record["round"]] = _outcomes(record)
        return path

    def outcomes(self) -> Iterator[tuple[str, CaseOutcome]]:
        """How each case went in each complete round, round by round. Files are read of earlier processes' rounds only.

        Raises
        ------
        fencepost.bench.schema.RunFolderError
            when such a file is damaged.
        """
        for number, path in schema.round_files(self.path).items():
            written = self._written.get(number)
            yield from (_outcomes(read_round_record(path)) if written is None else written).items()


def create(
    base: Path,
    machine: MachineJson,
    run: RunFactsJson,
    now: datetime | None = None,
    *,
    rows: Callable[[RunJson], bytes] | None = None,
) -> RunFolder:
    """Create a run folder in `base`, with run.json and machine.json, and lock it.

    Parameters
    ----------
    run
        what run.json is to hold beside the run's id and time.
    rows
        from run.json to the contents of rows.parquet, for a run without rounds.

    Raises
    ------
    MeasureError
        when it cannot be written there; nothing is left behind then.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    key = re.sub(r"[^A-Za-z0-9._-]+", "-", machine["key"]).strip("-.") or "machine"
    new = [place for place in (base, *base.parents) if not place.exists()]
    path = None
    try:
        base.mkdir(parents=True, exist_ok=True)
        path = _new_folder(base, run_id(f"{moment:%Y%m%dT%H%M%SZ}-{key}", run.get("labels", {})))
        document: RunJson = {
            "schema": schema.SCHEMA_VERSION,
            "id": path.name,
            "created_utc": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "machine_key": machine["key"],
            **run,
            "sha256": "",
        }
        document["sha256"] = schema.hash_of(document)
        folder = RunFolder(path, document, _lock(path))
        try:
            # run.json comes last: a folder that has it is complete enough to be resumed.
            atomic_write(path / schema.MACHINE_FILE, _json_bytes({**machine, "schema": schema.SCHEMA_VERSION}))
            if rows is None:
                (path / schema.ROUNDS_FOLDER).mkdir()
            else:
                atomic_write(path / schema.ROWS_FILE, rows(document))
            atomic_write(path / schema.RUN_FILE, _json_bytes(document))
            for place in (path, *new):
                _fsync_folder(place.parent)
        except BaseException:
            folder.close()
            raise
    except BaseException as error:
        _remove(path, new)
        if isinstance(error, OSError) and not isinstance(error, MeasureError):
            raise storage_fault(base, error) from error
        raise
    return folder


def _remove(path: Path | None, new: Sequence[Path]) -> None:
    """Remove what a failed creation has made: the run folder, and the folders above it where they are `new`."""
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)
    for place in new:
        with contextlib.suppress(OSError):  # somebody else has put something there
            place.rmdir()


def resume(path: Path) -> RunFolder:
    """Open an existing run folder to complete it: lock it, check it, and remove what a killed writer left.

    Raises
    ------
    fencepost.bench.schema.RunFolderError
        when run.json or machine.json is damaged.
    UsageError
        when there is no such folder, or another process is writing it.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such run folder; see the folders in {DEFAULT_BASE}")
    run = schema.read_run(path)
    schema.read_machine(path)
    if (path / schema.ROWS_FILE).exists() or schema.IMPORTED in run:
        raise UsageError(f"{path}: an imported, published or pruned run, which cannot be continued; start a new one")
    recorded = run.get("plan_sha256")
    if recorded is not None and recorded != plan_from_json(run["plan"]).sha256():
        raise schema.RunFolderError(
            f"{path / schema.RUN_FILE}: field plan: not the plan this run was started with (plan_sha256 differs); "
            "the file was edited by hand, start a new run"
        )
    folder = RunFolder(path, run, _lock(path))
    try:
        (path / schema.ROUNDS_FOLDER).mkdir(exist_ok=True)
        for place in (path, path / schema.ROUNDS_FOLDER):
            for left in place.glob(f"{_TEMPORARY}*"):
                left.unlink()
    except OSError as error:
        folder.close()
        raise storage_fault(path, error) from error
    return folder


def find(name: str | Path, base: Path = DEFAULT_BASE) -> Path:
    """The run folder that a user means by a path, by an id in `base`, or by ``latest``: the newest measured here, not
    an imported one.

    Raises
    ------
    UsageError
        when there is none.
    """
    if str(name) == LATEST and not Path(name).is_dir():
        runs = [
            path.parent for path in base.glob(f"*/{schema.RUN_FILE}") if f"Z-{schema.IMPORTED}-" not in path.parent.name
        ]
        folders = sorted(runs, key=lambda path: (path.name[:16], path.stat().st_mtime_ns))
        if not folders:
            raise UsageError(f"no run yet in {base}; start one with `fencepost run`")
        return folders[-1]
    found = find_all([str(name)], base)
    if len(found) > 1:
        raise UsageError(f"{name}: {len(found)} runs; name one of them, such as {found[-1]}")
    return found[0]


def find_all(names: Sequence[str], base: Path = DEFAULT_BASE) -> list[Path]:
    """The run folders that a user means: as `find` does, and those in folders of runs, such as ``runs/HOST`` or
    ``runs/**``.

    Raises
    ------
    UsageError
        when a name means no run.
    """
    found: list[Path] = []
    for name in names:
        found += [find(name, base)] if name == LATEST and not Path(name).is_dir() else _meant(name, base)
    return found


def _meant(name: str, base: Path) -> list[Path]:
    for path in (Path(name), base / name):
        if path.is_dir():
            # Without a run in it, what reads it tells what it lacks.
            return run_folders(path) or [path]
    if Path(name).exists():
        raise UsageError(f"{name}: not a folder; a run is the folder with {schema.RUN_FILE}")
    if glob.has_magic(name):
        found = run_folders_like(name)
    else:
        found = [path for path in run_folders(base) if path.name == name]
    if not found:
        raise UsageError(f"{name}: no such run folder, here or in {base}; `latest` names the newest")
    return found


def read_round_record(path: Path) -> RoundRecord:
    """Read and check the JSON record of a round file; raises `RunFolderError` when the file is damaged."""
    if not path.is_file():
        raise schema.RunFolderError(f"{path}: not a file that can be read; remove it")
    try:
        with path.open("rb") as file:
            metadata = parquet.read_metadata(file)
    except (OSError, parquet.ParquetError) as error:
        raise schema.RunFolderError(
            f"{path}: not a whole parquet file ({words_of(error)}); delete it and complete the run with --resume"
        ) from error
    return schema.parse_round_record(path, metadata)


def encode_round(record: RoundRecord, rows: Sequence[CaseRows]) -> bytes:
    """A round as the bytes of its parquet file."""
    lengths = [len(case.samples) for case in rows]
    # A case that was visited several times has as many entries in `rows`, one after the other.
    names = list(dict.fromkeys(case.case for case in rows))
    places = {name: place for place, name in enumerate(names)}
    overhead_ticks = array("d")
    for case, length in zip(rows, lengths, strict=True):
        overhead_ticks.extend([case.overhead_ticks] * length)
    # Once for all visits, which are thousands.
    samples = Records(rows[0].samples.layout, b"".join(case.samples.data for case in rows)) if rows else None
    columns = {
        "case": parquet.runs_of_names(
            "case", names, [(places[case.case], length) for case, length in zip(rows, lengths, strict=True)]
        ),
        "round": parquet.numbers("round", array("i", [record["round"]]) * sum(lengths), "int32"),
        "overhead_ticks": parquet.numbers("overhead_ticks", overhead_ticks, "float64"),
    }
    for name, kind in _SAMPLE_COLUMNS.items():
        values = samples[name] if samples is not None else array(parquet.CODES[kind])
        columns[name] = parquet.numbers(name, values, kind)
    return parquet.encode([columns[name] for name in schema.COLUMNS], schema.record_metadata(record))


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` so that `path` is there entirely or not at all, also after a crash of the machine.

    Raises
    ------
    MeasureError
        when it cannot be stored; nothing is left behind then.
    """
    temporary = path.with_name(f"{_TEMPORARY}{path.name}-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            _fsync(file.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise storage_fault(path, error) from error


def _fsync(descriptor: int) -> None:
    """Wait until a file or folder is on the disk, where its file system can say so: some network ones cannot."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _fsync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _fsync(folder)
    finally:
        os.close(folder)


def storage_fault(path: Path, error: OSError) -> MeasureError:
    """The sentence for a failure to store something at `path`."""
    if error.errno in _FULL:
        return MeasureError(f"{path}: no space left on its disk; free some, or choose another place with --out")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return MeasureError(f"{path}: cannot be written ({words_of(error)}); choose another place with --out")
    if error.errno == errno.EFBIG:
        return MeasureError(f"{path}: larger than this process may write; raise the limit (`ulimit -f`)")
    return MeasureError(f"{path}: cannot be written ({words_of(error)})")


def _json_bytes(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()


def _new_folder(base: Path, stem: str) -> Path:
    # Two runs may start within one second.
    for suffix in ("", *(f"-{count}" for count in range(2, 100))):
        path = base / f"{stem}{suffix}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise MeasureError(f"{base / stem}: a hundred runs of the same second are there already")


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"{path}: another fencepost is writing this run; wait until it has ended") from None
    except OSError:
        # A file system without locks: the run goes on without that protection.
        pass
    return descriptor
