"""Warnings: a closed set, each with what was seen, its cause and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.report import warnings
from fencepost.analysis.report.trust import trust_verdict
from fencepost.analysis.report.warnings import Kind, RunWarning
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.rows_file import decode_rows, encode_rows
from fencepost.bench import schema

pytestmark = pytest.mark.usefixtures("undrawn")

QUIET = Case("plain/loop", ns=10, process_noise=0.0)


def collect(*cases: Case, rounds: int = 12, **options: Any) -> dict[Kind, RunWarning]:
    options = {"unmeasurable": []} | options
    analysis = analysed(cases, rounds=rounds, **options)
    return {item.kind: item for item in warnings.collect(analysis)}


def test_a_quiet_complete_run_warns_of_nothing() -> None:
    assert collect(QUIET, QUIET.twin()) == {}


ROWS: dict[Kind, Case] = {
    Kind.FAILED: Case("plain/x", status="failed", reason="wrong sum"),
    Kind.MODES: Case("plain/x", ns=50, modes=((1.0, 0.5), (2.0, 0.5))),
    Kind.NOISY: Case("plain/x", gap_share=0.4),
    Kind.MIGRATED: Case("plain/x", flags=schema.FLAGS["migrated"]),
    Kind.LOW_OVERLAP: Case("plain/x", flags=schema.FLAGS["low_overlap"]),
    Kind.HAND_OVER_DRIFT: Case("plain/x", flags=schema.FLAGS["hand_over_drift"]),
    Kind.SHORT: Case("plain/x", flags=schema.FLAGS["short"]),
    Kind.UNLOADED: Case("plain/x", metrics={"loaded_pct": 70.0}),
    Kind.NO_CYCLES: Case("plain/x", chain_ratio=2.0),
    Kind.ONCE: Case("plain/x", once=True),
    Kind.NOT_MEASURABLE: Case("plain/x", status="unsupported", reason="needs root"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_with_a_flag_are_named(kind: Kind) -> None:
    found = collect(QUIET, QUIET.twin(), ROWS[kind])
    assert found[kind].cases == (ROWS[kind].id,)
    assert "1 row" in found[kind].seen


def test_a_run_that_was_cut_short() -> None:
    found = collect(QUIET, QUIET.twin(), rounds=2, planned_rounds=20)
    assert "2 of 20 rounds" in found[Kind.INCOMPLETE_RUN].seen
    assert "--resume" in found[Kind.INCOMPLETE_RUN].next_step
    assert found[Kind.FEW_ROUNDS].cases == (QUIET.id, QUIET.id + "~twin")


def test_no_round_is_one_thing_to_say() -> None:
    assert set(collect(QUIET, rounds=0, planned_rounds=20)) == {Kind.INCOMPLETE_RUN, Kind.NOT_MEASURED}


def test_no_twin() -> None:
    assert Kind.NO_TWIN in collect(QUIET)


def test_twins_that_differ() -> None:
    found = collect(QUIET, Case("plain/loop", ns=10.4, process_noise=0.0, twin_of=QUIET.id))
    assert "4.0 %" in found[Kind.NOISE_FLOOR].seen


def test_gaps() -> None:
    gaps = Case("noise/gaps", ns=3000, kind="events", metrics={"lost_pct": 7.0})
    assert "7.0 %" in collect(QUIET, QUIET.twin(), gaps)[Kind.GAPS].seen


def test_a_core_clock_that_wanders(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [QUIET], rounds=3, unmeasurable=[])
    generator = np.random.default_rng(9)
    slow = synthetic.make_round([Case("plain/loop", ns=10, core_hz=3e9)], 2, "run", 12, generator)
    synthetic.write_round(schema.round_file(folder, 2), *slow)
    found = {item.kind: item for item in warnings.collect(analyse(folder))}
    assert "from 3.0" in found[Kind.CLOCK_WANDERS].seen


def test_a_coarse_counter() -> None:
    found = collect(QUIET, QUIET.twin(), quantum=26)
    assert "26 ticks (10.4" in found[Kind.COARSE_TICKS].seen


def test_a_traced_worker_costs_the_trust(tmp_path: Path) -> None:
    analysis = analyse(synthetic.write_run(tmp_path / "run", [QUIET, QUIET.twin()], rounds=12, unmeasurable=[]))
    assert trust_verdict(analysis).word == "Yes"
    analysis.reduced.workers["traced"] = [True] * 3 + [None] * 9
    again = decode_rows(tmp_path / "rows.parquet", encode_rows(analysis.reduced), tmp_path / "run")
    assert list(again.workers["traced"] == True) == [True] * 3 + [False] * 9  # noqa: E712
    (found,) = warnings.collect(analysis)
    assert found.kind == Kind.TRACED and "in 3 of 12 rounds" in found.seen
    verdict = trust_verdict(analysis)
    assert verdict.word == "Hardly" and "traced the worker in 3 of 12 rounds" in verdict.sentence


def test_every_kind_of_row_has_words_and_every_warning_three_parts() -> None:
    cases = [Case(f"plain/{kind}", **_changes(case)) for kind, case in ROWS.items()]
    for item in collect(*cases, rounds=5, planned_rounds=9, quantum=26).values():
        assert item.seen and item.cause and item.next_step
        for part in (item.seen, item.cause, item.next_step):
            assert part.endswith(".")
        assert item.sentence.startswith(item.seen)


def _changes(case: Case) -> dict[str, Any]:
    return {
        name: getattr(case, name)
        for name in ("ns", "modes", "gap_share", "flags", "status", "reason", "once", "chain_ratio")
    }


def test_flags_of_rows_are_kinds() -> None:
    analysis = analysed([*ROWS.values()], rounds=3)
    for row in analysis.rows:
        assert set(row.flags) <= {str(kind) for kind in Kind}
