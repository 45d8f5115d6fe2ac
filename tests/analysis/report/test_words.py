"""Words of topics: once in docs/topics, from there in the report; a kernel without a page speaks for itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.report.document import Document, build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.report.markdown import as_markdown
from fencepost.analysis.text.escape import COMMAND
from fencepost.analysis.text.pages import PAGES
from fencepost.analysis.topics.words import Words, listed_topics, page_words, parse, place

PAGE = """# A title

## Question

What does it
cost?

## How to read it

See `mine/one` and [the other page](other.md).

Then again.

## What it does not show

Much.

## Kernels

| `mine/two` | [x](y.md) |
"""
TOPICS = sorted(path.stem for path in PAGES.glob("*.md") if path.name != "README.md")


def shown(*cases: Case) -> Document:
    return build_document(analysed(list(cases), rounds=6, unmeasurable=[]))


def test_a_page_gives_its_title_and_three_sections() -> None:
    assert parse(PAGE, "p") == Words(
        "A title",
        "What does it cost?",
        ("See `mine/one` and the other page.", "Then again."),
        ("Much.",),
        frozenset({"mine/one", "mine/two"}),
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("# A title\n", "\n", "p: the first line is not a title"),
        ("## Question", "## Questions", "p: no section '## Question'"),
        ("Much.\n", "\n", "p: the section '## What it does not show' must be paragraphs only"),
        ("Much.\n", "- Much.\n", "p: the section '## What it does not show' must be paragraphs only"),
        ("Then again.", "| a | b |", "p: the section '## How to read it' must be paragraphs only"),
        ("cost?", "cost?\n\nAnd then?", "p: the section '## Question' must be one paragraph"),
    ],
)
def test_a_page_in_another_form_is_refused_by_name(before: str, after: str, said: str) -> None:
    assert before in PAGE
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(PAGE.replace(before, after), "p")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_page_can_be_shown(topic: str) -> None:
    words = page_words(topic)
    assert words is not None and words.question.endswith("?")
    for text in (words.question, *words.how_to_read, *words.not_shown):
        # Of Markdown the report shows code spans, and those only where they have the form of a command or name.
        assert "`" not in COMMAND.sub("", text), text
        assert not re.search(r"\*\w|\w\*", text), text


def sentences(page: str) -> list[str]:
    """The sentences of a page's paragraphs and lists; a code span counts as a word."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] |\d+\. )", re.sub(r"```.*?```", "", page, flags=re.DOTALL)):
        if not block.lstrip().startswith(("|", "#")):
            text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", re.sub(r"`[^`]*`", "Code", " ".join(block.split())))
            found += re.split(r"(?<=[.?!])\s+(?=[A-Z0-9\"(])", text.replace("*", ""))
    return found


PROSE = [*sorted(PAGES.glob("*.md")), *sorted(PAGES.parent.glob("*.md"))]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_sentences_are_short(page: Path) -> None:
    """One idea a sentence. A longer list is a table."""
    long = [text for text in sentences(page.read_text(encoding="utf-8")) if len(re.findall(r"\S*\w\S*", text)) > 25]
    assert long == []


def test_the_list_names_every_page_by_its_title() -> None:
    assert sorted(listed_topics()) == TOPICS
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+?)\]\((.+?)\.md\)", text, re.MULTILINE)
    assert listed == [(words.title, topic) for topic in listed_topics() if (words := page_words(topic)) is not None]


def test_topics_without_a_page_come_last_by_name() -> None:
    assert sorted(["zeta", "noise", "alpha", "clock"], key=place) == ["clock", "noise", "alpha", "zeta"]


@pytest.mark.parametrize("name", ["nothing", "../../README", "README", "", "a/b", "clock\n"])
def test_no_page_is_looked_for_outside_of_the_folder(name: str) -> None:
    assert page_words(name) is None


def test_the_section_shows_the_words_of_the_page() -> None:
    document = shown(Case("clock/read", {"read": "rdtsc"}, ns=9.0))
    words = page_words("clock")
    assert words is not None
    (section,) = document.sections
    assert section.words == words and section.kernels is None
    assert "`clock/delta` shows the shortest interval" in " ".join(words.how_to_read)
    assert "<code>clock/delta</code> shows the shortest interval" in as_html(document)
    assert f"{words.question}\n" in as_markdown(document, "pictures")


def test_a_kernel_without_a_page_speaks_for_itself() -> None:
    """One C file is enough: its summary and its unit are in the run."""
    mine = [Case("mine/readv", {"pieces": pieces}, ns=9.0, unit="call") for pieces in (1, 2)]
    document = shown(*mine, Case("clock/mine", ns=9.0))
    clock, section = document.sections
    assert (section.words.title, section.words.question) == ("Mine", "What do these kernels cost on this machine?")
    assert section.kernels is not None and clock.kernels is not None
    assert list(section.kernels.rows) == [("mine/readv", mine[0].planned()["summary"], "call")]
    assert [row[0] for row in clock.kernels.rows] == ["clock/mine"]
    for text in (as_html(document), as_markdown(document, "pictures")):
        assert text.count(section.kernels.caption) >= 2
