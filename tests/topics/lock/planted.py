"""What has to be planted in stored rows for each verdict on locks."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def _allowed(run: Stored, share: float, unlock: str) -> Stored:
    run.put("allowed", share, "lock/owner", unlock=unlock)
    return run.put("refused", 1 - share, "lock/owner", unlock=unlock)


PLANTED: Planted = {
    "lock/owner": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: _allowed(run, 0.5, "semaphore_other"),
        Outcome.REFUTED: lambda run: _allowed(run, 1.0, "mutex_other"),
    },
    "lock/wait": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.put("used_pct", in_turn(0.1, 2.0), "lock/wait", by="semaphore"),
        Outcome.REFUTED: lambda run: run.put("used_pct", 5.0, "lock/wait", by="spin"),
    },
}
