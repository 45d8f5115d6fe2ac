"""`fencepost man`: the manual page, made of what the commands say of themselves."""

from __future__ import annotations

import inspect
import re

import click

from fencepost.cli.options import verbose_option

VERBATIM = "\b"
"""How click marks a paragraph whose lines stay as they are."""


@click.command(name="man")
@verbose_option
def man_command() -> None:
    """Show the manual page of all commands. In a pipe or a file it is the source of the page."""
    import shutil
    import subprocess
    import sys

    from fencepost.cli.main import cli, package_version

    text = page(cli, package_version())
    reader = shutil.which("man")
    if sys.stdout.isatty() and reader:
        subprocess.run([reader, "--local-file", "-"], input=text, text=True, check=False)
    else:
        click.echo(text, nl=False)


def page(group: click.Group, version: str) -> str:
    """The page as source for man(7); the same for the same commands."""
    context = click.Context(group, info_name="fencepost", **group.context_settings)
    lines = [f'.TH FENCEPOST 1 "" "fencepost {_escaped(version)}"', ".SH NAME"]
    lines += [f"fencepost \\- {_escaped(_summary(group))}", ".SH SYNOPSIS", ".B fencepost", "COMMAND [OPTIONS] ..."]
    lines += [".SH DESCRIPTION", *_paragraphs(group.help), ".PP", _escaped(group.epilog or "")]
    lines += [".SH OPTIONS", *_options(group, context), ".SH COMMANDS"]
    lines += _commands(group, context, "fencepost")
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, context: click.Context, before: str) -> list[str]:
    """Of each command its words and options; of a group among them those of its commands as well."""
    lines: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None  # it is in the list
        inner = click.Context(command, parent=context, info_name=name)
        usage = " ".join(command.collect_usage_pieces(inner))
        lines += [f".SS {before} {_escaped(name)} {_escaped(usage)}", *_paragraphs(command.help)]
        lines += _options(command, inner)
        if isinstance(command, click.Group):
            lines += _commands(command, inner, f"{before} {_escaped(name)}")
    return lines


def _summary(group: click.Group) -> str:
    first = (group.help or "").partition("\n\n")[0]
    return " ".join(first.split()).rstrip(".").lower()


def _paragraphs(text: str | None) -> list[str]:
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        verbatim = paragraph.startswith(VERBATIM)
        kept = [_escaped(line) for line in paragraph.removeprefix(VERBATIM).strip("\n").split("\n")]
        lines += [".PP", *([".nf", *kept, ".fi"] if verbatim else [" ".join(line.strip() for line in kept)])]
    return lines


def _options(command: click.Command, context: click.Context) -> list[str]:
    lines: list[str] = []
    for parameter in command.get_params(context):
        said = parameter.get_help_record(context)
        if said is not None and said[1]:
            lines += [".TP", f".B {_escaped(said[0])}", _escaped(re.sub(r"\s+", " ", said[1]))]
    return lines


def _escaped(text: str) -> str:
    """Text that roff prints as it is: backslashes and hyphens, and a line that would be a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
