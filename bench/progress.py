"""Progress of a run."""

from __future__ import annotations

from fencepost.bench.plan import Plan


class Progress:
    """What a run tells about itself. The base class keeps silent."""

    def begin(self, plan: Plan, missing: list[int]) -> None:
        """The rounds `missing` are about to be measured."""

    def update(self, round_number: int, done_ns: int) -> None:
        """Cases worth `done_ns` of expected time have been measured in this round."""

    def round_done(self, round_number: int) -> None:
        """The round is stored."""

    def note(self, sentence: str) -> None:
        """Something worth telling happened, and the run goes on."""

    def end(self) -> None:
        """No more rounds."""
