"""The summary.csv of a published folder, as the gallery's pages read it."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fencepost.analysis.gallery.labels import Named, named, stem
from fencepost.analysis.runs.row import CSV_COLUMNS
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.modes import Mode
from fencepost.analysis.text.escape import markdown, one_line
from fencepost.bench.files import words_of
from fencepost.bench.schema import RunFolderError

HEADLINE = "headline"
SUMMARY_COLUMNS = (HEADLINE, *CSV_COLUMNS)


class PublishedSummary(NamedTuple):
    """What a summary.csv tells: headlines by their stem, the regimes of those that have some, the labels of those that
    have modes, and its other rows as they are.
    """

    headlines: dict[str, Interval]
    regimes: dict[str, tuple[Named, ...]]
    modal: dict[str, str]
    rows: list[dict[str, str]]


def read_summary(path: Path) -> PublishedSummary:
    """A summary.csv; raises `RunFolderError` where it is damaged."""
    found = PublishedSummary({}, {}, {}, [])
    for number, line in enumerate(summary_lines(path), 2):
        if line[HEADLINE]:
            label, figure = stem(line[HEADLINE]), _figure(path, number, line)
            regime = named(line[HEADLINE], figure)
            if regime is not None:
                found.regimes[label] = (*found.regimes.get(label, ()), regime)
                figure = max(found.regimes[label], key=lambda one: one.share_pct).ns
            elif "modes" in line["flags"].split():
                found.modal[label] = line[HEADLINE]
            found.headlines[label] = figure
        else:
            found.rows.append({**line, "line": str(number), "path": str(path)})
    return found


def modes_of(readme: str, told: PublishedSummary) -> dict[str, tuple[Mode, ...]]:
    """The modes of each headline that has some, by its stem, as the README of the folder tells them.

    The summary has one figure for all of them, which no process may have shown.
    """
    found: dict[str, tuple[Mode, ...]] = {}
    for name, label in told.modal.items():
        row = re.search(rf"^\| {re.escape(markdown(label))} \| (.+?) \|", readme, re.MULTILINE)
        said = [_MODE.fullmatch(part) for part in row[1].split(" or ")] if row else []
        if len(said) > 1 and all(said):
            found[name] = tuple(_mode(match) for match in said if match)
    return found


_MODE = re.compile(r"(\d+(?:\.\d+)?)\s(ns|µs|ms|s) \((\d+)%\)")
"""One of several modes, see `cost_text` in `fencepost.analysis.runs.row`."""

_IN_NS = {"ns": 1.0, "µs": 1e3, "ms": 1e6, "s": 1e9}


def _mode(said: re.Match[str]) -> Mode:
    # How many processes it had is not told.
    return Mode(float(said[1]) * _IN_NS[said[2]], 0, int(said[3]) / 100)


def summary_lines(path: Path) -> list[dict[str, str]]:
    """The lines of a summary.csv below its header."""
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8")), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunFolderError(
            f"{path}: cannot be read as CSV ({one_line(words_of(error), 80)}); publish the run again"
        ) from error
    if not lines or tuple(lines[0]) != SUMMARY_COLUMNS:
        raise RunFolderError(f"{path}: its columns are not those that fencepost writes; publish the run again")
    for number, line in enumerate(lines, 2):
        if set(line) != set(SUMMARY_COLUMNS) or None in line.values():
            raise RunFolderError(f"{path}: line {number}: more or fewer cells than columns")
    return lines


def _figure(path: Path | str, number: int | str, line: Mapping[str, str]) -> Interval:
    try:
        ns, low, high = (float(line[name]) if line[name] else math.nan for name in ("ns", "ns_low", "ns_high"))
    except ValueError:
        raise RunFolderError(f"{path}: line {number}: field ns, ns_low or ns_high is not a number") from None
    if any(map(math.isinf, (ns, low, high))):
        raise RunFolderError(f"{path}: line {number}: field ns, ns_low or ns_high is infinite")
    # A headline is given without its rounds and coverage.
    return Interval(ns, low, high, 0.0, 0)


_PLACE = re.compile(r"@cpu\d+(?:x\d+)?(?:,cpu\d+(?:x\d+)?)*")


def by_kind(rows: Iterable[Mapping[str, str]]) -> dict[str, Interval]:
    """Rows by what was measured, whatever the numbers of the CPUs; several pairs of one relation by their median."""
    groups: dict[str, list[Interval]] = {}
    for line in rows:
        if not line["ns"] or line["case"].endswith("~twin"):
            continue
        several = len(line["cpus"].split())
        place = f" · {several} threads" + (f", {line['relation'].replace('_', ' ')}" if line["relation"] else "")
        name = _PLACE.sub("", line["case"]) + (place if several > 1 else "")
        groups.setdefault(name, []).append(_figure(line["path"], line["line"], line))
    return {
        name: found[0] if len(found) == 1 else UNKNOWN._replace(value=statistics.median(item.value for item in found))
        for name, found in groups.items()
    }
