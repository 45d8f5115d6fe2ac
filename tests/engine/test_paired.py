"""A case whose events are an operation less its control: from the kernel to the report, also where that is negative."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import measure as runtime
from runs.measure import MACHINE, any_cpu, run_record, tiny_plan

from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.rows_file import encode_rows, read_reduced
from fencepost.bench import runfolder, runner, schema

pytestmark = pytest.mark.usefixtures("undrawn")

CHEAP, DEAR = (f"pair/event[control={ticks}]@cpu{any_cpu()}" for ticks in (400, 1700))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rounds of a kernel whose operation takes 1000 to 1002 ticks, its control 400 or 1700."""
    plan = tiny_plan(["pair/*", "good/events"], rounds=6)
    with runfolder.create(tmp_path_factory.mktemp("paired"), MACHINE, run_record(plan)) as made:
        runner.Runner(runtime.fault_engine(), made).run()
    return made.path


@pytest.fixture(scope="module")
def analysis(folder: Path) -> Analysis:
    return analyse(folder)


def row(analysis: Analysis, case: str) -> Row:
    return analysis.by_case[case]


@pytest.mark.parametrize(("case", "net"), [(CHEAP, 601), (DEAR, -699)])
def test_a_round_keeps_differences_of_both_signs(folder: Path, case: str, net: int) -> None:
    entry = runfolder.read_round_record(schema.round_file(folder, 1))["cases"][case]
    assert entry["status"] == "ok", entry["reason"]
    assert entry["histogram"] == {"ticks": [net - 1, net, net + 1], "count": [6, 6, 6]}
    assert entry["metrics"]["operation_ticks"] == 1001
    assert entry["metrics"]["control_ticks"] == 1001 - net


@pytest.mark.parametrize(("case", "net"), [(CHEAP, 601), (DEAR, -699)])
def test_the_row_is_the_difference_and_both_sides_stand_beside_it(analysis: Analysis, case: str, net: int) -> None:
    found = row(analysis, case)
    tick_ns = 1e9 / float(analysis.processes["tick_hz"].median())
    assert found.paired
    assert found.time.value == pytest.approx(net * tick_ns, rel=1e-3)
    assert found.time.low <= found.time.value <= found.time.high
    assert found.floor_ns != found.floor_ns, "no smallest batch: a difference is no cost that was seen"
    assert found.metric("operation_ticks").value - found.metric("control_ticks").value == net
    assert found.ns_of("control_ticks").value == pytest.approx((1001 - net) * tick_ns, rel=1e-3)
    assert found.quantiles["min"] == pytest.approx((net - 1) * tick_ns, rel=1e-3)


def test_a_control_that_fails_fails_the_case(analysis: Analysis) -> None:
    reason = str(row(analysis, f"pair/broken@cpu{any_cpu()}").reason)
    assert "measuring the control failed" in reason


def test_other_rows_say_nothing_of_a_control(analysis: Analysis, folder: Path) -> None:
    case = f"good/events@cpu{any_cpu()}"
    assert not row(analysis, case).paired
    planned = next(item for item in schema.read_run(folder)["plan"]["cases"] if item["case"] == case)
    assert "paired" not in planned
    entry = runfolder.read_round_record(schema.round_file(folder, 1))["cases"][case]
    assert set(entry["metrics"]) == set()


def test_a_reduced_run_says_the_same(analysis: Analysis, folder: Path, tmp_path: Path) -> None:
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / schema.ROWS_FILE).write_bytes(encode_rows(analysis.reduced))
    assert read_reduced(tmp_path).histograms[DEAR].ticks.tolist() == [-700, -699, -698]
    assert row(analyse(tmp_path), DEAR).time == row(analysis, DEAR).time


def test_a_negative_figure_reaches_json_html_and_markdown(folder: Path, tmp_path: Path) -> None:
    rows = {item["case"]: item for item in as_json(folder)["rows"]}
    dear, cheap = rows[DEAR]["ns"], rows[CHEAP]["ns"]
    assert dear is not None and cheap is not None and dear < 0 < cheap
    assert rows[DEAR]["paired"] and rows[DEAR]["floor_ns"] is None
    assert "paired" not in rows[f"good/events@cpu{any_cpu()}"]
    write_report(folder, tmp_path / "report.html", tmp_path / "report.md")
    for page in (tmp_path / "report.html", tmp_path / "report.md"):
        text = page.read_text(encoding="utf-8")
        line = next(line for line in text.split("<tr" if page.suffix == ".html" else "\n") if "control=1700" in line)
        assert "\N{MINUS SIGN}" in line and "less its control" in text
    picture = (tmp_path / "report_figures" / "pair-rows.svg").read_text(encoding="utf-8")
    assert "event control=1700" in picture, "a row below zero is drawn like any other"
