"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def verbose_option(command: Command) -> Command:
    """``--verbose``, which the entry point looks for itself, wherever it stands."""
    return click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show the traceback of a fault.")(
        command
    )


def json_option(command: Command) -> Command:
    """``--json``, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")(command)
