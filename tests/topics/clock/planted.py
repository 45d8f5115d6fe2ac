"""What has to be planted in stored rows for each verdict on clocks."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def _at_the_rate_of_the_counter(run: Stored) -> Stored:
    """The stored core runs 1.423 times as fast as its counter."""
    for kernel in ("clock/core", "clock/core_loaded", "clock/core_series"):
        run.scale_metric(1 / 1.4226, "core_hz", "", kernel)
    return run


PLANTED: Planted = {
    "clock/turbo": {
        Outcome.CONFIRMED: lambda run: run.scale_metric(0.95, "core_hz", "", "clock/core", state="cold"),
        Outcome.DEPENDS: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale_metric(0.985, "core_hz", "", "clock/core", state="cold").noise(0.01),
        Outcome.REFUTED: _at_the_rate_of_the_counter,
    },
    "clock/rdtsc": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: run.scale_metric(
            in_turn(1, 1.0002), "tick_hz", "", "clock/rate", during="sleep"
        ),
        Outcome.REFUTED: lambda run: run.scale_metric(1.001, "tick_hz", "", "clock/rate", during="sleep"),
    },
    "clock/hrtimer": {
        Outcome.CONFIRMED: as_stored,
        # A quarter of the stored tick is 1 ms; the policies wake after 21 to 72 us.
        Outcome.DEPENDS: lambda run: run.scale(25, "clock/wakeup"),
        Outcome.UNDECIDED: lambda run: run.scale(14, "clock/wakeup"),
        Outcome.REFUTED: lambda run: run.scale(60, "clock/wakeup"),
    },
}
