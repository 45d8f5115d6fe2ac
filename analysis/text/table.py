"""Tables as captions, headings and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DASH = "–"


THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


SPACE = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, and inside of brackets: a narrow table breaks before the bracket only."""


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of each row is its heading. Nothing in it is escaped yet."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A `Table` from any sequences."""
    return Table(caption, tuple(header), tuple(tuple(row) for row in rows))
