"""Topics: each module of the package is one, and a further module needs no list."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic
from synthetic import Case

from fencepost.analysis import claims, estimate, report, topics
from fencepost.analysis.claims import Claim

MODULE = """
from fencepost.analysis.estimate import Analysis
from fencepost.analysis.ladder import first, step
from fencepost.analysis.topics import Topic

TOPIC = Topic("mine", "Mine alone", "q?", "h", "n", ladder=(step("my rung", "mine/loop", first),), order=15)
"""
CLAIM = """
from fencepost.analysis.claims import Outcome, Verdict, claim

@claim("mine/said", "q", "e", ["mine/loop"])
def said(analysis):
    return Verdict(Outcome.CONFIRMED, "1", "b")
"""


@pytest.fixture
def a_module_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for package, text in ((topics, MODULE), (claims, CLAIM)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "mine.py").write_text(text, encoding="utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    registered: list[Claim] = list(claims._CLAIMS)
    monkeypatch.setattr(claims, "_CLAIMS", registered)
    topics.known_topics.cache_clear()
    yield
    topics.known_topics.cache_clear()
    for package in (topics, claims):
        sys.modules.pop(f"{package.__name__}.mine", None)


def test_every_module_is_a_topic() -> None:
    names = [item.name for item in pkgutil.iter_modules(topics.__path__)]
    assert sorted(topic.name for topic in topics.known_topics()) == sorted(names)


def test_topics_stand_by_their_order() -> None:
    names = [topic.name for topic in topics.known_topics()]
    assert names.index("clock") < names.index("pipeline") < names.index("branch") < names.index("fence")


@pytest.mark.usefixtures("a_module_more")
def test_a_module_more_is_a_topic_with_rungs_and_claims(tmp_path: Path) -> None:
    cases = [Case("mine/loop", ns=3), Case("pipeline/imul100", ns=3)]
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=6, unmeasurable=[])
    document = report.build_document(estimate.analyse(folder))
    assert [section.topic.title for section in document.sections] == ["Mine alone", "Doing several things at once"]
    assert document.ladder is not None and document.ladder.rows[0][0] == "my rung"
    assert [said.figure for _, said in document.claims["mine"]] == ["1"]
