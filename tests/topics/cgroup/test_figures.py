"""The topic cgroup in the report."""

from __future__ import annotations

import pytest
from runs.write import Case
from topics.analysed import analysed

from fencepost.analysis.report.document import build_document

pytestmark = pytest.mark.usefixtures("undrawn")

HIERARCHIES = ["folder", "v2", "pids", "memory"]


def test_hierarchies_stand_in_the_report() -> None:
    cases = [
        Case(
            "cgroup/create",
            {"hierarchy": hierarchy},
            ns=1e4 * (1 + place),
            unit="group",
            kind="events",
            metrics={"remove_ns": 1e4},
        )
        for place, hierarchy in enumerate(HIERARCHIES)
    ]
    (section,) = build_document(analysed(cases, rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "cgroup-create"
    assert len(figure.table.rows) == 4
