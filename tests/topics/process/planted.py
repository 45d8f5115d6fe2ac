"""What has to be planted in stored rows for each verdict on processes."""

from __future__ import annotations

from topics.stored import Planted, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome

PLANTED: Planted = {
    "process/vfork": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("waited_pct", 100.0, "process/spawn", how="fork"),
        Outcome.UNDECIDED: lambda run: run.put("waited_pct", in_turn(100, 80), "process/spawn", how="vfork"),
        Outcome.REFUTED: lambda run: run.put("waited_pct", 60.0, "process/spawn", how="vfork"),
    }
}
