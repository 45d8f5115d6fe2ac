"""Tables as captions, headings and cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DASH = "–"


THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"


SPACE = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, and inside of brackets: a narrow table breaks before the bracket only."""


LONG = 30
"""A table of more rows is too long to be read: about one screen."""

MOST_TELLING = 10
"""Rows that a long table shows. The others are folded."""


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of each row is its heading. Nothing in it is escaped yet. `telling` has the
    places of the rows that tell most, for a table that is long.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    telling: tuple[int, ...] = ()

    @property
    def open(self) -> tuple[int, ...]:
        """Places of the rows that are shown at once: of a long table those that tell most, of another one all.

        Where a long table does not name them, they are spread evenly from the first to the last: rows are mostly in the
        order of a parameter.
        """
        last = len(self.rows) - 1
        if last < LONG:
            return tuple(range(len(self.rows)))
        spread = (round(place * last / (MOST_TELLING - 1)) for place in range(MOST_TELLING))
        return tuple(sorted(self.telling or spread))

    @property
    def folded(self) -> tuple[int, ...]:
        """Places of the other rows."""
        shown = frozenset(self.open)
        return tuple(place for place in range(len(self.rows)) if place not in shown)


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], telling: Sequence[int] = ()) -> Table:
    """A `Table` from any sequences."""
    return Table(caption, tuple(header), tuple(tuple(row) for row in rows), tuple(telling))
