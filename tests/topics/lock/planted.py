"""What has to be planted in stored rows for each verdict on locks."""

from __future__ import annotations

from topics.stored import Change, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def _allowed(run: Stored, share: float, unlock: str) -> Stored:
    run.put("allowed", share, "lock/owner", unlock=unlock)
    return run.put("refused", 1 - share, "lock/owner", unlock=unlock)


def _spends(run: Stored, times: Change) -> Stored:
    """A semaphore spends so many times what a spin lock does, in waits of each length."""
    for held in (1, 10, 100):
        run.put("spent_ns", 1000.0 * held, "lock/brief_wait", by="spin", held_us=held)
        run.put("spent_ns", times, "lock/brief_wait", by="semaphore", held_us=held)
        run.scale_metric(1000.0 * held, "spent_ns", "", "lock/brief_wait", by="semaphore", held_us=held)
    return run


PLANTED: Planted = {
    "lock/sleep": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: _spends(run, in_turn(0.5, 2.0)),
        Outcome.REFUTED: lambda run: _spends(run, 3.0),
    },
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
