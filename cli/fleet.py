"""`fencepost fleet`: many hosts. The group of its commands; each is in a module of its own."""

from __future__ import annotations

import click

from fencepost.cli.groups import LazyGroup

COMMANDS = {
    "init": ("fleet_hosts.commands", "Write an inventory and a playbook for Ansible."),
    "run": ("fleet_hosts.commands", "Measure on many hosts over ssh, and fetch their runs."),
    "report": ("fleet_report", "Show which hosts differ from the others."),
}


@click.group(name="fleet", cls=LazyGroup, table=COMMANDS, prefix="fleet_")
def fleet_command() -> None:
    """Measure on many hosts, and look at their runs at once."""
