"""Matrices of core-to-core-latency."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from fencepost.analysis.exchange.exported import ExchangeError, Exported
from fencepost.analysis.exchange.formats import NONE_OF_THEM, AboutJson, Benchmark, Parsed, Place, Reading, basis_lost
from fencepost.analysis.exchange.table import digits
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import one_line
from fencepost.analysis.topics.line.measures import PINGPONG, matrix


def core_to_core(analysis: Analysis) -> Exported:
    # That tool's own default is a compare-and-swap by both sides.
    found = next((m for m in (matrix(analysis, "cas"), matrix(analysis, "load_store")) if m is not None), None)
    if found is None:
        raise ExchangeError(f"no core-to-core figure in this run: measure some with `fencepost run {PINGPONG}`")
    variant = "cas" if matrix(analysis, "cas") is not None else "load_store"
    left_out = [] if variant == "cas" else [f"variant load_store was written: this run has no {PINGPONG} with cas"]
    if found.cpus != list(range(len(found.cpus))):
        names = ", ".join(map(str, found.cpus))
        left_out.append(f"the numbers of the CPUs: the format counts from 0, and these are {names}")
    if found.several:
        left_out.append("the other distances of a pair: the format has one figure, of the distance that held longest")
    left_out += basis_lost(analysis.measured(PINGPONG))
    lines = [
        ",".join(digits(found.ns[i, j]) if j < i else "" for j in range(len(found.cpus)))
        for i in range(len(found.cpus))
    ]
    return Exported("\n".join(lines) + "\n", left_out)


_MOST_HEADER = 50
"""Lines of words before a matrix, such as the CPU's name and what the tool printed beside it."""


def read_matrix(name: str, text: str) -> Parsed:
    """One way between CPUs in ns: row i, column j; the upper half may be empty, and so may the diagonal.

    Lines of words may stand before the matrix.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    try:
        # Line by line: a quote that is never closed must not swallow the lines behind it.
        cells = [row for _, line in lines for row in csv.reader([line])]
    except csv.Error as error:
        raise ExchangeError(f"{name}: {NONE_OF_THEM} ({error})") from error
    first = next((place for place, row in enumerate(cells[:_MOST_HEADER]) if _is_row(row)), 0)
    reading = Reading(Place(name))
    numbers = [_row_of(reading, number, row) for (number, _), row in zip(lines[first:], cells[first:], strict=True)]
    size = len(numbers)
    if size < 2 or any(len(row) != size for row in numbers):
        raise ExchangeError(
            f"{name}: {NONE_OF_THEM} (a matrix of core-to-core-latency has as many cells in each line as lines, at "
            f"least 2. This one has {size} lines, the first of {len(numbers[0]) if numbers else 0} cells)"
        )
    named = next((line[4:].strip() for _, line in lines[:first] if line[:4].lower() == "cpu:"), "").strip(",")
    reading.fact(CPU=named)
    reading.found += _pairs(numbers)
    if not reading.found and reading.first_fault is None:
        raise ExchangeError(f"{name}: every cell is empty, so there is nothing to import")
    return reading.parsed("core-to-core", None, named or Path(name).stem)


def _is_row(row: list[str]) -> bool:
    """Whether all of several cells are numbers or empty."""
    return len(row) > 1 and all(not word.strip() or _number(word) is not None for word in row)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _row_of(reading: Reading, line: int, row: list[str]) -> list[float]:
    """The numbers of one line, NaN where a cell is empty or holds no time."""
    numbers = []
    for j, word in enumerate(row):
        numbers.append(math.nan)
        with reading.row("cell"):
            value = _number(word) if word.strip() else math.nan
            where = f"line {line}, cell {j + 1}"
            if value is None:
                raise ExchangeError(
                    f"{reading.at.file}: {NONE_OF_THEM} ({where}: {one_line(word, 40)!r} is not a number)"
                )
            if word.strip() and not (math.isfinite(value) and value > 0):
                raise ExchangeError(f"{reading.at.file}: {where}: {one_line(word, 40)} is not a time in ns")
            numbers[-1] = value
    return numbers


def _pairs(numbers: list[list[float]]) -> list[Benchmark]:
    size = len(numbers)
    found = []
    for i in range(size):
        for j in range(size):
            # Where both halves are filled both directions were measured.
            if i == j or math.isnan(numbers[i][j]):
                continue
            about: AboutJson = {
                "kernel": PINGPONG,
                "unit": "round trip",
                "summary": "imported: twice the one-way figure of core-to-core-latency",
                "parameters": {"variant": "cas", "pause": "no"},
                "cpus": [i, j],
            }
            case = f"{PINGPONG}[variant=cas,pause=no]@cpu{i},cpu{j}"
            found.append(Benchmark(case, [[2 * numbers[i][j]]], about))
    return found
