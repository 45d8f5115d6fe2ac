"""`fencepost fleet`: many hosts. The group of its commands; each is in a module of its own."""

from __future__ import annotations

import click

from fencepost.cli.groups import LazyGroup

COMMANDS = {
    "report": ("fleet_report", "Show which hosts differ from the others."),
}


@click.group(name="fleet", cls=LazyGroup, table=COMMANDS, prefix="fleet_")
def fleet_command() -> None:
    """Look at the runs of many hosts at once."""
