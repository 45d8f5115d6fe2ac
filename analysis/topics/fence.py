"""Fences, by what is under way when they come."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "fence",
    "Ordering memory",
    "What does a fence cost, by what is outstanding when it is met?",
    "A fence has no cost of its own: compare its rows with each other, bare, after a store, with misses under way.",
    "Orders that no trial showed: absence of an outcome in so many trials is a bound, not a proof.",
    order=40,
)
