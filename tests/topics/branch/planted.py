"""What has to be planted in stored rows for each verdict on branches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from topics.stored import Planted, as_stored

from fencepost.analysis.topics.claim import Outcome

HINTED: Mapping[str, Any] = {"hint": "unlikely", "data": "false"}
HALF: Mapping[str, Any] = {"pattern": "random", "form": "branch"}

PLANTED: Planted = {
    "branch/penalty": {
        Outcome.CONFIRMED: lambda run: run.drop("branch/penalty_loaded"),
        Outcome.DEPENDS: as_stored,
        # The stored penalty is 17.8 cycles: 20.47 of a limit of 20 is within a noise of 3 %.
        Outcome.UNDECIDED: lambda run: run.scale_metric(1.15, "k", "_ticks", "branch/penalty").noise(0.03),
        Outcome.REFUTED: lambda run: run.scale_metric(1.5, "k", "_ticks", "branch/penalty").noise(0.03),
    },
    "branch/unlikely": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale(1.98, "branch/likely", **HINTED).noise(0.02),
        Outcome.REFUTED: lambda run: run.scale(2.2, "branch/likely", **HINTED).noise(0.02),
        Outcome.DEPENDS: lambda run: run.add_to({"hint": "plain", "data": "false"}, 0.0, "branch/likely", **HINTED),
    },
    "branch/history": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale_metric(0.34, "pass1_", "ticks", "branch/learning").noise(0.05),
        Outcome.REFUTED: lambda run: run.scale_metric(0.25, "pass1_", "ticks", "branch/learning").noise(0.05),
    },
    "branch/sorted": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale(1.05 / 8.1, "branch/pattern", **HALF).noise(0.02),
        Outcome.REFUTED: lambda run: run.scale(0.9 / 8.1, "branch/pattern", **HALF).noise(0.02),
    },
}
