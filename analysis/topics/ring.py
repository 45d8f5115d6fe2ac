"""Messages through rings."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "ring",
    "Passing messages",
    "What does a message through a ring cost, and what changes when the ring is empty or full?",
    "Throughput and latency are different rows; neither can be computed from the other.",
    "Rates between those measured.",
    order=90,
)
