"""A rows file that is damaged in a way that its checksums do not show."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runs.write import plain_cases, write_run

from fencepost.analysis.runs.medians import reduce_rounds
from fencepost.analysis.runs.rows_file import LAYOUTS, decode_rows, encode_rows
from fencepost.bench.schema import RunFolderError

Lists = dict[str, list[Any]]
PLACE = {"distance_ns": 50.0, "ns": 20.0, "batches": 7}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lists, Mapping[bytes, bytes]]:
    """A run folder, the columns of its rows file as lists, with witnesses, and the metadata."""
    folder = write_run(tmp_path_factory.mktemp("rows") / "run", plain_cases(2), rounds=3)
    table = pq.read_table(io.BytesIO(encode_rows(reduce_rounds(folder))))
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    places = [[PLACE] * (row % 3) for row in range(len(table))]
    more = {name: [0.5] * len(table) for name in LAYOUTS[2].names if name not in columns} | {"places": places}
    return folder, columns | more, table.schema.metadata


def read(run: tuple[Path, Lists, Mapping[bytes, bytes]], change: Callable[[Lists], None]) -> Any:
    """What is read from the file after this change of its columns."""
    folder, columns, metadata = run
    changed = {name: list(values) for name, values in columns.items()}
    change(changed)
    arrays = [pa.array(changed[field.name], field.type) for field in LAYOUTS[2]]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=LAYOUTS[2].with_metadata(metadata)), sink)
    return decode_rows(Path("rows.parquet"), sink.getvalue(), folder)


def put(name: str, row: int, value: object) -> Callable[[Lists], None]:
    """A change of one value."""
    return lambda columns: columns[name].__setitem__(row, value)


def test_places_are_those_of_their_row(run: tuple[Path, Lists, Mapping[bytes, bytes]]) -> None:
    reduced = read(run, lambda columns: None)
    found = [[place._asdict() for place in places] for places in reduced.by_process["places"]]
    assert found == run[1]["places"]
    assert [[place._asdict() for place in places] for places in reduced.processes["places"]] == found


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("case", 1, "stranger"), "column case: 'stranger' is not in the plan of run.json"),
        (put("round", 0, 99), "column round: 99 has no worker in the record"),
        (lambda columns: columns["case"].__setitem__(1, columns["case"][0]), "a case is twice in one round"),
        (put("status", 0, "well"), "column status: 'well' is not one of"),
        (put("places", 1, [None]), "column places: an empty value in a place"),
        (put("places", 1, [{**PLACE, "ns": None}]), "column places: an empty value in a place"),
        (put("ns", 1, None), "column ns has 1 empty values"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    run: tuple[Path, Lists, Mapping[bytes, bytes]], change: Callable[[Lists], None], told: str
) -> None:
    with pytest.raises(RunFolderError, match=told):
        read(run, change)
