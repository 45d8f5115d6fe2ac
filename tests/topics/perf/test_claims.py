"""What failed counts say to the claims on events."""

from __future__ import annotations

from runs.write import Case
from topics.analysed import analysed, verdict_of
from topics.stored import Stored

from fencepost.analysis.topics.claim import Outcome


def test_a_miscount_refutes() -> None:
    run = Stored().fail("count counted: 1023 events instead of 1024", "perf/software", event="page_faults")
    assert run.verdict("perf/software").outcome is Outcome.REFUTED


def test_a_pinned_thread_that_was_moved_refutes() -> None:
    run = Stored().fail("count counted: 1 moves instead of 0", "perf/migrations", moves="pinned")
    assert run.verdict("perf/taskset").outcome is Outcome.REFUTED


def test_without_counters_of_the_cpu_it_is_not_measurable() -> None:
    reason = "needs a hardware counter that opens and counts"
    cases = [
        Case("perf/hardware", {"event": event}, status="unsupported", reason=reason)
        for event in ("instructions", "branches")
    ]
    said = verdict_of(analysed(cases, rounds=6), "perf/hardware")
    assert said.outcome is Outcome.NOT_MEASURABLE and reason in said.because
