"""Mutual exclusion, alone and contended."""

from __future__ import annotations

from fencepost.analysis.topics.crowds import CrowdOptions, crowds_by
from fencepost.analysis.topics.lock.measures import crossovers
from fencepost.analysis.topics.pictures import bars_by, lines_by
from fencepost.analysis.topics.rungs import alone, step
from fencepost.analysis.topics.topic import Topic

EMPTY: CrowdOptions = {
    "title": "A lock, and more and more threads that want it",
    "name": "lock-threads",
    "says": "Empty sections with {threads} threads: from {least_of} at {least} to {most_of} at {most} a section. "
    "Beneath, fairness: the share of the slowest thread over that of the fastest, lowest for {fairness_of} "
    "({fairness}). A lock that is fast because one thread keeps it lies low in both.",
    "unit": "section",
    "caption": "An empty section by kind of lock and number of threads",
    "where": {"section_ns": 0},
    "metrics": {"changes_per_operation": "changes of owner per section", "longest_run": "longest run of one owner"},
}

HOLD = crowds_by("lock/hold", "lock", **EMPTY)

BEYOND: CrowdOptions = {**EMPTY, "title": "The same with more threads than CPUs", "name": "lock-oversubscribed"}

HOLD_BEYOND = crowds_by("lock/oversubscribed", "lock", **BEYOND)


WAIT = bars_by(
    "lock/wait",
    "by",
    labels={"semaphore": "semaphore", "mutex": "mutex", "spin": "spin lock", "yield": "spin lock that yields"},
    title="Processor time of a thread that waits for a lock",
    says="From {least} ({least_of}) to {most} ({most_of}). A thread that sleeps uses nearly none of its wait.",
    unit="wait",
    caption="Processor time of a wait",
    heading="waits for",
    groups=lambda row: f"held for {row.parameter('held_ms')} ms",
    group_heading="lock",
    metrics={"used_pct": "of the wait", "waited_ms": "wait"},
)


BRIEF = lines_by(
    "lock/brief_wait",
    "held_us",
    labels=lambda microseconds: f"{microseconds} us",
    title="Spinning against sleeping, by how long the lock is held",
    says="Processor time that both threads spend on a wait, from {least} ({least_of}) to {most} ({most_of}). "
    "A thread that spins uses the whole wait. One that sleeps uses about the same time in every wait.",
    unit="wait",
    value="spent_ns",
    value_heading="processor time",
    caption="Processor time of a brief wait",
    heading="lock held for",
    groups="by",
    group_labels={"semaphore": "semaphore", "mutex": "mutex", "spin": "spin lock", "yield": "spin lock that yields"},
    group_heading="waits for",
    x_label="us that the lock is held",
    x_format=lambda microseconds: f"{microseconds:.3g} us",
    marks=("sleeping spends less beyond", crossovers),
)


TOPIC = Topic(
    "lock",
    figures=(HOLD, HOLD_BEYOND, WAIT, BRIEF),
    tables_only=("lock/owner",),
    rungs=(step("take a free mutex and give it back", "lock/hold", alone(lock="pthread_mutex", section_ns=0)),),
)
