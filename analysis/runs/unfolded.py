"""How much a Parquet file comes to in memory, before it is read.

A file of a megabyte may unfold to gigabytes: values that are equal take no room in it. So the values are counted, not
the bytes.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.analysis.runs.footer import promised
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError

MOST_VALUES = 100_000_000
"""In all columns of a file. A round of a rigorous run has some ten millions."""

LARGEST_BYTES = 256 << 20
"""What a file may unfold to by its own account."""


def open_parquet(path: Path, data: bytes | None = None) -> pq.ParquetFile:
    """A file of a run folder, or its bytes `data`, ready to be read.

    Raises
    ------
    RunFolderError
        where it is no regular file, or is too large, folded or unfolded.
    """
    # A buffer rather than a memory map: a file that shrinks while mapped would end the process with SIGBUS.
    data = schema.read_file(path) if data is None else data
    file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    try:
        values, unfolded = promised(data)
    except ValueError as error:
        raise RunFolderError(f"{path}: not a complete Parquet file ({error}); it is truncated or damaged") from error
    if unfolded > LARGEST_BYTES:
        raise RunFolderError(f"{path}: unfolds to {unfolded >> 20} MiB, more than {LARGEST_BYTES >> 20} MiB")
    if max(values, file.metadata.num_rows) > MOST_VALUES:
        raise RunFolderError(f"{path}: unfolds to {values} values, more than {MOST_VALUES}")
    layout = file.schema_arrow  # made anew each time that it is asked for
    names = layout.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RunFolderError(f"{path}: column {twice} is there twice; fencepost writes no such file")
    if "case" in names and pa.types.is_string(layout.field("case").type):
        # As they are stored: a dictionary of names, and numbers.
        return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True, read_dictionary=["case"])
    return file
