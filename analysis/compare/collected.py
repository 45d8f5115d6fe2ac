"""Packed runs of a folder, collected in one DuckDB database beside them, so that one row of many runs is read at once.

The database is `FILE` in the folder's `kept.FOLDER`. It may be deleted at any time. Each run stands in it with a stamp:
size, times and number of each file that it was made of. A run with another stamp is looked at again, and so is one that
was written while it was read. With more than `MANY` runs not all are looked at, see `Collected`. DuckDB checks the sum
of each block that it reads. A database that is damaged, or of another rule, is made again. Where the folder cannot be
written, or another process has it, all of it happens in memory.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import duckdb

from fencepost.analysis.runs import kept
from fencepost.analysis.runs.labels import MachineIdentity
from fencepost.analysis.runs.row import SERIES_COLUMNS
from fencepost.analysis.text.escape import one_line
from fencepost.bench import schema
from fencepost.bench.files import words_of
from fencepost.bench.labels import run_folders

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pyarrow as pa

FILE = "runs.duckdb"

RACE_NS = 2_000_000_000
"""A file that was written less than this before it was read may have been written once more within the same tick."""

AT_ONCE = 500
"""Runs that are stored together. What a killed process has stored stays."""

MANY = 10_000
"""Of more runs, those that were complete are looked at only where a folder with runs has changed."""

MEMORY = "900MB"

_TABLES = """
CREATE TABLE rule (rule VARCHAR);
CREATE TABLE runs (no INTEGER, folder VARCHAR, stamp VARCHAR, key VARCHAR, note VARCHAR, id VARCHAR,
    created VARCHAR, machine_key VARCHAR, label VARCHAR, host VARCHAR, made_with VARCHAR,
    noise_floor_pct DOUBLE, complete_rounds BIGINT, complete BOOLEAN);
CREATE TABLE places (folder VARCHAR, stamp VARCHAR);
CREATE TABLE answers (asked VARCHAR, answer BLOB);
CREATE TABLE cases (no INTEGER, name VARCHAR, kernel VARCHAR, control BOOLEAN);
CREATE TABLE points (run INTEGER, row INTEGER, ns DOUBLE, ns_low DOUBLE, ns_high DOUBLE, found_ns DOUBLE,
    found_ns_low DOUBLE, found_ns_high DOUBLE, alone BOOLEAN);
"""

_NAMES = ("rule", "runs", "cases", "points", "places", "answers")

_RUN = ("run", "created_utc", "machine_key", "label", "host", "made_with", "noise_floor_pct", "complete_rounds")
_COMPLETE = "complete"
_COLUMNS = (*_RUN, "case", "kernel", "control", "twin_of", "basis", *SERIES_COLUMNS)

_INSERT = f"""
INSERT INTO cases SELECT (SELECT count(*) FROM cases) + row_number() OVER () - 1, name, kernel, control FROM
    (SELECT "case" AS name, any_value(kernel) AS kernel, any_value(control) AS control FROM fresh
     WHERE "case" NOT IN (SELECT name FROM cases) GROUP BY 1);
INSERT INTO points SELECT fresh.no, cases.no, {", ".join(SERIES_COLUMNS)}, basis = 'alone' FROM fresh
    JOIN cases ON cases.name = fresh."case" WHERE isfinite(ns) AND ns > 0 AND twin_of IS NULL;
