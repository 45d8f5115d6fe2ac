"""`fencepost prune`: drop the raw batches of old runs, and keep the rows that they fed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from fencepost.bench.files import words_of
from fencepost.cli.options import json_option, verbose_option


@click.command(name="prune")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("results") / "runs")
@click.option(
    "--raw-older-than",
    "age",
    required=True,
    metavar="DAYS",
    help="Drop batches of runs that began longer ago than this, e.g. 90d.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be dropped, and drop nothing.")
@json_option
@verbose_option
def prune_command(folder: Path, age: str, dry_run: bool, as_json: bool) -> int:
    """Drop raw batches of the runs in FOLDER (default: results/runs).

    Each run keeps one row for each case and process, as a published run does. Its figures stay the same, and report,
    compare, history and export still read it. A run that is not complete is left alone. A killed prune loses nothing:
    the same command goes on.
    """
    from fencepost.bench import labels, schema
    from fencepost.bench.errors import FencepostError, UsageError
    from fencepost.cli import display

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    before = datetime.now(UTC) - _days(age)
    pruned: list[str] = []
    notes: list[str] = []
    dropped_bytes = 0
    for path in labels.run_folders(folder):
        try:
            size = _prune(path, before, dry_run=dry_run)
        except (schema.RunFolderError, FencepostError) as error:
            notes.append(str(error))
            continue
        except OSError as error:
            notes.append(f"{path}: {words_of(error)}")
            continue
        if size:
            pruned.append(str(path))
            dropped_bytes += size
    if as_json:
        display.print_json({"runs": pruned, "dropped_bytes": dropped_bytes, "dry_run": dry_run, "notes": notes})
        return 0
    for sentence in notes:
        click.echo(f"fencepost: {display.printable(sentence)}", err=True)
    done = "would be dropped" if dry_run else "dropped"
    runs = "1 run" if len(pruned) == 1 else f"{len(pruned)} runs"
    click.echo(f"raw batches of {runs} {done}: {dropped_bytes / 1e6:.1f} MB")
    return 0


def _days(text: str) -> timedelta:
    import re

    from fencepost.bench.errors import UsageError

    match = re.fullmatch(r"(\d{1,5}) ?d", text.strip(), re.ASCII)
    if match is None:
        raise UsageError(f"--raw-older-than {text}: not a number of days; write 90d")
    return timedelta(days=int(match[1]))


def _prune(path: Path, before: datetime, *, dry_run: bool) -> int:
    """Drop the rounds of one run; returns their bytes, 0 where there is nothing to drop."""
    from fencepost.analysis.runs.pruning import check_kept, rows_to_keep
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import MeasureError

    run, files = schema.read_run(path), schema.round_files(path)
    if not files or datetime.fromisoformat(run["created_utc"]) > before:
        return 0
    size = sum(file.stat().st_size for file in files.values())
    if (path / schema.ROWS_FILE).exists():  # a prune that was killed
        check_kept(path)
    elif len(files) < run["plan"]["rounds"]:
        raise MeasureError(f"{path}: not complete; complete it with `fencepost run --resume {path}`")
    elif dry_run:
        rows_to_keep(path)  # says so where the rounds could not be dropped
    else:
        with runfolder.resume(path):  # nobody else writes it meanwhile
            runfolder.atomic_write(path / schema.ROWS_FILE, rows_to_keep(path))
    if not dry_run:
        _drop(path, list(files.values()))
    return size


def _drop(path: Path, files: Sequence[Path]) -> None:
    from fencepost.bench.errors import MeasureError

    for number, file in enumerate(files):
        try:
            file.unlink()
        except OSError as error:
            raise MeasureError(
                f"{path}: {number} of {len(files)} rounds dropped, then {words_of(error)}; its figures are "
                "kept, and the same command goes on"
            ) from None
