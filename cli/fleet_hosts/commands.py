"""`fencepost fleet init` and `run`: measure on many hosts by Ansible, and gather their runs here."""

from __future__ import annotations

from pathlib import Path

import click

from fencepost.cli.options import verbose_option

HERE = Path(__file__).resolve().parent
ROLES = HERE / "roles"
INVENTORY, PLAYBOOK, SETTINGS = "inventory.yml", "playbook.yml", "ansible.cfg"
FILES = (INVENTORY, PLAYBOOK, SETTINGS)


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("fleet"))
@verbose_option
def fleet_init_command(folder: Path) -> None:
    """Write an inventory, a playbook and settings of Ansible into FOLDER (default: fleet)."""
    from fencepost.bench.errors import UsageError
    from fencepost.cli import extras

    there = [name for name in FILES if (folder / name).exists()]
    if there:
        raise UsageError(f"{folder / there[0]}: is there already; remove it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        text = (HERE / "templates" / f"{name}.in").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
    click.echo(f"Wrote {', '.join(str(folder / name) for name in FILES)}.")
    click.echo(f"1. Name your machines in {folder / INVENTORY}.")
    click.echo(f"2. Say in {folder / PLAYBOOK} what to measure.")
    click.echo(f"3. Start with: fencepost fleet run {folder}")
    if lacking := extras.missing("fleet"):
        click.echo(f"Before that: {lacking}")


@click.command(name="run", context_settings={"ignore_unknown_options": True})
@click.argument("folder", type=click.Path(path_type=Path), default=Path("fleet"))
@click.argument("ansible", nargs=-1, type=click.UNPROCESSED, metavar="[ANSIBLE OPTION]...")
def fleet_run_command(folder: Path, ansible: tuple[str, ...]) -> int:
    """Measure on the machines of FOLDER (default: fleet), and fetch their runs into FOLDER/runs/HOST/RUN.

    A complete run that is already here is left alone. So the same command completes a series, and measures nothing
    twice. All further options go to ansible-playbook, such as --limit HOST or --ask-become-pass.
    """
    import os
    import subprocess
    import sys

    from fencepost.bench.errors import MeasureError, UsageError
    from fencepost.cli import extras

    extras.require("fleet")
    for name in (INVENTORY, PLAYBOOK):
        if not (folder / name).is_file():
            raise UsageError(f"{folder / name}: no such file; `fencepost fleet init {folder}` writes one")
    roles = os.pathsep.join([str(folder.resolve() / "roles"), str(ROLES)])
    environment = {**os.environ, "ANSIBLE_ROLES_PATH": roles}
    if (folder / SETTINGS).is_file():
        environment["ANSIBLE_CONFIG"] = str(folder.resolve() / SETTINGS)
    words = ["-i", str(folder / INVENTORY), str(folder / PLAYBOOK), *ansible]
    done = subprocess.run([sys.executable, "-m", "ansible", "playbook", *words], env=environment, check=False)
    if done.returncode:
        raise MeasureError(
            f"{folder}: not all runs are here, see what failed above; the same command again completes them"
        )
    return 0
