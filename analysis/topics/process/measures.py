"""What a parent's memory adds to the price of a child."""

from __future__ import annotations

from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.stats.interval import Interval, pooled
from fencepost.analysis.text.numbers import size_bytes

MIB = 2.0**20


def touched(found: Grid, **wanted: object) -> tuple[int, int] | None:
    """Places of the rows with the least and with the most memory; None where there are no two sizes."""
    sizes = {
        size_bytes(str(row.parameters["touched"])): place for place, row in enumerate(found.rows) if row.has(**wanted)
    }
    return (sizes[min(sizes)], sizes[max(sizes)]) if len(sizes) > 1 else None


def slope(found: Grid, **wanted: object) -> Interval | None:
    """By how many us a child is dearer for each MiB that its parent has touched: between the least and the most memory
    that was measured, in each process, then median and interval over processes.
    """
    ends = touched(found, **wanted)
    if ends is None:
        return None
    least, most = (size_bytes(str(found.rows[place].parameters["touched"])) for place in ends)
    return pooled((found.ns[:, ends[1]] - found.ns[:, ends[0]]) / 1e3 / ((most - least) / MIB))
