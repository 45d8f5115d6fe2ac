"""What stays of a run whose raw batches are dropped."""

from __future__ import annotations

from pathlib import Path

from fencepost.analysis.runs.estimate import Analysis, estimate_cases
from fencepost.analysis.runs.rows_file import decode_rows, encode_rows, read_reduced
from fencepost.analysis.runs.twins import noise_floor
from fencepost.bench.schema import IMPORTED, ROWS_FILE, RunFolderError, round_files

DROPPED = "raw batches were dropped by `fencepost prune`: the figures are the same, single batches cannot be looked at"

OF_PROCESS = ["status", "batches", "ticks", "floor_ticks", "tick_hz"]
"""Columns that a process has alone."""


def rows_to_keep(folder: Path) -> bytes:
    """The bytes of ``rows.parquet`` for a run, which give the same figures as its batches.

    Raises
    ------
    RunFolderError
        where a round is damaged, or the figures would not be the same.
    """
    from fencepost.analysis.runs.medians import reduce_run  # late, as a comparison needs only the notes below

    reduced = reduce_run(folder)
    data = encode_rows(reduced)
    again = decode_rows(folder / ROWS_FILE, data, folder)
    made, kept = (repr((estimate_cases(one), noise_floor(one))) for one in (reduced, again))
    if made != kept:
        raise RunFolderError(f"{folder}: its figures would not be the same without its batches; keep them")
    return data


def check_kept(folder: Path) -> None:
    """Compare the ``rows.parquet`` of a run with the rounds that still lie beside it, as a killed prune leaves them.

    Raises
    ------
    RunFolderError
        where either is damaged, a round is missing from ``rows.parquet``, or has another figure there.
    """
    from fencepost.analysis.runs.medians import reduce_rounds

    kept, raw = (
        reduced.processes.set_index(["round", "case"]) for reduced in (read_reduced(folder), reduce_rounds(folder))
    )
    # What a process read is its own. Figures that stand for a case also need the other rounds, some of which are gone.
    same = raw.index.isin(kept.index).all() and kept.loc[raw.index, OF_PROCESS].equals(raw[OF_PROCESS])
    if not same:
        raise RunFolderError(
            f"{folder / ROWS_FILE}: differs from the rounds that lie beside it; move one of them away, and look at both"
        )


def was_pruned(analysis: Analysis) -> bool:
    """Whether the raw batches of a run were dropped here. Published and imported runs never had any."""
    run, folder = analysis.run, analysis.folder
    rows = (folder / ROWS_FILE).exists() and not round_files(folder)
    return rows and "published" not in run and IMPORTED not in run


def notes_on_pruned(*runs: Analysis) -> list[str]:
    """A sentence for each run of which that is true."""
    return [f"{run.run['id']}: {DROPPED}" for run in runs if was_pruned(run)]
