"""`fencepost doctor`: every knob of this machine that bends figures. Reads, measures a second, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.options import json_option, verbose_option

if TYPE_CHECKING:
    from fencepost.bench.doctor.finding import Diagnosis, Finding
    from fencepost.bench.engine import Engine

_STYLES = {"ok": "green", "note": "dim", "hurts": "yellow", "unfit": "bold red"}


@click.command(name="doctor")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("/"),
    metavar="DIR",
    help="Examine a snapshot: a folder with copies of sys and proc.",
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "rigorous"]),
    default="standard",
    help="The profile that you want to run. The doctor is stricter with rigorous.  [default: standard]",
)
@json_option
@verbose_option
def doctor_command(root: Path, profile: str, as_json: bool) -> int:
    """Check this machine, or a snapshot of one, for settings that spoil figures.

    Changes nothing. Measures for one second how free the cores are. Prints the command that would change a setting.
    Exits with 0 if the machine is fit for the profile. Exits with 1 if a setting forbids it, or if other work disturbs
    it and hardly any figure can be trusted.
    """
    from fencepost.bench.doctor.examine import examine
    from fencepost.cli import display

    engine = _engine() if root.resolve() == Path("/") else None
    diagnosis = examine(
        root,
        profile=profile,
        perf_events=engine.perf_events() if engine else None,
        neighbours=_neighbours(engine) if engine else None,
    )
    if as_json:
        display.print_json(diagnosis.as_dict())
    else:
        _show(diagnosis)
    return 0 if diagnosis.fit else 1


def _engine() -> Engine | None:
    """What finds out what only a running process can; None where it is not built, which must not stop the doctor."""
    from fencepost.bench.engine import load
    from fencepost.bench.errors import EngineError

    try:
        return load()
    except EngineError:
        return None


def _neighbours(engine: Engine) -> Finding | None:
    """How free the cores are; None where it is unknown which CPUs there are, which `examine` will say."""
    from fencepost.bench.doctor.neighbours import look_at_neighbours
    from fencepost.bench.sysfs import TopologyError
    from fencepost.cli.measuring import here

    try:
        topology, cpus = here(None)
    except TopologyError:
        return None
    return look_at_neighbours(engine, cpus, topology)


def _show(diagnosis: Diagnosis) -> None:
    """Print neighbours first, which no setting shows, then the gravest: one paragraph a knob. Paths and commands stay
    whole, so that they can be copied.
    """
    from rich.text import Text

    from fencepost.bench.doctor.finding import SEVERITIES
    from fencepost.bench.doctor.neighbours import KNOB
    from fencepost.cli import display

    out = display.console()
    count = len(diagnosis.topology.cpus)
    model = diagnosis.machine["cpu_model"] if diagnosis.machine else "unknown CPU"
    title = f"{model}, {count} CPU{'s' if count != 1 else ''}"
    out.print(display.printable(title), style="bold", soft_wrap=True)
    findings = sorted(diagnosis.findings, key=lambda found: (found.knob != KNOB, -SEVERITIES.index(found.severity)))
    for found in findings:
        value = found.value if found.value is not None else found.state
        head = Text(f"{found.severity:<6}", style=_STYLES.get(found.severity, ""))
        head.append(display.printable(f" {found.knob}: {value}"), style="default not dim")
        if found.severity == "ok":
            head.append(display.printable(f"; {found.effect}"), style="default not dim")
            head.append(display.printable(f" ({found.path})"), style="dim")
            out.print(head, soft_wrap=True)
            continue
        out.print(head, soft_wrap=True)
        for label, text in (("", found.effect), ("read from ", found.path), ("to change: ", found.change or "")):
            if text:
                reboot = " (needs a reboot)" if text == found.change and found.reboot else ""
                out.print(display.printable(f"       {label}{text}{reboot}"), soft_wrap=True)
    best = diagnosis.best_change()
    out.print()
    if best is not None:
        out.print(display.printable(f"This change would help most: {best.knob}, {best.change}"), soft_wrap=True)
    out.print(display.printable(diagnosis.verdict), style="bold", soft_wrap=True)
