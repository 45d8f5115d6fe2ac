"""What the scheduler gives to whom, and when."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count, nanoseconds, size
from fencepost.analysis.topics.pictures import bars_by, lines_by
from fencepost.analysis.topics.topic import Topic

PAIRS = {
    "equal": "both alike",
    "nice1": "second nicer by 1",
    "nice5": "second nicer by 5",
    "nice10": "second nicer by 10",
    "nice19": "second nicer by 19",
    "minus5": "first less nice by 5",
    "batch": "second SCHED_BATCH",
    "idle": "second SCHED_IDLE",
    "fifo": "first SCHED_FIFO",
    "rr": "first SCHED_RR",
}
POLICIES = {
    "other": "SCHED_OTHER, slack 50 µs",
    "other_slack1": "SCHED_OTHER, slack 1 ns",
    "batch": "SCHED_BATCH",
    "idle": "SCHED_IDLE",
    "minus20": "nice −20",
    "fifo": "SCHED_FIFO",
    "rr": "SCHED_RR",
    "deadline": "SCHED_DEADLINE",
    "deadline_early": "SCHED_DEADLINE, early",
}

SHARE = bars_by(
    "schedule/share",
    "pair",
    value="ratio",
    title="CPU time of the first of two spinners, over that of the second",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="times as much",
    heading="the two",
    labels=PAIRS,
    metrics={"expected_ratio": "by weight", "second_pct": "second", "had_pct": "both, of the window"},
)

CLOCK = bars_by(
    "schedule/virtual_clock",
    "spinners",
    value="rate_times_n",
    title="Virtual time of one of N equal spinners, times N, over the time that all had",
    says="{each}. At 1 the clock of a CPU ticks once every N real ticks.",
    unit="times",
    heading="spinners",
    metrics={"fair": "most over least", "had_pct": "all, of the window"},
)


def _beside(row: Row) -> str:
    return "beside a spinner" if row.has(beside="spinner") else "on an idle CPU"


WAKEUP = bars_by(
    "schedule/wakeup",
    "policy",
    title="How late a thread wakes at its deadline",
    says="From {least} ({least_of}) to {most} ({most_of}). Compare the two groups: in a guest an idle CPU wakes later.",
    unit="wake-up",
    heading="scheduled as",
    labels=POLICIES,
    groups=_beside,
    group_heading="CPU",
    metrics={"missed": "deadlines missed"},
    columns={
        "p50": lambda row: nanoseconds(row.quantiles.get("p50"), 3),
        "p99": lambda row: nanoseconds(row.quantiles.get("p99"), 3),
        "p99.9": lambda row: nanoseconds(row.quantiles.get("p99_9"), 3),
    },
)

TARGETS = {"other": "another CPU", "sibling": "a hyperthread of the same core", "node": "a CPU of another node"}
VICTIMS = {
    "nobody": "nobody: an idle CPU",
    "user": "a loop in user mode",
    "getppid": "getppid",
    "read": "a read of 64 MiB",
    "munmap": "munmap of 16 MiB",
    "fork": "fork with 16 MiB",
    "fsync": "fsync",
}

PREEMPT = bars_by(
    "schedule/preempt",
    "victim",
    title="How late a real-time thread wakes over a victim",
    says="From {least} ({least_of}) to {most} ({most_of}). Compare with the loop in user mode.",
    unit="wake-up",
    heading="the victim is in",
    labels=VICTIMS,
    metrics={"call_ns": "one call, ns", "missed": "deadlines missed"},
    columns={
        "p50": lambda row: nanoseconds(row.quantiles.get("p50"), 3),
        "p99": lambda row: nanoseconds(row.quantiles.get("p99"), 3),
    },
)

MIGRATE = lines_by(
    "schedule/migrate",
    "touched",
    title="A move to another CPU, and the loads of what was written before",
    says="{each}. The table also has the move alone, with 0 bytes.",
    unit="move",
    groups=lambda row: TARGETS.get(str(row.parameter("to")), ""),
    group_heading="to",
    x_label="memory that the thread has written",
    x_format=size,
    metrics={"hop_ns": "the call, ns", "loads_hop_ns": "loads after it, ns", "loads_stay_ns": "loads without it, ns"},
)

BALANCE = bars_by(
    "schedule/rebalance",
    "spinners",
    value="fair",
    title="Spinners on two CPUs: CPU time of the one that had most, over the least",
    says="{each}. At 1 all had the same.",
    unit="times as much",
    heading="spinners",
    labels={"two": "two", "three": "three", "pinned": "three, two of them on one CPU"},
    metrics={"migrations_per_s": "moves a second", "had_pct": "of both CPUs"},
)

REALTIME = lines_by(
    "schedule/realtime",
    "utilisation_pct",
    value="rms_missed_pct",
    title="Sets of tasks in which a rule misses a deadline",
    says="RMS misses from {least} ({least_of}) to {most} ({most_of}). The table also has what EDF misses.",
    unit="of the sets, by RMS",
    groups=lambda row: f"{row.parameter('tasks')} tasks",
    group_heading="tasks",
    x_label="of the CPU that the tasks ask for",
    x_format=lambda value: f"{count(value)} %",
    metrics={"edf_missed_pct": "missed by EDF", "bound_pct": "bound of RMS"},
)


TOPIC = Topic("schedule", figures=(SHARE, CLOCK, WAKEUP, PREEMPT, MIGRATE, BALANCE, REALTIME), rungs=())
