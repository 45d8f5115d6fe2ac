"""`fencepost config`: what a build of kernel files needs."""

from __future__ import annotations

from collections.abc import Callable

import click

from fencepost.cli.options import json_option, verbose_option


@click.command(name="config")
@click.option("--cflags", "what", flag_value="cflags", help="Compiler options of kernel files in C.")
@click.option("--cxxflags", "what", flag_value="cxxflags", help="The same for C++.")
@click.option("--include-dir", "what", flag_value="include_dir", help="Folder of kernel.h.")
@click.option("--cache-dir", "what", flag_value="cache_dir", help="Folder of compiled kernels. You may delete it.")
@json_option
@verbose_option
def config_command(what: str | None, as_json: bool) -> None:
    """Print one value for use in a build, or all of them.

    To build an object yourself: cc $(fencepost config --cflags) -shared -o mine.so mine.c, then `fencepost run --kernel
    mine.so`.
    """
    import shlex

    from fencepost.bench import objects, sources
    from fencepost.cli import display

    tellers: dict[str, Callable[[], str]] = {
        "cflags": lambda: shlex.join(objects.cflags("c")),
        "cxxflags": lambda: shlex.join(objects.cflags("c++")),
        "include_dir": lambda: str(sources.CSRC),
        "cache_dir": lambda: str(objects.cache_folder()),
    }
    # What is not asked for may be unknown.
    values = {name: tell() for name, tell in tellers.items() if what in (None, name)}
    if as_json:
        display.print_json(values if what is None else values[what])
    elif what is not None:
        click.echo(values[what])
    else:
        for name, value in values.items():
            click.echo(f"{name}: {value}")
