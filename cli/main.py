"""The command `fencepost`. Nothing heavy is imported before a command that needs it runs."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from fencepost.cli.groups import LazyGroup

# Of each command the module below fencepost.cli, and what `--help` says of it. So that help imports none of them.
COMMANDS = {
    "run": ("run", "Measure kernels and store the samples in a run folder."),
    "list": ("kernels", "List the kernels."),
    "show": ("kernels", "Show one kernel: question, parameters, source, machine code."),
    "new": ("new", "Write a kernel file or a queue to start from, or a job for CI."),
    "config": ("own", "Print compiler options and folders for your own build."),
    "peers": ("peers", "Compare fencepost's rings with those of other libraries."),
    "doctor": ("doctor", "Check this machine for settings that spoil figures."),
    "tune": ("tune", "Set this machine as the doctor advises while a command runs."),
    "neighbours": ("neighbours", "Show live what else uses the cores of this machine."),
    "report": ("report", "Write the report of a run: HTML, Markdown or JSON."),
    "claims": ("claims", "Show sentences of the lecture notes, each with a verdict."),
    "publish": ("publish", "Add a run to the gallery, or check the gallery."),
    "ab": ("ab", "Compare two versions of a kernel in the same processes."),
    "compare": ("compare", "Compare stored runs of one machine or of several."),
    "selfcheck": ("selfcheck", "Measure how often the verdicts are wrong on this machine."),
    "export": ("exchange", "Write a run in the format of another tool."),
    "import": ("exchange", "Turn a file of another tool into a run."),
    "history": ("history", "Show which rows changed over many runs, and when."),
    "fleet": ("fleet", "Measure on many hosts, and look at their runs at once."),
    "prune": ("prune", "Drop raw batches of old runs, and keep their rows."),
    "schema": ("schemas", "Print the JSON Schema of a file or of an answer."),
    "completion": ("completion", "Print the script by which a shell completes commands, kernels and runs."),
    "man": ("manual", "Show the manual page."),
}


_READERS = ("claims", "compare", "export", "history", "report")
"""Commands that compute, and start no program that would inherit a setting."""


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    click.echo(f"fencepost {package_version()}")
    ctx.exit()


def package_version() -> str:
    """Version of the installed distribution; ``unknown`` in a tree that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("fencepost")
    except metadata.PackageNotFoundError:
        return "unknown"


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success, 1 a gate failed, 2 wrong use or unreadable input, 3 nothing was measured or the run "
    "was interrupted. Start with `fencepost doctor`, then `fencepost run`.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error (also: FENCEPOST_DEBUG=1).")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:
    """Measure what basic operations of systems code cost on this machine, and how far to trust the figures."""
    ctx.obj = {"verbose": verbose}


def main(arguments: Sequence[str] | None = None) -> Any:
    """Entry point of the console script: runs the command and exits with its code."""
    # What a run is read into is mostly still in use when it is looked through for garbage, again and again.
    gc.set_threshold(50_000, 20, 20)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] and words[0] in _READERS:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing multiplies matrices, and idle threads spin
    code = run(words)
    gc.freeze()  # what is left goes with the process: to look through it for garbage took half a second after a report
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line `arguments` (without the program's name); returns the exit code."""
    from fencepost.bench.errors import EXIT_MEASURE, EXIT_USAGE
    from fencepost.cli import faults, narrow

    if sys.stdout is None:
        # The number of a closed descriptor goes to the next file that is opened, and what is printed goes there.
        faults.say("standard output is closed; send it to a file, or to /dev/null")
        return EXIT_USAGE
    if too_little := faults.too_little():
        faults.say(too_little)
        return EXIT_MEASURE
    narrow.never_refuse()
    verbose = bool({"-v", "--verbose"} & set(arguments))
    try:
        result = cli.main(arguments, prog_name="fencepost", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        error.show()
        return faults.exit_code_of(error)
    except BrokenPipeError:
        faults.silence_broken_pipe()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        return faults.report(error, verbose=verbose)
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
