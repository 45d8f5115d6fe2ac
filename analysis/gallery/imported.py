"""Core-to-core maps of machines that other people measured with core-to-core-latency, beside ours in the gallery.

An entry is one file, ``imported/NAME.csv`` in the gallery's folder: lines that name CPU, microarchitecture and source,
then the matrix as that tool writes it, one way in ns. It has no headlines and no intervals, so it is marked and kept
apart from the machines that fencepost measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fencepost.analysis.exchange.core_to_core import read_matrix
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.table import digits
from fencepost.analysis.text.escape import one_line
from fencepost.bench import schema
from fencepost.bench.files import read_regular, words_of
from fencepost.bench.schema import RunFolderError

FOLDER = "imported"
TOOL = "core-to-core-latency"

MOST_BYTES = 16 << 20
MOST_CPUS = 1024
LONGEST_NAME = 80

_MICRO, _SOURCE = "microarchitecture:", "source:"


@dataclass(frozen=True)
class ImportedEntry:
    """A map of another tool: file name without its ending, CPU, microarchitecture, one-way times in ns (CPUs, CPUs)."""

    name: str
    cpu: str
    microarchitecture: str
    matrix: npt.NDArray[np.float64]

    @property
    def pair_range(self) -> tuple[float, float, float]:
        """Nearest, median and farthest pair, one way in ns."""
        known = self.matrix[np.isfinite(self.matrix)]
        return float(known.min()), float(np.median(known)), float(known.max())


def read_export(path: Path, microarchitecture: str, cpu: str = "") -> ImportedEntry:
    """A CSV file of core-to-core-latency.

    Parameters
    ----------
    cpu
        by default what the file says, or the file's name.

    Raises
    ------
    ExchangeError
        where it is no such file, or too large.
    """
    try:
        text = read_regular(path, ExchangeError, MOST_BYTES).decode()
    except FileNotFoundError:
        raise ExchangeError(f"{path}: no such file; give a CSV file of {TOOL}") from None
    except UnicodeDecodeError:
        raise ExchangeError(f"{path}: is not a text file; give a CSV file of {TOOL}") from None
    parsed = read_matrix(str(path), text)
    pairs = [(item.about["cpus"], item.processes[0][0] / 2) for item in parsed.benchmarks]
    size = 1 + max(number for cpus, _ in pairs for number in cpus)
    if size > MOST_CPUS:
        raise ExchangeError(f"{path}: a matrix of {size} CPUs; an entry has {MOST_CPUS} at most")
    ns = np.full((size, size), np.nan)
    for (first, second), value in pairs:
        ns[first, second] = value
    named = _name(cpu or parsed.cpu or path.stem, "the name of the CPU")
    return ImportedEntry(_slug(named), named, _name(microarchitecture, "the microarchitecture"), ns)


def _name(text: str, what: str) -> str:
    found = " ".join(text.split())
    if not found or not found.isprintable() or len(found) > LONGEST_NAME:
        raise ExchangeError(f"{what}, {one_line(found, 40)!r}, has to have 1 to {LONGEST_NAME} printable characters")
    return found


def _slug(cpu: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-") or "cpu"


def encode(entry: ImportedEntry) -> bytes:
    """The file of an entry."""
    lines = [f"CPU: {entry.cpu}", f"{_MICRO} {entry.microarchitecture}", f"{_SOURCE} {TOOL}"]
    lines += [",".join("" if np.isnan(value) else digits(value) for value in row) for row in entry.matrix]
    return ("\n".join(lines) + "\n").encode()


def read_imported(path: Path) -> ImportedEntry:
    """An entry of the gallery.

    Raises
    ------
    RunFolderError
        where it is not what `encode` writes.
    """
    again = "import the file again with `fencepost publish --imported`"
    try:
        head = schema.read_file(path, MOST_BYTES).decode().split("\n", 3)
        words = [
            line.removeprefix(start) for line, start in zip(head, ("CPU: ", f"{_MICRO} ", f"{_SOURCE} "), strict=False)
        ]
        entry = read_export(path, words[1], words[0])
        fault = "" if path.stem == entry.name and schema.read_file(path) == encode(entry) else "it was edited"
    except (ExchangeError, UnicodeDecodeError, IndexError, OSError) as error:
        raise RunFolderError(f"{one_line(str(path))}: {one_line(words_of(error))}; {again}") from None
    if fault:
        raise RunFolderError(f"{one_line(str(path))}: {fault}; {again}")
    return entry


def imported_entries(results: Path) -> tuple[list[ImportedEntry], list[str]]:
    """Entries of the gallery in `results` by microarchitecture and CPU, and a sentence for each that has a fault."""
    folder = results / FOLDER
    if not folder.is_dir() or folder.is_symlink():
        return [], [
            f"{one_line(str(folder))}: not a folder; remove it"
        ] if folder.is_symlink() or folder.exists() else []
    found, faults = [], []
    for path in sorted(folder.iterdir()):
        if path.suffix != ".csv":
            faults.append(f"{one_line(str(path))}: not an entry of another tool; remove it")
            continue
        try:
            found.append(read_imported(path))
        except RunFolderError as error:
            faults.append(str(error))
    return sorted(found, key=lambda entry: (entry.microarchitecture.lower(), entry.cpu.lower())), faults
