"""Runs in the formats of other tools and back; the tools themselves read what is written."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft7Validator
from runs.exchange import GOOGLE, imported, parsed_file, pytest_file, stored
from runs.measure import fencepost_inside
from runs.write import Case, write_run
from topics.suite import suite_cases

from fencepost.analysis.exchange.export import FORMATS, export
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.importing import import_files
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.analysis.text.escape import one_line
from fencepost.bench import runfolder, schema
from fencepost.bench.errors import UsageError

pytestmark = pytest.mark.usefixtures("undrawn")


"""Google's, from Debian's libbenchmark-tools."""
HOLDING_VALUES = ("pytest-benchmark", "pyperf", "google-benchmark")
BMF = {
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
                    "required": ["value"],
                }
            },
        }
    },
}
"""As published at bencher.dev/docs/reference/bencher-metric-format."""


# ---- rows.parquet ----


def test_a_reduced_run_is_the_run_to_the_last_bit(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "whole", suite_cases(), rounds=6)
    small = tmp_path / "small"
    small.mkdir()
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        shutil.copy(folder / name, small)
    (small / schema.ROWS_FILE).write_bytes(encode_rows(reduce_run(folder)))
    assert as_json(small) == as_json(folder)
    whole, again = reduce_run(folder), reduce_run(small)
    assert whole.series.keys() == again.series.keys() != set()
    for name, series in whole.series.items():
        assert series.to_dict("list") == again.series[name].to_dict("list")


# ---- round trips ----


@pytest.mark.parametrize("wanted", HOLDING_VALUES)
def test_export_and_import_give_the_same_run(run: Path, tmp_path: Path, wanted: str) -> None:
    again = imported(tmp_path, stored(tmp_path, export(run, wanted).text))
    one, two = analyse(run), analyse(again)
    assert two.run[schema.IMPORTED]["format"] == wanted
    rows = one.measured()
    assert [row.time.value for row in two.rows] == pytest.approx([row.time.value for row in rows], rel=1e-14)
    for name in ("low", "high"):  # the counter's step comes as one figure for all processes
        wanted_ends = [getattr(row.time, name) for row in rows]
        assert [getattr(row.time, name) for row in two.rows] == pytest.approx(wanted_ends, rel=1e-8)
    for name in ("case", "kernel", "parameters", "cpus", "unit", "relation"):
        assert [getattr(row, name) for row in two.rows] == [getattr(row, name) for row in rows]
    key = ["case", "round"]
    left, right = (a.processes.set_index(key)["ns"].to_dict() for a in (one, two))
    assert {name: left[name] for name in right} == pytest.approx(right, rel=1e-14)


def test_names_that_become_the_same_are_told_apart(tmp_path: Path) -> None:
    values = {"\x01": 3.0, "\x02": 4.0, "\ufffd (2)": 5.0}
    document = {
        "version": "1.0",
        "benchmarks": [
            {"metadata": {"name": name, "unit": "second"}, "runs": [{"values": [value]}]}
            for name, value in values.items()
        ],
    }
    first = imported(tmp_path, stored(tmp_path, document))
    again = parsed_file(stored(tmp_path, export(first, "pyperf").text))
    assert sorted(item.processes[0][0] / 1e9 for item in again.benchmarks) == [3.0, 4.0, 5.0]
    assert len({item.name for item in again.benchmarks}) == 3


TIMES = st.floats(1e-3, 1e12, allow_nan=False)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(lambda name: name.strip())


@given(
    data=st.dictionaries(NAMES, st.lists(st.lists(TIMES, min_size=1, max_size=5), min_size=1, max_size=7), min_size=1),
    wanted=st.sampled_from(HOLDING_VALUES),
)
@settings(max_examples=5, deadline=None)
def test_values_come_back_as_they_went(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, list[list[float]]], wanted: str
) -> None:
    """A foreign file of pyperf (several processes, several values each), exported and imported again."""
    tmp_path = tmp_path_factory.mktemp("values")
    document = {
        "version": "1.0",
        "benchmarks": [
            {
                "metadata": {"name": name, "unit": "second"},
                "runs": [{"values": [value / 1e9 for value in values]} for values in processes],
            }
            for name, processes in data.items()
        ],
    }
    first = imported(tmp_path, stored(tmp_path, document))
    again = parsed_file(stored(tmp_path, export(first, wanted).text))
    values = {item.name: [value for process in item.processes for value in process] for item in again.benchmarks}
    if wanted == "pyperf":  # which holds a name as one line: names that are the same then are told apart by a number
        assert len(values) == len(data) and {one_line(name, 1000) for name in data} <= values.keys()
    else:
        assert values.keys() == data.keys()
    if wanted != "pyperf":
        for name, processes in data.items():
            assert values[name] == pytest.approx([value for process in processes for value in process], rel=1e-14)


@given(st.integers(2, 6).flatmap(lambda n: st.lists(TIMES, min_size=n * n, max_size=n * n)))
@settings(max_examples=15, deadline=None)
def test_a_matrix_comes_back_as_it_went(tmp_path_factory: pytest.TempPathFactory, times: list[float]) -> None:
    tmp_path = tmp_path_factory.mktemp("matrix")
    n = math.isqrt(len(times))
    lines = [",".join(str(times[i * n + j]) if j < i else "" for j in range(n)) for i in range(n)]
    folder = imported(tmp_path, stored(tmp_path, "\n".join(lines) + "\n", "a.csv"))
    assert export(folder, "core-to-core").text.splitlines() == [
        ",".join(repr(times[i * n + j]) if j < i else "" for j in range(n)) for i in range(n)
    ]


def test_the_csv_holds_every_row_and_its_figures(run: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(export(run, "csv").text)))
    analysis = analyse(run)
    assert [cells["case"] for cells in rows] == [row.case for row in analysis.rows]
    for cells, row in zip(rows, analysis.rows, strict=True):
        assert (float(cells["ns"]) == row.time.value) if cells["ns"] else not row.measured
    assert next(cells["reason"] for cells in rows if cells["reason"])


def test_bmf_fits_the_schema_of_bencher(run: Path) -> None:
    document = json.loads(export(run, "bmf").text)
    Draft7Validator(BMF).validate(document)
    row = analyse(run).rows[0]
    assert document[row.case]["latency"] == {
        "value": row.time.value,
        "lower_value": row.time.low,
        "upper_value": row.time.high,
    }


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first row is alone, with processes that were never quiet, and whose second is as found."""
    cases = [
        Case("plain/alone", ns=3.0, neighbour=0.6, batches=20),
        Case("plain/found", {"size": "64MiB"}, ns=9.0, neighbour=0.6, batches=20),
        Case("plain/free", ns=3.0, neighbour=0.0),
    ]
    return write_run(tmp_path_factory.mktemp("witnessed") / "run", cases, rounds=20, unmeasurable=())


