"""What has to be planted in stored rows for each verdict on the order that other CPUs see."""

from __future__ import annotations

from topics.stored import Planted, Stored, as_stored

from fencepost.analysis.topics.claim import Outcome


def _never(run: Stored) -> Stored:
    for kernel in sorted({case["kernel"] for case in run.cases if case["kernel"].startswith("litmus/")}):
        for metric in ("weak", "weak_per_million", "weak_per_s"):
            run.put(metric, 0.0, kernel)
    return run


def _in_few_trials(run: Stored) -> Stored:
    for kernel in sorted({case["kernel"] for case in run.cases if case["kernel"].startswith("litmus/")}):
        run.scale_metric(0.01, "trials", "", kernel)
    return run


PLANTED: Planted = {
    "litmus/reordering": {
        Outcome.CONFIRMED: as_stored,
        Outcome.UNDECIDED: lambda run: _in_few_trials(_never(run)),
        Outcome.REFUTED: _never,
    }
}
