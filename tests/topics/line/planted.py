"""What has to be planted in stored rows for each verdict on shared lines."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored

from fencepost.analysis.topics.claim import Outcome

ONE_LINE = {"op": "fetch_add", "between": 0}
CONTENDED = {"fetch_add": 5.758, "cas": 10.43, "xchg": 6.557}
"""Two threads against one in the stored rows, by operation."""


def _contended_like_alone(run: Stored, times: float) -> Stored:
    for op, factor in CONTENDED.items():
        run.scale(times / factor, "line/contended", cpus=2, op=op)
    return run


def _neighbours(run: Stored, times: float) -> Stored:
    """Words within a line at so many times what distant ones cost: 5.2 in the stored rows."""
    for stride in (8, 32, 56):
        run.scale(times / 5.2, "line/false_sharing", stride=stride)
    return run


PLANTED: Planted = {
    "line/cpus": {
        Outcome.CONFIRMED: lambda run: run.teams({4: 2.0, 8: 4.0}, "line/contended", **ONE_LINE),
        Outcome.UNDECIDED: lambda run: run.teams({4: 1.0, 8: 1.0}, "line/contended", **ONE_LINE),
        Outcome.REFUTED: lambda run: run.teams({4: 0.5, 8: 0.25}, "line/contended", **ONE_LINE),
    },
    "line/whole": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: _neighbours(run, 1.5),
        Outcome.REFUTED: lambda run: _neighbours(run, 1.0),
    },
    "line/atomic": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: _contended_like_alone(run, 1.05),
        Outcome.REFUTED: lambda run: _contended_like_alone(run, 0.5),
    },
}
