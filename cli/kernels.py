"""`fencepost list` and `fencepost show`: the catalogue, and all about one of its kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fencepost.cli.completion import complete_kernels
from fencepost.cli.options import json_option, kernel_files_option, load_kernel_files, verbose_option

if TYPE_CHECKING:
    from pathlib import Path

    from fencepost.bench.catalog import KernelInfo, Parameter
    from fencepost.bench.engine import Engine


@click.command(name="list")
@click.argument("patterns", nargs=-1, metavar="[KERNEL]...", shell_complete=complete_kernels)
@kernel_files_option
@json_option
@verbose_option
def list_command(patterns: tuple[str, ...], kernel_files: tuple[Path, ...], cflags: str, as_json: bool) -> None:
    """List KERNELs: names, globs such as 'clock/*', or topics such as clock.

    Default: all kernels of the suite, or those of the files given with --kernel.
    """
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.engine import load
    from fencepost.cli import display

    engine = load()
    own = load_kernel_files(engine, kernel_files, cflags)
    kernels = read_catalog(engine, [item.label for item in own]).select(patterns)
    if own and not patterns:
        kernels = [kernel for kernel in kernels if kernel.object]
    if as_json:
        display.print_json([as_document(engine, kernel) for kernel in kernels])
        return
    out = display.console()
    columns: tuple[str, ...] = ("kernel", "what it measures", "unit", "threads", "parameters")
    rows: list[tuple[str, ...]] = [
        (k.name, k.summary, k.unit, _threads(k), " ".join(p.name for p in k.parameters)) for k in kernels
    ]
    if out.width < 120:
        # A narrow terminal: the catalogue row alone; `show` tells the rest.
        columns, rows = columns[:2], [row[:2] for row in rows]
    out.print(display.table(None, columns, rows, right=("threads",), whole=("kernel",)))


@click.command(name="show")
@click.argument("kernel", metavar="KERNEL", shell_complete=complete_kernels)
@kernel_files_option
@click.option("--source/--no-source", default=True, help="Print the C source, or leave it out.")
@click.option("--disassembly/--no-disassembly", default=True, help="Print the machine code (objdump), or leave it out.")
@json_option
@verbose_option
def show_command(
    kernel: str, kernel_files: tuple[Path, ...], cflags: str, source: bool, disassembly: bool, as_json: bool
) -> None:
    """Show KERNEL: what it measures, its parameters, metrics and counts, its source and the machine code."""
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.engine import load
    from fencepost.cli import disassembly as machine_code
    from fencepost.cli import display

    engine = load()
    own = load_kernel_files(engine, kernel_files, cflags)
    info = read_catalog(engine, [item.label for item in own]).get(kernel)
    path = info.source()
    text = path.read_text(encoding="utf-8", errors="replace") if path else None
    description = header_comment(text) if text else None
    code = machine_code.hot_functions(engine, info) if disassembly else None
    if as_json:
        document = as_document(engine, info)
        document["description"] = description
        document["source"] = text if source else None
        document["source_path"] = display.short_path(path) if path else None
        document["disassembly"] = None if code is None else [f.as_json() for f in code.functions]
        document["disassembly_missing"] = None if code is None else code.missing
        display.print_json(document)
        return
    out = display.console()
    out.print(f"{info.name}: {info.summary}", style="bold", soft_wrap=True)
    for line in _facts(engine, info):
        out.print(f"  {line}", soft_wrap=True)
    if description:
        out.print()
        out.print(display.printable(description), soft_wrap=True)
    if info.parameters:
        rows = [(p.name, p.unit, p.show(p.initial), _values(p), p.summary) for p in info.parameters]
        out.print(display.table("\nparameters", ("name", "unit", "default", "values", "what"), rows))
    if info.metrics:
        rows_of_metrics = [(m.name, m.unit, m.summary) for m in info.metrics]
        out.print(display.table("\nmetrics", ("name", "unit", "what"), rows_of_metrics))
    if info.counts:
        rows_of_counts = [(c.name, c.unit, c.summary) for c in info.counts]
        out.print(
            display.table("\ncounts, each compared with what it must be", ("name", "unit", "what"), rows_of_counts)
        )
    if source:
        out.print()
        out.print(
            f"source: {display.short_path(path)}" if path else "source: not found (this installation has no csrc/)"
        )
        if text:
            out.print(display.printable(text), soft_wrap=True)
    if code is not None:
        out.print()
        out.print("machine code of the loop" + (f": {code.missing}" if code.missing else ""), soft_wrap=True)
        for function in code.functions:
            out.print(
                f"\n{function.name} ({function.role}), {function.bytes} bytes at {function.address:#x}", soft_wrap=True
            )
            out.print(display.printable(function.text), soft_wrap=True)


def as_document(engine: Engine, kernel: KernelInfo) -> dict[str, object]:
    """A row of the catalogue as JSON holds it."""
    from fencepost.bench.catalog import missing_needs, need_texts

    return {
        "kernel": kernel.name,
        "object": kernel.object,
        "summary": kernel.summary,
        "unit": kernel.unit,
        "kind": kernel.kind,
        "paired": kernel.paired,
        "threads": {"min": kernel.threads_min, "max": kernel.threads_max},
        "place": kernel.place,
        "once": kernel.once,
        "opt_in": kernel.opt_in,
        "twin": kernel.twin,
        "needs": need_texts(engine, kernel.needs),
        "missing_here": missing_needs(engine, kernel.needs),
        "parameters": [
            {
                "name": p.name,
                "unit": p.unit,
                "summary": p.summary,
                "labels": list(p.labels),
                "default": p.show(p.initial),
                "sweeps": {profile: [p.show(value) for value in values] for profile, values in p.sweeps.items()},
            }
            for p in kernel.parameters
        ],
        "metrics": [{"name": m.name, "unit": m.unit, "summary": m.summary} for m in kernel.metrics],
        "counts": [{"name": c.name, "unit": c.unit, "summary": c.summary} for c in kernel.counts],
    }


def header_comment(source: str) -> str | None:
    """The comment that a C file begins with, without its stars; None where it begins with none."""
    import re

    match = re.match(r"\s*/\*(.*?)\*/", source, re.DOTALL)
    if match is None:
        return None
    lines = [re.sub(r"^\s*\* ?", "", line).rstrip() for line in match[1].splitlines()]
    return "\n".join(lines).strip("\n")


def _facts(engine: Engine, kernel: KernelInfo) -> list[str]:
    from fencepost.bench.catalog import missing_needs, need_texts

    placed = {
        "any": "on the best CPU" if kernel.threads_max == 1 else "on the best CPUs",
        "each_cpu": "on each usable CPU in turn",
        "pairs": "on pairs of CPUs, both directions",
        "all": "on all usable CPUs",
        "sweep": "on 1, 2, 4 … and all usable CPUs, up to the largest number of threads",
        "one_cpu": "all on one CPU",
    }[kernel.place]
    facts = [
        _one(kernel),
        f"threads: {_threads(kernel)}, {placed}",
    ]
    if kernel.needs:
        missing = missing_needs(engine, kernel.needs)
        here = f"; this machine lacks {', '.join(missing)}" if missing else ", which this machine has"
        facts.append(f"needs {', '.join(need_texts(engine, kernel.needs))}{here}")
    if kernel.opt_in:
        facts.append("measured only if you give its full name to `fencepost run`")
    if kernel.once:
        facts.append("measured in the first round only, because it records how a value changes over time")
    if kernel.twin:
        facts.append("runs twice in every round, under two names: its twin shows the noise floor")
    return facts


def _one(kernel: KernelInfo) -> str:
    """What is timed, in a line."""
    if kernel.paired:
        return f"one event is one {kernel.unit} minus a control; the two are measured in turn"
    if kernel.kind == "counts":
        return "it counts, and takes no time"
    return f"one operation is one {kernel.unit}" if kernel.kind == "loop" else f"one event is one {kernel.unit}"


def _threads(kernel: KernelInfo) -> str:
    if kernel.threads_min == kernel.threads_max:
        return str(kernel.threads_min)
    return f"{kernel.threads_min}+" if kernel.threads_max >= 1024 else f"{kernel.threads_min}-{kernel.threads_max}"


def _values(parameter: Parameter) -> str:
    if parameter.labels:
        return " ".join(parameter.labels)
    return "; ".join(f"{profile}: {' '.join(map(str, values))}" for profile, values in parameter.sweeps.items())
