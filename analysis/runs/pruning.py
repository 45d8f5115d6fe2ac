"""What stays of a run whose raw batches are dropped."""

from __future__ import annotations

from pathlib import Path

from fencepost.analysis.runs.estimate import estimate_cases, noise_floor
from fencepost.analysis.runs.medians import reduce_run
from fencepost.analysis.runs.rows_file import decode_rows, encode_rows, read_reduced
from fencepost.bench.schema import ROWS_FILE, RunFolderError


def rows_to_keep(folder: Path) -> bytes:
    """The bytes of ``rows.parquet`` for a run, which give the same figures as its batches.

    Raises
    ------
    RunFolderError
        where a round is damaged, or the figures would not be the same.
    """
    reduced = reduce_run(folder)
    data = encode_rows(reduced)
    again = decode_rows(folder / ROWS_FILE, data, folder)
    made, kept = (repr((estimate_cases(one), noise_floor(one))) for one in (reduced, again))
    if made != kept:
        raise RunFolderError(f"{folder}: its figures would not be the same without its batches; keep them")
    return data


def held_rounds(folder: Path) -> set[int]:
    """Rounds that the ``rows.parquet`` of a run holds; raises `RunFolderError` where it is damaged."""
    return set(read_reduced(folder).workers["round"].tolist())
