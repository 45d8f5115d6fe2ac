"""What failed counts say to the claims on events."""

from __future__ import annotations

from topics.stored import Stored

from fencepost.analysis.topics.claim import Outcome


def test_a_miscount_refutes() -> None:
    run = Stored().fail("count counted: 1023 events instead of 1024", "perf/software", event="page_faults")
    assert run.verdict("perf/software").outcome is Outcome.REFUTED


def test_a_pinned_thread_that_was_moved_refutes() -> None:
    run = Stored().fail("count counted: 1 moves instead of 0", "perf/migrations", moves="pinned")
    assert run.verdict("perf/taskset").outcome is Outcome.REFUTED
