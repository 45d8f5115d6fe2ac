"""What the machine takes away from a thread that never sleeps."""

from __future__ import annotations

from fencepost.analysis.text.numbers import nanoseconds
from fencepost.analysis.topics.pictures import share_by_cpu
from fencepost.analysis.topics.topic import Topic

GAPS = share_by_cpu(
    "noise/gaps",
    "lost_pct",
    title="Share of its time that a busy thread loses, by CPU",
    says="A thread that does nothing but look at the clock loses up to {most} of its time ({most_of}) in pieces of "
    "more than 1 µs.",
    unit="time lost, %",
    caption="Gaps by CPU",
    value_heading="time lost",
    metrics={"gaps_per_s": "gaps a second", "longest_us": "longest in a process"},
    columns={"median gap": lambda row: nanoseconds(row.time.value, 3)},
)


TOPIC = Topic(
    "noise",
    figures=(GAPS,),
)
