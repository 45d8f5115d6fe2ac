"""Pages of reports, read by tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from xml.etree.ElementTree import Element

from fencepost.analysis.topics.words import page_words

EVIL = "<script>alert(1)</script> | `x` [a](http://b) $c$ & <img src=x onerror=alert(1)>"
CELLS = ("td", "th")
VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
SHAPES = {SVG + name for name in ("path", "line", "circle", "rect", "text", "use")}


def pictures(text: str) -> list[Element]:
    """All pictures of a page or a file, each read as if it had been copied into a file of its own.

    What it needs there is checked: the names of its language, links to shapes by their older name, and looks that need
    no style sheet.
    """
    found = [ElementTree.fromstring(part) for part in re.findall(r"<svg .*?</svg>", text, re.DOTALL)]
    for root in found:
        assert root.tag == SVG + "svg"
        assert all("style" not in element.attrib and element.tag != SVG + "style" for element in root.iter())
        assert all("href" not in use.attrib and LINK in use.attrib for use in root.iter(SVG + "use"))
        painted(root, seen=False)
    return found


def painted(element: Element, *, seen: bool) -> None:
    """Each shape has a colour, its own or that of a group around it."""
    seen = seen or any(element.attrib.get(name, "none") != "none" for name in ("fill", "stroke"))
    assert seen or element.tag not in SHAPES, element.attrib
    for child in element:
        painted(child, seen=seen)


class Page(HTMLParser):
    """Tags in order, with what is inside of them, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open, self.open

    def end(self, *tags: str) -> None:
        """Close the innermost elements of these kinds: cells and rows need no end of their own."""
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end(*{"td": CELLS, "th": CELLS, "tr": (*CELLS, "tr")}.get(tag, ()))
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.end(*{"tr": CELLS, "tbody": (*CELLS, "tr")}.get(tag, ()))
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))

    def named(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in tags)


def title(topic: str) -> str:
    """The heading of a topic's section."""
    words = page_words(topic)
    assert words is not None
    return words.title


def scripts(html: str) -> list[str]:
    """Contents of the scripts that are run."""
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