def basis_in(wanted: str, document: Any) -> dict[str, str]:
    """By case, what a file says of its figures."""
    if wanted == "pytest-benchmark":
        return {item["name"]: item["extra_info"]["fencepost"]["basis"] for item in document["benchmarks"]}
    if wanted == "pyperf":
        about = [item["metadata"] for item in document["benchmarks"]]
        return {item["name"]: json.loads(item["fencepost"])["basis"] for item in about}
    firsts = (item for item in document["benchmarks"] if "basis" in item["fencepost"])
    return {item["name"]: item["fencepost"]["basis"] for item in firsts}


@pytest.mark.parametrize("wanted", HOLDING_VALUES)
def test_a_file_says_which_figures_it_holds(wanted: str, witnessed: Path) -> None:
    found = basis_in(wanted, json.loads(export(witnessed, wanted).text))
    assert found["plain/alone@cpu1"] == "alone"
    assert found["plain/found[size=64MiB]@cpu1"] == "as found"


def test_a_format_without_a_place_for_it_has_a_sentence(witnessed: Path, run: Path) -> None:
    said = "which figure each time is (2 rows alone, 1 as found): the format has no place for it"
    assert export(witnessed, "bmf").left_out == [said]
    # Without a witness nothing was to be had alone.
    assert export(run, "bmf").left_out == []


@pytest.mark.parametrize("wanted", HOLDING_VALUES)
def test_a_process_without_quiet_batches_is_no_value(wanted: str, witnessed: Path, tmp_path: Path) -> None:
    row = analyse(witnessed).by_case["plain/alone@cpu1"]
    assert row.basis == "alone" and row.time.n < 20
    exported = export(witnessed, wanted)
    assert exported.left_out == []
    found = parsed_file(stored(tmp_path, exported.text, "file.json"))
    values = next(item.processes for item in found.benchmarks if item.name == row.case)
    assert sum(map(len, values)) == row.time.n


