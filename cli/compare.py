"""`fencepost compare`: stored runs, of one machine or of several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.completion import complete_runs
from fencepost.cli.gates import Gates, Judged, gate_options
from fencepost.cli.options import OutputFile, json_option, verbose_option
from fencepost.cli.verdicts import margin_option, markdown_option

if TYPE_CHECKING:
    from fencepost.analysis.compare.answers import Compared
    from fencepost.analysis.compare.comparison import MachineComparison
    from fencepost.analysis.compare.documents import PairJson


@click.command(name="compare")
@click.argument("names", nargs=-1, metavar="RUN RUN...", required=True, shell_complete=complete_runs)
@margin_option
@click.option("--all", "every", is_flag=True, help="Show all rows, not only headlines and rows that changed.")
@click.option("--html", type=OutputFile(), metavar="FILE", help="Write the comparison as one HTML page.")
@click.option("--anyway", is_flag=True, help="Compare even if engines or compiler flags differ.")
@gate_options
@markdown_option
@json_option
@verbose_option
def compare_command(
    names: tuple[str, ...],
    margin: float,
    every: bool,
    html: Path | None,
    anyway: bool,
    gates: Gates,
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Compare stored RUNs (folders, ids, or `latest`) with the first of them.

    RUN may be a folder of runs, such as runs/HOST, or a pattern, such as 'runs/**/*@web1'. Then all runs in it count.

    Runs of one machine get verdicts. Controls are compared first: core clock, empty window, a chain of multiplications
    and a walk through the first-level cache. If a control changed, rows that changed in the same direction get no
    verdict, because the machine may be the cause. To compare code, use `fencepost ab`.

    Runs of several machines get ratios with intervals and a list of differences between the machines, but no verdicts.

    Headlines come first. Rows that changed follow, and all others with --all. --html writes a page with all rows,
    which can be sorted and filtered.
    """
    from fencepost.analysis.compare.answers import compared
    from fencepost.analysis.compare.comparison import NothingMeasuredError
    from fencepost.bench import runfolder
    from fencepost.bench.errors import MeasureError, UsageError

    if as_json and as_markdown:
        raise UsageError("--json and --markdown: choose one")
    folders = runfolder.find_all(names)
    gated = {"--fail-on": gates.fail_on, "--junit": gates.junit, "--annotations": gates.annotations}
    named = next((option for option, value in gated.items() if value), None)
    if named:
        _require_one_machine(named, folders)
    try:
        found = compared(folders, margin, anyway=anyway)
    except NothingMeasuredError as error:
        raise MeasureError(str(error)) from error
    if html is not None:
        _write_page(html, found)
    if found.machines is not None:
        _show_machines(found.machines, every=every, as_markdown=as_markdown, as_json=as_json)
        return 0
    _show_pairs(found, every=every, as_markdown=as_markdown, as_json=as_json)
    old, *further = found.ids
    judged = [Judged(f"{old} against {new}", item) for new, item in zip(further, found.pairs, strict=True)]
    return int(gates.close(judged))


def _require_one_machine(option: str, folders: list[Path]) -> None:
    """Refuse (`UsageError`) an option that needs verdicts where the runs are of several machines."""
    from fencepost.analysis.runs.labels import Kinship, identity_of, relation_of, relation_text
    from fencepost.bench import schema
    from fencepost.bench.errors import UsageError

    runs = [schema.read_run(folder) for folder in folders]
    machines = list(map(identity_of, runs))
    if relation_of(machines) is Kinship.ONE:
        return
    told = f"the runs are of {relation_text(machines)}, and several machines get no verdicts"
    if all(schema.IMPORTED in run for run in runs):
        told += ". If these imported ones are of one machine, import them again with the same --label"
    raise UsageError(f"{option}: {told}")


def _write_page(path: Path, found: Compared) -> None:
    """Write the page, and say so on standard error: standard output may be JSON."""
    from fencepost.analysis.report.compared import as_page, machines_page, runs_page
    from fencepost.cli import display, verdicts

    if found.machines is not None:
        page = machines_page(found.machines)
    else:
        page = runs_page(found.pairs, found.ids, verdicts.words)
    path.write_text(as_page(page), encoding="utf-8")
    click.echo(f"page: {display.printable(display.short_path(path))}", err=True)


def _show_pairs(found: Compared, *, every: bool, as_markdown: bool, as_json: bool) -> None:
    from fencepost.analysis.runs.labels import Kinship
    from fencepost.cli import compared, display, verdicts

    old, *further = found.ids
    pairs = list(zip(further, found.pairs, strict=True))
    if as_json:
        documents: list[PairJson] = [
            {"relation": Kinship.ONE, "old": old, "new": new, **item.as_json()} for new, item in pairs
        ]
        display.print_json(documents[0] if len(documents) == 1 else {"comparisons": documents})
        return
    for new, item in pairs:
        title = f"{old} against {new}, {Kinship.ONE} at two times"
        if as_markdown:
            click.echo(verdicts.as_markdown(item, title), nl=False)
        else:
            compared.show_runs(item, title, every=every)


def _show_machines(found: MachineComparison, *, every: bool, as_markdown: bool, as_json: bool) -> None:
    from fencepost.cli import compared, display, verdicts

    if as_json:
        display.print_json(found.as_json())
    elif as_markdown:
        tables = [*compared.headline_tables(found), compared.row_table(found), compared.fact_table(found)]
        for title, header, rows in tables:
            click.echo("\n".join([f"### {title}", "", *verdicts.markdown_table(header, rows), ""]))
        for sentence in (*found.sentences, *found.notes):
            click.echo(sentence)
    else:
        compared.show_machines(found, every=every)
