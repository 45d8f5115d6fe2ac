"""Causes of gaps, and interrupts of a whole run by line, in the report."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from runs.write import Case
from topics.analysed import analysed, figures_of

from fencepost.analysis.runs.columns import Columns
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.analysis.topics.interrupt.measures import lines

pytestmark = pytest.mark.usefixtures("undrawn")

RATE = Case(
    "interrupt/rate",
    unit="turn",
    kind="counts",
    metrics={"timer_per_s": 250.0, "all_per_s": 252.0, "gaps_per_s": 1600.0},
    metric_noise=0.0,
)
CAUSE = Case(
    "interrupt/cause",
    unit="look",
    kind="counts",
    metrics={
        "gaps_per_s": 1600.0,
        "named_pct": 20.0,
        "named_time_pct": 40.0,
        "switch_pct": 5.0,
        "timer_pct": 15.0,
        "interrupt_pct": 0.0,
        "softirq_pct": 0.0,
        "chance_pct": 1.0,
        "found_pct": 100.0,
    },
    metric_noise=0.0,
)


def test_causes_stand_in_the_report() -> None:
    figure = figures_of(analysed([CAUSE], rounds=6))["interrupt-cause"]
    assert figure.table.rows[0][0] == "another thread ran"
    assert "By chance 1" in figure.description


def test_lines_are_summed_over_the_rounds_that_tell() -> None:
    plain = analysed([RATE], rounds=6)
    assert lines(plain) == []
    workers = plain.reduced.workers.assign(elapsed_ms=1000.0)
    of = {"interrupts": {"LOC: Local timer interrupts": 300, "36: virtio1-req.0": 5}, "softirqs": {"RCU": 7}}
    # A run that was begun by an older version, and completed by this one.
    workers["interrupts"] = pd.Series([None, of, of, None, of, of], dtype=object)
    told = replace(plain, reduced=replace(plain.reduced, by_round=Columns.of(workers)))
    assert [(line.kind, line.name, line.sum, line.per_s) for line in lines(told)] == [
        ("interrupt", "LOC: Local timer interrupts", 1200, 300.0),
        ("softirq", "RCU", 28, 7.0),
        ("interrupt", "36: virtio1-req.0", 20, 5.0),
    ]
    assert len(figures_of(told)["interrupt-lines"].table.rows) == 3
    # They are kept where a run is published.
    assert b"virtio1-req.0" in encode_rows(told.reduced)
    assert b"virtio1-req.0" not in encode_rows(plain.reduced)
