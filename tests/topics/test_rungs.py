"""Rungs of the ladder, and the few of them that are headlines."""

from __future__ import annotations

import pytest
from published.compare import RUN

from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.topics.rungs import MOST_HEADLINES
from fencepost.analysis.topics.topic import headlines, rungs


def test_the_published_run_has_its_headlines_and_no_more() -> None:
    if not RUN.parent.exists():
        pytest.skip("the source distribution comes without results")
    analysis = analyse(RUN)
    found = [rung for _, rung in headlines(analysis)]
    assert MOST_HEADLINES - 2 <= len(found) <= MOST_HEADLINES < len(rungs(analysis))
    assert len({topic.name for topic, _ in headlines(analysis)}) >= 8, "each kind of cost has one"
