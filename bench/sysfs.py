"""Reading sysfs and procfs, live or as a snapshot: every fact about a machine comes through a `Tree`."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

LARGEST_CPU = 1 << 16
"""No kernel numbers CPUs beyond this; a larger number is damage, and would otherwise become a set of that size."""

_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9})/(\d{1,9}))?)?")


MOST_BYTES = 16 << 20
"""Of a file that is read as text. Those of a machine with thousands of CPUs have some megabytes."""

_AT_ONCE = 64 << 10

_MASK = re.compile(r"[0-9a-fA-F]{1,8}(,[0-9a-fA-F]{1,8})*|[0-9a-fA-F]+")


class TopologyError(ValueError):
    """A file that describes the machine does not say what it should: the message names the file and what it holds."""


def parse_cpulist(text: str, where: str = "CPU list") -> tuple[int, ...]:
    """CPUs of a kernel CPU list, ascending.

    Parameters
    ----------
    text : str
        e.g. ``0-3,8`` or ``0-15:2/4`` (2 of every 4); empty, or the ``(null)`` that old kernels print, means none.
    where : str
        named in the error.

    Raises
    ------
    TopologyError
        when `text` is not a CPU list.
    """
    text = _bare(text)
    if text in ("", "(null)"):
        return ()
    cpus: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise TopologyError(f"{where}: {text!r:.80} is not a list of CPUs such as 0-3,8")
        first = int(match[1])
        last = int(match[2] or first)
        used, group = int(match[3] or 1), int(match[4] or 1)
        if last < first or last > LARGEST_CPU or not 0 < used <= group:
            raise TopologyError(f"{where}: {part.strip()!r:.80} is not a range of CPUs such as 0-3")
        cpus.update(cpu for cpu in range(first, last + 1) if (cpu - first) % group < used)
    return tuple(sorted(cpus))


def parse_cpumask(text: str, where: str = "CPU mask") -> tuple[int, ...]:
    """CPUs of a kernel CPU mask, ascending.

    Parameters
    ----------
    text : str
        hexadecimal words of 32 bits, the highest first, e.g. ``00000000,00000101`` for CPUs 0 and 8.
    where : str
        named in the error.

    Raises
    ------
    TopologyError
        when `text` is not a CPU mask.
    """
    digits = _bare(text).removeprefix("0x")
    if _MASK.fullmatch(digits) is None:
        raise TopologyError(f"{where}: {digits!r:.80} is not a mask of CPUs such as 00000000,00000101")
    cpus = _bits(digits)
    if cpus and cpus[-1] >= LARGEST_CPU:
        raise TopologyError(f"{where}: a mask of {cpus[-1] + 1} CPUs is more than any machine has")
    return cpus


@functools.lru_cache(4096)
def _bits(digits: str) -> tuple[int, ...]:
    """Numbers of the bits of a mask. Remembered, since thousands of CPUs have the same mask of their package."""
    words = digits.split(",")
    bits = int("".join([words[0], *(word.rjust(8, "0") for word in words[1:])]), 16)
    # Backwards through the digits as text: a shift for each CPU would take the square of their number.
    return tuple(cpu for cpu, bit in enumerate(reversed(f"{bits:b}")) if bit == "1")


def _bare(text: str) -> str:
    """Without the white space and the NUL bytes that some old kernels put at the end, in whatever order."""
    return text.strip("\0 \t\n\r\v\f")


def format_cpulist(cpus: Iterable[int]) -> str:
    """The kernel's short form of a set of CPUs: ``0-3,8``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


