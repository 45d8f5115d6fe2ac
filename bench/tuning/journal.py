"""What every file held before it was changed: a journal that outlives its process, and the way back.

The journal is a file of lines in JSON. The first line says of which boot it is. Each other line is one file: its path,
what it held, and what it is to hold. Lines are on the disk before the file is changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fencepost.bench import files
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.sysfs import Tree
from fencepost.bench.tuning.settings import SETTINGS, Setting, Step

NAME = "tune.journal"
FORMAT = 1
BOOT_ID = "proc/sys/kernel/random/boot_id"


class JournalEntry(NamedTuple):
    """A line of the journal. `new` is None where the file was only to come back to what it held."""

    knob: str
    path: str
    old: str
    new: str | None


class Restored(NamedTuple):
    """What came of a journal."""

    files: int
    """How many hold again what they held before."""
    notes: tuple[str, ...]
    """A sentence for each file that somebody else has changed or removed since."""
    faults: tuple[str, ...]
    """A sentence for each file that cannot be put back. The journal is kept then."""


def folder_of(tree: Tree) -> Path:
    """Where the journal of a machine is: below its root, or for others than root in their home folder."""
    if not tree.live or os.geteuid() == 0:
        return tree.root / "var" / "lib" / "fencepost"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fencepost"


@contextlib.contextmanager
def lock(tree: Tree) -> Iterator[None]:
    """Keep others from tuning the machine meanwhile. The lock goes with its process, however that ends.

    Raises
    ------
    MeasureError
        when another tune is at work.
    """
    # On the folder with the settings, so that it is one lock for all users and leaves no file behind.
    descriptor = os.open(tree.root / "sys" if tree.exists("sys") else tree.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise MeasureError("another `fencepost tune` is at work on this machine; wait until its command ends") from None
    finally:
        os.close(descriptor)


class Journal:
    """The journal of one tune. There is no file before the first entry."""

    def __init__(self, tree: Tree) -> None:
        self.path = folder_of(tree) / NAME
        self._tree = tree
        self._file = -1

    def note(self, steps: Sequence[tuple[Step, str]]) -> None:
        """Write down steps and what their files hold, and wait until that is on the disk.

        Raises
        ------
        MeasureError
            when it cannot be stored: nothing may be changed then.
        """
        lines = [JournalEntry(step.setting.knob, step.path, old, step.wanted)._asdict() for step, old in steps]
        try:
            if self._file < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                lines.insert(0, {"format": FORMAT, "boot_id": self._tree.text(BOOT_ID)})
            data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise MeasureError(
                f"{self.path}: {files.words_of(error)}; without a journal no setting is changed"
            ) from error

    def close(self) -> None:
        """Close the file. It stays until `restore` removes it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def restore(tree: Tree) -> Restored | None:
    """Put back what the journal of this machine holds, the last first, and remove it; None without a journal.

    Raises
    ------
    UsageError
        when the journal is not one that this user's `fencepost tune` has written: nothing is changed then.
    """
    path = folder_of(tree) / NAME
    try:
        header, entries = _read(path)
    except FileNotFoundError:
        return None
    if header is not None and header != tree.text(BOOT_ID):
        _remove(path)
        return Restored(0, ("the machine has started anew since the last tune; nothing is left to restore",), ())
    notes: list[str] = []
    faults: list[str] = []
    files_back = sum(_put_back(tree, entry, notes, faults) for entry in reversed(entries))
    if faults:
        faults.append(f"when the cause is removed, `fencepost tune --restore` tries again ({path})")
    else:
        _remove(path)
    return Restored(files_back, tuple(notes), tuple(faults))


def write(tree: Tree, path: str, setting: Setting, value: str) -> None:
    """Write a value of a setting, in the form in which it is read or as the word alone.

    Raises
    ------
    OSError
        when the operating system refuses it.
    """
    target = tree.locate(path)
    if target is None:
        raise FileNotFoundError(f"/{path}")
    if tree.live:
        value = setting.plain(value) or ""
    elif "[" in (held := target.read_text()) and "[" not in value:
        # Linux moves the brackets by itself. In an ordinary file somebody has to.
        value = held.replace("[", "").replace("]", "").replace(value, f"[{value}]")
    descriptor = os.open(target, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.strip().encode() + b"\n")
    finally:
        os.close(descriptor)


def setting_of(entry: JournalEntry) -> Setting | None:
    """The setting that an entry is of; None where tune has no such file."""
    kept = entry.new is None
    return next(
        (
            setting
            for setting in SETTINGS
            if setting.knob == entry.knob and setting.kept == kept and setting.pattern().fullmatch(entry.path)
        ),
        None,
    )


def _put_back(tree: Tree, entry: JournalEntry, notes: list[str], faults: list[str]) -> bool:
    """Whether a file had to be put back and could be."""
    setting = setting_of(entry)
    assert setting is not None  # `_read` has checked that
    text = tree.text(entry.path)
    now, old = setting.plain(text), setting.plain(entry.old)
    if text is None:
        notes.append(f"/{entry.path} is not there any more; it held {old}")
        return False
    if now == old:
        return False
    # Empty: an ordinary file whose writer was killed.
    if entry.new is not None and now not in (setting.plain(entry.new), ""):
        notes.append(f"/{entry.path} is {now} by now; left alone, it was {old} before the tune")
        return False
    try:
        write(tree, entry.path, setting, entry.old)
    except OSError as error:
        said = files.words_of(error)
        faults.append(f"/{entry.path} cannot be put back from {now} to {old} ({said})")
        return False
    return True


def _read(path: Path) -> tuple[str | None, list[JournalEntry]]:
    """The boot of a journal and its entries; no boot where it was killed before its first entry.

    The last line is whole or was never followed by a change.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path}: {files.words_of(error)}") from error
    if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_mode & 0o022:
        raise UsageError(f"{path}: not a journal that only you can write; look at it, then remove it")
    lines = files.read_regular(path, UsageError).split(b"\n")[:-1]
    if not lines:
        return None, []
    header = files.parse_json(f"{path}, line 1", lines[0], UsageError)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UsageError(f"{path}: not a journal of this version of fencepost; look at it, then remove it")
    boot = header.get("boot_id")
    return str(boot) if boot is not None else None, [_entry(path, n, line) for n, line in enumerate(lines[1:], 2)]


def _entry(path: Path, number: int, line: bytes) -> JournalEntry:
    where = f"{path}, line {number}"
    found = files.parse_json(where, line, UsageError)
    if isinstance(found, dict) and set(found) == set(JournalEntry._fields):
        texts = [found["knob"], found["path"], found["old"]]
        if all(isinstance(text, str) for text in texts) and isinstance(found["new"], str | None):
            entry = JournalEntry(**found)
            if setting_of(entry) is not None:
                return entry
    raise UsageError(f"{where}: not an entry of `fencepost tune`; look at it, then remove the journal")


def _remove(path: Path) -> None:
    path.unlink()
    _sync_folder(path.parent)
    with contextlib.suppress(OSError):  # not empty, or not ours
        path.parent.rmdir()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
