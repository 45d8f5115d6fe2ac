"""Files that anybody may have written: what is opened, how much of it is read, and how deep it may be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs.write import plain_cases, write_run

from fencepost.analysis.compare.history import HistoryError, history
from fencepost.analysis.report.machine import data_table
from fencepost.analysis.runs import unfolded
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rounds import iter_rounds
from fencepost.analysis.runs.rows_file import encode_rows, read_reduced
from fencepost.bench import runfolder, schema
from fencepost.bench.files import MOST_DEPTH, parse_json, read_regular, words_of
from fencepost.bench.schema import RunFolderError
from fencepost.bench.sysfs import TopologyError, Tree, parse_cpulist


class ReadError(Exception):
    """What a reader raises here."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", plain_cases(1), rounds=2)


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    for size in (0, 1, 3 << 20):
        (tmp_path / "file").write_bytes(b"x" * size)
        assert read_regular(tmp_path / "file", ReadError) == b"x" * size
    with pytest.raises(ReadError, match="more than 1 MiB"):
        read_regular(tmp_path / "file", ReadError, 1 << 20)
    assert read_regular(Path("/proc/self/stat"), ReadError)  # which does not tell its size


def test_what_is_no_regular_file_is_one_sentence_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name, words in (("pipe", "a pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(ReadError, match=f"{name}: {words}"):
            read_regular(tmp_path / name, ReadError)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ReadError, match="cannot be read"):
        read_regular(tmp_path / "loop", ReadError)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing", ReadError)


@pytest.mark.parametrize("name", [schema.RUN_FILE, schema.MACHINE_FILE, "rounds/0001.parquet"])
def test_a_pipe_in_a_run_folder_stops_nobody(name: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", plain_cases(1), rounds=1)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RunFolderError, match="a pipe"):
        reduce_run(folder)


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 900, 990, 100_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'], ids=["lists", "objects"])
def test_json_is_of_a_stated_depth(depth: int, brackets: str) -> None:
    opening, closing = brackets[:-1], brackets[-1]
    with pytest.raises(ReadError, match=f"^where: more than {MOST_DEPTH} lists or objects in one another; fencepost"):
        parse_json("where", opening * depth + "0" + closing * depth, ReadError)
    assert parse_json("where", opening * MOST_DEPTH + "0" + closing * MOST_DEPTH, ReadError)


def column_twice() -> pa.Table:
    return pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["ticks", "ticks"])


def many_values() -> pa.Table:
    """A few bytes that come to a million values."""
    return pa.table({"ticks": np.zeros(1_000_000, np.int64)})


def long_text() -> pa.Table:
    """A few bytes that come to three megabytes in one value."""
    return pa.table({"case": ["x" * 3_000_000]})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (column_twice(), "column ticks is there twice"),
        (many_values(), "unfolds to 1000000 values"),
        (long_text(), "unfolds to [23] MiB, more than 1 MiB"),
    ],
)
@pytest.mark.parametrize("name", [schema.ROWS_FILE, "rounds/0001.parquet"])
def test_a_table_is_looked_at_before_it_is_read(
    name: str, table: pa.Table, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfolded, "MOST_VALUES", 100_000)
    monkeypatch.setattr(unfolded, "LARGEST_BYTES", 1 << 20)
    folder = write_run(tmp_path / "run", plain_cases(1), rounds=1)
    pq.write_table(table, folder / name, compression="zstd")
    assert (folder / name).stat().st_size < 10_000
    with pytest.raises(RunFolderError, match=words):
        read_reduced(folder) if name == schema.ROWS_FILE else reduce_run(folder)


# ---- hashes ----


def sealed(tmp_path: Path) -> Path:
    """A run folder as it is created, with one round."""
    source = write_run(tmp_path / "source", plain_cases(1), rounds=1)
    facts: Any = {
        name: value
        for name, value in schema.read_run(source).items()
        if name not in ("schema", "id", "created_utc", "machine_key")
    }
    with runfolder.create(tmp_path / "runs", schema.read_machine(source), facts) as folder:
        pass
    return folder.path


