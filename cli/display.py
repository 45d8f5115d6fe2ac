"""What all commands print with: rich tables on a terminal, text from outside always escaped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fencepost.analysis.text.escape import json_text, visible

if TYPE_CHECKING:
    from rich.console import Console

    from fencepost.cli.tables import PlainTable

PIPE_WIDTH = 10_000
"""Columns where no terminal says how wide it is. Programs read it there: a name is not folded, however long."""
READABLE_WIDTH = 160
"""Columns of bars and of columns of prose there."""


def console(*, err: bool = False) -> Console:
    """A console that neither guesses markup nor colours numbers in text from outside, and shows no hidden character.

    Here, where everything passes: a table made elsewhere need not think of it.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class PlainConsole(Console):
        within = False

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            """As rich does, with `visible` text. Rich renders the cells of a table by this too, and what a cell is made
            of: one look, when it leaves the table, is enough.
            """
            rendered = super().render(renderable, options)
            return rendered if self.within else self.shown(rendered)

        def shown(self, rendered: Iterable[Segment]) -> Iterator[Segment]:
            """Segments with `visible` text; rich's own control sequences are segments of another kind."""
            self.within = True
            try:
                for segment in rendered:
                    yield segment if segment.control else Segment(visible(segment.text), segment.style)
            finally:
                self.within = False

        def on_broken_pipe(self) -> None:
            """Leave it to the entry point: rich would exit with 1, as if `| head` were a fault."""
            raise BrokenPipeError

    stream = sys.stderr if err else sys.stdout
    return PlainConsole(stderr=err, highlight=False, markup=False, width=None if stream.isatty() else PIPE_WIDTH)


def readable_width(out: Console) -> int:
    """Columns for bars and prose: those of the terminal, and in a pipe as many as can be read."""
    return READABLE_WIDTH if out.width == PIPE_WIDTH else out.width


def say(out: Console, sentences: Iterable[str]) -> None:
    """Print sentences, one a line. A terminal gets its lines broken between words, and a pipe gets them whole."""
    for sentence in sentences:
        out.print(printable(sentence), soft_wrap=not out.is_terminal)


def table(
    title: str | None,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    heads: Iterable[str] = (),
) -> PlainTable:
    """A table of plain text: every cell is shown as it is, never read as markup.

    Columns named in `right` are aligned there; those in `whole` are never folded: they are copied, or are figures.
    `heads` are lines above the rows, one each.
    """
    from fencepost.cli.tables import PlainTable

    cells = [[printable(str(cell)) for cell in row] for row in rows]
    return PlainTable(title, columns, cells, frozenset(right), frozenset(whole), [*map(printable, heads)])


def unmeasurable_table(rows: Iterable[Sequence[object]]) -> PlainTable:
    """Cases that could not be measured, each with its reason."""
    return table("cannot be measured on this machine", ("case", "reason"), rows)


def printable(text: str) -> str:
    """`text` without control characters, which could drive the reader's terminal."""
    return visible(text)


def print_json(document: Any) -> None:
    """Print `document` as JSON: keys in their order, no NaN (null), UTF-8."""
    text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write(json_text(text) + "\n")


def print_json_line(document: Any) -> None:
    """Print `document` as one line of JSON, at once: whoever reads it waits for it."""
    sys.stdout.write(json_text(json.dumps(_finite(document), ensure_ascii=False, allow_nan=False)) + "\n")
    sys.stdout.flush()


def duration(nanoseconds: float) -> str:
    """A duration as people say it: ``840 ms``, ``12.3 s``, ``4 min 10 s``, ``3 h 05 min``, ``2 days 4 h``."""
    seconds = nanoseconds / 1e9
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours < 1:
        return f"{minutes} min {int(seconds % 60):02d} s"
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{hours // 24} days {hours % 24} h"


def short_path(path: Path) -> str:
    """`path` from the working directory where it lies below it, otherwise whole."""
    absolute = path.resolve()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
