"""Groups of commands. A group imports the module of a command when that command is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for.

    Parameters
    ----------
    table
        of each command the module below ``fencepost.cli``, and what ``--help`` says of it. Its function there is
        called ``NAME_command``, of a group within a group ``GROUP_NAME_command``.
    """

    def __init__(self, *arguments: Any, table: Mapping[str, tuple[str, str]], prefix: str = "", **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.table, self.prefix = table, prefix

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Names of all commands, in the order in which one uses them."""
        return list(self.table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`, or None."""
        if cmd_name not in self.table:
            return None
        module, short_help = self.table[cmd_name]
        function = f"{self.prefix}{cmd_name}_command"
        command: click.Command = getattr(importlib.import_module(f"fencepost.cli.{module}"), function)
        command.short_help = short_help
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing one of them: that took a third of the time of `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command where there is none of that name."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], self.table, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else f"; see `{ctx.command_path} --help`"
            ctx.fail(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)
