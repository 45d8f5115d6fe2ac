"""Rungs of the ladder, and the few of them that are headlines."""

from __future__ import annotations

from pathlib import Path

import pytest
from published.compare import RUN
from runs.write import crowd_cases, pair_case
from topics.analysed import analysed
from topics.suite import sharing_cases
from undrawn import without_drawing

from fencepost.analysis.report.document import build_document
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


def test_rungs_of_what_is_shared_are_those_of_a_single_thread(tmp_path: Path) -> None:
    trip = pair_case("ring/spsc_round_trip", {"pause": "no"}, 150.0)
    cases = [*sharing_cases(), trip]
    cases += crowd_cases("lock/hold", {"lock": "pthread_mutex", "section_ns": 0}, {2: 90.0, 1: 14.0})
    with without_drawing():
        document = build_document(analysed(tmp_path, cases, rounds=6))
    assert document.ladder is not None
    steps = {row[0]: row for row in document.ladder.rows}
    assert "14" in steps["take a free mutex and give it back"][2]
    assert steps["atomic addition to a counter that nobody else wants"][-1].endswith("[kind=atomic]@cpu0")
    time = steps["an item to another thread and back, over rings"][2].split()[0]
    assert float(time) == pytest.approx(150, rel=0.01)
