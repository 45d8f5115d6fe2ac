"""A timer that replays samples through pytest-benchmark."""

from __future__ import annotations

from collections.abc import Sequence


class SampleClock:
    """The timer of one test: pytest-benchmark reads it before and after each round."""

    __name__ = "fencepost"  # pytest-benchmark prints and stores the name of a timer

    def __init__(self) -> None:
        self._samples: Sequence[float] = ()
        self._replayed = 0
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds since the round began."""
        return self._now

    def load(self, samples: Sequence[float]) -> None:
        """Take what is to be replayed, in seconds."""
        self._samples, self._replayed, self._now = samples, 0, 0.0

    def begin(self) -> None:
        """Set to zero: a round begins."""
        self._now = 0.0

    def end(self) -> None:
        """Set to the next sample; beyond the last (a profiler calls once more) it stays where it is."""
        if self._replayed < len(self._samples):
            self._now = self._samples[self._replayed]
            self._replayed += 1
