"""The Parquet files that rounds are: Arrow reads what was written, and damage ends in a sentence."""

from __future__ import annotations

import io
from array import array
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fencepost.bench import parquet

KINDS = {
    "int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
}


def read(data: bytes) -> pa.Table:
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True).read()


@settings(deadline=None, max_examples=50)
@given(data=st.data(), runs=st.lists(st.tuples(st.integers(0, 299), st.integers(0, 70)), max_size=20))
def test_arrow_reads_what_was_written(data: st.DataObject, runs: list[tuple[int, int]]) -> None:
    rows = sum(count for _, count in runs)
    size = data.draw(st.sampled_from([300, 1 + max((place for place, _ in runs), default=0)]))
    names = [f"näme {number}" for number in range(size)]
    columns = {
        kind: array(parquet.CODES[kind], (data.draw(st.lists(values, min_size=1, max_size=9)) * rows)[:rows])
        for kind, values in KINDS.items()
    }
    metadata = data.draw(st.dictionaries(st.binary(min_size=1, max_size=9), st.binary(max_size=300), max_size=20))
    written = parquet.encode(
        [parquet.runs_of_names("case", names, runs), *(parquet.numbers(kind, columns[kind], kind) for kind in KINDS)],
        metadata,
    )
    table = read(written)
    table.validate(full=True)
    assert table["case"].to_pylist() == [names[place] for place, count in runs for _ in range(count)]
    for kind, values in columns.items():
        assert table[kind].type == {"float32": pa.float32(), "float64": pa.float64()}.get(kind, kind)
        assert table[kind].to_numpy().tobytes() == values.tobytes()
    assert parquet.read_metadata(io.BytesIO(written)) == metadata


def test_the_metadata_of_arrows_own_files_is_read() -> None:
    table = pa.table({"a": [1, None, 3], "b": ["x", "y", "z"], "c": [[1.5], [], None], "d": [True, False, None]})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"key": "value"}), sink, sorting_columns=[pq.SortingColumn(0)])
    assert parquet.read_metadata(sink)[b"key"] == b"value"


def small() -> bytes:
    columns = [parquet.runs_of_names("case", ["a"], [(0, 3)]), parquet.numbers("n", array("i", range(3)), "int32")]
    return parquet.encode(columns, {b"key": b"value"})


def test_numbers_of_another_type_are_refused() -> None:
    with pytest.raises(parquet.ParquetError, match="column n has numbers of the type q, where i is needed"):
        parquet.numbers("n", array("q", [1]), "int32")


def test_a_changed_byte_of_a_page_is_noticed() -> None:
    data = bytearray(small())
    data[60] ^= 1
    with pytest.raises(OSError, match=r"CRC|could not|corrupt|Couldn't|Deserial"):
        read(bytes(data))


def test_cut_and_damaged_files_are_refused_or_read() -> None:
    data = small()
    for size in range(len(data)):
        with pytest.raises(parquet.ParquetError):
            parquet.read_metadata(io.BytesIO(data[:size]))
    for place in range(len(data)):
        for bit in (1, 16, 128):
            damaged = bytearray(data)
            damaged[place] ^= bit
            try:
                found: Any = parquet.read_metadata(io.BytesIO(damaged))
            except parquet.ParquetError:
                continue
            assert isinstance(found, dict)


@pytest.mark.parametrize(
    "footer",
    [
        b"\x1c" * 20,  # structures within one another
        b"\x19" + b"\x19" * 20,  # lists
        b"\x19\xfc" + b"\xff" * 9 + b"\x01",  # a list without end
        b"\x15" + b"\xff" * 20,  # a number
        b"\x1b\x00",  # a map
        b"\x18\xff\xff\x03",  # a text beyond the footer
    ],
)
def test_a_hostile_footer_is_refused(footer: bytes) -> None:
    data = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(parquet.ParquetError):
        parquet.read_metadata(io.BytesIO(data))
