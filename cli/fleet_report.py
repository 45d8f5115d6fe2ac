"""`fencepost fleet report`: the hosts of a fleet beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.options import OutputFile, executor_option, json_option, verbose_option

if TYPE_CHECKING:
    from rich.console import Console

    from fencepost.analysis.compare.fleet import FleetReport, MakeReport

MOST_CASES = 20
"""Lines of a table; the page and the JSON have all."""


@click.command(name="report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("after", type=click.Path(path_type=Path), metavar="[AFTER]", required=False)
@click.option("--by", metavar="KEY", help="A label with two values, such as bios: the runs before and after.")
@click.option("--html", type=OutputFile(), metavar="FILE", help="Write the report as one HTML page.")
@click.option("--anyway", is_flag=True, help="Take runs of different engines as well.")
@executor_option
@json_option
@verbose_option
def fleet_report_command(
    folder: Path, after: Path | None, by: str | None, html: Path | None, anyway: bool, executor: str, as_json: bool
) -> int:
    """Show which hosts differ from the others, and how much hosts differ.

    DIR has a folder for each host, such as DIR/HOST/RUN. For each case the report says how much the hosts differ, and
    how much the runs of one host differ. It names a host that is slower or faster than the others, in some cases or
    in most. Among equal hosts it names one in at most 1 % of fleets.

    With AFTER, the hosts of DIR are compared with the same hosts in AFTER. With --by, runs are compared by a label.

    A run that cannot be used is named, and the other runs count. The verdicts do not change the exit code.
    """
    from fencepost.analysis.compare.fleet import fleet_change, fleet_report
    from fencepost.analysis.runs.executors import executor_of
    from fencepost.bench.errors import UsageError
    from fencepost.cli import display

    for path in filter(None, (folder, after)):
        if not path.is_dir():
            raise UsageError(f"{path}: no such folder; name the one that has a folder for each host")
    if after is not None and by is not None:
        raise UsageError("AFTER and --by: choose one")
    with executor_of(executor, folder) as reader:
        if after is None and by is None:
            found = fleet_report(folder, anyway=anyway, executor=reader)
        else:
            found = fleet_change(folder, after, by or "", anyway=anyway, executor=reader)
    if html is not None:
        from fencepost.analysis.report.fleet import as_page

        html.write_text(as_page(found), encoding="utf-8")
        click.echo(f"page: {display.printable(display.short_path(html))}", err=True)
    if as_json:
        display.print_json(found.as_json())
    else:
        _show(found)
    return 0


def _show(found: FleetReport) -> None:
    from fencepost.cli import display

    out = display.console()
    display.say(out, found.notes)
    for make in found.makes:
        _show_make(out, make)


def _show_make(out: Console, make: MakeReport) -> None:
    from fencepost.analysis.report.fleet import sentence
    from fencepost.analysis.stats.hosts import FEWEST_HOSTS
    from fencepost.analysis.text.numbers import bounds, counted, nanoseconds, plain
    from fencepost.cli import display

    sizes = {"host": len(make.hosts), "run": sum(make.runs), "case": len(make.cases)}
    title = f"{make.make}: {', '.join(counted(number, word) for word, number in sizes.items())}"
    widest = sorted(make.cases, key=lambda one: -one.between_pct if one.between_pct >= 0 else 0.0)
    rows = [
        (
            one.case,
            nanoseconds(one.ns),
            f"{plain(one.between_pct, 3)} % {bounds(one.between_low_pct, one.between_high_pct)}",
            f"{plain(one.within_pct, 3)} %",
        )
        for one in widest[:MOST_CASES]
    ]
    out.print(display.table(title, ("case", "middle", "between hosts", "within a host"), rows))
    if len(widest) > MOST_CASES:
        out.print(f"{len(widest) - MOST_CASES} more cases with less spread between hosts: see --html or --json")
    if make.changes:
        changed = sorted((one for one in make.changes if one.changed), key=lambda one: one.p)
        told = [(one.case, f"{plain(one.ratio)} {bounds(one.low, one.high)}", plain(one.p, 2)) for one in changed]
        if told:
            out.print(display.table("after over before", ("case", "ratio", "p"), told, right=("p",)))
        out.print(f"{len(changed)} of {len(make.changes)} cases changed over all hosts")
    for verdict in make.verdicts:
        cases = f": {', '.join(verdict.cases)}" if verdict.cases else ""
        out.print(display.printable(f"{verdict.host} is {sentence(verdict)}{cases}"), soft_wrap=True)
    if not make.verdicts and len(make.hosts) >= FEWEST_HOSTS:
        out.print(f"no host differs from the others by more than chance and {plain(make.floor_pct, 2)} %")
