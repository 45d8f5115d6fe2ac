"""From exceptions to exit codes: one sentence on standard error, and never a traceback for an expected fault."""

from __future__ import annotations

import os
import re
import resource
import sys

import click

from fencepost.bench.errors import EXIT_MEASURE, EXIT_USAGE, CompileError, FencepostError, MeasureError, UsageError
from fencepost.bench.files import words_of
from fencepost.cli import extras

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


_LACKING = (
    (
        r"MemoryError|failed to map segment|cannot allocate|out of memory|(malloc|realloc|calloc) of size|bad_alloc",
        "raise its limit of memory (`ulimit -v`, or that of its container)",
    ),
    (
        r"can't start new thread|resource temporarily unavailable|pthread_create",
        "raise its limit of processes and threads (`ulimit -u`)",
    ),
    (r"too many open files", "raise its limit of open files (`ulimit -n`)"),
    (r"file too large", "raise its limit of bytes in a file (`ulimit -f`)"),
    (r"home directory|getpwuid", "set HOME to a folder of yours"),
    (r"no usable temporary directory", "set TMPDIR to a folder that can be written"),
    (r"getcwd|current directory", "go to a folder that exists (`cd`)"),
    (r"no space left|disk quota", "free some space"),
)
"""What errors of Python, of its libraries and of the loader say where the surroundings lack something, and the way out.
They say it in words only, each in an error of its own kind."""


_LEAST = (
    (resource.RLIMIT_STACK, 1 << 20, "stack", "ulimit -s"),
    (resource.RLIMIT_DATA, 256 << 20, "data", "ulimit -d"),
)
"""Below these limits Python, or a library, ends the process by a signal before anybody can say why."""


def too_little() -> str:
    """The limit of this process under which nothing can be said any more; empty where there is none."""
    for kind, least, name, command in _LEAST:
        most = resource.getrlimit(kind)[0]
        if most != resource.RLIM_INFINITY and most < least:
            return f"the limit of {name} is {most >> 10} KiB, and fencepost needs {least >> 10}; raise it (`{command}`)"
    return ""


def _advice(error: BaseException) -> str:
    """The way out where an error, or what it came from, tells of the surroundings rather than of a fault of ours."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        at = at.__cause__ or at.__context__
    text = "\n".join(f"{type(one).__name__}: {one}" for one in seen)
    return next((advice for sign, advice in _LACKING if re.search(sign, text, re.IGNORECASE)), "")


def shown(error: BaseException, sentence: str) -> str:
    """A sentence about `error` as the user sees it: one line, although it may quote a file or a name from outside.

    Only a compiler's lines stay as they are.
    """
    from fencepost.analysis.text.escape import REPLACEMENT, visible

    lines = isinstance(error, CompileError)
    return visible(sentence if lines else sentence.replace("\r\n", "\n").replace("\n", REPLACEMENT))


def report(error: BaseException, *, verbose: bool = False) -> int:
    """Tell the user about `error`; returns the exit code."""
    from fencepost.analysis.text.escape import one_line

    if debugging(verbose):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        sentence = "interrupted"
    elif isinstance(error, OSError) and not isinstance(error, FencepostError):
        advice = _advice(error)
        sentence = f"{words_of(error, named=True)}{f'; {advice}' if advice else ''}"
    elif expected(error):
        sentence = str(error)
    elif absent := extras.advice(error):
        say(absent)
        return EXIT_USAGE
    elif advice := _advice(error):
        sentence = f"this process lacks something that it needs ({one_line(str(error), 120)}); {advice}"
    else:
        sentence = (
            f"internal error: {type(error).__name__}: {error}. "
            f"Please report it together with the output of {DEBUG_VARIABLE}=1"
        )
    say(shown(error, sentence))
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
