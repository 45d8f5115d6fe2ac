"""Panels over a common time as files, and the marks of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fencepost.analysis.draw.figure import Series, new_canvas
from fencepost.analysis.draw.lines import _draw_marks
from fencepost.analysis.draw.panels import Panel, save_panels

X = np.array([1.0, 2.0, 3.0])
PANELS = [
    Panel("quiet, %", [Series("CPU 0", X, X), Series("CPU 1", X, 2 * X)], low=0, high=100),
    Panel("gaps, %", [Series("CPU 0", X, np.full(3, np.nan)), Series("CPU 1", X, X)]),
]


def test_a_picture_names_lines_once_and_panels_each(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        save_panels(tmp_path / name, "how $free$ <it> was", "seconds", PANELS)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    said = [word for word in ("CPU 0", "CPU 1", "quiet, %", "gaps, %", "seconds") if text.count(f">{word}<") == 1]
    assert len(said) == 5
    assert "how $free$ &lt;it&gt; was" in text and ">100<" in text


def test_a_picture_without_a_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        save_panels(tmp_path / "nowhere" / "a.png", "t", "x", PANELS)


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ([(12.0, "semaphore"), (13.0, "mutex")], ["semaphore, mutex"]),
        ([(300.0, "mutex"), (3.0, "semaphore")], ["semaphore", "mutex"]),
        ([(2.0, "a"), (2.1, "b"), (2.2, "c"), (900.0, "d")], ["a, b, c", "d"]),
    ],
)
def test_marks_that_would_lie_on_each_other_share_their_words(marks: list[tuple[float, str]], words: list[str]) -> None:
    with new_canvas("marks", 3.5) as (_, axes):
        axes.set_xscale("log")
        axes.set_xlim(1, 1000)
        _draw_marks(axes, marks)
        assert [text.get_text() for text in axes.texts] == words
        assert len(axes.lines) == len(marks), "each has its line"
