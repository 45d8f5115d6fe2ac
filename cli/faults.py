"""From exceptions to exit codes: one sentence on standard error, and never a traceback for an expected fault."""

from __future__ import annotations

import os
import sys

import click

from fencepost.bench.errors import EXIT_MEASURE, EXIT_USAGE, FencepostError, MeasureError, UsageError

DEBUG_VARIABLE = "FENCEPOST_DEBUG"


def debugging(verbose: bool = False) -> bool:
    """Whether tracebacks are wanted: ``--verbose``, or FENCEPOST_DEBUG set to anything but 0."""
    return verbose or os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0")


def exit_code_of(error: BaseException) -> int:
    """The exit code for an exception: 2 for wrong use, 3 for whatever could not be measured or stored."""
    if isinstance(error, FencepostError):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return EXIT_USAGE
    if isinstance(error, ValueError) and expected(error):
        # Damaged or foreign input: RunFolderError, TopologyError and their like, from rooms that know no exit codes.
        return EXIT_USAGE
    return EXIT_MEASURE


def expected(error: BaseException) -> bool:
    """Whether the text of `error` is meant for the user.

    The rooms bench and analysis keep their own errors (``RunFolderError`` and others): what is defined in this package
    is expected, and so are the operating system's refusals.
    """
    return type(error).__module__.startswith("fencepost.") or isinstance(error, OSError)


def report(error: BaseException, *, verbose: bool = False) -> int:
    """Tell the user about `error`; returns the exit code."""
    from fencepost.analysis.text.escape import visible

    if debugging(verbose):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        sentence = "interrupted"
    elif isinstance(error, OSError) and not isinstance(error, FencepostError):
        where = f"{error.filename}: " if error.filename else ""
        sentence = f"{where}{(error.strerror or str(error)).lower()}"
    elif expected(error):
        sentence = str(error)
    else:
        sentence = (
            f"internal error: {type(error).__name__}: {error}. "
            f"Please report it together with the output of {DEBUG_VARIABLE}=1"
        )
    say(visible(sentence))  # it may quote a file or a name from outside
    return exit_code_of(error)


def say(sentence: str) -> None:
    """A sentence on standard error; nothing where that is closed."""
    if sys.stderr is not None:
        click.echo(f"fencepost: {sentence}", err=True)


def silence_broken_pipe() -> None:
    """After the reader of a pipe has gone (``| head``), keep Python from complaining about it at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())


__all__ = ["FencepostError", "MeasureError", "UsageError", "debugging", "exit_code_of", "expected", "report"]
