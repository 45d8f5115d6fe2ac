"""`fencepost new` and `fencepost config`: what one needs to write kernels of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import click

from fencepost.cli.options import json_option, verbose_option


@click.command(name="new")
@click.argument("name", metavar="NAME")
@click.option("--cxx", "language", flag_value="cc", help="C++ instead of C.")
@click.option("--to", "folder", type=click.Path(path_type=Path), default=Path(), help="Folder.  [default: this one]")
@verbose_option
def new_command(name: str, language: str | None, folder: Path) -> None:
    """Write a kernel file for the kernel NAME (topic/variant, or one word). It runs as it is.

    The file is TOPIC_VARIANT.c. It times a small loop and checks it. Replace the loop with yours, then measure it with
    `fencepost run --kernel FILE`.
    """
    from fencepost.bench import sources
    from fencepost.bench.errors import MeasureError, UsageError

    word = r"[a-z][a-z0-9_]*"
    full = name if "/" in name else f"own/{name}"
    if not re.fullmatch(f"{word}/{word}", full):
        raise UsageError(f"{name!r}: not a kernel's name; write topic/variant in lower case, digits and underscores")
    variant = full.partition("/")[2]
    path = folder / f"{full.replace('/', '_')}.{language or 'c'}"
    template = (sources.CSRC / "own" / "kernel.c.in").read_text(encoding="utf-8")
    text = template.replace("@NAME@", full).replace("@ID@", variant).replace("@FILE@", path.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: exists already and was not changed; choose another name") from None
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise MeasureError(f"{path}: cannot be written ({said}); choose another folder with --to") from error
    click.echo(f"Wrote {path}. Measure it with: fencepost run --kernel {path}")


@click.command(name="config")
@click.option("--cflags", "what", flag_value="cflags", help="Compiler options of kernel files in C.")
@click.option("--cxxflags", "what", flag_value="cxxflags", help="The same for C++.")
@click.option("--include-dir", "what", flag_value="include_dir", help="Folder of kernel.h.")
@click.option("--cache-dir", "what", flag_value="cache_dir", help="Folder of compiled kernels; you may delete it.")
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

    values = {
        "cflags": shlex.join(objects.cflags("c")),
        "cxxflags": shlex.join(objects.cflags("c++")),
        "include_dir": str(sources.CSRC),
        "cache_dir": str(objects.cache_folder()),
    }
    if as_json:
        display.print_json(values if what is None else values[what])
    elif what is not None:
        click.echo(values[what])
    else:
        for name, value in values.items():
            click.echo(f"{name}: {value}")
