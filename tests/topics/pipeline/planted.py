"""What has to be planted in stored rows for each verdict on the pipeline."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored

from fencepost.analysis.topics.claim import Outcome

TIMES = {"imul": 3.0, "add": 3.992, "fadd": 4.0, "load": 4.0}
"""One chain against four in the stored rows, by instruction."""


def _nearly_alike(run: Stored) -> Stored:
    for op, times in TIMES.items():
        run.scale(1.05 / times, "pipeline/chain", op=op, chains=1)
        run.scale(2, "pipeline/chain", op=op, chains=8)
    return run.noise(0.02)


PLANTED: Planted = {
    "pipeline/dependence": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.scale(0.1, "pipeline/chain", op="imul", chains=1),
        Outcome.UNDECIDED: _nearly_alike,
        Outcome.REFUTED: lambda run: run.scale(0.1, "pipeline/chain", chains=1),
    }
}
