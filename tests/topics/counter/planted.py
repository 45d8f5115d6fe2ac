"""What has to be planted in stored rows for each verdict on counters."""

from __future__ import annotations

from topics.stored import Planted, as_stored

from fencepost.analysis.topics.claim import Outcome

BEYOND = "a reading lacked 300 increments, the bound is 255"

PLANTED: Planted = {
    "counter/sloppy": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale(1.05 / 25.8, "counter/sloppy", cpus=2, threshold=1),
        Outcome.REFUTED: lambda run: run.fail(BEYOND, "counter/error", threshold=256),
    }
}
