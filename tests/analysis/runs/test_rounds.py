"""Run folders into frames: what comes out is what went in, and damage is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import write as synthetic
from runs.write import Case
from topics.suite import suite_cases

from fencepost.analysis.runs.medians import _medians, process_medians, reduce_run
from fencepost.analysis.runs.rounds import iter_rounds, load_batches
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_run(tmp_path_factory.mktemp("runs") / "suite", suite_cases(), rounds=3, batches=6)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return synthetic.write_run(tmp_path / "small", synthetic.plain_cases(3), rounds=2, batches=5)


def rewrite(folder: Path, change: Any, number: int = 1) -> Path:
    """Write a round again with its table changed by `change`, its record kept."""
    path = schema.round_file(folder, number)
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    return path


def edit_record(folder: Path, edit: Any, number: int = 1) -> Path:
    path = schema.round_file(folder, number)
    table = pq.read_table(path)
    record = json.loads(table.schema.metadata[schema.ROUND_KEY])
    edit(record)
    pq.write_table(table.replace_schema_metadata({schema.ROUND_KEY: json.dumps(record).encode()}), path)
    return path


def test_synthetic_folders_conform_to_the_schema(suite: Path) -> None:
    schema.read_run(suite)
    schema.read_machine(suite)
    for path in schema.round_files(suite).values():
        file = pq.ParquetFile(path)
        assert list(file.schema_arrow.names) == list(schema.COLUMNS)
        schema.parse_round_record(path, file.metadata.metadata)


def test_a_team_is_also_given_in_raw_round_trips(tmp_path: Path) -> None:
    cases = [Case("line/x", ns=500.0, cpus=(0, 1), raw_ns=100.0), Case("plain/x", ns=50.0)]
    medians = process_medians(synthetic.write_run(tmp_path / "run", cases, rounds=3, batches=5))
    metrics = dict(zip(medians["kernel"], medians["metrics"], strict=True))
    assert metrics["line/x"]["raw_round_trip_ns"] == pytest.approx(100.0, rel=1e-3)
    assert metrics["line/x"]["xraw"] == pytest.approx(5.0, rel=0.1)
    assert metrics["plain/x"] == {}


def test_an_event_kernel_in_which_nothing_happened_has_no_rows_and_is_no_damage(tmp_path: Path) -> None:
    folder = synthetic.write_run(
        tmp_path / "run", [Case("noise/x", kind="events"), Case("plain/x")], rounds=1, batches=5
    )
    quiet = "noise/x@cpu1"

    def silence(record: dict[str, Any]) -> None:
        record["cases"][quiet] |= {"events": 0, "histogram": None}

    rewrite(folder, lambda table: table.filter(pc.not_equal(table["case"], quiet)))
    edit_record(folder, silence)
    medians = process_medians(folder)
    row = medians[medians["case"] == quiet].iloc[0]
    assert row["status"] == "ok" and np.isnan(row["ns"]) and row["batches"] == 0


def test_medians_equal_those_of_the_batches(suite: Path) -> None:
    batches = load_batches(suite)
    expected = batches.groupby(["round", "case"], observed=True).agg(
        ticks=("value_ticks", "median"), ns=("value_ns", "median"), floor_ns=("value_ns", "min")
    )
    processes = process_medians(suite).set_index(["round", "case"])
    for name in expected.columns:
        pd.testing.assert_series_equal(
            processes[name].reindex(expected.index).astype(float), expected[name], check_names=False, rtol=1e-12
        )
    flagged = (batches["flags"] != 0).groupby([batches["round"], batches["case"]], observed=True).mean()
    np.testing.assert_allclose(processes["flagged"].reindex(flagged.index).astype(float), flagged)


def test_batches_of_a_team_are_counted_once(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("line/pair", ns=50, cpus=(0, 1))], rounds=1, batches=7)
    assert process_medians(folder)["batches"].tolist() == [7]
    assert len(load_batches(folder)) == 14


def test_rounds_come_one_by_one_with_the_columns_asked_for(small: Path) -> None:
    rounds = list(iter_rounds(small, ["case", "ticks"]))
    assert [item.number for item in rounds] == [1, 2]
    assert rounds[0].rows.column_names == ["case", "ticks"]
    assert pa.types.is_dictionary(rounds[0].rows.schema.field("case").type)
    assert rounds[0].record["worker"]["tick_source"] == "tsc"


@given(
    codes=st.lists(st.integers(0, 4), max_size=60),
    data=st.data(),
)
def test_segment_medians_are_medians_in_any_order(codes: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(-1e9, 1e9), min_size=len(codes), max_size=len(codes)))
    median, floor, _, present = _medians(np.array(codes, np.int32), np.array(values, float))
    assert sorted(present) == sorted(set(codes))
    for code, middle, least in zip(present, median, floor, strict=True):
        mine = [value for other, value in zip(codes, values, strict=True) if other == code]
        assert middle == pytest.approx(float(np.median(mine)), rel=1e-12, abs=1e-300)
        assert least == min(mine)


def test_rows_of_a_case_that_are_scattered_are_gathered(small: Path) -> None:
    before = process_medians(small)
    order = np.random.default_rng(3).permutation(15)
    rewrite(small, lambda table: table.take(pa.array(order)))
    after = process_medians(small)
    pd.testing.assert_frame_equal(before, after, check_categorical=False)


def test_several_runs_side_by_side_equal_one_after_the_other(tmp_path: Path) -> None:
    cases = synthetic.plain_cases(4)
    folders = [synthetic.write_run(tmp_path / f"run{i}", cases, rounds=2, batches=3, seed=i) for i in range(3)]
    one = process_medians(folders, processes=1)
    two = process_medians(folders, processes=2)
    assert len(one) == 3 * 2 * 4
    assert set(one["run"]) == {"run0", "run1", "run2"}
    pd.testing.assert_frame_equal(one, two)


def test_histograms_of_all_processes_are_pooled(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("clock/delta", ns=20, kind="events")], rounds=4)
    histogram = reduce_run(folder).histograms["clock/delta@cpu1"]
    assert histogram.count.sum() == 4 * 400
    assert (np.diff(histogram.ticks) > 0).all()
    assert histogram.ns[0] == pytest.approx(20, rel=0.1)


def test_a_case_measured_once_is_a_series(suite: Path) -> None:
    reduced = reduce_run(suite)
    (series,) = reduced.series.values()
    assert len(series) == 300
    assert (np.diff(series["seconds"]) > 0).all()


def test_a_switch_that_an_event_kernel_asked_for_disturbs_nothing(tmp_path: Path) -> None:
    switched = schema.FLAGS["switched"]
    cases = [
        Case("clock/wakeup", ns=5e4, kind="events", flags=switched, gap_share=0.0),
        Case("plain/loop", ns=5, flags=switched, gap_share=0.0),
    ]
    processes = process_medians(synthetic.write_run(tmp_path / "run", cases, rounds=1)).set_index("kernel")
    assert processes["switched"].tolist() == [1.0, 1.0]
    assert processes.loc["clock/wakeup", "disturbed"] == 0.0
    assert processes.loc["plain/loop", "disturbed"] == 1.0


def test_failed_and_unsupported_cases_have_a_row_without_figures(tmp_path: Path) -> None:
    cases = [
        Case("plain/loop"),
        Case("plain/bad", status="failed", reason="the sum is wrong"),
        Case("plain/no", status="unsupported"),
    ]
    processes = process_medians(synthetic.write_run(tmp_path / "run", cases, rounds=1)).set_index("kernel")
    assert processes.loc["plain/bad", "status"] == "failed"
    assert processes.loc["plain/bad", "reason"] == "the sum is wrong"
    assert processes.loc[["plain/no"], "ns"].isna().all()


def test_no_round_at_all(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", suite_cases(), rounds=0)
    assert process_medians(folder).empty
    assert load_batches(folder).empty
    assert list(iter_rounds(folder)) == []


# ---- the short cut past the validator ----


def changed_somewhere(document: Any) -> Any:
    """Copies of a document with one value replaced or left out, for each place in it."""

    def places(value: Any, path: tuple[Any, ...]) -> Any:
        yield path
        if isinstance(value, dict):
            for name in value:
                yield from places(value[name], (*path, name))
        elif isinstance(value, list) and value:
            yield from places(value[0], (*path, 0))

    for path in places(document, ()):
        if not path:
            continue
        for other in (None, "x", "", 0, -1, 1.5, True, [], {}, [None], {"a": None}, ["a"], "gone"):
            copy = json.loads(json.dumps(document))
            place = copy
            for step in path[:-1]:
                place = place[step]
            if other == "gone":
                del place[path[-1]]
            else:
                place[path[-1]] = other
            yield copy


SHORT_CASES = [
    Case("plain/loop", metrics={"x_ns": 1.0}),
    Case("clock/delta", {"read": "a"}, kind="events"),
]


@pytest.mark.parametrize("kind", ["run", "round"])
def test_a_field_changed_anywhere_is_taken_or_refused_by_name(tmp_path: Path, kind: str) -> None:
    folder = synthetic.write_run(tmp_path / "run", SHORT_CASES, rounds=1)
    path = schema.round_file(folder, 1)
    document = json.loads(pq.read_table(path).schema.metadata[schema.ROUND_KEY])
    if kind == "run":
        path = folder / schema.RUN_FILE
        document = schema.read_run(folder)
    assert schema._parse(path, json.dumps(document).encode(), kind) == document
    refused = 0
    for copy in changed_somewhere(document):
        try:
            schema._parse(path, json.dumps(copy).encode(), kind)
        except RunFolderError as error:
            assert re.match(rf"{re.escape(str(path))}: field \S.*: ", str(error))
            refused += 1
    assert refused > 100


# ---- damage ----


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.99])
def test_a_truncated_round(small: Path, keep: float) -> None:
    path = schema.round_file(small, 2)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep > 1 else keep * len(content))])
    with pytest.raises(RunFolderError, match=r"0002\.parquet.*not a complete Parquet file"):
        process_medians(small)


def test_bytes_changed_in_the_middle_never_end_in_another_error(small: Path) -> None:
    path = schema.round_file(small, 1)
    content = path.read_bytes()
    for position in range(4, len(content), max(1, len(content) // 150)):
        damaged = bytearray(content)
        damaged[position : position + 8] = bytes(255 - byte for byte in damaged[position : position + 8])
        path.write_bytes(bytes(damaged))
        try:
            process_medians(small)
        except RunFolderError as error:
            assert "0001.parquet" in str(error)


def test_a_missing_column(small: Path) -> None:
    rewrite(small, lambda table: table.drop_columns(["ticks"]))
    with pytest.raises(RunFolderError, match=r"0001\.parquet: column ticks is missing"):
        process_medians(small)


def test_a_column_of_the_wrong_type(small: Path) -> None:
    rewrite(small, lambda table: table.set_column(4, "ticks", table["ticks"].cast(pa.float64())))
    with pytest.raises(RunFolderError, match=r"0001\.parquet: column ticks is of type double, expected int64"):
        process_medians(small)


def test_empty_values(small: Path) -> None:
    nothing = pa.nulls(15, pa.int64())
    rewrite(small, lambda table: table.set_column(4, "ticks", nothing))
    with pytest.raises(RunFolderError, match="column ticks has 15 empty values"):
        process_medians(small)


def test_no_operations(small: Path) -> None:
    zeros = pa.array(np.zeros(15, np.int64))
    rewrite(small, lambda table: table.set_column(5, "operations", zeros))
    with pytest.raises(RunFolderError, match="column operations: 0 is not a number of operations"):
        process_medians(small)


def test_a_parquet_file_that_is_no_round(small: Path) -> None:
    path = schema.round_file(small, 1)
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    with pytest.raises(RunFolderError, match="no key 'fencepost' in its metadata"):
        process_medians(small)


EDITS: dict[str, tuple[Any, str]] = {
    "type": (lambda record: record["worker"].update(tick_hz="fast"), r"worker\.tick_hz"),
    "zero rate": (lambda record: record["worker"].update(tick_hz=0), r"worker\.tick_hz: 0 is not a rate"),
    "missing": (lambda record: record["worker"].pop("quantum_ticks"), r'field worker: "quantum_ticks" is a required'),
    "number": (lambda record: record.update(round=7), r"field round: 7 in the record, 1 in the name"),
    "run": (lambda record: record.update(run="another"), r"field run: 'another'"),
    "newer": (lambda record: record.update(schema=99), r"field schema is 99, newer than"),
    "status": (lambda record: record["cases"]["plain/loop[i=0]@cpu1"].update(status="fine"), r"cases.*status"),
    "metrics": (lambda record: record["cases"]["plain/loop[i=0]@cpu1"].update(metrics={"a": "b"}), r"cases.*metrics"),
    "histogram": (
        lambda record: record["cases"]["plain/loop[i=0]@cpu1"].update(histogram={"ticks": [1, 2], "count": [1]}),
        r"histogram: ticks and count differ in length",
    ),
    "gone": (lambda record: record["cases"].pop("plain/loop[i=0]@cpu1"), r"column case: .* has rows but no entry"),
    "not planned": (
        lambda record: record["cases"].update({"x/y": record["cases"]["plain/loop[i=0]@cpu1"]}),
        r"'x/y' is not in the plan",
    ),
    "no list": (lambda record: record.update(cases=[]), r"field cases"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_record_edited_by_hand(small: Path, name: str) -> None:
    edit, sentence = EDITS[name]
    edit_record(small, edit)
    with pytest.raises(RunFolderError, match=sentence) as caught:
        process_medians(small)
    assert "0001.parquet" in str(caught.value)


def test_a_measured_case_without_rows(small: Path) -> None:
    rewrite(small, lambda table: table.slice(5))
    with pytest.raises(RunFolderError, match="status is ok, but the case has no rows"):
        process_medians(small)


@pytest.mark.parametrize("name", [schema.RUN_FILE, schema.MACHINE_FILE])
def test_a_truncated_description(small: Path, name: str) -> None:
    (small / name).write_text((small / name).read_text()[:100])
    with pytest.raises(RunFolderError, match=f"{name}: not valid JSON"):
        process_medians(small)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="not found"):
        process_medians(tmp_path)


def test_damage_in_a_worker_process_is_told_in_the_same_words(tmp_path: Path) -> None:
    folders = [synthetic.write_run(tmp_path / f"run{i}", synthetic.plain_cases(1), rounds=1) for i in range(2)]
    schema.round_file(folders[1], 1).write_bytes(b"PAR1")
    with pytest.raises(RunFolderError, match=r"run1/rounds/0001\.parquet: not a complete"):
        process_medians(folders, processes=2)
