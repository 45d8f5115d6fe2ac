"""What came of one worker process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from fencepost.bench.attempt import Attempt
from fencepost.bench.frames import FrameReader


class Frames:
    """A reader of frames that are there already."""

    def __init__(self, cases: Sequence[str]) -> None:
        self.cases = cases

    def read(self) -> Iterator[tuple[dict[str, Any], bytes, bytes]]:
        for case in self.cases:
            yield {"kind": "begin", "case": case}, b"", b""
            yield {"kind": "case", "case": case}, b"", b""


@pytest.mark.parametrize(
    ("visited", "done_ns"),
    [
        (["a", "b"], 5 + 7),
        # Looks for quiet batches come between planned visits.
        (["a", "a", "a", "b"], 5 + 7),
        # The second of two planned visits, and one more.
        (["two", "a", "two", "two"], 3 + 5 + 4),
        (["a", "unknown"], 5),
    ],
)
def test_only_planned_visits_are_worth_expected_time(visited: Sequence[str], done_ns: int) -> None:
    attempt = Attempt()
    taken = attempt.take(cast(FrameReader, Frames(visited)), {"a": [5], "b": [7], "two": [3, 4]})
    assert (attempt.fault, taken) == (None, done_ns)
    assert attempt.visits == len(visited)
