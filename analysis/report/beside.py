"""Tables of the figures beside time: one a kernel, a column a figure."""

from __future__ import annotations

from collections.abc import Sequence

from fencepost.analysis.report.telling import telling
from fencepost.analysis.runs.distances import is_distance
from fencepost.analysis.runs.energy import is_energy
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.hardware import is_hardware
from fencepost.analysis.runs.row import Metric, Row
from fencepost.analysis.text.numbers import nanoseconds
from fencepost.analysis.text.table import DASH, Table, table

CAPTION = "Figures beside time, one a process: median over processes with its 95 % interval"


def beside_tables(analysis: Analysis, topic: str) -> list[Table]:
    """What the kernels of a topic found beside time, in the order of the plan."""
    by_kernel: dict[str, list[Row]] = {}
    for row in analysis.topic(topic):
        if row.measured:
            by_kernel.setdefault(row.kernel, []).append(row)
    found = (_kernel_table(kernel, rows) for kernel, rows in by_kernel.items())
    return [item for item in found if item is not None]


def _kernel_table(kernel: str, rows: Sequence[Row]) -> Table | None:
    """A row a case, or a row a figure where these are more; None where the kernel has none."""
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
    if not figures:
        return None
    caption = f"{kernel}: figures beside time"
    if len(figures) > len(cases):
        names = [row.case for row in cases]
        lines = [(key[1], *(cells[name].get(key, DASH) for name in names)) for key in figures]
        return table(caption, ("what", *names), lines)
    lines = [(row.case, *(cells[row.case].get(key, DASH) for key in figures)) for row in cases]
    return table(caption, ("case", *(what for _, what in figures)), lines, telling(cases))


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
    return f"{what}; all distances together", _metric(item)


def _metric(item: Metric) -> str:
    found, unit = item.interval, item.unit
    if unit == "Hz":
        scale, unit = (1e9, "GHz") if abs(found.value) >= 1e9 else (1e6, "MHz")
        found = found.over(scale)
    text = found.text("" if unit == "1" else unit)
    return text if item.ns is None else f"{text} = {item.ns.ns_text()}"
