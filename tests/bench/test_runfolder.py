"""The run folder on disk: whole files or none, one writer, and damage told by file and field."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from runs import measure as runtime
from runs.measure import MACHINE, run_record, tiny_plan

from fencepost.bench import runfolder, schema
from fencepost.bench.documents import CaseRecord, RoundRecord, WorkerRecord
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.frames import Records, decode_samples

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[runfolder.RunFolder]:
    plan = tiny_plan(["good/steady", "good/once"], rounds=3)
    with runfolder.create(tmp_path / "runs", MACHINE, run_record(plan), NOON) as made:
        yield made


def round_record(folder: runfolder.RunFolder, number: int) -> RoundRecord:
    worker: WorkerRecord = {
        "tick_source": "tsc",
        "tick_hz": 1e9,
        "quantum_ticks": 1,
        "overhead_ticks": 10,
        "startup_ms": 20.0,
        "elapsed_ms": 30.0,
        "cpus": [0],
    }
    return {
        "schema": 1,
        "run": folder.id,
        "round": number,
        "started_utc": "2026-01-02T12:00:00Z",
        "order": [case.case for case in folder.plan.order(number)],
        "worker": worker,
        "cases": {},
    }


def samples(*ticks: int) -> Records:
    engine = runtime.fault_engine()
    written = engine.ffi.new("struct sample[]", [{"ticks": tick, "operations": 7, "overlap": 1} for tick in ticks])
    return decode_samples(engine, bytes(engine.ffi.buffer(written)))


def write(folder: runfolder.RunFolder, number: int) -> Path:
    cases = [case.case for case in folder.plan.cases][:2]
    rows = [
        runfolder.CaseRows(cases[0], 5.0, 3e9, samples(1, 2, 3)),
        runfolder.CaseRows(cases[1], 0.0, None, samples(4)),
    ]
    return folder.write_round(round_record(folder, number), rows)


def test_the_id_is_utc_time_and_machine(folder: runfolder.RunFolder, tmp_path: Path) -> None:
    assert folder.id == "20260102T120000Z-test-1cpu-00000000"
    assert folder.path == tmp_path / "runs" / folder.id
    again = runfolder.create(tmp_path / "runs", MACHINE, run_record(folder.plan), NOON)
    again.close()
    assert again.id == f"{folder.id}-2"


def test_a_machine_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    plan = tiny_plan(["good/once"])
    with runfolder.create(tmp_path, {**MACHINE, "key": "../a b\n"}, run_record(plan), NOON) as made:
        assert made.path.parent == tmp_path
        assert made.id == "20260102T120000Z-a-b"


def test_both_documents_pass_their_schema(folder: runfolder.RunFolder) -> None:
    assert schema.read_run(folder.path) == json.loads(json.dumps(folder.run))
    assert schema.read_machine(folder.path)["key"] == MACHINE["key"]
    assert folder.plan == tiny_plan(["good/steady", "good/once"], rounds=3)


def test_a_round_holds_rows_and_record(folder: runfolder.RunFolder) -> None:
    path = write(folder, 1)
    table = pq.read_table(path, read_dictionary=["case"])
    assert table.column_names == list(schema.COLUMNS)
    arrow = {
        "dictionary": "dictionary<values=string, indices=int32, ordered=0>",
        "float32": "float",
        "float64": "double",
    }
    expected = [arrow.get(kind, kind) for kind in schema.COLUMNS.values()]
    assert [str(field.type) for field in table.schema] == expected
    assert table["ticks"].to_pylist() == [1, 2, 3, 4]
    assert table["overhead_ticks"].to_pylist() == [5.0, 5.0, 5.0, 0.0]
    assert table["round"].to_pylist() == [1] * 4
    assert table["case"].to_pylist() == [folder.plan.cases[i].case for i in (0, 0, 0, 1)]
    assert runfolder.read_round_record(path) == round_record(folder, 1)
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_round_without_any_rows_can_be_stored(folder: runfolder.RunFolder) -> None:
    path = folder.write_round(round_record(folder, 1), [])
    assert pq.read_table(path).num_rows == 0
    assert folder.missing_rounds() == [2, 3]


def test_rounds_of_this_process_are_not_read_again_to_say_how_their_cases_went(
    folder: runfolder.RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: CaseRecord = {
        "status": "failed",
        "failure": "check",
        "reason": "two and two are 5",
        "overhead_ticks": None,
        "core_hz": None,
        "chain_ratio": None,
        "metrics": {},
        "elapsed_ns": 1,
    }
    for number in (1, 2):
        folder.write_round({**round_record(folder, number), "cases": {"good/steady": failed}}, [])
    outcome = runfolder.CaseOutcome("failed", "check", "two and two are 5")
    with monkeypatch.context() as patched:
        patched.setattr(runfolder, "read_round_record", None)
        assert list(folder.outcomes()) == [("good/steady", outcome)] * 2
    path = folder.path
    folder.close()
    with runfolder.resume(path) as resumed:
        assert list(resumed.outcomes()) == [("good/steady", outcome)] * 2


def test_missing_rounds(folder: runfolder.RunFolder) -> None:
    assert folder.missing_rounds() == [1, 2, 3]
    write(folder, 2)
    assert folder.complete_rounds() == [2]
    assert folder.missing_rounds() == [1, 3]


def test_leftovers_of_a_killed_writer_go_at_resume(folder: runfolder.RunFolder) -> None:
    write(folder, 1)
    left = [folder.path / ".tmp-run.json-1", folder.path / "rounds" / ".tmp-0002.parquet-1"]
    for path in left:
        path.write_bytes(b"half")
    folder.close()
    with runfolder.resume(folder.path) as again:
        assert again.missing_rounds() == [2, 3]
    assert not any(path.exists() for path in left)


def test_one_writer_at_a_time(folder: runfolder.RunFolder) -> None:
    with pytest.raises(UsageError, match="another fencepost is writing"):
        runfolder.resume(folder.path)
    folder.close()
    runfolder.resume(folder.path).close()


def test_a_failed_write_leaves_neither_file_nor_leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MeasureError, match="no space left"):
        runfolder.atomic_write(target, b"after")
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EROFS, "cannot be written .read-only"),
        (errno.EACCES, "--out"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_storage_faults_are_sentences(number: int, sentence: str) -> None:
    fault = runfolder.storage_fault(Path("there"), OSError(number, os.strerror(number)))
    assert str(fault).startswith("there: ")
    with pytest.raises(MeasureError, match=sentence):
        raise fault


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(MeasureError, match="cannot be written"):
        runfolder.create(tmp_path / "runs", MACHINE, run_record(tiny_plan(["good/once"])))


def edit(path: Path, change: Any) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_damaged_documents_are_refused_by_file_and_field(folder: runfolder.RunFolder) -> None:
    folder.close()
    run = folder.path / "run.json"
    whole = run.read_bytes()
    run.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(schema.RunFolderError, match=r"run\.json.*truncated"):
        runfolder.resume(folder.path)
    run.write_bytes(whole)
    edit(run, lambda document: document.update(schema=99))
    with pytest.raises(schema.RunFolderError, match=r"run\.json: field schema is 99, newer"):
        runfolder.resume(folder.path)
    run.write_bytes(whole)
    edit(run, lambda document: document["plan"].update(seed="seven"))
    with pytest.raises(schema.RunFolderError, match=r"run\.json: field plan\.seed"):
        runfolder.resume(folder.path)
    run.unlink()
    with pytest.raises(schema.RunFolderError, match=r"run\.json: not found"):
        runfolder.resume(folder.path)


EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "in a list": (lambda run: run["plan"]["cases"][1].update(once=0), r"field plan\.cases\[1\]\.once: 0 is not of"),
    "missing": (lambda run: run["plan"].pop("seed"), 'field plan: "seed" is a required property'),
    "no object": (lambda run: run.update(plan=7), 'field plan: 7 is not of type "object"'),
    # A long value loses its middle, not what was expected in its place.
    "long": (lambda run: run.update(id=["x" * 999]), r'field id: \["x+ … x*"\] is not of type "string"'),
    "half a character": (lambda run: run["plan"].update(seed="\ud800"), "not valid JSON .* edited by hand"),
    "no CPU": (lambda run: run["plan"].update(cpus=[]), r"field plan\.cpus"),
    "true is no number": (lambda run: run["plan"].update(rounds=True), r"field plan\.rounds: true is not of"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_field_is_named_with_what_is_wrong(folder: runfolder.RunFolder, name: str) -> None:
    change, sentence = EDITS[name]
    edit(folder.path / "run.json", change)
    with pytest.raises(schema.RunFolderError, match=rf"run\.json: {sentence}"):
        schema.read_run(folder.path)


def test_an_edited_plan_is_refused(folder: runfolder.RunFolder) -> None:
    folder.close()

    def longer(document: dict[str, Any]) -> None:
        document["plan"]["rounds"] = 4
        del document["sha256"]  # as a run of an older version, where the plan alone had a hash

    edit(folder.path / "run.json", longer)
    with pytest.raises(schema.RunFolderError, match=r"field plan: .*plan_sha256"):
        runfolder.resume(folder.path)


def test_a_truncated_round_is_refused_by_name(folder: runfolder.RunFolder) -> None:
    path = write(folder, 1)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(schema.RunFolderError, match=r"0001\.parquet: not a whole parquet file"):
        folder.missing_rounds()


def test_a_round_of_another_run_or_plan_is_refused(folder: runfolder.RunFolder) -> None:
    path, right = schema.round_file(folder.path, 1), round_record(folder, 1)
    wrong: list[tuple[RoundRecord, str]] = [
        ({**right, "run": "other"}, "field run"),
        ({**right, "round": 2}, "field round"),
        ({**right, "order": ["x"]}, "field order"),
    ]
    for record, field in wrong:
        path.write_bytes(runfolder.encode_round(record, []))
        with pytest.raises(schema.RunFolderError, match=rf"0001\.parquet: {field}"):
            folder.missing_rounds()


def test_find_by_path_id_and_latest(
    folder: runfolder.RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "runs"
    assert runfolder.find(folder.path) == folder.path
    assert runfolder.find(folder.id, base) == folder.path
    later = runfolder.create(base, MACHINE, run_record(folder.plan), NOON.replace(hour=13))
    later.close()
    (base / "99999999T000000Z-no-run").mkdir()
    assert runfolder.find("latest", base) == later.path


def test_find_says_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run yet"):
        runfolder.find("latest", tmp_path)
    with pytest.raises(UsageError, match="no such run folder"):
        runfolder.find("nowhere", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        runfolder.find(tmp_path / "file", tmp_path)
    with pytest.raises(UsageError, match="no such run folder"):
        runfolder.resume(tmp_path / "nowhere")
