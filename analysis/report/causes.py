"""Who disturbed a run, as far as something that it stores tells it.

A witness beside each batch tells of a neighbour on the core and of the core's clock. Flags of batches, and the gaps of
``noise/gaps``, tell of interrupts and other threads. Nothing tells whether other cores used the same cache or memory:
rows that go through these are as found.
"""

from __future__ import annotations

from dataclasses import dataclass

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.shares import broken_pct, share, shares_of
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.topics.noise.measures import lost_pct

DISTURBED_PCT = 10.0
"""From here on a disturbance is named: a median moves little while nine batches in ten are as they should be."""

_USE_ALONE = "Use the figures alone, or repeat at another hour: `fencepost neighbours` shows when the core is free."
_FEW_ALONE = (
    "Few rows could be had alone. Repeat at another hour: `fencepost neighbours` shows when the core is free. "
    "`fencepost ab` compares code even so, since both sides meet the same neighbour."
)
"""What helps against a neighbour, by whether he left enough of the run."""


@dataclass(frozen=True)
class Cause:
    """A disturbance: its share in per cent, a sentence on it, and what helps most against it."""

    pct: float
    said: str
    helps: str


def causes(analysis: Analysis) -> list[Cause]:
    """Every disturbance of the run that took more than `DISTURBED_PCT`, the largest first."""
    found = shares_of(analysis.rows)
    broken, lost = broken_pct(analysis.rows), largest_loss_pct(analysis)
    every = [
        Cause(
            broken,
            f"Interrupts or other threads broke into {share(broken)} of the batches.",
            "Stop other work on this machine: `fencepost doctor` shows it.",
        ),
        Cause(
            lost,
            f"A CPU loses {plain(lost, 2)} % of its time to interrupts and other work.",
            "Stop other work on this machine: `fencepost doctor` shows it.",
        ),
    ]
    if found is not None:
        every += [
            Cause(
                found.neighbour_pct,
                f"A neighbour shared the core in {share(found.neighbour_pct)} of the batches.",
                _FEW_ALONE if found.alone * 2 < found.rows - found.shared else _USE_ALONE,
            ),
            Cause(
                found.clock_pct,
                f"The core clock moved in {share(found.clock_pct)} of the batches.",
                "Fix it: `fencepost doctor` names the settings.",
            ),
        ]
    return sorted((cause for cause in every if cause.pct > DISTURBED_PCT), key=lambda cause: -cause.pct)


def traced_rounds(analysis: Analysis) -> int:
    """In how many rounds another process traced the worker."""
    workers = analysis.reduced.workers
    return int((workers["traced"] == True).sum()) if "traced" in workers else 0  # noqa: E712 (others have None)


def largest_loss_pct(analysis: Analysis) -> float:
    """The largest share of its time that a CPU lost in gaps, in per cent; 0 where no gaps were measured."""
    return max((item.value for _, item in lost_pct(analysis)), default=0.0)