"""


class CollectedRun(NamedTuple):
    """A run of the folder: its number in the database, and what is told of it. `note` says why it cannot be read."""

    no: int
    folder: Path
    key: str
    note: str
    id: str
    created: str
    machine: MachineIdentity
    made_with: Mapping[str, str]
    noise_floor_pct: float
    complete_rounds: int


class Collected:
    """The runs of a folder, in the order in which they were named. Close it, or use it in a ``with`` statement.

    Parameters
    ----------
    folders
        the runs, by default all that `run_folders` finds.
    processes, executor
        read the runs that were not collected before, see `map_runs`.
    """

    def __init__(
        self,
        base: Path,
        folders: Sequence[Path] | None = None,
        processes: int | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._base, self._folders = base, folders
        self._processes, self._executor = processes, executor
        self._named: dict[str, Path] = {}
        self._runs: list[CollectedRun] | None = None
        self._database = self._open()
        try:
            self._load()
        except duckdb.Error:  # a damaged block: whatever was collected is made again
            self.make_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    @property
    def key(self) -> str:
        """A digest of all runs and of the rule."""
        told = [(str(run.folder), run.key, run.note) for run in self.runs]
        return hashlib.sha256(repr((kept.rule(), told)).encode()).hexdigest()

    @property
    def runs(self) -> list[CollectedRun]:
        """All runs."""
        if self._runs is None:
            self._runs = self._all_runs()
        return self._runs

    def _all_runs(self) -> list[CollectedRun]:
        found = {row[1]: row for row in self._database.execute("SELECT * FROM runs").fetchall()}
        base = str(self._base)
        named = self._named or {name: Path(f"{base}/{name}") for name in sorted(found)}
        return [_run(folder, found[name]) for name, folder in named.items()]

    def make_again(self) -> None:
        """Collect all runs anew, after the database was found to be damaged."""
        self._database.close()
        self._remove()
        self._database = self._open()
        self._load()

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM runs").fetchone() or (0,)
        return int(count)

    def answer(self, asked: str) -> bytes | None:
        """What was answered to a question, if no run has come, gone or changed since."""
        found = self._database.execute("SELECT answer FROM answers WHERE asked = ?", [asked]).fetchone()
        return found[0] if found else None

    def keep(self, asked: str, answer: bytes) -> None:
        """Keep an answer."""
        self._database.execute("DELETE FROM answers WHERE asked = ?", [asked])
        self._database.execute("INSERT INTO answers VALUES (?, ?)", [asked, answer])

    def cases(self) -> list[tuple[int, str, str, bool]]:
        """Number, name, kernel, and whether it is a control, of all cases that were ever seen."""
        return self._database.execute("SELECT no, name, kernel, control FROM cases ORDER BY no").fetchall()

    def points(self, runs: Sequence[int], rows: Sequence[int]) -> dict[str, Any]:
        """Figures of these cases in these runs, as arrays by the name of the column.

        Each is of shape (points,), by case and then in the order of `runs`. ``place`` is the index in `runs`.
        """
        wanted = "SELECT unnest(?::INTEGER[]) AS run, unnest(range(?)) AS place"
        found = self._database.execute(
            f"SELECT row, place, {', '.join(SERIES_COLUMNS)}, alone FROM points JOIN ({wanted}) USING (run) "
            "WHERE row IN (SELECT unnest(?::INTEGER[])) ORDER BY row, place",
            [list(runs), len(runs), list(rows)],
        )
        return dict(found.fetchnumpy())

    # ---- the database ----

    @property
    def _path(self) -> Path:
        return self._base / kept.FOLDER / FILE

    def _open(self) -> duckdb.DuckDBPyConnection:
        """The database as it was left, where it is of this rule and whole; else an empty one."""
        with contextlib.suppress(OSError, duckdb.Error):
            if not self._path.parent.is_symlink() and not self._path.is_symlink():
                self._path.parent.mkdir(exist_ok=True)
                try:
                    database = _connect(self._path)
                    if _is_fresh(database):
                        return database
                    database.close()
                except duckdb.IOException as error:
                    if "lock" in str(error):  # another process has it
                        return _empty(_connect(":memory:"))
                except duckdb.Error:
                    pass
                self._remove()
                return _empty(_connect(self._path))
        return _empty(_connect(":memory:"))

    def _remove(self) -> None:
        for path in (self._path, self._path.with_name(FILE + ".wal")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    # ---- its runs ----

    def _load(self) -> None:
        self._named, self._runs = {}, None
        if self._folders is not None:
            self._update(self._folders, {})
        elif not self._settled():
            places: list[str] = []
            since = time.time_ns() - RACE_NS
            folders = run_folders(self._base, looked_into=places)
            self._update(folders, {place: _place_stamp(place, since) for place in places if place != self._own})

    @property
    def _own(self) -> str:
        return str(self._base / kept.FOLDER)

    def _settled(self) -> bool:
        """Whether it can be told without a look at each run that none has come, gone or changed.

        A folder changes when a run comes or goes in it. A complete run is not continued. So only folders with runs, and
        runs that were not complete, are looked at.
        """
        places = self._database.execute("SELECT folder, stamp FROM places").fetchall()
        if not places or len(self) <= MANY:
            return False
        if any(stamp == "" or _place_stamp(f"{self._base}/{place}") != stamp for place, stamp in places):
            return False
        open_ = self._database.execute("SELECT folder, stamp FROM runs WHERE NOT complete").fetchall()
        return all(stamp != "" and _stamp(f"{self._base}/{name}") == stamp for name, stamp in open_)

    def _update(self, folders: Sequence[Path], places: Mapping[str, str]) -> None:
        self._named = {_relative(str(folder), str(self._base)): folder for folder in folders}
        stored = dict(self._database.execute("SELECT folder, stamp FROM runs").fetchall())
        stamps = {name: _stamp(str(folder)) for name, folder in self._named.items()}
        stale = [name for name, stamp in stamps.items() if stamp == "" or stored.get(name) != stamp]
        gone = [name for name in stored if name not in stamps]
        self._database.execute("DELETE FROM places")
        if stale or gone:
            self._database.execute("DELETE FROM answers")
        if gone:
            self._forget(gone)
        self._read(stale, stamps, {name: name in stored for name in stale})
        if places:
            rows = [(_relative(place, str(self._base)), stamp) for place, stamp in places.items()]
            self._database.executemany("INSERT INTO places VALUES (?, ?)", rows)
        self._runs = self._all_runs()

    def _forget(self, names: Sequence[str]) -> None:
        self._database.execute(
            "DELETE FROM points WHERE run IN (SELECT no FROM runs WHERE folder IN (SELECT unnest(?::VARCHAR[])))",
            [list(names)],
        )
        self._database.execute("DELETE FROM runs WHERE folder IN (SELECT unnest(?::VARCHAR[]))", [list(names)])

    def _read(self, names: Sequence[str], stamps: Mapping[str, str], known: Mapping[str, bool]) -> None:
        if not names:
            return
        from fencepost.analysis.runs.medians import map_runs  # with pandas, most of the time of a kept history

        folders = [self._base / name for name in names]
        found = map_runs(read_packed, folders, processes=self._processes, executor=self._executor)
        pairs = zip(names, found, strict=True)
        batch: list[tuple[str, tuple[str, pa.Table] | str]] = []
        for pair in pairs:
            batch.append(pair)
            if len(batch) == AT_ONCE:
                self._store(batch, stamps, known)
                batch = []
        self._store(batch, stamps, known)

    def _store(
        self,
        batch: Sequence[tuple[str, tuple[str, pa.Table] | str]],
        stamps: Mapping[str, str],
        known: Mapping[str, bool],
    ) -> None:
        import pyarrow as pa

        database = self._database
        database.execute("BEGIN")
        self._forget([name for name, _ in batch if known[name]])
        (last,) = database.execute("SELECT coalesce(max(no), -1) FROM runs").fetchone() or (-1,)
        tables, rows = [], []
        for no, (name, found) in enumerate(batch, last + 1):
            if isinstance(found, str) or not len(found[1]):
                note = found if isinstance(found, str) else ""
                rows.append((no, name, stamps[name], "", note, *[""] * 5, "{}", None, 0, False))
                continue
            key, table = found
            told = table.slice(0, 1).to_pylist()[0]
            rows.append((no, name, stamps[name], key, "", *(told[column] for column in (*_RUN, _COMPLETE))))
            tables.append(
                table.drop_columns([*_RUN, _COMPLETE]).append_column("no", pa.array([no] * len(table), pa.int32()))
            )
        if rows:
            database.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * len(rows[0]))})", rows)
        if tables:
            database.register("fresh", pa.concat_tables(tables))
            database.execute(_INSERT)
            database.unregister("fresh")
        database.execute("COMMIT")


def read_packed(folder: Path) -> tuple[str, pa.Table] | str:
    """Key and columns of a run, packed now where it was not; or why it cannot be read."""
    import pyarrow as pa

    from fencepost.analysis.runs.estimated import packed_of

    try:
        key, table = packed_of(folder, _COLUMNS)
        planned = json.loads(schema.read_file(folder / schema.RUN_FILE))["plan"]["rounds"]
        complete = [rounds >= planned for rounds in table["complete_rounds"].to_pylist()]
        return key, table.append_column(_COMPLETE, pa.array(complete, pa.bool_()))
    except (schema.RunFolderError, OSError) as error:
        return f"left out: {words_of(error, named=True)}"
    except Exception as error:  # types and ranges that the schemas let through: such a run costs itself only
        return f"left out: {folder}: cannot be estimated ({type(error).__name__}: {one_line(str(error), 99)})"


def _connect(path: Path | str) -> duckdb.DuckDBPyConnection:
    # A database from elsewhere may hold views: they reach no file.
    config: dict[str, Any] = {"enable_external_access": "false", "memory_limit": MEMORY, "threads": "2"}
    return duckdb.connect(str(path), config=config)


def _empty(database: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    database.execute(_TABLES)
    database.execute("INSERT INTO rule VALUES (?)", [kept.rule()])
    return database


def _is_fresh(database: duckdb.DuckDBPyConnection) -> bool:
    tables = database.execute("SELECT table_name, table_type FROM information_schema.tables").fetchall()
    if dict(tables) != dict.fromkeys(_NAMES, "BASE TABLE"):
        return False
    return bool(database.execute("SELECT rule FROM rule").fetchall() == [(kept.rule(),)])


def _relative(folder: str, base: str) -> str:
    """The path of a folder from `base`."""
    return folder[len(base) + 1 :] if folder.startswith(f"{base}/") else os.path.relpath(folder, base)


def _stamp(folder: str) -> str:
    """Sizes, times and numbers of the files of a run; empty where one was written just now, or cannot be seen."""
    told: list[str | int] = []
    newest = 0
    try:
        for name, stat in _stats(folder):
            modified, changed = stat.st_mtime_ns, stat.st_ctime_ns
            told += (name, stat.st_size, modified, changed, stat.st_ino)
            newest = max(newest, modified, changed)
    except OSError:
        return ""
    return "" if newest > time.time_ns() - RACE_NS else hashlib.blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _place_stamp(folder: str, since_ns: float = math.inf) -> str:
    """What a folder of runs tells of runs that come and go; empty where it changed after a time, or cannot be seen."""
    try:
        stat = os.stat(folder)  # noqa: PTH116, for speed
    except OSError:
        return ""
    changed = max(stat.st_mtime_ns, stat.st_ctime_ns)
    return "" if changed > since_ns else f"{stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"


def _stats(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a run. As text: a `Path` for each costs as much as the call."""
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        yield name, os.stat(f"{folder}/{name}")  # noqa: PTH116, for speed
    with contextlib.suppress(FileNotFoundError):
        yield schema.ROWS_FILE, os.stat(f"{folder}/{schema.ROWS_FILE}")  # noqa: PTH116, for speed
    rounds = f"{folder}/{schema.ROUNDS_FOLDER}"
    try:
        yield schema.ROUNDS_FOLDER, os.stat(rounds)  # noqa: PTH116, for speed
    except FileNotFoundError:
        return
    with os.scandir(rounds) as entries:
        yield from sorted((entry.name, entry.stat()) for entry in entries)


@functools.lru_cache(maxsize=1024)
def _made_with(text: str) -> Mapping[str, str]:
    """What runs were made with. Few of them differ, and these share it."""
    found: Mapping[str, str] = json.loads(text)
    return found


def _run(folder: Path, row: Sequence[Any]) -> CollectedRun:
    no, _, _, key, note, id_, created, machine_key, label, host, made_with, floor, rounds, _ = row
    machine = MachineIdentity(machine_key, label, host)
    floor = float("nan") if floor is None else floor
    return CollectedRun(no, folder, key, note, id_, created, machine, _made_with(made_with), floor, rounds)
