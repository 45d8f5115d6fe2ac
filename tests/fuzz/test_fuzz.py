"""Hostile input over all readers in short, and what longer runs of `make fuzz` found."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz import corpus
from fuzz.oracle import Tally, WrongError, sentence_fault, try_chunk, try_one
from fuzz.readers import READERS, Reader
from hypothesis import given, settings
from hypothesis import strategies as st

from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.importing import import_files, parse
from fencepost.analysis.runs.footer import promised
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import read_reduced
from fencepost.bench import schema
from fencepost.bench.errors import CompileError
from fencepost.bench.files import parse_json
from fencepost.bench.schema import RunFolderError
from fencepost.bench.sysfs import TopologyError, format_cpulist, parse_cpulist

INPUTS = 20_000
"""Of all readers together: a minute or two."""


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_hostile_input_is_read_or_refused_with_a_sentence(reader: Reader) -> None:
    corpus.prepare()
    tally = try_chunk(reader.make, reader.name, 1, range(round(reader.of_million * INPUTS / 1_000_000)))
    assert tally.faults == []
    assert tally.accepted and tally.accepted + tally.refused == tally.inputs


def test_the_shares_of_the_readers_make_a_whole() -> None:
    assert sum(reader.of_million for reader in READERS) == 1_000_000


# ---- the oracle finds faults ----


def _raising(error: BaseException) -> Callable[[random.Random], None]:
    def trial(rng: random.Random) -> None:
        if rng.random() < 0.5:
            raise error

    return trial


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("x"), "KeyError"),
        (MemoryError(), "MemoryError"),
        (ValueError("of Python"), "ValueError"),
        (RunFolderError(""), "without a word"),
        (RunFolderError("x" * 3000), "3000 characters"),
        (CompileError("one\ntwo"), "several lines"),
        (WrongError("a figure"), "WrongError"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_all_but_one_sentence_of_ours_is_a_fault(error: BaseException, words: str) -> None:
    tally = try_chunk(lambda _: _raising(error), "planted", 1, range(20))
    assert tally.faults and all(words in fault for fault in tally.faults)
    assert tally.inputs == 20 == tally.accepted + len(tally.faults)


def test_a_sentence_of_ours_is_none() -> None:
    assert sentence_fault(RunFolderError("run.json: not there; look for it")) is None
    assert sentence_fault(RunFolderError("run\n.json: its name has two lines, and is shown in one")) is None
    tally = try_chunk(lambda _: _raising(RunFolderError("run.json: not there")), "planted", 1, range(20))
    assert tally.faults == [] and tally.refused and tally.accepted


def test_what_ends_the_process_or_never_ends_costs_one_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.oracle.LIMIT_S", 0.05)

    def trial(rng: random.Random) -> None:
        kind = rng.randrange(8)
        if kind == 0:
            os.kill(os.getpid(), signal.SIGABRT)
        while kind == 1:
            pass

    tally = try_chunk(lambda _: trial, "planted", 1, range(20))
    assert {fault.split(": ", 1)[1][:9] for fault in tally.faults} == {"ends the ", "SlowError"}
    assert tally.inputs == 20 == tally.accepted + len(tally.faults)


@pytest.mark.parametrize(("waits", "faults"), [(1, 0), (2, 1)])
def test_what_waits_for_ever_does_so_twice(waits: int, faults: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other work may keep the CPU from an input, and that is no fault of the reader."""
    monkeypatch.setattr("fuzz.oracle.PATIENCE_S", 0.05)
    calls: list[int] = []
    tally = Tally()

    def trial(_: random.Random) -> None:
        calls.append(len(calls))
        if len(calls) <= waits:
            signal.pause()

    try_one(trial, "planted", 1, 7, tally)
    assert len(calls) == 2 and tally.inputs == 1
    assert len(tally.faults) == faults and all("waited for 0.05 s" in fault for fault in tally.faults)


def test_an_input_is_made_anew_from_its_name() -> None:
    seen: list[float] = []

    def make(_: Path) -> Callable[[random.Random], None]:
        return lambda rng: seen.append(rng.random())

    for _ in range(2):
        try_one(make(Path()), "planted", 1, 7, Tally())
    assert seen[0] == seen[1]


# ---- findings ----


def stored(folder: Path, change: Callable[[pa.Table], pa.Table], name: str = "rounds/0001.parquet") -> Path:
    corpus.copy_run(folder) if name.startswith("rounds") else corpus.copy_reduced(folder)
    (folder / name).write_bytes(corpus.written(change(corpus.table_of(folder / name))))
    return folder


