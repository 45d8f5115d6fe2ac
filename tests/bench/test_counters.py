"""Hardware counters from the process that reads them to the report, on a machine that a library plays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compile import UNTIMED, compile_once
from runs import measure as runtime
from runs.write import Case
from topics.analysed import analysed

from fencepost.analysis.report.beside import beside_tables
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.tables import topic_tables
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.text.table import DASH
from fencepost.bench import runfolder, schema

PRELOADED = Path(__file__).with_name("preloaded_counters.c")
FIRST = {"hw_cycles", "hw_instructions", "hw_branch_misses", "hw_ipc"}
SECOND = {"hw_l1_misses", "hw_llc_misses", "hw_dtlb_misses"}
COLUMN = "counted by the hardware"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds beside a library whose counters count."""
    base = tmp_path_factory.mktemp("counters")
    library = base / "counters.so"
    compile_once(library, ["cc", *UNTIMED, "-shared", "-fPIC", str(PRELOADED), "-ldl"])
    answer = runtime.fencepost(
        *(
            "run",
            "good/steady",
            "good/events",
            "pair/event",
            "--profile",
            "quick",
            "--rounds",
            "2",
            "--out",
            str(base / "runs"),
            "-q",
        ),
        cwd=base,
        env=runtime.environment(LD_PRELOAD=str(library)),
    )
    assert answer.returncode == 0, answer.stderr
    return next((base / "runs").iterdir())


def test_groups_take_turns_by_round(folder: Path) -> None:
    for number, names in ((1, FIRST), (2, SECOND)):
        cases = runfolder.read_round_record(schema.round_file(folder, number))["cases"]
        for case in cases.values():
            found = {name for name in case["metrics"] if name.startswith("hw_")}
            # Net of an empty window, a disturbed one comes out below zero. Then there is no quotient.
            assert found | ({"hw_ipc"} & names) == names


def test_a_row_says_what_was_counted(folder: Path) -> None:
    row = next(row for row in analyse(folder).rows if row.kernel == "good/steady")
    assert row.metric("hw_ipc").value == pytest.approx(2.0, rel=1e-3)
    assert row.metric("hw_instructions").value > row.metric("hw_cycles").value > 0
    assert {name for name in row.metrics if name.startswith("hw_")} == FIRST | SECOND


def test_the_document_for_programs_has_them(folder: Path) -> None:
    document = json.loads(json.dumps(as_json(folder)))
    row = next(row for row in document["rows"] if row["kernel"] == "good/steady")
    assert row["metrics"]["hw_ipc"]["value"] == pytest.approx(2.0, rel=1e-3)


def test_the_report_has_a_column_for_them_where_some_row_has_any() -> None:
    metrics = {"hw_cycles": 3.0, "hw_instructions": 8.97, "hw_ipc": 2.99, "hw_l1_misses": 0.0, "own_pct": 5.0}
    cases = [Case("mine/counted", metrics=metrics, metric_noise=0.0), Case("mine/other", metrics={"own_pct": 1.0})]
    analysis = analysed(cases, rounds=6)
    (estimates,) = topic_tables(analysis, "mine")
    column = estimates.header.index(COLUMN)
    assert [row[column] for row in estimates.rows] == [
        "cycles 3.00; instructions 8.97; IPC 2.99; L1 misses 0",
        DASH,
    ]
    # Not a second time among the figures beside time.
    assert {cells for item in beside_tables(analysis, "mine") for cells in item.header} == {"case", "own_pct"}


def test_the_report_has_no_such_column_without() -> None:
    (estimates,) = topic_tables(analysed([Case("mine/plain")], rounds=6), "mine")
    assert COLUMN not in estimates.header