def test_what_a_format_cannot_hold_is_named(tmp_path: Path) -> None:
    cases = [Case("clock/empty", ns=0.0005, noise=5.0, process_noise=3.0), Case("plain/loop", ns=3)]
    folder = write_run(tmp_path / "run", cases, rounds=8)
    for wanted in ("pyperf", "google-benchmark"):
        exported = export(folder, wanted)
        assert [name.split(":")[0] for name in exported.left_out] == ["clock/empty@cpu1"]
        assert "plain/loop" in exported.text and "clock/empty" not in exported.text
    with pytest.raises(ExchangeError, match="line/pingpong"):
        export(folder, "core-to-core")
    with pytest.raises(ExchangeError, match="nothing left to export"):
        export(write_run(tmp_path / "only", cases[:1], rounds=8), "pyperf")
    with pytest.raises(ExchangeError, match="no complete round"):
        export(write_run(tmp_path / "none", cases, rounds=0), "csv")


def test_no_name_of_a_host_leaves(run: Path) -> None:
    host = os.uname().nodename
    for wanted in FORMATS:
        assert host not in export(run, wanted).text


# ---- several files, replication ----


def test_one_process_gives_no_interval_and_six_files_do(tmp_path: Path) -> None:
    files = [stored(tmp_path, pytest_file([(5 + i + k / 10) * 1e-9 for k in range(5)]), f"{i}.json") for i in range(6)]
    one = analyse(imported(tmp_path, files[0])).rows[0]
    assert one.time.value == pytest.approx(5.2)
    assert one.floor_ns == pytest.approx(5.0)
    assert (one.batches, one.rounds) == (5, 1)
    assert not one.time.bounded
    assert "few_rounds" in one.flags
    six = analyse(imported(tmp_path, *files)).rows[0]
    assert six.time[1:3] == pytest.approx((5.2, 10.2))
    assert not six.cycles.known


def test_files_without_samples_give_median_and_floor(tmp_path: Path) -> None:
    document = pytest_file([], median=2e-6, min=1e-6, rounds=40)
    row = analyse(imported(tmp_path, stored(tmp_path, document))).rows[0]
    assert (row.time.value, row.floor_ns, row.batches) == pytest.approx((2000, 1000, 40))


def test_files_of_two_tools_do_not_mix(tmp_path: Path, run: Path) -> None:
    files = [stored(tmp_path, export(run, name).text, f"{name}.json") for name in ("pyperf", "bmf", "google-benchmark")]
    with pytest.raises(ExchangeError, match="import them apart"):
        import_files([files[0], files[2]])


def test_googles_repetitions_medians_and_errors(tmp_path: Path) -> None:
    rows = analyse(imported(tmp_path, stored(tmp_path, GOOGLE))).by_case
    assert rows["BM_a"].time.value == pytest.approx(3000)
    assert rows["BM_a"].batches == 2
    assert rows["BM_b"].time.value == pytest.approx(7e6)
    assert "no such device" in str(rows["BM_c"].reason)


# ---- imported runs are runs ----


def test_an_imported_run_is_reported_marked_and_never_the_latest(run: Path, tmp_path: Path) -> None:
    own = tmp_path / "runs" / "20260101T000000Z-mine"
    shutil.copytree(run, own)
    folder = imported(tmp_path, stored(tmp_path, export(run, "pyperf").text))
    assert schema.IMPORTED in schema.read_run(folder)
    assert runfolder.find("latest", tmp_path / "runs") == own
    page = as_html(build_document(analyse(folder)))
    assert "another tool" in page
    with pytest.raises(UsageError, match="cannot be continued"):
        runfolder.resume(folder)
    (folder / schema.ROWS_FILE).unlink()
    with pytest.raises(schema.RunFolderError, match=r"rows\.parquet: not found in an imported run"):
        reduce_run(folder)


def test_only_an_imported_run_may_name_no_cpu(run: Path, tmp_path: Path) -> None:
    document = json.loads((run / schema.RUN_FILE).read_text())
    document["plan"]["cpus"] = []
    stored(tmp_path, document, schema.RUN_FILE)
    with pytest.raises(schema.RunFolderError, match=r"plan\.cpus"):
        schema.read_run(tmp_path)


def test_commands(run: Path, tmp_path: Path) -> None:
    done = fencepost_inside("export", str(run), "--format", "pyperf", "--out", "p.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "p.json\n")
    done = fencepost_inside("import", "p.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 cases of pyperf, 7 processes" in done.stdout
    done = fencepost_inside("import", "p.json", "--json", "--out", "here", cwd=tmp_path)
    assert json.loads(done.stdout)["processes"] == 7
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["machine.json", "rows.parquet", "run.json"]
    out = fencepost_inside("export", str(folder), "--format", "csv", cwd=tmp_path)
    assert out.stdout.startswith("case,kernel,")
