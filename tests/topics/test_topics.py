"""Topics: each module of the package is one, and a further module needs no list."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernels.measure import built_engine, catalog
from runs import write as synthetic
from runs.write import Case
from topics.analysed import analysed
from topics.suite import sharing_cases
from undrawn import without_drawing

from fencepost.analysis import topics
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.topics import claim as claims
from fencepost.analysis.topics import words
from fencepost.analysis.topics.claim import _CLAIMS, Claim
from fencepost.analysis.topics.topic import known_topics

pytestmark = pytest.mark.usefixtures("undrawn")

MODULE = """
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.rungs import first, step
from fencepost.analysis.topics.topic import Topic

TOPIC = Topic("mine", rungs=(step("my rung", "mine/loop", first),))
"""
CLAIM = """
from fencepost.analysis.topics import claim as claims
from fencepost.analysis.topics.claim import Outcome, Verdict, claim
from fencepost.analysis.topics.control import Control, time_of_row

CONTROL = Control("it takes time", time_of_row("mine/loop"), "ns", above=0)

@claim("mine/said", "q", "e", ["mine/loop"], "t", control=CONTROL)
def said(analysis):
    return Verdict(Outcome.CONFIRMED, "1", "b")
"""


@pytest.fixture
def a_module_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "topics" / "mine"
    folder.mkdir(parents=True)
    for name, text in (("__init__", ""), ("figures", MODULE), ("claims", CLAIM)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(topics, "__path__", [*topics.__path__, str(folder.parent)])
    registered: list[Claim] = list(_CLAIMS)
    monkeypatch.setattr(claims, "_CLAIMS", registered)
    known_topics.cache_clear()
    yield
    known_topics.cache_clear()
    for name in ("mine.figures", "mine.claims", "mine"):
        sys.modules.pop(f"{topics.__name__}.{name}", None)


def test_every_module_is_a_topic() -> None:
    names = [item.name for item in pkgutil.iter_modules(topics.__path__) if item.ispkg]
    assert sorted(topic.name for topic in known_topics()) == sorted(names)


def test_topics_have_the_order_of_the_list() -> None:
    names = [topic.name for topic in known_topics()]
    assert names == [name for name in words.listed_topics() if name in names]


@pytest.mark.usefixtures("a_module_more")
def test_a_module_more_is_a_topic_with_rungs_and_claims(tmp_path: Path) -> None:
    cases = [Case("mine/loop", ns=3), Case("pipeline/imul100", ns=3)]
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=6, unmeasurable=[])
    document = build_document(analyse(folder))
    assert [section.topic.name for section in document.sections] == ["pipeline", "mine"]
    assert document.ladder is not None and document.ladder.rows[0][0] == "my rung"
    assert [said.figure for _, said in document.claims["mine"]] == ["1"]


@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_each_kernel_alone_makes_a_report(rounds: int) -> None:
    cases = sharing_cases()
    for kernel in sorted({case.kernel for case in cases}):
        analysis = analysed([case for case in cases if case.kernel == kernel], rounds)
        with without_drawing():  # test_figures.py draws them
            text = as_html(build_document(analysis))
        assert ">nan" not in text and " nan" not in text


NO_TWIN = {"noise": "its gaps are the disturbance itself", "selfcheck": "each of its comparisons has an A/A row"}


def test_every_topic_that_takes_time_has_a_twin() -> None:
    timed = [
        kernel for kernel in catalog(built_engine()).kernels.values() if kernel.kind != "counts" and not kernel.once
    ]
    topics_with = {kernel.topic for kernel in timed if kernel.twin}
    assert {kernel.topic for kernel in timed} - topics_with == set(NO_TWIN)
