"""`fencepost publish`: a run into the gallery, the gallery's pages, and its check."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.completion import complete_runs
from fencepost.cli.options import json_option, label_option, verbose_option

if TYPE_CHECKING:
    from fencepost.analysis.runs.estimate import Analysis

RESULTS = Path("results")
COMMON_NAMES = {
    *("root", "user", "admin", "ubuntu", "debian", "fedora", "runner", "builder", "build", "test", "localhost", "host"),
    *(
        "linux",
        "docker",
        "container",
        "vm",
        "guest",
        "kvm",
        "bench",
        "fencepost",
        "cpu",
        "run",
        "python",
        "gcc",
        "clang",
    ),
}
"""Names of users and hosts that name nobody, and that stand in a run for other reasons."""


@click.command(name="publish")
@click.argument("run", default="latest", shell_complete=complete_runs)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=RESULTS,
    metavar="FOLDER",
    help="The gallery's folder.  [default: results]",
)
@label_option
@click.option("--replace", is_flag=True, help="Replace a published run of the same machine and day.")
@click.option("--anyway", is_flag=True, help="Publish a run that can hardly be trusted. It stays marked.")
@click.option("--check", is_flag=True, help="Only check all published folders. Exit with 1 if one has a fault.")
@click.option("--reports", is_flag=True, help="With --check: also draw the pictures of each report again.")
@click.option("--rebuild", is_flag=True, help="Only write the pages of the gallery again.")
@click.option("--rewrite", is_flag=True, help="Write everything derived from the rows again, then the pages.")
@click.option(
    "--imported", type=click.Path(path_type=Path), metavar="FILE", help="Add a CSV file of core-to-core-latency."
)
@click.option("--microarchitecture", metavar="NAME", help="With --imported: what the CPU is, such as 'Zen 3'.")
@json_option
@verbose_option
def publish_command(
    run: str,
    results: Path,
    labels: dict[str, str],
    replace: bool,
    anyway: bool,
    check: bool,
    reports: bool,
    rebuild: bool,
    rewrite: bool,
    imported: Path | None,
    microarchitecture: str | None,
    as_json: bool,
) -> int:
    """Check RUN, write it to results/<date>-<machine's key>/, and write the gallery's pages.

    RUN is a run folder, a run's id, or `latest`. A run that has the name of a user or host, a path or a process id is
    refused, and the message names the field. The run's label `host` is not published. On a terminal it
    asks for a label if the run has none.

    --imported adds the core-to-core map of a machine that somebody else measured. It is marked as imported. --label is
    the name of its CPU then, by default that of the file.
    """
    from fencepost.bench.errors import EXIT_FINE, EXIT_GATE, UsageError
    from fencepost.bench.machine import machine_key
    from fencepost.cli import display

    if check + rebuild + rewrite + (imported is not None) > 1:
        raise UsageError("--check, --rebuild, --rewrite and --imported exclude each other; give one of them")
    if (imported is None) != (microarchitecture is None):
        raise UsageError("--imported and --microarchitecture go together")
    if check:
        from fencepost.analysis.gallery.check import check_gallery, json_of

        faults = check_gallery(results, machine_key, reports=reports)
        if as_json:
            display.print_json(json_of(faults))
        for fault in () if as_json else faults:
            click.echo(display.printable(fault))
        if not faults and not as_json:
            click.echo(f"{display.short_path(results)}: {_count(results)}, no fault")
        return EXIT_GATE if faults else EXIT_FINE
    if reports:
        raise UsageError("--reports goes with --check")
    if not results.is_dir() and (rebuild or rewrite):
        raise UsageError(f"{results}: no such folder; the gallery is the folder results of the project")
    if imported is not None:
        written = [_add_imported(imported, microarchitecture or "", results, labels.get("name", ""), replace=replace)]
    elif rewrite:
        written = _rewrite(results)
    else:
        written = [] if rebuild else [_publish(run, results, labels, ask=not as_json, replace=replace, anyway=anyway)]
    written += _rebuild(results)
    if as_json:
        display.print_json({"written": [str(path) for path in written]})
    for path in () if as_json else written:
        click.echo(display.printable(display.short_path(path)))
    return EXIT_FINE


def _count(results: Path) -> str:
    from fencepost.analysis.gallery.entry import published_folders

    number = len(published_folders(results)) if results.is_dir() else 0
    return f"{number} published {'folder' if number == 1 else 'folders'}"


def private_words() -> list[tuple[str, str]]:
    """Names of this user and host, which must not stand in a published run, each with what it is."""
    import contextlib
    import getpass
    import os
    import platform

    found: list[tuple[str, str]] = []
    with contextlib.suppress(KeyError, OSError):  # a user without a name
        found.append((getpass.getuser(), "the name of a user"))
    host = platform.node()
    found += [(name, "the name of a host") for name in {host, host.partition(".")[0]}]
    found.append((os.path.expanduser("~").rpartition("/")[2], "the name of a home directory"))  # noqa: PTH111
    return [(word, what) for word, what in found if len(word) > 2 and word.lower() not in COMMON_NAMES]


def _publish(run: str, results: Path, labels: dict[str, str], *, ask: bool, replace: bool, anyway: bool) -> Path:
    from fencepost.analysis.gallery.entry import (
        data_files,
        folder_name,
        refusals,
    )
    from fencepost.analysis.report.marks import HARDLY
    from fencepost.analysis.report.trust import trust_verdict
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.bench import runfolder
    from fencepost.bench.errors import UsageError
    from fencepost.bench.machine import machine_key
    from fencepost.bench.schema import ROWS_FILE
    from fencepost.cli import display
    from fencepost.cli.main import package_version

    if not results.parent.is_dir():
        raise UsageError(f"{results}: cannot be made, there is no folder {results.parent}; make it first")
    folder = runfolder.find(run)
    analysis = _labelled(analyse(folder), labels, ask=ask)
    refused = refusals(_cleaned(analysis), private_words())
    if analysis.machine["key"] != machine_key(analysis.machine):
        refused.append("machine.json: field key: its facts give another; the file was edited by hand, run again")
    if refused:
        for sentence in refused[:20]:
            click.echo(f"fencepost: {display.printable(sentence)}", err=True)
        more = f" (the first 20 of {len(refused)})" if len(refused) > 20 else ""
        raise UsageError(f"{folder}: not published, for the reasons above{more}")
    if not anyway and trust_verdict(analysis).word == HARDLY:
        raise UsageError(
            f"{folder}: its figures can hardly be trusted; measure again at a quieter hour, or publish it with --anyway"
        )
    target = results / folder_name(analysis.run, analysis.machine)
    if target.exists() and not replace:
        raise UsageError(f"{target}: there already; --replace puts this run in its place")
    data = data_files(analysis, package_version())
    temporary = results / f".tmp-{target.name}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for name, content in data.items():
            runfolder.atomic_write(temporary / name, content)
        # What is derived comes from what was written, as the check will have it.
        for name, content in _derived(temporary, data[ROWS_FILE]).items():
            runfolder.atomic_write(temporary / name, content)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
    except OSError as error:
        raise runfolder.storage_fault(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _labelled(analysis: Analysis, labels: dict[str, str], *, ask: bool) -> Analysis:
    """The run with `labels` and without its host; with the answer of a person at a terminal where none names it."""
    import sys
    from dataclasses import replace

    from fencepost.analysis.runs.labels import label_of, without_host
    from fencepost.bench.documents import RunJson
    from fencepost.bench.errors import UsageError
    from fencepost.bench.labels import HOST, NAME
    from fencepost.cli import display

    if HOST in labels:
        raise UsageError(f"--label {HOST}={labels[HOST]}: a published run names no host; leave it out")
    host = label_of(analysis.run, HOST)
    if host:
        click.echo(f"fencepost: the host {display.printable(host)} is not published", err=True)
    if NAME not in labels and not label_of(analysis.run) and ask and sys.stdin.isatty() and sys.stderr.isatty():
        asked = _asked_label()
        labels = labels if asked is None else {**labels, NAME: asked}
    if not labels and not host:
        return analysis
    bare = without_host(analysis.run)
    run: RunJson = {**bare, "labels": {**bare.get("labels", {}), **labels}}
    if not run["labels"]:
        del run["labels"]
    return replace(analysis, reduced=replace(analysis.reduced, run=run))


def _asked_label() -> str | None:
    """What a person types; None for an empty line."""
    from fencepost.bench.labels import name_fault
    from fencepost.cli import display

    while True:
        text = click.prompt(
            "What is this machine called, e.g. c7a.large? Enter alone: no label",
            default="",
            show_default=False,
            err=True,
        ).strip()
        fault = name_fault(text) if text else ""
        if not fault:
            return text or None
        click.echo(f"The label {display.printable(fault)}", err=True)


def _cleaned(analysis: Analysis) -> Analysis:
    """The run as it would be published, for the search for private words: its command is shortened first."""
    from dataclasses import replace

    from fencepost.analysis.gallery.entry import published_run

    return replace(analysis, reduced=replace(analysis.reduced, run=published_run(analysis, "")))


def _derived(folder: Path, rows: bytes) -> dict[str, bytes]:
    from fencepost.analysis.gallery.entry import (
        REPORT,
        derived_files,
        report_file,
    )
    from fencepost.analysis.runs.estimate import analyse

    analysis = analyse(folder)
    return {**derived_files(analysis), REPORT: report_file(analysis, rows)}


def _rewrite(results: Path) -> list[Path]:
    from fencepost.analysis.gallery.entry import (
        published_folders,
        run_file,
    )
    from fencepost.analysis.runs.estimate import analyse
    from fencepost.bench import runfolder
    from fencepost.bench.schema import ROWS_FILE, RUN_FILE
    from fencepost.cli.main import package_version

    written = []
    for folder in published_folders(results):
        # First: what it says of trust and noise is derived too, and stands in the report.
        runfolder.atomic_write(folder / RUN_FILE, run_file(analyse(folder), package_version()))
        derived = _derived(folder, (folder / ROWS_FILE).read_bytes())
        for name, content in derived.items():
            runfolder.atomic_write(folder / name, content)
        written += [folder / name for name in (RUN_FILE, *derived)]
    return written


def _add_imported(file: Path, microarchitecture: str, results: Path, cpu: str, *, replace: bool) -> Path:
    """Write the entry of a machine that another tool measured; its label is the name of its CPU."""
    from fencepost.analysis.gallery import imported
    from fencepost.bench import runfolder
    from fencepost.bench.errors import UsageError

    entry = imported.read_export(file, microarchitecture, cpu)
    path = results / imported.FOLDER / f"{entry.name}.csv"
    if path.exists() and not replace:
        raise UsageError(f"{path}: is there already; add --replace, or name the CPU by --label")
    path.parent.mkdir(parents=True, exist_ok=True)
    runfolder.atomic_write(path, imported.encode(entry))
    return path


def _rebuild(results: Path) -> list[Path]:
    from fencepost.analysis.gallery.pages import build
    from fencepost.bench import runfolder
    from fencepost.cli import display

    pages, left_out = build(results)
    for sentence in left_out:
        click.echo(f"fencepost: {display.printable(sentence)}", err=True)
    for name, content in pages.items():
        runfolder.atomic_write(results / name, content)
    return [results / name for name in pages]
