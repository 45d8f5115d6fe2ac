"""`fencepost completion`: words for the shell to complete, kernels and runs among them."""

from __future__ import annotations

import contextlib

import click
from click.shell_completion import CompletionItem, get_completion_class

from fencepost.cli.options import verbose_option

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_FENCEPOST_COMPLETE"
"""Where the shell says that it asks for words: click reads it."""
BEGIN_ZSH = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }"
"""zsh loads its completion only where the start-up file asks for it, and click's script needs it."""


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
@verbose_option
def completion_command(shell: str) -> None:
    """Print the script by which SHELL completes commands, options, kernels and runs.

    Put one line into the start-up file of your shell:

    \b
    bash, ~/.bashrc:                    eval "$(fencepost completion bash)"
    zsh, ~/.zshrc:                      eval "$(fencepost completion zsh)"
    fish, ~/.config/fish/config.fish:   fencepost completion fish | source
    """  # noqa: D301 -- click wants the character itself
    from fencepost.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None  # click knows these three
    # Not its source(), which asks for the version of bash that is installed here.
    writer = found(cli, {}, "fencepost", VARIABLE)
    script = writer.source_template % writer.source_vars()
    if shell == "zsh":
        # Its first line is for a file in a folder of $fpath.
        first, rest = script.split("\n", 1)
        script = f"{first}\n{BEGIN_ZSH}\n{rest}"
    click.echo(script)


def complete_kernels(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of kernels, and their topics; no words where the engine is not built."""
    from fencepost.bench.errors import FencepostError

    with contextlib.suppress(FencepostError, OSError):
        from fencepost.bench import engine as engines
        from fencepost.bench.catalog import read_catalog

        names = list(read_catalog(engines.load()).kernels)
        words = dict.fromkeys([*(name.partition("/")[0] for name in names), *names])
        return [word for word in words if word.startswith(incomplete)]
    return []


def complete_runs(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of stored runs, the newest first, after ``latest``; and folders."""
    from fencepost.bench.labels import run_folders
    from fencepost.bench.runfolder import DEFAULT_BASE, LATEST

    ids = sorted((path.name for path in run_folders(DEFAULT_BASE)), reverse=True)
    words = [LATEST, *ids] if ids else []
    # Folders as well: the shell finds these itself.
    return [*(CompletionItem(word) for word in words if word.startswith(incomplete)), CompletionItem(incomplete, "dir")]
