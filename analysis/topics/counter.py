"""Shared counts: what they cost, and how wrong they may be read."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "counter",
    "Counting together",
    "What does a shared count cost, and how wrong may it be read?",
    "Cost and error belong together: a cheaper counter is one that may be further off.",
    "More threads than this machine has CPUs.",
    order=80,
)
