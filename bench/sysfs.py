"""Reading sysfs and procfs, live or as a snapshot: every fact about a machine comes through a `Tree`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

LARGEST_CPU = 1 << 20
"""No kernel numbers CPUs beyond this; a larger number is damage, and would otherwise become a set of that size."""

_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+)/(\d+))?)?")


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
    text = text.strip().strip("\0").strip()
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
    words = text.strip().removeprefix("0x").split(",")
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", word) for word in words) and not (
        len(words) == 1 and re.fullmatch(r"[0-9a-fA-F]+", words[0])
    ):
        raise TopologyError(f"{where}: {text.strip()!r:.80} is not a mask of CPUs such as 00000000,00000101")
    bits = int("".join([words[0], *(word.rjust(8, "0") for word in words[1:])]), 16)
    if bits.bit_length() > LARGEST_CPU:
        raise TopologyError(f"{where}: a mask of {bits.bit_length()} CPUs is more than any machine has")
    return tuple(cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1)


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

    Whatever is absent, unreadable or outside the root reads as None: machines differ in what they tell.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        real_root = os.path.realpath(root)
        self.live = real_root == os.sep
        self._inside = real_root + os.sep

    def _find(self, path: str) -> Path | None:
        full = self.root / path.lstrip("/")
        if self.live:
            return full
        # A link in a snapshot must not lead to the machine that reads it.
        # As text: pathlib takes twice as long, and a snapshot of many CPUs is thousands of files.
        real = os.path.realpath(full)
        return Path(real) if f"{real}{os.sep}".startswith(self._inside) else None

    def text(self, path: str) -> str | None:
        """Contents of a file without surrounding white space; None where there is none to read."""
        full = self._find(path)
        try:
            # Anything but a regular file could block the reader for ever.
            if full is None or not full.is_file():
                return None
            return full.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def word(self, path: str, offset: int = 0, size: int = 8) -> int | None:
        """Little-endian number of `size` bytes at `offset` of a file or device; None where it cannot be read."""
        full = self._find(path)
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
        """A file that holds a CPU list; None where absent."""
        text = self.text(path)
        return None if text is None else parse_cpulist(text, "/" + path)

    def cpumask(self, path: str) -> tuple[int, ...] | None:
        """A file that holds a CPU mask; None where absent or empty."""
        text = self.text(path)
        return None if not text else parse_cpumask(text, "/" + path)

    def cpus(self, *names: str) -> tuple[int, ...] | None:
        """CPUs from the first of `names` that is there: a list where the name ends so, otherwise a mask."""
        for name in names:
            cpus = self.cpulist(name) if name.endswith("list") else self.cpumask(name)
            if cpus is not None:
                return cpus
        return None

    def entries(self, path: str, pattern: str = r".*") -> list[str]:
        """Names in a directory that match `pattern` entirely, numbers within them in numeric order."""
        full = self._find(path)
        try:
            names = [entry.name for entry in full.iterdir()] if full is not None else []
        except OSError:
            return []
        return sorted((name for name in names if re.fullmatch(pattern, name)), key=_natural)

    def exists(self, path: str) -> bool:
        """Whether there is such a file, directory or device."""
        full = self._find(path)
        try:
            return full is not None and full.exists()
        except OSError:
            return False


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in re.split(r"(\d+)", name)]
