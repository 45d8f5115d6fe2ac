"""Energy beside a row: metrics that the worker adds where the machine tells the power of its package."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import plain
from fencepost.bench.documents import DescribedJson

EXTRA = "energy_extra_w"

ENERGY_METRICS: tuple[DescribedJson, ...] = (
    {"name": "energy_w", "unit": "W", "summary": "power of the package while the case is measured"},
    {"name": "energy_idle_w", "unit": "W", "summary": "the same while the process sleeps, before its first case"},
    {"name": EXTRA, "unit": "W", "summary": "what the case takes beyond that: other work of the package is in both"},
)


def is_energy(name: str) -> bool:
    """Whether a metric is one of these."""
    return any(name == metric["name"] for metric in ENERGY_METRICS)


def energy_text(row: Row) -> str:
    """What a row takes beyond sleep: ``4.20 W; 1.26 nJ``. Empty without any.

    Energy for an operation is for loops of one thread only: they work all the time, and others wait or share.
    """
    extra = row.metric(EXTRA)
    if not extra.known:
        return ""
    each = row.kind == "loop" and len(row.cpus) == 1
    nanojoules = f"; {plain(extra.value * row.time.value, 3)} nJ" if each and row.time.known else ""
    return f"{plain(extra.value, 3)} W{nanojoules}"