def test_a_round_has_all_columns_of_witnesses_or_none(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="column clock_ticks is missing"):
        reduce_run(stored(tmp_path / "run", lambda table: table.drop_columns(["clock_ticks"])))


def test_an_integer_without_end_is_no_number(tmp_path: Path) -> None:
    for digits in ("9" * 21, "-9223372036854775809", "18446744073709551616", "1" + "0" * 400):
        with pytest.raises(RunFolderError, match="an integer of"):
            parse_json("run.json", f'{{"seed": {digits}}}', RunFolderError)
        assert parse_json("other.json", f"[{digits}]", RunFolderError, of_ours=False) == [int(digits)]
    for value in (-(2**63), 2**64 - 1):
        assert parse_json("run.json", str(value), RunFolderError) == value


def test_a_number_of_a_round_that_no_float_holds_is_damage(tmp_path: Path) -> None:
    def planted(table: pa.Table) -> pa.Table:
        record = json.loads(table.schema.metadata[schema.ROUND_KEY])
        record["worker"]["width_floor"] = 10**400
        return table.replace_schema_metadata(schema.record_metadata(record))

    with pytest.raises(RunFolderError, match="an integer of 401 digits"):
        reduce_run(stored(tmp_path / "run", planted))


@pytest.mark.parametrize("name", ["ns", "core_hz", "found_ns"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, 1.7e308, 1e151])
def test_a_value_leaves_room_for_sums_and_products(name: str, value: float, tmp_path: Path) -> None:
    def planted(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        return table.set_column(place, table.schema.field(place), pa.array([value, *[1.0] * (len(table) - 1)]))

    with pytest.raises(RunFolderError, match=f"column {name}: .* is beyond all that can be measured"):
        read_reduced(stored(tmp_path / "run", planted, schema.ROWS_FILE))


def _with_run(table: pa.Table) -> pa.Table:
    record = json.loads(table.schema.metadata[schema.ROUND_KEY])
    return table.replace_schema_metadata(schema.record_metadata(record | {"run": "x" * 5000}))


@pytest.mark.parametrize("where", ["its record", schema.RUN_FILE])
@pytest.mark.parametrize("name", ["rounds/0001.parquet", schema.ROWS_FILE])
def test_a_sentence_quotes_no_pages(name: str, where: str, tmp_path: Path) -> None:
    """An id of thousands of letters, in the record or in run.json."""
    folder = stored(tmp_path / "run", (lambda table: table) if where == schema.RUN_FILE else _with_run, name)
    if where == schema.RUN_FILE:
        document = json.loads((folder / where).read_text()) | {"id": "x" * 5000}
        document.pop("sha256", None)
        (folder / where).write_text(json.dumps(document))
    with pytest.raises(RunFolderError) as caught:
        read_reduced(folder) if name == schema.ROWS_FILE else reduce_run(folder)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["rounds/0001.parquet", schema.ROWS_FILE])
def test_what_arrow_says_of_a_damaged_page_is_one_line(name: str, tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", lambda table: table, name)
    data = bytearray((folder / name).read_bytes())
    data[4:12] = b"\xff" * 8  # the header of the first page
    (folder / name).write_bytes(data)
    with pytest.raises(RunFolderError) as caught:
        read_reduced(folder) if name == schema.ROWS_FILE else reduce_run(folder)
    assert "\n" not in str(caught.value)


def test_machine_json_with_another_topology_is_refused(tmp_path: Path) -> None:
    folder = corpus.copy_run(tmp_path / "run")
    machine = json.loads((folder / schema.MACHINE_FILE).read_bytes())
    for wrong in ({"cores": ["ab"]}, {"cores": [0]}, {"numa": {"0": "0-1"}}, {"cpus": None}):
        (folder / schema.MACHINE_FILE).write_text(json.dumps(machine | {"topology": wrong}))
        with pytest.raises(RunFolderError, match="field topology"):
            schema.read_machine(folder)


# ---- footers ----


def _parquet(table: pa.Table, **more: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **more)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("table", "more"),
    [
        (pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]}), {}),
        (pa.table({"a": pa.array([[1, 2], [], [3]])}), {"compression": "zstd"}),
        (pa.table({"a": list(range(1000))}), {"row_group_size": 100, "write_page_index": True}),
        (pa.table({"a": pa.array([], pa.int32())}), {}),
        (pa.table({"a": pa.array([{"x": 1.5, "y": [True, False]}])}), {"store_decimal_as_integer": True}),
    ],
    ids=["plain", "lists", "groups", "empty", "structs"],
)
def test_a_footer_promises_what_arrow_reads_in_it(table: pa.Table, more: dict[str, Any]) -> None:
    data = _parquet(table, **more)
    metadata = pq.read_metadata(io.BytesIO(data))
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    values = sum(group.column(i).num_values for group in groups for i in range(group.num_columns))
    assert promised(data) == (values, sum(group.total_byte_size for group in groups))


