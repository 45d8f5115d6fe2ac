"""Tables of the figures beside time, for each kernel: a column a figure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TypeVar

from fencepost.analysis.report.telling import telling
from fencepost.analysis.runs.distances import is_distance
from fencepost.analysis.runs.energy import is_energy
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.hardware import is_hardware
from fencepost.analysis.runs.row import Metric, Row
from fencepost.analysis.text.numbers import nanoseconds
from fencepost.analysis.text.table import DASH, Table, table

T = TypeVar("T")

CAPTION = "Figures beside time, one a process: median over processes with its 95 % interval"

COLUMNS = 5
"""Most columns of figures in a table. More of them are wider than a page, so further ones go into a table below."""


def beside_tables(analysis: Analysis, topic: str) -> list[Table]:
    """What the kernels of a topic found beside time, in the order of the plan."""
    by_kernel: dict[str, list[Row]] = {}
    for row in analysis.topic(topic):
        if row.measured:
            by_kernel.setdefault(row.kernel, []).append(row)
    return [item for kernel, rows in by_kernel.items() for item in _kernel_tables(kernel, rows)]


def _kernel_tables(kernel: str, rows: Sequence[Row]) -> list[Table]:
    """A row a case, or a row a figure where these are more. There are no tables where the kernel has no figures."""
    # By name and words: two figures may be called the same.
    cells = {
        row.case: {
            (name, what): text
            for name, item in row.metrics.items()
            if not is_distance(name) and not is_hardware(name) and not is_energy(name)
            for what, text in [_metric_cells(row, name, item)]
        }
        for row in rows
    }
    cases = [row for row in rows if cells[row.case]]
    figures = list(dict.fromkeys(key for each in cells.values() for key in each))
    caption = f"{kernel}: figures beside time"
    if any(row.regimes for row in cases):
        caption += ", all distances together unless they are named"
    if len(figures) > len(cases):
        return [
            table(
                said,
                ("what", *(_without_kernel(row.case) for row in part)),
                [(key[1], *(cells[row.case].get(key, DASH) for row in part)) for key in figures],
            )
            for said, part in _parts(caption, cases)
        ]
    return [
        table(
            said,
            ("case", *(what for _, what in part)),
            [(row.case, *(cells[row.case].get(key, DASH) for key in part)) for row in cases],
            telling(cases),
        )
        for said, part in _parts(caption, figures)
    ]


def _parts(caption: str, columns: Sequence[T]) -> list[tuple[str, Sequence[T]]]:
    """Columns in as few tables as they need, of about the same width, each with its caption."""
    number = math.ceil(len(columns) / COLUMNS)
    ends = [round(len(columns) * place / number) for place in range(number + 1)] if number else []
    return [
        (caption if number == 1 else f"{caption}, part {place} of {number}", columns[begin:end])
        for place, (begin, end) in enumerate(itertools.pairwise(ends), 1)
    ]


def _without_kernel(case: str) -> str:
    """The parameters and CPUs of a case, for a heading below a caption that names the kernel."""
    kernel, bracket, rest = case.partition("[")
    return bracket + rest if bracket else kernel


def _metric_cells(row: Row, name: str, item: Metric) -> tuple[str, str]:
    """What a metric is, and its value; of a row at several distances, for each of them where batches tell it."""
    what = item.summary or name
    if not row.regimes:
        return what, _metric(item)
    if name == "raw_round_trip_ns":
        return what, ", ".join(f"{one.name} {nanoseconds(one.distance_ns)}" for one in row.regimes)
    if name == "xraw":
        return what, row.xraw_text()
    # A kernel gives one figure a process, over all its batches.
    return what, _metric(item)


def _metric(item: Metric) -> str:
    found, unit = item.interval, item.unit
    if unit == "Hz":
        scale, unit = (1e9, "GHz") if abs(found.value) >= 1e9 else (1e6, "MHz")
        found = found.over(scale)
    text = found.text("" if unit == "1" else unit)
    return text if item.ns is None else f"{text} = {item.ns.ns_text()}"
