"""The page of the lecture notes: sentence, prediction, picture, verdict, mechanism, code, command, other machines."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from runs.analysed import analysed
from topics.suite import suite_cases

from fencepost.analysis.draw.number_line import EDGE, WIDTH, Range, number_line, short_number
from fencepost.analysis.report.code import KernelCode, packed_code
from fencepost.analysis.report.html import OtherVerdict, claims_page
from fencepost.analysis.report.lecture import Sentence, sentences, telling_first
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.table import MOST_TELLING
from fencepost.analysis.topics.claim import Outcome, claims
from fencepost.analysis.topics.mechanisms import Predicted, mechanisms, parse

NAN, INFINITE = float("nan"), float("inf")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analysed(suite_cases(), rounds=6)


@pytest.fixture(scope="module")
def said(analysis: Analysis) -> dict[str, Sentence]:
    return {item.claim.id: item for item in sentences(analysis)}


def test_every_sentence_has_a_mechanism_of_three_sentences() -> None:
    found = mechanisms()
    assert set(found) == {item.id for item in claims()}
    for name, mechanism in found.items():
        assert len(re.findall(r"[.?!](?:\s|$)", mechanism.text)) == 3, name


def test_a_section_in_another_form_is_refused_by_name() -> None:
    assert parse("# T\n\n## a/b\n\nPredicted: above\n\nOne.\nTwo.\n")["a/b"].text == "One. Two."
    for body in ("One.", "Predicted: sideways\n\nOne.", "Predicted: above"):
        with pytest.raises(ValueError, match="## a/b"):
            parse(f"# T\n\n## a/b\n\n{body}\n")


def shaded(svg: str) -> tuple[float, float]:
    """From where to where a picture is shaded."""
    (box,) = ElementTree.fromstring(svg).iter("rect")
    left = float(box.attrib["x"])
    return left, left + float(box.attrib["width"])


def place(svg: str) -> float:
    """Where the figure is."""
    (dot,) = ElementTree.fromstring(svg).iter("circle")
    return float(dot.attrib["cx"])


@pytest.mark.parametrize("value", [0.2, 12.0, 15.0, 40.0, 900.0])
@pytest.mark.parametrize("predicted", [Range(10, INFINITE), Range(-INFINITE, 10), Range(10, 20), Range(10, 10)])
def test_a_figure_is_in_the_shade_where_it_is_as_predicted(value: float, predicted: Range) -> None:
    svg = number_line("n", "t", (value, value * 0.9, value * 1.1), (10.0, 20.0), predicted, "ns")
    left, right = shaded(svg)
    assert (left <= place(svg) <= right) == (predicted.low <= value <= predicted.high)
    assert (left == 0) == (predicted.low == -INFINITE) and (right == WIDTH) == (predicted.high == INFINITE)
    for text in ElementTree.fromstring(svg).iter("text"):
        assert EDGE <= float(text.attrib["x"]) <= WIDTH - EDGE


def test_a_figure_without_an_interval_has_no_thick_line() -> None:
    bounded = number_line("n", "t", (1.0, 0.9, 1.1), (2.0,), Range(2, INFINITE), "<b>")
    alone = number_line("n", "t", (1.0, NAN, NAN), (2.0,), Range(2, INFINITE), "<b>")
    assert bounded.count("<path") == alone.count("<path") + 1
    assert "nan" not in alone and "&lt;b&gt;" in alone


@pytest.mark.parametrize(("number", "text"), [(10.0, "10"), (0.05, "0.05"), (1.02, "1.02"), (100.0, "100")])
def test_limits_are_round(number: float, text: str) -> None:
    assert short_number(number) == text


def test_the_words_of_a_prediction_name_its_limits(said: dict[str, Sentence]) -> None:
    assert mechanisms()["pipeline/dependence"].predicted is Predicted.ABOVE
    assert re.fullmatch(r"more than [\d.]+ times", said["pipeline/dependence"].prediction)
    unmeasured = said["lock/wait"]
    assert unmeasured.verdict.outcome is Outcome.NOT_MEASURABLE
    assert unmeasured.prediction == unmeasured.picture == "" and unmeasured.mechanism


def test_of_many_sentences_those_that_do_not_hold_are_shown(said: dict[str, Sentence]) -> None:
    shown, others = telling_first(list(said.values()))
    assert len(shown) == MOST_TELLING and len(shown) + len(others) == len(said)
    assert telling_first(shown) == (shown, [])
    outcomes = {item.verdict.outcome for item in others}
    for outcome in (Outcome.REFUTED, Outcome.DEPENDS, Outcome.UNDECIDED):
        assert outcome not in outcomes


def test_the_page_has_all_of_a_sentence(analysis: Analysis, said: dict[str, Sentence]) -> None:
    kernel = KernelCode("pipeline/chain", "s", "pipeline/chain: what?", "csrc/chain.c", "int <x>;", "  ret")
    left_out = KernelCode("mine/other", "s", "", "other.c", "int y;")
    others = {"pipeline/dependence": [OtherVerdict("Other <CPU>, 2026-01-02", "refuted", "1.0 times")]}
    page = claims_page(analysis, "report.html", packed_code([kernel, left_out], same_build=True), others)
    start = page.index('<article class="sentence" id="claim-pipeline-dependence">')
    article = page[start : page.index("</article>", start)]
    sentence = said["pipeline/dependence"]
    for words in (
        '<q lang="zh-Hant">',
        sentence.claim.english,
        f'<strong class="outcome {sentence.verdict.outcome}">',
        sentence.verdict.figure,
        'class="figure range"',
        f"Green: predicted, {sentence.prediction}.",
        sentence.mechanism,
        "<code>fencepost run pipeline/chain</code>",
        '<a href="#kernel-pipeline-chain">pipeline/chain</a>',
        '<a href="report.html#topic-pipeline">',
        'Other &lt;CPU&gt;, 2026-01-02: <strong class="outcome refuted">refuted</strong>, 1.0 times',
    ):
        assert words in article, words
    assert "int &lt;x&gt;;" in page and "  ret</pre>" in page
    # Of kernels that test no sentence there is nothing.
    assert "mine/other" not in page
    assert page.count("<article") == len(said)


def test_the_page_opens_without_code_or_gallery(analysis: Analysis) -> None:
    page = claims_page(analysis)
    assert '<body class="report claims"' in page, "its style sheet prints sentences"
    assert 'id="kernels"' not in page and "<code>fencepost show pipeline/chain</code>" in page


@pytest.mark.slow
def test_the_command_names_the_machines_of_the_gallery(tmp_path: Path) -> None:
    from runs.measure import fencepost_inside
    from runs.publish import measured, published

    published(tmp_path / "results", measured(tmp_path / "one", suite_cases(), cpu_model="First CPU"))
    measured(tmp_path / "two", suite_cases(), cpu_model="Second CPU")
    done = fencepost_inside("claims", "two", "--html", "c.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "measured on Second CPU" in page and "First CPU" in page and "Other machines of the gallery" in page
