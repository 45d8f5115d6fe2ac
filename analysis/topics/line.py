"""One cache line wanted by several CPUs."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "line",
    "Sharing a cache line",
    "What does it cost when two CPUs want the same line?",
    "One-way costs are half a round trip over one line. Rows of pairs are grouped by what the two CPUs share.",
    "More CPUs than were paired: nothing is extrapolated.",
    order=60,
)