def test_a_changed_bit_of_run_json_is_noticed(tmp_path: Path) -> None:
    path = sealed(tmp_path) / schema.RUN_FILE
    assert schema.read_run(path.parent)["sha256"]
    text = path.read_text()
    assert '"seed": ' in text
    path.write_text(text.replace('"seed": ', '"seed": 1'))
    with pytest.raises(RunFolderError, match="field sha256: not the hash"):
        schema.read_run(path.parent)
    # Another layout of the same fields, and an older version without a hash, are fine.
    path.write_text(json.dumps(json.loads(text)))
    assert schema.read_run(path.parent)["sha256"]
    path.write_text(json.dumps({name: value for name, value in json.loads(text).items() if name != "sha256"}))
    assert "sha256" not in schema.read_run(path.parent)


def test_a_report_says_whether_a_run_has_its_hash(run: Path, tmp_path: Path) -> None:
    analysis = analyse(run)
    assert "checked" in [row[0] for row in data_table(analysis).rows]
    analysis.run["sha256"] = "0"
    assert "checked" not in [row[0] for row in data_table(analysis).rows]


def test_a_changed_bit_of_a_record_is_noticed(run: Path, tmp_path: Path) -> None:
    item = next(iter_rounds(run))
    path = tmp_path / "0001.parquet"
    data = runfolder.encode_round(item.record, [])
    rate = str(item.record["worker"]["tick_hz"]).encode()
    assert data.count(rate) == 1
    path.write_bytes(data)
    assert runfolder.read_round_record(path) == item.record
    path.write_bytes(data.replace(rate, bytes([rate[0] ^ 1]) + rate[1:]))
    with pytest.raises(RunFolderError, match="record is damaged"):
        runfolder.read_round_record(path)


def test_a_changed_bit_of_the_record_of_rows_is_noticed(run: Path, tmp_path: Path) -> None:
    data = encode_rows(reduce_run(run))
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    at = data.index(b'"tick_hz":') + len(b'"tick_hz":')
    (tmp_path / schema.ROWS_FILE).write_bytes(data)
    assert len(read_reduced(tmp_path).workers) == 2
    (tmp_path / schema.ROWS_FILE).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(RunFolderError, match="record is damaged"):
        read_reduced(tmp_path)


# ---- a broken run costs itself ----


@pytest.mark.parametrize("created", ["yesterday", "2026-02-31T00:00:00Z", "2026-01-01", ""])
def test_a_time_that_is_none_is_one_sentence(created: str, run: Path, tmp_path: Path) -> None:
    document = json.loads((run / schema.RUN_FILE).read_text()) | {"created_utc": created}
    (tmp_path / schema.RUN_FILE).write_text(json.dumps(document))
    with pytest.raises(RunFolderError, match=r"field created_utc: .* is not a time in UTC"):
        schema.read_run(tmp_path)


def test_what_no_schema_foresees_costs_its_run_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "runs" / "a", plain_cases(1), rounds=2)

    def broken(*_: object) -> None:
        raise OverflowError("a number beyond all measure")

    monkeypatch.setattr("fencepost.analysis.runs.estimated.packed_of", broken)
    with pytest.raises(HistoryError, match=r"left out: .*a number beyond all measure"):
        history(tmp_path / "runs", processes=1)


# ---- words ----


@pytest.mark.parametrize(
    ("error", "plain", "named"),
    [
        (OSError(28, "No space left on device"), "no space left on device", "no space left on device"),
        (OSError(28, "No space left on device", "/a"), "no space left on device", "/a: no space left on device"),
        (OSError(28, "No space left on device", b"/a"), "no space left on device", "/a: no space left on device"),
        (OSError(13, "Permission denied", 3), "permission denied", "permission denied"),
        (OSError("not Parquet\nat all"), "not Parquet", "not Parquet"),
        (ValueError("no Such thing"), "no Such thing", "no Such thing"),
    ],
)
def test_an_error_is_told_without_its_number(error: Exception, plain: str, named: str) -> None:
    assert (words_of(error), words_of(error, named=True)) == (plain, named)


# ---- machines ----


@pytest.mark.parametrize("text", ["0-1000000", "0-" + "9" * 5000, "9" * 5000])
def test_more_cpus_than_a_machine_has_are_one_sentence(text: str) -> None:
    with pytest.raises(TopologyError, match="is not a"):
        parse_cpulist(text)


def test_a_snapshot_is_read_as_files_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("word\n")
    (tmp_path / "long").write_bytes(b"x" * (17 << 20))
    tree = Tree(tmp_path)
    assert [tree.text(name) for name in ("file", "pipe", "long", "none")] == ["word", None, None, None]
