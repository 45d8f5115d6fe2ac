"""The words of a topic: the first sections of its page, ``docs/topics/TOPIC.md``.

A page begins with its title and three sections under fixed headings. The report shows these four and leaves out the
rest. The sections are plain paragraphs: code spans stay, and of a link only the text stays. The list in
``docs/topics/README.md`` gives the order of the topics.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from fencepost.analysis.text.pages import PAGES

QUESTION, HOW_TO_READ, NOT_SHOWN = "Question", "How to read it", "What it does not show"

_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")
_LISTED = re.compile(r"^- \[[^\]]+\]\(([a-z0-9_]+)\.md\)", re.MULTILINE)
_KERNEL = re.compile(r"`([a-z0-9_]+/[a-z0-9_]+)`")


@dataclass(frozen=True)
class Words:
    """What the report says about a topic besides figures. Paragraphs may hold code spans in backticks.

    Attributes
    ----------
    title, question
        one line and one paragraph.
    how_to_read, not_shown
        paragraphs.
    kernels
        names of the kernels that the page describes.
    """

    title: str
    question: str
    how_to_read: tuple[str, ...]
    not_shown: tuple[str, ...]
    kernels: frozenset[str] = frozenset()


def parse(page: str, name: str) -> Words:
    """The words of a page.

    Parameters
    ----------
    page
        its text, Markdown.
    name
        what errors call it.

    Raises
    ------
    ValueError
        where the title or one of the three sections is missing, empty, or more than paragraphs.
    """
    head, *parts = re.split(r"^## +(.+?) *$", page, flags=re.MULTILINE)
    title = re.match(r"# +(.+)", head)
    if title is None:
        raise ValueError(f"{name}: the first line is not a title")
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    found = {}
    for heading in (QUESTION, HOW_TO_READ, NOT_SHOWN):
        if heading not in sections:
            raise ValueError(f"{name}: no section '## {heading}'")
        found[heading] = _paragraphs(sections[heading])
        if not found[heading] or any(re.match(r"[#|>]|[-*+] |```|\d+\. ", text) for text in found[heading]):
            raise ValueError(f"{name}: the section '## {heading}' must be paragraphs only")
    if len(found[QUESTION]) != 1:
        raise ValueError(f"{name}: the section '## {QUESTION}' must be one paragraph")
    return Words(
        title=title[1].strip(),
        question=found[QUESTION][0],
        how_to_read=found[HOW_TO_READ],
        not_shown=found[NOT_SHOWN],
        kernels=frozenset(_KERNEL.findall(page)),
    )


def _paragraphs(section: str) -> tuple[str, ...]:
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", section))
    return tuple(_LINK.sub(r"\1", text) for text in joined if text)


@functools.cache
def page_words(topic: str) -> Words | None:
    """The words of a topic's page; None for a topic that has no page.

    The name may come from a run folder that was edited by hand: only a plain word is looked for.
    """
    path = PAGES / f"{topic}.md"
    if not re.fullmatch(r"[a-z0-9_]+", topic) or not path.is_file():
        return None
    return parse(path.read_text(encoding="utf-8"), f"docs/topics/{path.name}")


@functools.cache
def listed_topics() -> tuple[str, ...]:
    """The topics in the order of the report: that of the list in docs/topics/README.md."""
    return tuple(_LISTED.findall((PAGES / "README.md").read_text(encoding="utf-8")))


def place(topic: str) -> tuple[int, str]:
    """What topics are sorted by: the place in the list; those that it does not name come last, by name."""
    listed = listed_topics()
    return (listed.index(topic) if topic in listed else len(listed), topic)
