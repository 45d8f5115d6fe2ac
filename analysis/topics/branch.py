"""Branches: what a wrong guess costs, and what the predictor can learn."""

from __future__ import annotations

from fencepost.analysis.topics import Topic

TOPIC = Topic(
    "branch",
    "Guessing where the code goes on",
    "What does a wrongly predicted branch cost, and how much of a pattern can the predictor learn?",
    "Compare each row with its control of the same outcomes that are learnt or need no branch; the difference "
    "is the price of the misses.",
    "Layout effects of other code, and predictors shared with a sibling thread.",
    order=30,
)
