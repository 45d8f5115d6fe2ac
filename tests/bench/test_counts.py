"""Counts as results of their own: exact, compared with what they must be, with a time beside them or without."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from runs import measure as runtime
from runs.measure import MACHINE, any_cpu, run_record, tiny_plan

from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.row import Row
from fencepost.analysis.runs.rows_file import LAYOUT, encode_rows
from fencepost.bench import runfolder, runner, schema
from fencepost.bench.ab_plan import AbSide, Pair, make_ab_plan
from fencepost.bench.catalog import read_catalog
from fencepost.bench.errors import UsageError
from fencepost.bench.overrides import parse_overrides

ALL = f"count/pages[found=1024,both=yes]@cpu{any_cpu()}"
ONE_LESS = f"count/pages[found=1023,both=yes]@cpu{any_cpu()}"
HALF = f"count/pages[found=1024,both=no]@cpu{any_cpu()}"
BESIDE = f"count/beside[found=7]@cpu{any_cpu()}"


def made(base: Path, patterns: list[str], *settings: str) -> Path:
    plan = tiny_plan(patterns, overrides=parse_overrides(settings))
    with runfolder.create(base, MACHINE, run_record(plan)) as folder:
        runner.Runner(runtime.fault_engine(), folder).run()
    return folder.path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds of cases that count: as expected, one too few, one count never taken, and beside a time."""
    return made(
        tmp_path_factory.mktemp("counts"),
        ["count/*", "good/events"],
        "count/pages.found=1024,1023",
        "count/pages.both=no,yes",
    )


@pytest.fixture(scope="module")
def analysis(folder: Path) -> Analysis:
    return analyse(folder)


def row(analysis: Analysis, case: str) -> Row:
    return analysis.by_case[case]


def test_a_case_without_a_time_has_its_counts_and_nothing_else(folder: Path, analysis: Analysis) -> None:
    entry = runfolder.read_round_record(schema.round_file(folder, 1))["cases"][ALL]
    assert entry["status"] == "ok", entry["reason"]
    assert entry["counts"] == {
        "faults": {"found": 1024, "expected": 1024},
        "other": {"found": -1, "expected": -1},
    }
    assert entry["histogram"] is None and entry["events"] == 0
    found = row(analysis, ALL)
    assert found.reason is None and found.flags == () and found.rounds == 2
    assert not found.measured
    assert found.counts["faults"] == (1024, 1024, True, 2, False, "faults", "minor faults of 1024 pages")


def test_a_count_that_is_off_by_one_fails_with_both_numbers(folder: Path, analysis: Analysis) -> None:
    entry = runfolder.read_round_record(schema.round_file(folder, 1))["cases"][ONE_LESS]
    assert (entry["status"], entry["failure"]) == ("failed", "check")
    assert entry["reason"] == "check failed: count faults: 1023 faults instead of 1024"
    assert entry["counts"]["faults"] == {"found": 1023, "expected": 1024}
    found = row(analysis, ONE_LESS)
    assert "1023 faults instead of 1024" in str(found.reason)
    assert not found.counts["faults"].equal and found.counts["other"].equal


def test_a_count_that_was_not_taken_fails(analysis: Analysis) -> None:
    assert "count other was not taken" in str(row(analysis, HALF).reason)
    assert set(row(analysis, HALF).counts) == {"faults"}


def test_a_count_stands_beside_a_time(analysis: Analysis) -> None:
    found = row(analysis, BESIDE)
    assert found.time.value > 0
    assert found.counts["things"][:3] == (7, 7, True)


def test_documents_of_other_cases_say_nothing_of_counts(folder: Path, analysis: Analysis) -> None:
    case = f"good/events@cpu{any_cpu()}"
    planned = next(item for item in schema.read_run(folder)["plan"]["cases"] if item["case"] == case)
    assert "counts" not in planned
    assert "counts" not in runfolder.read_round_record(schema.round_file(folder, 1))["cases"][case]
    assert row(analysis, case).counts == {}
    assert "counts" not in next(item for item in as_json(folder)["rows"] if item["case"] == case)


def test_a_reduced_run_keeps_counts(analysis: Analysis, folder: Path, tmp_path: Path) -> None:
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / schema.ROWS_FILE).write_bytes(encode_rows(analysis.reduced))
    again = analyse(tmp_path)
    assert [item.counts for item in again.rows] == [item.counts for item in analysis.rows]


def test_a_run_that_counts_nothing_is_reduced_to_the_columns_of_old(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = encode_rows(analyse(made(tmp_path, ["good/events"])).reduced)
    assert pq.read_schema(pa.BufferReader(data)).equals(LAYOUT)


def test_a_damaged_count_is_named(folder: Path, tmp_path: Path) -> None:
    record: Any = runfolder.read_round_record(schema.round_file(folder, 1))
    record["cases"][ALL]["counts"]["faults"]["found"] = 1023.5
    with pytest.raises(schema.RunFolderError, match="counts"):
        schema.parse_round_record(tmp_path, schema.record_metadata(record))


def test_the_report_has_a_table_of_counts(folder: Path, tmp_path: Path) -> None:
    write_report(folder, tmp_path / "report.html", tmp_path / "report.md")
    for page in (tmp_path / "report.html", tmp_path / "report.md"):
        text = re.sub(r"\\|</?[a-z][^>]*>", " ", page.read_text(encoding="utf-8"))
        assert "Counts of the topic count" in text
        assert "not equal" in text
        assert "1\N{NARROW NO-BREAK SPACE}023 faults" in text and "1\N{NARROW NO-BREAK SPACE}024" in text
    rows = {item["case"]: item for item in as_json(folder)["rows"]}
    assert rows[ALL]["ns"] is None and rows[ALL]["reason"] is None
    assert rows[ONE_LESS]["counts"]["faults"]["found"] == 1023
    assert rows[ONE_LESS]["counts"]["faults"]["equal"] is False


def test_run_list_and_show_tell_of_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    fencepost = functools.partial(runtime.fencepost_inside, cwd=tmp_path)
    options = ["--profile", "quick", "--rounds", "1", "--cpus", str(any_cpu())]
    fine = fencepost("run", "count/pages", *options)
    assert fine.returncode == 0, fine.stderr
    assert "2 of 2 counts as expected" in fine.stdout
    assert re.search(r"minor faults of 1024 pages +1.024 faults +1.024 +equal", fine.stdout)
    bad = fencepost("run", "count/pages", "-p", "found=1025", "--json", *options)
    assert bad.returncode == 1
    assert "1025 faults instead of 1024" in bad.stderr
    counts = {item["count"]: item for item in json.loads(bad.stdout)["counts"]}
    assert (counts["faults"]["found"], counts["faults"]["expected"]) == (1025, 1024)
    shown = fencepost("show", "count/pages", "--no-source", "--no-disassembly")
    assert "it counts, and takes no time" in shown.stdout
    assert "minor faults of 1024 pages" in shown.stdout
    listed = json.loads(fencepost("list", "count/pages", "--json").stdout)
    assert listed[0]["kind"] == "counts"
    assert [item["name"] for item in listed[0]["counts"]] == ["faults", "other"]


def test_what_takes_no_time_is_not_compared() -> None:
    engine = runtime.fault_engine()
    kernel = read_catalog(engine).get("count/pages")
    side = AbSide(kernel, (1024, 1))
    with pytest.raises(UsageError, match="count/pages: counts and takes no time"):
        make_ab_plan(engine, [Pair(side, side)], runtime.TINY, runtime.one_cpu, rounds=6, seed=1)
