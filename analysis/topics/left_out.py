"""Sentences of the lecture notes that have no verdict: ``docs/lecture.md`` lists them, and the report and `fencepost
claims` show that list.
"""

from __future__ import annotations

import functools
import re
from typing import TypedDict

from fencepost.analysis.text.pages import PAGES
from fencepost.analysis.text.table import Table

_PAGE = PAGES.parent / "lecture.md"
_HEADING = "What was left out"
_ROW = re.compile(r"^\| (?P<lines>\d[\d, –]*) \| (?P<words>.+?) \| (?P<reason>.+?) \|$", re.MULTILINE)


class LeftOutJson(TypedDict):
    """Words of the notes that have no verdict: their lines there, and the reason."""

    lines: str
    words: str
    reason: str


@functools.cache
def left_out() -> tuple[LeftOutJson, ...]:
    """The sentences without a verdict, by line, as ``docs/lecture.md`` lists them. Code spans lose their backticks.

    Raises
    ------
    ValueError
        where that page has no such list.
    """
    return _listed(_PAGE.read_text(encoding="utf-8"), _PAGE.name)


def _listed(page: str, name: str) -> tuple[LeftOutJson, ...]:
    _, _, section = page.partition(f"\n## {_HEADING}\n")
    found = [{key: text.replace("`", "") for key, text in row.groupdict().items()} for row in _ROW.finditer(section)]
    if not found:
        raise ValueError(f"docs/{name}: no list of sentences in the section '## {_HEADING}'")
    return tuple(LeftOutJson(lines=row["lines"], words=row["words"], reason=row["reason"]) for row in found)


TITLE = "Sentences without a verdict"


def left_out_table() -> Table:
    """The same as a table."""
    rows = tuple((item["words"], item["lines"], item["reason"]) for item in left_out())
    caption = "Sentences of the lecture notes without a verdict, and the reason of each"
    return Table(caption, ("words of the notes", "lines", "why there is no verdict"), rows)
