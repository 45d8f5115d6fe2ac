"""`fencepost doctor`: every knob of this machine that bends figures. Reads, and changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.options import json_option, verbose_option

if TYPE_CHECKING:
    from fencepost.bench.doctor.finding import Diagnosis
    from fencepost.bench.documents import PerfEventJson

_STYLES = {"ok": "green", "note": "dim", "hurts": "yellow", "unfit": "bold red"}


@click.command(name="doctor", short_help="Check this machine for settings that spoil figures.")
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
    help="The profile you want to run; rigorous is stricter.  [default: standard]",
)
@json_option
@verbose_option
def doctor_command(root: Path, profile: str, as_json: bool) -> int:
    """Check this machine, or a snapshot of one, for settings that spoil figures.

    Changes nothing. Prints the command that would change a setting. Exits with 0 if the machine is fit for the profile,
    otherwise with 1.
    """
    from fencepost.bench.doctor.examine import examine
    from fencepost.cli import display

    live = root.resolve() == Path("/")
    diagnosis = examine(root, profile=profile, perf_events=_perf_events() if live else None)
    if as_json:
        display.print_json(diagnosis.as_dict())
    else:
        _show(diagnosis)
    return 0 if diagnosis.fit else 1


def _perf_events() -> list[PerfEventJson] | None:
    """What only a running process finds out; None where the engine is not built, which must not stop the doctor."""
    from fencepost.bench.engine import load
    from fencepost.bench.errors import EngineError

    try:
        return load().perf_events()
    except EngineError:
        return None


def _show(diagnosis: Diagnosis) -> None:
    """Print the gravest first, one paragraph a knob: paths and commands stay whole, so that they can be copied."""
    from rich.text import Text

    from fencepost.bench.doctor.finding import SEVERITIES
    from fencepost.cli import display

    out = display.console()
    count = len(diagnosis.topology.cpus)
    model = diagnosis.machine["cpu_model"] if diagnosis.machine else "unknown CPU"
    title = f"{model}, {count} CPU{'s' if count != 1 else ''}"
    out.print(display.printable(title), style="bold", soft_wrap=True)
    findings = sorted(diagnosis.findings, key=lambda found: -SEVERITIES.index(found.severity))
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
    verdict = "fit" if diagnosis.fit else "not fit"
    out.print(f"This machine is {verdict} for profile {diagnosis.profile}.", style="bold")
