"""`fencepost fleet report`: the hosts of a fleet beside each other."""

from __future__ import annotations

from pathlib import Path

import click

from fencepost.cli.options import json_option, verbose_option


@click.command(name="report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--anyway", is_flag=True, help="Take runs of different engines as well.")
@json_option
@verbose_option
def fleet_report_command(folder: Path, anyway: bool, as_json: bool) -> int:
    """Show the hosts of a fleet, with the runs that each of them has.

    DIR has a folder for each host, such as DIR/HOST/RUN. A run that cannot be used is named, and the others count.
    """
    from fencepost.analysis.compare.fleet_runs import collect, fleet_hosts
    from fencepost.bench.errors import UsageError
    from fencepost.cli import display

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name the one that has a folder for each host")
    with collect(folder) as collected:
        hosts, notes = fleet_hosts(folder, collected, anyway=anyway)
    if as_json:
        found = [{"host": host.name, "make": host.make, "runs": [run.id for run in host.runs]} for host in hosts]
        display.print_json({"folder": str(folder), "hosts": found, "notes": notes})
        return 0
    out = display.console()
    for note in notes:
        out.print(display.printable(note), soft_wrap=True)
    rows = [(host.name, host.make, len(host.runs), f"{host.runs[-1].created:%Y-%m-%d %H:%M}") for host in hosts]
    out.print(display.table("hosts", ("host", "make", "runs", "last run"), rows, right=("runs",), whole=("host",)))
    return 0
