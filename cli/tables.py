"""Tables of text on a terminal. Rich would look at each cell five times: of a thousand rows that took two seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

GAP = "   "
"""Between two columns."""
NARROWEST = 4
"""Columns are not folded below so many characters: what does not fit then is cut at the edge of the terminal."""


@dataclass(frozen=True)
class PlainTable:
    """A title, a header and rows. Cells of columns in `right` are aligned there. Those in `whole` are never folded.

    `heads`: a line above each row, for names that would be folded to pieces in a column.
    """

    title: str | None
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    heads: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines of text, as rich asks for them."""
        if self.title:
            yield Text(self.title, style="table.title")
        widths = self._widths(options.max_width)
        bold = Style(bold=True)
        yield Segment.line()
        for line in self._lines(console, self.columns, widths):
            yield Segment(line[: options.max_width], bold)
            yield Segment.line()
        yield Segment(f" {'─' * (sum(widths) + len(GAP) * (len(widths) - 1))}"[: options.max_width])
        yield Segment.line()
        for place, row in enumerate(self.rows):
            if self.heads:
                yield Segment(f" {self.heads[place]}\n", bold)
            for line in self._lines(console, row, widths):
                yield Segment(f"{line[: options.max_width]}\n")
        yield Segment.line()

    def _widths(self, room: int) -> list[int]:
        """Characters of each column: as many as its widest cell has, unless the table is wider than the terminal."""
        widths = [max(map(cell_len, texts)) for texts in zip(self.columns, *self.rows, strict=True)]
        excess = 2 + sum(widths) + len(GAP) * (len(widths) - 1) - room
        folded = [place for place, name in enumerate(self.columns) if name not in self.whole]
        while excess > 0 and folded:
            widest = max(folded, key=widths.__getitem__)
            if widths[widest] <= NARROWEST:
                break
            widths[widest] -= 1
            excess -= 1
        return widths

    def _lines(self, console: Console, cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
        """The lines of a row, without spaces at their ends."""
        folded = [
            [cell] if cell_len(cell) <= width else [line.plain for line in Text(cell).wrap(console, width)]
            for cell, width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, folded))):
            texts = []
            for name, lines, width in zip(self.columns, folded, widths, strict=True):
                text = lines[number] if number < len(lines) else ""
                filling = " " * (width - cell_len(text))
                texts.append(filling + text if name in self.right else text + filling)
            yield f" {GAP.join(texts)}".rstrip()
