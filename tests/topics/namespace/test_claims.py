"""The topic namespace in the report."""

from __future__ import annotations

import pytest
from runs.write import Case
from topics.analysed import analysed, verdict_of

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")

KINDS = ["none", "uts", "ipc", "cgroup", "pid", "user", "mount", "net"]


@pytest.mark.parametrize(
    ("net_ns", "outcome"), [(5e5, Outcome.CONFIRMED), (5e4, Outcome.DEPENDS), (5e3, Outcome.REFUTED)]
)
def test_a_network_is_more_than_a_name(net_ns: float, outcome: Outcome) -> None:
    cases = [
        Case(
            "namespace/unshare",
            {"kind": kind},
            ns={"net": net_ns, "none": 5e3}.get(kind, 1e4 + place),
            unit="namespace",
            kind="events",
            metrics={"end_ns": 1e5},
            metric_noise=0.0,
        )
        for place, kind in enumerate(KINDS)
    ]
    found = analysed(cases, rounds=6)
    assert verdict_of(found, "namespace/net").outcome is outcome
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "namespace-unshare"
    assert len(figure.table.rows) == 8
