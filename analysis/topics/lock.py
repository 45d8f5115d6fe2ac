"""Mutual exclusion, alone and contended."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "lock",
    "Waiting for each other",
    "What does mutual exclusion cost, alone and contended?",
    "Look at ownership runs beside the time: a lock that one thread keeps looks cheap.",
    "Critical sections of other lengths than those measured.",
    order=70,
)
