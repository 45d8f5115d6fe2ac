"""The topic coroutine in the report."""

from __future__ import annotations

import pytest
from topics.analysed import analysed
from topics.coroutine.cases import coroutine_cases

from fencepost.analysis.report.document import build_document

pytestmark = pytest.mark.usefixtures("undrawn")


def test_ways_and_numbers_of_coroutines_have_a_picture_each() -> None:
    document = build_document(analysed(coroutine_cases(), rounds=6))
    (section,) = document.sections
    ways, many = section.figures
    assert [row[0] for row in ways.table.rows] == [
        "a call of a function",
        "own assembly, by a jump",
        "own assembly, by a return",
        "by a jump, with the control words of floating point",
        "setjmp and longjmp",
        "swapcontext",
        "Boost.Context",
    ]
    assert [row[0] for row in many.table.rows] == ["1", "100"]
    assert document.ladder is not None and len(document.ladder.rows) == 2
