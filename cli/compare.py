"""`fencepost compare`: stored runs, of one machine or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fencepost.cli.options import json_option, verbose_option
from fencepost.cli.verdicts import gate_option, margin_option, markdown_option

if TYPE_CHECKING:
    from fencepost.analysis.runs.estimate import Analysis


@click.command(name="compare", short_help="Compare stored runs of one machine or of several.")
@click.argument("names", nargs=-1, metavar="RUN RUN...", required=True)
@margin_option
@click.option("--anyway", is_flag=True, help="Compare even if engines or compiler flags differ.")
@gate_option
@markdown_option
@json_option
@verbose_option
def compare_command(
    names: tuple[str, ...],
    margin: float,
    anyway: bool,
    fail_on: tuple[str, ...],
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Compare stored RUNs (folders, ids, or `latest`) with the first of them.

    Runs of one machine get verdicts. Controls are compared first: core clock, empty window, a chain of multiplications
    and a walk through the first-level cache. If a control changed, rows that changed in the same direction get no
    verdict, because the machine may be the cause. To compare code, use `fencepost ab`.

    Runs of several machines get ratios with intervals and a list of differences between the machines, but no verdicts.
    """
    from fencepost.analysis.compare.runs import compare_runs, read_runs, same_machine
    from fencepost.analysis.compare.sides import NothingMeasuredError
    from fencepost.bench import runfolder
    from fencepost.bench.errors import MeasureError, UsageError
    from fencepost.cli import display

    if as_json and as_markdown:
        raise UsageError("--json and --markdown: choose one")
    runs = read_runs([runfolder.find(name) for name in names])
    if not same_machine(runs):
        if fail_on:
            raise UsageError("--fail-on: the runs are of several machines, of which none is a fault of another")
        _show_machines(runs, as_markdown=as_markdown, as_json=as_json)
        return 0
    try:
        found = [compare_runs(runs[0], run, margin, anyway=anyway) for run in runs[1:]]
    except NothingMeasuredError as error:
        raise MeasureError(str(error)) from error
    titles = [f"{runs[0].run['id']} against {run.run['id']}" for run in runs[1:]]
    if as_json:
        documents: list[dict[str, object]] = [
            {"old": str(runs[0].run["id"]), "new": str(run.run["id"])} for run in runs[1:]
        ]
        for document, item in zip(documents, found, strict=True):
            document.update(item.as_json())
        display.print_json(documents[0] if len(documents) == 1 else {"comparisons": documents})
    else:
        from fencepost.cli import verdicts

        for title, item in zip(titles, found, strict=True):
            if as_markdown:
                click.echo(verdicts.as_markdown(item, title), nl=False)
            else:
                verdicts.show(item, title)
    return int(any(item.fails(gate) for item in found for gate in fail_on))


def _show_machines(runs: list[Analysis], *, as_markdown: bool, as_json: bool) -> None:
    from fencepost.analysis.compare.machines import compare_machines
    from fencepost.cli import display, verdicts

    found = compare_machines(runs)
    if as_json:
        display.print_json(found.as_json())
        return
    tables = verdicts.machine_tables(found)
    if as_markdown:
        for title, header, rows in tables:
            click.echo("\n".join([f"### {title}", "", *verdicts.markdown_table(header, rows), ""]))
    else:
        out = display.console()
        for title, header, rows in tables:
            out.print(display.table(title, header, rows))
    for note in found.notes:
        click.echo(note)
