"""The topic signal in the report."""

from __future__ import annotations

import pytest
from topics.analysed import analysed
from topics.signal.cases import signal_cases

from fencepost.analysis.report.document import build_document

pytestmark = pytest.mark.usefixtures("undrawn")


def test_signals_stand_beside_what_installs_their_handlers() -> None:
    document = build_document(analysed(signal_cases(), rounds=6))
    (section,) = document.sections
    (figure,) = section.figures
    assert figure.name == "signal-send"
    assert len(figure.table.rows) == 7
    assert figure.table.rows[-1][0] == "sigaction"
    assert document.ladder is not None and len(document.ladder.rows) == 3