def test_a_footer_that_ends_too_early_is_refused() -> None:
    data = _parquet(pa.table({"a": [1, 2, 3]}))
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    for size in range(len(footer) - 1):
        with pytest.raises(ValueError):
            promised(b"PAR1" + footer[:size] + size.to_bytes(4, "little") + b"PAR1")
    for data in (b"", b"PAR1", b"PAR1" * 3):
        with pytest.raises(ValueError):
            promised(data)


@pytest.mark.slow
def test_a_damaged_footer_ends_no_process(tmp_path: Path) -> None:
    """Arrow's own account of a column does, where the sizes of its levels do not fit its type."""
    folder = corpus.copy_run(tmp_path / "run")
    path = folder / "rounds/0001.parquet"
    good = path.read_bytes()
    begin = len(good) - 8 - int.from_bytes(good[-8:-4], "little")

    def make(scratch: Path) -> Callable[[random.Random], None]:
        inside = corpus.copy_run(scratch / "run")

        def trial(rng: random.Random) -> None:
            data = bytearray(good)
            data[rng.randrange(begin, len(good) - 8)] ^= 1 << rng.randrange(8)
            (inside / "rounds/0001.parquet").write_bytes(data)
            reduce_run(inside)

        return trial

    tally = try_chunk(make, "footers", 1, range(60))
    assert tally.faults == [] and tally.refused


# ---- other tools ----


def test_a_quote_swallows_no_line_of_a_matrix() -> None:
    with pytest.raises(ExchangeError, match="as many cells"):
        parse("m.csv", b',,\n"10,,\n11,12,\n')
    assert len(parse("m.csv", b'CPU: "A\n,,\n10,,\n11,12,\n').benchmarks) == 3


@pytest.mark.parametrize(
    "document",
    [
        {"results": [{"command": "a", "times": [-1.0]}]},
        {"a": {"latency": {"value": -1e300}}},  # a difference may be below zero, and has to have room as well
        {"results": [{"command": "a", "times": [1e300]}]},
    ],
)
def test_a_time_is_not_below_zero_nor_too_large_for_its_unit(document: object) -> None:
    with pytest.raises(ExchangeError, match="time"):
        parse("file.json", json.dumps(document).encode())


def test_a_file_of_failures_only_is_a_run_without_figures(tmp_path: Path) -> None:
    (tmp_path / "failed.json").write_text(
        json.dumps({"results": [{"command": "a", "times": [1.0], "exit_codes": [1]}]})
    )
    run, _, _ = import_files([tmp_path / "failed.json"])
    assert run["plan"]["rounds"] == run["plan"]["batches"] == 1


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "benchmarks",
                    "results",
                    "context",
                    "name",
                    "stats",
                    "data",
                    "runs",
                    "values",
                    "latency",
                    "value",
                    "times",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(_VALUES)
@settings(derandomize=True)
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        found = parse("file.json", json.dumps(document).encode("utf-8", "surrogatepass"))
    except ExchangeError as error:
        assert sentence_fault(error) is None
    else:
        assert found.benchmarks


@given(st.text(alphabet="0123456789,-:/ \n\0x", max_size=12))
@settings(derandomize=True)
def test_a_list_of_cpus_is_read_or_refused(text: str) -> None:
    try:
        cpus = parse_cpulist(text)
    except TopologyError as error:
        assert sentence_fault(error) is None
    else:
        assert parse_cpulist(format_cpulist(cpus)) == cpus


# ---- the page ----

PAGE = Path(__file__).resolve().parents[2] / "docs" / "proof.md"


def test_the_page_tells_the_limits_that_the_code_has() -> None:
    told = re.findall(
        r"^\| [^|]+ \| (\d+) \| `([a-z_.]+)\.([A-Z_]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(told) == 16
    for value, module, name in told:
        assert getattr(importlib.import_module(f"fencepost.{module}"), name) == int(value), name
