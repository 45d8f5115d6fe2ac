"""What the hardware counted beside a row: metrics that the engine adds where the machine has counters."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import plain
from fencepost.bench.documents import DescribedJson

_WORDS = {
    "hw_cycles": ("cycles", "cycles of the core"),
    "hw_instructions": ("instructions", "instructions"),
    "hw_ipc": ("IPC", "instructions a cycle"),
    "hw_branch_misses": ("branch misses", "branches that were predicted wrong"),
    "hw_l1_misses": ("L1 misses", "reads that missed the L1 data cache"),
    "hw_llc_misses": ("LLC misses", "reads that missed the last-level cache"),
    "hw_dtlb_misses": ("dTLB misses", "reads that missed the data TLB"),
}
"""By metric: its name in a table, and what is counted."""

HARDWARE_METRICS: tuple[DescribedJson, ...] = tuple(
    {
        "name": name,
        "unit": "1" if name == "hw_ipc" else "per operation",
        "summary": f"{what}, counted by the hardware for the first thread, in user mode",
    }
    for name, (_, what) in _WORDS.items()
)


def is_hardware(name: str) -> bool:
    """Whether a metric was counted by the hardware."""
    return name in _WORDS


def hardware_text(row: Row) -> str:
    """Each count of a row for one operation: ``IPC 2.98; cycles 3.01; instructions 8.97``. Empty without any."""
    known = [(word, row.metric(name)) for name, (word, _) in _WORDS.items() if row.metric(name).known]
    return "; ".join(f"{word} {plain(found.value, 3)}" for word, found in known)