class Tree:
    """Files below a root directory: the live machine (``/``) or a snapshot of another one.

    Whatever is absent, unreadable or outside the root reads as None: machines differ in what they tell. So does a
    list or mask of CPUs that is damaged, and `damage` then holds a sentence: the file and its content.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.damage: list[str] = []
        real_root = os.path.realpath(root)
        self.live = real_root == os.sep
        self._root = os.sep if self.live else f"{root}{os.sep}"
        self._inside = real_root + os.sep
        self._real_folders: dict[str, str] = {}

    def locate(self, path: str) -> Path | None:
        """The file's own path; None where it would be outside of the root."""
        name = self._name(path)
        return None if name is None else Path(name)

    def _name(self, path: str) -> str | None:
        """The file's own name. As text: a `Path` takes twice as long, and a machine of many CPUs is 10^5 files."""
        full = f"{self._root}{path.lstrip('/')}"
        if self.live:
            return full
        # A link in a snapshot must not lead to the machine that reads it.
        folder, _, name = full.rpartition(os.sep)
        real = self._real(self._real_folder(folder), name)
        return real if f"{real}{os.sep}".startswith(self._inside) else None

    def _real_folder(self, folder: str) -> str:
        """A folder without links. Remembered, because the folders of each CPU are asked for again and again."""
        if folder not in self._real_folders:
            above, _, name = folder.rpartition(os.sep)
            real = self._real(self._real_folder(above), name) if above else os.path.realpath(folder)
            self._real_folders[folder] = real
        return self._real_folders[folder]

    @staticmethod
    def _real(folder: str, name: str) -> str:
        path = f"{folder}{os.sep}{name}"
        return os.path.realpath(path) if name in ("", ".", "..") or os.path.islink(path) else path  # noqa: PTH114 (see _name)

    def text(self, path: str) -> str | None:
        """Contents of a file without surrounding white space; None where there is none to read."""
        name = self._name(path)
        try:
            # Anything but a regular file could block the reader for ever.
            if name is None or not stat.S_ISREG(os.stat(name).st_mode):  # noqa: PTH116 (see _name)
                return None
            with open(name, "rb", buffering=0) as file:  # noqa: PTH123 (see _name)
                # In small parts: below /proc/sys Linux takes as much memory as is asked for, and refuses megabytes.
                parts, size = [], 0
                while size <= MOST_BYTES and (part := file.read(_AT_ONCE)):
                    parts.append(part)
                    size += len(part)
            # As a file in text mode: a line of another system ends like one of ours.
            text = b"".join(parts).decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
            return text.strip() if size <= MOST_BYTES else None
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None

    def word(self, path: str, offset: int = 0, size: int = 8) -> int | None:
        """Little-endian number of `size` bytes at `offset` of a file or device; None where it cannot be read."""
        full = self.locate(path)
        if full is None:
            return None
        try:
            # A device must not make the reader wait, and a link or pipe in a snapshot is none.
            if not (full.is_file() or (self.live and full.is_char_device())):
                return None
            file = os.open(full, os.O_RDONLY | os.O_NONBLOCK)
            try:
                data = os.pread(file, size, offset)
            finally:
                os.close(file)
        except OSError:
            return None
        return int.from_bytes(data, "little") if len(data) == size else None

    def integer(self, path: str) -> int | None:
        """A file that holds one integer, decimal or 0x…; None where it does not."""
        try:
            return int(self.text(path) or "", 0)
        except ValueError:
            return None

    def cpulist(self, path: str) -> tuple[int, ...] | None:
        """A file that holds a CPU list; None where absent or damaged."""
        return self.parsed(parse_cpulist, self.text(path), "/" + path)

    def cpumask(self, path: str) -> tuple[int, ...] | None:
        """A file that holds a CPU mask; None where absent, empty or damaged."""
        return self.parsed(parse_cpumask, self.text(path) or None, "/" + path)

    def parsed(
        self, parse: Callable[[str, str], tuple[int, ...]], text: str | None, where: str
    ) -> tuple[int, ...] | None:
        """CPUs that `parse` reads from the text of a file. None without one. Damage is noted once."""
        try:
            return None if text is None else parse(text, where)
        except TopologyError as error:
            if str(error) not in self.damage:
                self.damage.append(str(error))
            return None

    def cpus(self, *names: str) -> tuple[int, ...] | None:
        """CPUs from the first of `names` that is there: a list where the name ends so, otherwise a mask."""
        for name in names:
            cpus = self.cpulist(name) if name.endswith("list") else self.cpumask(name)
            if cpus is not None:
                return cpus
        return None

    def entries(self, path: str, pattern: str = r".*") -> list[str]:
        """Names in a directory that match `pattern` entirely, numbers within them in numeric order."""
        full = self.locate(path)
        try:
            names = [entry.name for entry in full.iterdir()] if full is not None else []
        except OSError:
            return []
        return sorted((name for name in names if re.fullmatch(pattern, name)), key=_natural)

    def exists(self, path: str) -> bool:
        """Whether there is such a file, directory or device."""
        full = self.locate(path)
        try:
            return full is not None and full.exists()
        except OSError:
            return False


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
