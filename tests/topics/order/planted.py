"""What has to be planted in stored rows for each verdict on barriers."""

from __future__ import annotations

from topics.stored import Planted, as_stored

from fencepost.analysis.topics.claim import Outcome

LOST = "FORBIDDEN: 2346 of 51200 additions were lost under a full fence"

PLANTED: Planted = {
    "order/barrier": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.put("lost", 0.0, "order/peterson", order="none"),
        Outcome.REFUTED: lambda run: run.fail(LOST, "order/peterson", order="mfence"),
    }
}
