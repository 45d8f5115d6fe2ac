"""Reports whose pictures are empty, for tests of all else in them: most of the time of a report is drawing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG

from fencepost.analysis.draw import figure, lines, parallel
from fencepost.analysis.report import write


@contextlib.contextmanager
def without_drawing() -> Iterator[None]:
    """Pictures with their title, description and what their marks say, without shapes: no fork is worth the little
    time that they take.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasSVG, "print_svg", lambda *_, **__: None)
        patch.setattr(write, "card_files", lambda _: {".svg": b"<svg/>", ".png": b"\x89PNG"})
        patch.setattr(figure, "tidy", _empty)
        # Half of a drawing is to find places for it.
        patch.setattr(lines, "lay_out", lambda _: None)
        patch.setattr(parallel, "WORTHWHILE", sys.maxsize)
        yield


def _empty(
    _svg: str,
    name: str,
    title: str,
    description: str,
    _colours: Any,
    said: Mapping[str, Sequence[str]] | None,
    *_: Any,
    **__: Any,
) -> str:
    ids = f"{name}-title {name}-description"
    first, second = ids.split()
    words = f'<title id="{first}">{escape(title)}</title><desc id="{second}">{escape(description)}</desc>'
    words += "".join(f"<g><title>{escape(text)}</title></g>" for texts in (said or {}).values() for text in texts)
    return f'<svg class="figure" role="img" aria-labelledby="{ids}" viewBox="0 0 9 9">{words}</svg>'
