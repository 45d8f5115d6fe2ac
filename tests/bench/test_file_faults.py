"""Each file operation of a small run fails, or is the last one: what was stored is there, and nothing else is."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runs.write import plain_cases, write_run

from fencepost.bench import objects, runfolder, schema
from fencepost.bench.documents import RoundRecord
from fencepost.bench.errors import MeasureError

_armed: list[Callable[[str], None]] = []
"""What is told of each operation while a test looks; an audit hook stays for the life of the process."""

_CHANGING = ("os.mkdir", "os.rename", "os.remove", "os.rmdir")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _armed and (
        event in _CHANGING or (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING)
    ):
        _armed[0](event)


sys.addaudithook(_hook)


@contextlib.contextmanager
def told(tell: Callable[[str], None]) -> Iterator[None]:
    """Within it `tell` hears of each operation before it is done, and may raise in its place."""
    synced = os.fsync

    def fsync(descriptor: int) -> None:
        tell("fsync")
        synced(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        _armed.append(tell)
        try:
            yield
        finally:
            _armed.clear()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("source") / "run", plain_cases(1), rounds=2)


@pytest.fixture(scope="module")
def records(source: Path) -> list[RoundRecord]:
    return [runfolder.read_round_record(path) for path in schema.round_files(source).values()]


def small_run(base: Path, source: Path, records: list[RoundRecord], stored: list[int]) -> None:
    """Create a run folder and store two rounds; `stored` gets the numbers of those that are said to be stored."""
    facts: Any = {
        name: value
        for name, value in schema.read_run(source).items()
        if name not in ("schema", "id", "created_utc", "machine_key")
    }
    with runfolder.create(base, schema.read_machine(source), facts) as folder:
        for record in records:
            mine: Any = {**record, "run": folder.id}
            folder.write_round(mine, [])
            stored.append(record["round"])


def look(base: Path, stored: list[int]) -> None:
    """What is there can be gone on with, holds what was stored, and nothing half done."""
    for folder in base.iterdir() if base.exists() else ():
        if not (folder / schema.RUN_FILE).exists():
            assert not stored  # killed while it was made: no command takes it for a run
            continue
        with runfolder.resume(folder) as again:
            assert set(stored) <= set(again.complete_rounds()) <= {1, 2}
        assert not [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """The folders with new names, from now on, that a crash of the machine may take away again, while a test goes on.

    A file must be on the disk before it gets its name.
    """
    folders: set[Path] = set()
    on_disk: set[Path] = set()
    fsync, mkdir, replace = os.fsync, os.mkdir, os.replace

    def syncing(descriptor: int) -> None:
        fsync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        on_disk.add(place)
        folders.discard(place)

    def making(path: Path, *more: Any) -> None:
        mkdir(path, *more)
        folders.add(Path(path).parent)

    def moving(old: Path, new: Path) -> None:
        assert Path(old) in on_disk
        replace(old, new)
        folders.add(Path(new).parent)

    for name, made in (("fsync", syncing), ("mkdir", making), ("replace", moving)):
        monkeypatch.setattr(os, name, made)
    return folders


def test_what_is_stored_is_on_the_disk_with_all_folders_above(
    waiting: set[Path], source: Path, records: list[RoundRecord], tmp_path: Path
) -> None:
    class Stored(list[int]):
        def append(self, number: int) -> None:
            assert waiting == set()
            super().append(number)

    stored = Stored()
    small_run(tmp_path / "results" / "runs", source, records, stored)
    assert stored == [1, 2]


def test_an_object_of_the_cache_is_on_the_disk_before_it_has_its_name(waiting: set[Path], tmp_path: Path) -> None:
    objects._put(tmp_path / "mine.so", b"object")
    assert waiting == {tmp_path} and (tmp_path / "mine.so").read_bytes() == b"object"


def operations(base: Path, source: Path, records: list[RoundRecord]) -> int:
    heard: list[str] = []
    with told(heard.append):
        small_run(base, source, records, [])
    return len(heard)


class NthOperation:
    """Acts at the nth operation."""

    def __init__(self, nth: int, act: Callable[[], None]) -> None:
        self.left = nth
        self.act = act

    def __call__(self, _: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.act()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_an_operation_that_fails_costs_what_was_under_way(
    number: int, source: Path, records: list[RoundRecord], tmp_path: Path
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    count = operations(tmp_path / "whole", source, records)
    assert count >= 20
    for nth in range(1, count + 1):
        base, stored = tmp_path / str(nth), list[int]()
        with pytest.raises(MeasureError) as raised, told(NthOperation(nth, fail)):
            small_run(base, source, records, stored)
        assert "\n" not in str(raised.value)
        look(base, stored)
        if not stored and not (base.exists() and list(base.glob(f"*/{schema.RUN_FILE}"))):
            assert not base.exists()  # a failed creation leaves nothing


@pytest.mark.slow
def test_a_process_that_is_killed_at_an_operation_loses_what_was_under_way(
    source: Path, records: list[RoundRecord], tmp_path: Path
) -> None:
    for nth in range(1, operations(tmp_path / "whole", source, records) + 1):
        base = tmp_path / str(nth)
        child = os.fork()
        if child == 0:
            with (
                contextlib.suppress(BaseException),
                told(NthOperation(nth, lambda: os.kill(os.getpid(), signal.SIGKILL))),
            ):
                small_run(base, source, records, [])
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        look(base, [])
