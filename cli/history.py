"""`fencepost history`: what changed over the runs of a machine, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.options import OutputFile, executor_option, json_option, verbose_option

if TYPE_CHECKING:
    from rich.console import Console

    from fencepost.analysis.compare.history import History, MachineHistory


@click.command(name="history")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("results") / "runs")
@click.option("--kernels", multiple=True, metavar="KERNEL", help="Only these rows (names, globs, topics or cases).")
@click.option("--picture", type=OutputFile(), metavar="PATH", help="Draw the changes, as PATH.svg or PATH.png.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    metavar="DATE",
    help="Show changes from this day on (UTC, 2026-11-30). All runs are still read.",
)
@click.option("--fail-on", type=click.Choice(["changed"]), help="Exit with 1 if a row that is shown has changed.")
@executor_option
@json_option
@verbose_option
def history_command(
    folder: Path,
    kernels: tuple[str, ...],
    picture: Path | None,
    since: datetime | None,
    fail_on: str | None,
    executor: str,
    as_json: bool,
) -> int:
    """Find changes in the runs in FOLDER (default: results/runs), and in folders of it such as FOLDER/HOST.

    A row changed if its medians lie on two levels that differ by more than the noise floor. Chance alone shows a change
    in at most 1 % of unchanged rows. Needs at least ten runs of one machine.

    --fail-on changed is for a nightly job. It exits with 1 if a row changed and the machine alone is not the cause.
    With fewer than ten runs it exits with 0. Without --fail-on that is exit code 2. After you have looked at a
    change, move --since to the next day.
    """
    from dataclasses import replace

    from fencepost.analysis.compare.history import TooFewRunsError
    from fencepost.analysis.compare.history import as_json as history_as_json
    from fencepost.analysis.compare.history_kept import kept_history
    from fencepost.analysis.runs.executors import executor_of
    from fencepost.bench.errors import UsageError
    from fencepost.cli import display

    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder. `fencepost run` makes the first run in results/runs")
    if picture is not None and picture.suffix not in (".svg", ".png"):
        raise UsageError(f"--picture {picture}: end its name in .svg or .png")
    try:
        with executor_of(executor, folder) as reader:
            found = kept_history(folder, kernels, reader)
    except TooFewRunsError as error:
        if fail_on is None or as_json:
            raise
        click.echo(display.printable(f"nothing is judged yet: {error}"))
        return 0
    if since is not None:
        found = replace(found, machines=[machine.since(since.replace(tzinfo=UTC)) for machine in found.machines])
    pictures = {}
    for number, machine in enumerate(found.machines, 1):
        if picture is not None:
            from fencepost.analysis.compare.history_picture import draw

            path = picture if number == 1 else picture.with_stem(f"{picture.stem}-{number}")
            draw(machine, path)
            pictures[machine.key] = display.short_path(path)
    if as_json:
        display.print_json(history_as_json(found, pictures))
    else:
        _show(found)
        for name in pictures.values():
            click.echo(f"picture: {name}")
    return int(fail_on is not None and any(machine.rows_changed for machine in found.machines))


def _show(found: History) -> None:
    from fencepost.analysis.runs.labels import relation_text
    from fencepost.cli import display

    out = display.console()
    display.say(out, found.notes)
    if len(found.machines) > 1:
        machines = (machine.runs[0].identity for machine in found.machines)
        out.print(f"{relation_text(machines)}, each for itself:")
    for machine in found.machines:
        _show_machine(out, machine)


def _show_machine(out: Console, machine: MachineHistory) -> None:
    from fencepost.analysis.stats.changes import FALSE_RATE
    from fencepost.analysis.text.numbers import bounds, counted, nanoseconds, plain, short
    from fencepost.cli import display

    runs, made = machine.runs, dict.fromkeys(mark.what for mark in machine.marks)
    when = f"{runs[0].created:%Y-%m-%d %H:%M} to {runs[-1].created:%Y-%m-%d %H:%M}"
    title = f"{machine.key}: {counted(len(runs), 'run')}, {when}"
    rows = [
        (
            change.case,
            f"{runs[change.at].created:%Y-%m-%d %H:%M}",
            f"{runs[change.earliest].created:%m-%d %H:%M} – {runs[change.latest].created:%m-%d %H:%M}",
            f"{nanoseconds(change.before_ns)} → {nanoseconds(change.after_ns)}",
            f"{plain(change.ratio)} {bounds(change.low, change.high)}",
            plain(change.p, 2),
            change.kind,
            ", ".join(dict.fromkeys(mark.what for mark in machine.marks_at(change))),
        )
        for change in sorted(machine.changes, key=lambda change: (change.at, change.kind, change.case))
    ]
    if rows:
        columns = ("case", "first run after it", "95 %", "level", "ratio", "p", "what changed", "made differently")
        out.print(display.table(title, columns, rows, right=("p",), whole=columns[1:2]))
    else:
        display.say(out, [f"{title}: nothing changed"])
    sentences = [
        f"the machine itself changed before {runs[shift.at].id}: {shift.because}, by {plain(shift.ratio)}"
        for shift in machine.shifts
    ]
    for mark in machine.marks:
        cut = 12 if mark.what == "engine" or mark.what.startswith("file ") else 80
        sentences.append(f"{mark.what} of {runs[mark.at].id} and after: {mark.after[:cut]}, not {mark.before[:cut]}")
    apart = f"Changed on the way: {', '.join(made)}." if made else "All runs were made alike."
    chance = short(FALSE_RATE * len(machine.series), 2)
    sentences.append(
        f"{counted(len(machine.series), 'row')}. At most {chance} would show a change by chance. "
        f"Changes below {short(machine.floor_pct, 2)} % (noise floor) are left out. {apart}"
    )
    display.say(out, sentences)
