"""`fencepost schema`: the form of what fencepost writes and prints, for programs that read it."""

from __future__ import annotations

from typing import Any

import click

from fencepost.cli.options import json_option, verbose_option

NAMES = {
    "run.json": "the file of a run folder: plan, versions, engine",
    "machine.json": "the file of a run folder: the machine",
    "round": "the record in rounds/*.parquet of a run folder",
    "rows": "the record in rows.parquet of a published run",
    "run": "fencepost run --json",
    "samples": "fencepost run --json where the analysis is not installed",
    "report": "fencepost report --json",
    "claims": "fencepost claims --json",
    "compare": "fencepost compare --json",
    "ab": "fencepost ab --json",
}
"""A file has its own name, an answer that of its command."""


@click.command(name="schema", short_help="Print the JSON Schema of a file or of an answer.")
@click.argument("name", type=click.Choice(list(NAMES)), metavar="[NAME]", required=False)
@json_option
@verbose_option
def schema_command(name: str | None, as_json: bool) -> None:
    """Print the JSON Schema (2020-12) of NAME: a file of a run folder, or the output of a command with --json.

    Without NAME, lists the names.
    """
    from fencepost.cli import display

    if name is not None:
        display.print_json(schema_of(name))
    elif as_json:
        display.print_json(NAMES)
    else:
        display.console().print(display.table(None, ("name", "what it describes"), NAMES.items()))


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one of `NAMES`, with its title."""
    from fencepost.analysis.text.json_schema import DIALECT
    from fencepost.bench import schema

    files = {
        "run.json": schema.RUN_SCHEMA,
        "machine.json": schema.MACHINE_SCHEMA,
        "round": schema.ROUND_SCHEMA,
        "rows": schema.ROWS_SCHEMA,
    }
    found = {"$schema": DIALECT, **files[name]} if name in files else _answer(name)
    return {"title": NAMES[name], **found}


def _answer(name: str) -> dict[str, Any]:
    from fencepost.analysis.text.json_schema import json_schema
    from fencepost.bench.documents import MachineJson, SamplesJson
    from fencepost.bench.schema import MACHINE_SCHEMA

    if name == "samples":  # which is asked for where the others cannot be imported
        return json_schema(SamplesJson)
    from fencepost.analysis.compare.documents import ComparedJson, SidesJson
    from fencepost.analysis.report.data import MeasuredJson, ReportJson
    from fencepost.analysis.report.lecture import ClaimsJson

    answers: dict[str, Any] = {
        "run": MeasuredJson,
        "report": ReportJson,
        "claims": ClaimsJson,
        "compare": ComparedJson,
        "ab": SidesJson,
    }
    # machine.json differs from machine to machine, and its own schema allows for that.
    return json_schema(answers[name], {MachineJson: MACHINE_SCHEMA})
