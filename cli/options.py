"""Options that several commands have."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fencepost.bench.engine import Engine
    from fencepost.bench.objects import KernelObject

Command = TypeVar("Command", bound=Callable[..., Any])

LONGEST_S = 24 * 3600
"""For longer, a loop around the command starts anew each day, and loses no more than a day if it is killed."""
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600}


def seconds_of(text: str, option: str) -> float:
    """The seconds that ``30s``, ``2m`` or ``1h`` say; raises `UsageError` for anything else, naming the option."""
    import re

    from fencepost.bench.errors import UsageError

    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|m|min|h)", text.strip(), re.ASCII)
    if match is None:
        raise UsageError(f"{option} {text}: not a time; write 30s, 2m or 1h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not 1 <= seconds <= LONGEST_S:
        raise UsageError(f"{option} {text}: choose between 1s and 24h")
    return seconds


class OutputFile(click.Path):
    """A file to be written, as a path. Its folder must be there, so that no work is done in vain."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse (`UsageError`) a file in a folder that is not there, and a folder."""
        from fencepost.bench.errors import UsageError

        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        named = f"{param.opts[0]} {path}" if param else str(path)
        if path.is_dir():
            raise UsageError(f"{named}: is a folder; name a file in it")
        if not path.parent.is_dir():
            raise UsageError(f"{named}: there is no folder {path.parent}; make it first")
        return path


def verbose_option(command: Command) -> Command:
    """``--verbose``, which the entry point looks for itself, wherever it stands."""
    return click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show the traceback of an error.")(
        command
    )


def json_option(command: Command) -> Command:
    """``--json``, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(command)


def executor_option(command: Command) -> Command:
    """``--executor``, passed on as `executor`."""
    return click.option(
        "--executor",
        metavar="WHERE",
        default="local",
        show_default=True,
        help="Where runs are read: local, or dask://HOST:PORT, whose workers see the same folders.",
    )(command)


def label_option(command: Command) -> Command:
    """``--label``, passed on as `labels`: those that can be stored, by their keys."""
    return click.option(
        "--label",
        "labels",
        callback=_labels,
        multiple=True,
        metavar="NAME|KEY=VALUE",
        help="Name of this machine, e.g. c7a.large, or a fact of it, e.g. rack=b12. Stored in the run.",
    )(command)


def _labels(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    from fencepost.bench.labels import read_labels

    return read_labels(texts)


def kernel_files_option(command: Command) -> Command:
    """``--kernel FILE`` and ``--cflags``, passed on as `kernel_files` and `cflags`."""
    command = click.option(
        "--cflags",
        metavar="OPTIONS",
        default="",
        help="More compiler options for the files of --kernel. Relative paths start at the file's folder.",
    )(command)
    return click.option(
        "--kernel",
        "kernel_files",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Your own kernel file (.c .cc .cpp .cxx, or a built .so). It is native code and runs as you.",
    )(command)


def load_kernel_files(
    engine: Engine,
    files: Sequence[Path],
    cflags: str,
    warn: Callable[[str], object] | None = None,
) -> list[KernelObject]:
    """Compile the files of ``--kernel`` and load them into `engine`, each under its label; `warn` is told what the
    compiler warns of; by default it goes to stderr.

    Raises
    ------
    UsageError, MeasureError
        as `fencepost.bench.objects.build` and `Engine.load_object` do.
    """
    import shlex

    from fencepost.bench.errors import UsageError

    if not files:
        if cflags:
            raise UsageError("--cflags is for the files of --kernel, and there are none")
        return []
    from fencepost.bench import objects

    try:
        extra = shlex.split(cflags)
    except ValueError as error:
        raise UsageError(f"--cflags {cflags}: cannot be read ({str(error).lower()})") from error
    built = objects.build_all(files, extra)
    for file, item in zip(files, built, strict=True):
        if item.warnings:
            (warn or functools.partial(click.echo, err=True))(f"{file}: the compiler warns:\n{item.warnings}")
        engine.load_object(item.label, item.path, str(file), item.source)
    return built
