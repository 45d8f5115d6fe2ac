"""`fencepost export` and `fencepost import`: runs in the formats of other tools, and other tools' files as runs."""

from __future__ import annotations

from pathlib import Path

import click

from fencepost.cli.completion import complete_runs
from fencepost.cli.options import OutputFile, json_option, label_option, verbose_option

FORMATS = ("pytest-benchmark", "pyperf", "google-benchmark", "bmf", "csv", "core-to-core", "openmetrics", "otava")

MOST_NOTES = 10
"""Sentences on rows that were left out. More of them would hide what was imported."""


@click.command(name="export")
@click.argument("run", default="latest", shell_complete=complete_runs)
@click.option("--format", "wanted", type=click.Choice(FORMATS), required=True, help="bmf is the Bencher Metric Format.")
@click.option("--out", type=OutputFile(), metavar="PATH", help="File to write.  [default: standard output]")
@verbose_option
def export_command(run: str, wanted: str, out: Path | None) -> None:
    """Write RUN (a run folder, a run's id, or `latest`) in the format of another tool.

    There is one value for each process: its median, in the unit of that tool. Standard error names each row
    that the format cannot store. For otava, RUN may be a folder of runs. It becomes one line a run.
    """
    from fencepost.analysis.exchange.export import export
    from fencepost.analysis.exchange.otava import otava_of_runs
    from fencepost.bench import runfolder
    from fencepost.bench.schema import RUN_FILE
    from fencepost.cli import display

    if wanted == "otava" and Path(run).is_dir() and not (Path(run) / RUN_FILE).exists():
        exported = otava_of_runs(Path(run))
    else:
        exported = export(runfolder.find(run), wanted)
    for sentence in exported.left_out:
        click.echo(f"fencepost: {display.printable(sentence)}", err=True)
    if out is None:
        click.echo(exported.text, nl=False)
        return
    runfolder.atomic_write(out, exported.text.encode())
    click.echo(display.printable(display.short_path(out)))


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    "base",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder for run folders.  [default: results/runs]",
)
@label_option
@click.option("--anyway", is_flag=True, help="Pool files even if their processors or versions differ.")
@json_option
@verbose_option
def import_command(
    files: tuple[Path, ...], base: Path | None, labels: dict[str, str], anyway: bool, as_json: bool
) -> None:
    """Turn FILES of another tool into a run folder that is marked as imported.

    Reads files of pytest-benchmark, pyperf, Google Benchmark, hyperfine, core-to-core-latency (CSV), and Bencher's
    format. Several files of one tool become one run, and each file counts as a process. An interval needs six
    processes. `fencepost report`, `compare` and `export` read the run like any other.
    """
    from fencepost.analysis.exchange.importing import import_files
    from fencepost.analysis.text.numbers import counted
    from fencepost.bench import runfolder, schema
    from fencepost.cli import display

    run, machine, rows = import_files(files, labels=labels, anyway=anyway)
    with runfolder.create(base or runfolder.DEFAULT_BASE, machine, run, rows=rows) as folder:
        pass
    notes = run[schema.IMPORTED].get("notes", [])
    told: dict[str, object] = {
        "folder": str(folder.path),
        "id": folder.id,
        "format": run[schema.IMPORTED]["format"],
        "tool": run[schema.IMPORTED]["tool"],
        "cases": len(run["plan"]["cases"]),
        "processes": run["plan"]["rounds"],
        "notes": notes,
    }
    for sentence in notes[:MOST_NOTES]:
        click.echo(f"fencepost: {display.printable(sentence)}", err=True)
    if len(notes) > MOST_NOTES:
        click.echo(f"fencepost: {len(notes) - MOST_NOTES} more sentences of this kind are in run.json", err=True)
    if as_json:
        display.print_json(told)
        return
    click.echo(
        display.printable(
            f"{display.short_path(folder.path)}: {counted(len(run['plan']['cases']), 'case')} of {told['tool']}, "
            f"{told['processes']} {'process' if told['processes'] == 1 else 'processes'}"
        )
    )
