"""What the rounds so far say to the next one: the floor of the witnesses, and which cases lack quiet batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fencepost.bench.messages import CaseFrame
from fencepost.bench.witness import KNOWN_FLOOR, WIDTH_SLACK, run_floor


class SoFar:
    """Of one run.

    Parameters
    ----------
    arch
        of the engine.
    quiet_batches
        how many a case wants in a round.
    again_ns
        how long a round may look for quiet batches, on average over the run.
    """

    def __init__(self, arch: str, quiet_batches: int, again_ns: int) -> None:
        self._arch = arch
        self._wanted = quiet_batches
        self._each_ns = again_ns
        self._floors: list[float | None] = []
        self.quiet_rounds: Counter[str] = Counter()
        """By case, in how many rounds it had its quiet batches."""
        self.again_ns = 0
        """What is granted to the next round: what those before it left, and its own share."""

    @property
    def width_limit(self) -> float:
        """The width of a quiet batch at most; 0 where no floor is known yet."""
        return (run_floor(self._floors, self._arch) or KNOWN_FLOOR.get(self._arch, 0.0)) * WIDTH_SLACK

    def add_floors(self, floors: Iterable[float | None]) -> None:
        """Add the floors of rounds; None where one knows none."""
        self._floors += floors

    def add_visits(self, case: str, visits: Sequence[CaseFrame]) -> None:
        """Add what a round did of a case."""
        if sum(visit.get("quiet_batches", 0) for visit in visits) >= self._wanted:
            self.quiet_rounds[case] += 1

    def begin_round(self) -> None:
        """Grant the round that begins its share of time."""
        self.again_ns += self._each_ns

    def end_round(self, again_ns: int) -> None:
        """Take what the round spent."""
        self.again_ns -= again_ns
