"""What has to be planted in stored rows for each verdict on fences."""

from __future__ import annotations

from topics.stored import Plant, Planted, Stored, as_stored

from fencepost.analysis.topics.claim import Outcome


def _adding(ns: float) -> Plant:
    """Full fences that add so many ns in every context."""

    def plant(run: Stored) -> Stored:
        for context in ("bare", "load_miss", "chain"):
            for fence in ("mfence", "lock_add"):
                control = {"fence": "none", "context": context}
                run.add_to(control, ns, "fence/cost", fence=fence, context=context)
        return run

    return plant


PLANTED: Planted = {
    "fence/cost": {
        Outcome.CONFIRMED: _adding(15.0),
        Outcome.DEPENDS: as_stored,
        Outcome.UNDECIDED: _adding(0.05),
        Outcome.REFUTED: _adding(-1.0),
    }
}
