"""How long a run will take until its answer is there: a range, since nobody knows what neighbours will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fencepost.bench.plan import Plan

DISTURBED = 1.5
"""Beside busy neighbours rounds take so many times as long at most: 1.3 was seen on a virtual machine. Work of our own
on the same CPUs has no limit."""
SUMMARY_NS = 2_000_000_000
"""What follows the rounds: imports, estimates, the summary. Processor time on an AMD EPYC."""
SUMMARY_VISIT_NS = 200_000
"""And so much more for each case of a round."""


class Expected(NamedTuple):
    """The time in ns where nothing disturbs the run, and beside busy neighbours."""

    calm_ns: int
    most_ns: int

    @property
    def text(self) -> str:
        """``2 min 41 s, and up to 4 min 40 s beside busy neighbours``."""
        from fencepost.cli import display

        return f"{display.duration(self.calm_ns)}, and up to {display.duration(self.most_ns)} beside busy neighbours"


def expected(plan: Plan, missing: Sequence[int] | None = None) -> Expected:
    """The time of a run with the rounds `missing` to go, by default all of them, and of the summary of all."""
    visits = sum(plan.rounds_of(case) for case in plan.cases)
    summary_ns = SUMMARY_NS + SUMMARY_VISIT_NS * visits
    left = range(1, plan.rounds + 1) if missing is None else missing
    rounds_ns = plan.expected_of(left)
    return Expected(rounds_ns + summary_ns, int(DISTURBED * rounds_ns) + len(left) * plan.again_ns + summary_ns)
