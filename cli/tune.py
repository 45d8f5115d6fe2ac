"""`fencepost tune`: a command on a machine that is set as the doctor advises, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.bench.files import words_of
from fencepost.cli.options import verbose_option

if TYPE_CHECKING:
    from fencepost.bench.sysfs import Tree
    from fencepost.bench.tuning.settings import Step, TuningPlan
    from fencepost.bench.tuning.tuner import SettingChange


@click.command(name="tune", context_settings={"allow_interspersed_args": False})
@click.option("--dry-run", is_flag=True, help="Print what would be set, and set nothing.")
@click.option("--restore", "only_restore", is_flag=True, help="Put back what a killed tune has left, and nothing else.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("/"),
    metavar="DIR",
    help="Set the files of a snapshot: a folder with copies of sys and proc.",
)
@verbose_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def tune_command(dry_run: bool, only_restore: bool, root: Path, command: tuple[str, ...]) -> int:
    """Set this machine as the doctor advises, run COMMAND, and put everything back.

    \b
    sudo fencepost tune -- taskset -c 2,3 sudo -u "$USER" fencepost run

    Old values are stored on the disk before a setting is changed. If tune itself is killed, the next tune puts
    everything back, and so does --restore. A setting that needs more rights is named, and COMMAND runs without it. The
    exit code is that of COMMAND, or 128 + n if signal n ended it.
    """  # noqa: D301 -- click wants the character itself
    import shutil

    from fencepost.bench.doctor.examine import examine
    from fencepost.bench.errors import UsageError
    from fencepost.bench.sysfs import Tree
    from fencepost.bench.tuning import journal
    from fencepost.bench.tuning.settings import make_plan

    if only_restore and (command or dry_run):
        raise UsageError("--restore takes neither a command nor --dry-run")
    if not command and not dry_run and not only_restore:
        raise UsageError("no command; write `fencepost tune -- COMMAND`")
    if command and shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: no such command, so nothing was set")
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; --root wants a snapshot of sys and proc")
    tree = Tree(root)
    if dry_run:
        _show(tree, make_plan(tree, examine(root)))
        return 0
    with journal.lock(tree):
        if only_restore:
            return _restore(tree, left_over=True)
        if code := _restore(tree, left_over=True, silent=True):
            return code
        return _tuned(tree, make_plan(tree, examine(root)), command)


def _tuned(tree: Tree, plan: TuningPlan, command: Sequence[str]) -> int:
    """Set, run and put back; returns the exit code."""
    from fencepost.bench.errors import EXIT_MEASURE, MeasureError
    from fencepost.bench.tuning import tuner
    from fencepost.bench.tuning.journal import Journal

    _say(plan.notes)
    journal = Journal(tree)
    code = EXIT_MEASURE
    with tuner.signals_held() as mask:
        try:
            _say(_sentences(tuner.apply(tree, plan, journal)))
            with tuner.short_sleeps():
                early = tuner.waiting()
                code = 128 + early if early else tuner.run(command, mask)
        except OSError as error:
            raise MeasureError(f"{command[0]}: {words_of(error)}") from error
        finally:
            journal.close()
            restored = _restore(tree)
    return code or restored


def _restore(tree: Tree, *, left_over: bool = False, silent: bool = False) -> int:
    """Put back what the journal holds; returns the exit code. `silent` where there is none."""
    from fencepost.bench.errors import EXIT_MEASURE
    from fencepost.bench.tuning import journal

    found = journal.restore(tree)
    if found is None:
        if left_over and not silent:
            _say(["no tune has left anything to restore"])
        return 0
    _say([*found.notes, *found.faults])
    if found.files:
        of_whom = " that a killed tune had left" if left_over else ""
        _say([f"{_files(found.files)}{of_whom} put back"])
    return EXIT_MEASURE if found.faults else 0


def _sentences(changes: Sequence[SettingChange]) -> Iterable[str]:
    """One sentence for each setting that was changed, or refused."""
    said: dict[tuple[str, str, str | None], list[SettingChange]] = {}
    for change in changes:
        old, knob = change.step.setting.plain(change.old) or "", change.step.setting.knob
        said.setdefault((knob, "" if change.refusal else old, change.refusal), []).append(change)
    for (knob, old, refusal), found in said.items():
        where = _where([change.step for change in found])
        name, wanted = knob.replace("_", " "), found[0].step.wanted
        if refusal is None:
            yield f"{name} set from {old} to {wanted} ({where})"
        else:
            root = "; root may set it" if "permi" in refusal else ""
            yield f"{name} cannot be set to {wanted} ({where}: {refusal}){root}"


def _show(tree: Tree, plan: TuningPlan) -> None:
    """Print a plan, a line for each file."""
    from fencepost.cli import display

    steps = [step for group in plan.groups for step in group if step.wanted is not None]
    for step in steps:
        old = step.setting.plain(tree.text(step.path))
        name = step.setting.knob.replace("_", " ")
        click.echo(display.printable(f"would set {name} from {old} to {step.wanted}: /{step.path}"))
    for sentence in plan.notes:
        click.echo(display.printable(sentence))
    if not steps:
        click.echo("nothing to set")


def _where(steps: Sequence[Step]) -> str:
    more = f" and {_files(len(steps) - 1, 'more ')}" if len(steps) > 1 else ""
    return f"/{steps[0].path}{more}"


def _files(count: int, kind: str = "") -> str:
    return f"1 {kind}file" if count == 1 else f"{count} {kind}files"


def _say(sentences: Iterable[str]) -> None:
    from fencepost.cli import display, faults

    for sentence in sentences:
        faults.say(display.printable(sentence))
