"""The share of its time that a thread loses."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import Interval


def lost_pct(analysis: Analysis) -> list[tuple[int, Interval]]:
    """CPU and time lost in gaps, in per cent, by the rows of ``noise/gaps``."""
    rows = analysis.kernel("noise/gaps")
    return [(row.cpus[0], row.metric("lost_pct")) for row in rows if "lost_pct" in row.metrics]
