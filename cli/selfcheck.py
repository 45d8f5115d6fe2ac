"""`fencepost selfcheck`: how often the verdicts are wrong on this machine."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.ab import ROUNDS
from fencepost.cli.completion import complete_kernels
from fencepost.cli.options import json_option, label_option, verbose_option
from fencepost.cli.verdicts import margin_option

if TYPE_CHECKING:
    from fencepost.analysis.compare.selfcheck import SelfCheck, Share
    from fencepost.bench.ab_plan import Pair
    from fencepost.bench.catalog import KernelInfo
    from fencepost.bench.runfolder import RunFolder

TOPIC = "selfcheck"
"""The work of its kernels grows with their first parameter, and its default is a multiple of 50: 2 % more is whole."""
PAIRS = 10
"""Repeats of each row: so many of 24 rows take some minutes."""
DEFAULT_BASE = Path("results") / "selfcheck"


@click.command(name="selfcheck")
@click.argument("kernels", nargs=-1, metavar="[KERNEL]...", shell_complete=complete_kernels)
@click.option("--pairs", type=click.IntRange(1, 100_000), default=PAIRS, show_default=True, help="Repeats of each row.")
@click.option(
    "--rounds",
    type=click.IntRange(7, 10_000),
    default=ROUNDS["standard"],
    show_default=True,
    help="Rounds of one repeat.  [default: as `fencepost ab`]",
)
@margin_option
@click.option(
    "--disturb",
    type=click.Choice(("spin", "memory", "sibling-load")),
    help="Disturb from another CPU. The disturber never pauses, streams through memory, or runs in short bursts.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of sides.  [default: random]")
@click.option("--cpus", metavar="LIST", help="Use only these CPUs, e.g. 1,3-5.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/selfcheck]")
@label_option
@click.option("--resume", metavar="RUN", help="Continue an interrupted self-check: its folder, its id, or `latest`.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@json_option
@verbose_option
def selfcheck_command(
    kernels: tuple[str, ...],
    pairs: int,
    rounds: int,
    margin: float,
    disturb: str | None,
    seed: int | None,
    cpus: str | None,
    out: Path | None,
    labels: dict[str, str],
    resume: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Count how often verdicts are right, on code whose difference is known.

    It compares code with itself, and with exactly 2 % more of the same work, many times. Some of the work computes:
    multiplications, locked additions, random branches. Some uses memory: walks through three caches, copies,
    allocations, page faults. Some uses Linux: system calls, a mutex, hand-overs between two CPUs. KERNELs (names, globs
    or topics) choose among these. Any other KERNEL gets a row of identical code.

    It takes about two minutes on a quiet machine, and about eight if hardly any batch is quiet. The time grows with
    --pairs. Ctrl-C keeps the complete repeats and prints them. --resume continues.
    """
    from fencepost.analysis.compare.selfcheck import TRUE_EFFECT, check
    from fencepost.bench import engine as engines
    from fencepost.bench.errors import MeasureError, RunInterruptedError, UsageError
    from fencepost.cli import display, measuring

    if margin >= TRUE_EFFECT:
        raise UsageError(
            f"--margin {margin * 100:g}%: counts the true effect of 2 % as the same, so nothing is left to be found"
        )
    if resume is not None:
        measuring.refuse_beside_resume("kernels", "pairs", "rounds", "disturb", "seed", "cpus")
    folder, rounds = (
        _begin(kernels, pairs, rounds, disturb, seed, cpus, out or DEFAULT_BASE, labels)
        if resume is None
        else _go_on(resume, out or DEFAULT_BASE, labels)
    )
    stopped: RunInterruptedError | None = None
    with folder:
        try:
            with _disturbed(folder):
                measuring.complete(engines.load(), folder, "selfcheck", _progress(rounds, quiet=quiet or as_json))
        except RunInterruptedError as error:
            stopped = error
    found = check(folder.path, rounds, margin)
    if not found.repeats:
        raise stopped or MeasureError(f"{folder.path}: not one repeat of it is complete")
    if as_json:
        display.print_json({"run": folder.id, "complete": stopped is None, **found.as_json()})
    else:
        _show(found)
        click.echo(f"samples: {display.short_path(folder.path)}")
    if stopped is not None:
        raise stopped
    return 0


def _begin(
    kernels: Sequence[str],
    pairs: int,
    rounds: int,
    disturb: str | None,
    seed: int | None,
    cpus: str | None,
    base: Path,
    labels: dict[str, str],
) -> tuple[RunFolder, int]:
    import secrets

    from fencepost.bench import engine as engines
    from fencepost.bench import placement, profiles, runfolder
    from fencepost.bench import plan as plans
    from fencepost.bench.ab_plan import make_ab_plan
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.describe import describe_run
    from fencepost.cli import measuring

    engine = engines.load()
    catalog = read_catalog(engine)
    compared = [
        _pair(kernel)
        for kernel in catalog.select(kernels or (TOPIC,))
        if kernel.topic == TOPIC or not (kernel.once or (kernel.opt_in and kernel.name not in kernels))
    ]
    topology, allowed = measuring.here(cpus)
    plan = make_ab_plan(
        engine,
        compared,
        profiles.PROFILES["quick"],
        plans.placer_on(topology, allowed),
        rounds=pairs * rounds,
        seed=secrets.randbits(32) if seed is None else seed,
        twins={pair.old.kernel.name for pair in compared if pair.old != pair.new},
    )
    record = describe_run(engine, plan, labels=labels)
    record["rounds_a_repeat"] = rounds
    if disturb is not None:
        from fencepost.bench.disturb import cpu_beside

        # Rows of one thread all have the same CPU; a row of several may have that of the disturber as well.
        measured = min(plan.cases, key=lambda case: len(case.cpus)).cpus[0]
        usable = placement.allowed_cpus(topology)
        record["disturb"] = {"kind": disturb, "cpu": cpu_beside(disturb, measured, usable, topology)}
    return runfolder.create(base, measuring.machine_facts(engine, topology, allowed), record), rounds


def _pair(kernel: KernelInfo) -> Pair:
    """A kernel of ours against 2 % more of its work, any other against itself."""
    from fencepost.bench.ab_plan import AbSide, Pair

    values = [item.initial for item in kernel.parameters]
    old = AbSide(kernel, tuple(values))
    if kernel.topic == TOPIC:
        work = kernel.parameters[0]
        amount = int(work.word(work.initial))
        values[0] = work.parse(str(amount + amount // 50))
    return Pair(old, AbSide(kernel, tuple(values)))


@contextlib.contextmanager
def _disturbed(folder: RunFolder) -> Iterator[None]:
    """Have the disturber run that the plan of a run asks for."""
    from fencepost.bench.disturb import KINDS, disturbing
    from fencepost.cli import measuring

    wanted = folder.run.get("disturb")
    if wanted is None:
        yield
        return
    click.echo(
        f"disturbed on purpose: a process of ours {KINDS[wanted['kind']]} on CPU {wanted['cpu']} ({wanted['kind']})",
        err=True,
    )
    topology, _ = measuring.here(None)
    with disturbing(wanted["kind"], wanted["cpu"], topology):
        yield


def _go_on(name: str, base: Path, labels: dict[str, str]) -> tuple[RunFolder, int]:
    from fencepost.bench import engine as engines
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import UsageError
    from fencepost.cli import measuring

    path = runfolder.find(name, base)
    rounds = schema.read_run(path).get("rounds_a_repeat")
    if not isinstance(rounds, int) or rounds < 1:
        raise UsageError(f"{path}: not a self-check; resume it with `fencepost run --resume`")
    given = measuring.beside_host(labels)
    return measuring.resume_run(engines.load(), path, given, None, None, None, [], labels), rounds


def _progress(rounds: int, *, quiet: bool) -> Any:
    """The usual bar; where there is no terminal, a line after every tenth repeat and not a line a round."""
    from fencepost.bench.progress import Progress
    from fencepost.cli.progress import BarProgress, PlainProgress, progress_on

    class Repeats(PlainProgress):
        def round_done(self, round_number: int) -> None:
            """Say so after every tenth repeat."""
            if round_number % (10 * rounds) == 0 or len(self._left) == 1:
                super().round_done(round_number)
            else:
                self._left.remove(round_number)

    if quiet:
        return Progress()
    usual = progress_on()
    return usual if isinstance(usual, BarProgress) else Repeats()


def _show(found: SelfCheck) -> None:
    from fencepost.analysis.text.numbers import counted, short
    from fencepost.cli import display

    out = display.console()
    header = ("row", "effect", "changed", "same", "undecided", "truth in interval", "width", "alone", "quiet")
    rows = [
        (
            row.case,
            f"{row.effect * 100:+.0f} %" if row.effect else "none",
            _share(row.changed),
            str(row.same.count),
            str(row.undecided.count) + (f" (+{row.more_rounds:.0f})" if row.more_rounds else ""),
            _share(row.covered),
            f"{short(row.width_pct, 2)} %",
            str(row.alone.count),
            "-" if math.isnan(row.quiet) else f"{row.quiet * 100:.0f} %",
        )
        for row in found.rows
    ]
    out.print(display.table(None, header, rows, right=header[1:2], whole=header))
    alarms = [row.changed for row in found.rows if not row.effect]
    caught = [row.changed for row in found.rows if row.effect]
    floors = [value for name, value in found.floor_range_pct.items() if name.startswith("selfcheck/chain")]
    size = (
        f"{counted(found.repeats, 'repeat')} of {len(found.rows)} rows; a row takes {found.rounds} rounds, "
        f"{found.seconds_a_row:.2f} s; margin {found.margin * 100:.3g} %"
    )
    sentences = [size]
    if found.disturb is not None:
        sentences.append(
            f"disturbed on purpose, by a process of ours on CPU {found.disturb['cpu']}: {found.disturb['kind']}"
        )
    sentences += [
        f"false alarms: {_total(alarms)} in a row, {_share(found.any_alarm)} in a report",
        f"true 2 % found: {_total(caught)}",
    ]
    counter = [2 * row.counter_step_pct for row in found.rows if math.isfinite(row.counter_step_pct)]
    if counter and max(counter) > 0:
        sentences.append(
            f"of an interval's width, {short(min(counter), 2)} to {short(max(counter), 2)} % are the counter's steps"
        )
    if floors and math.isfinite(max(floors)):
        sentences.append(f"floor of the chain from repeat to repeat: a range of {max(floors):.3f} %")
    display.say(out, sentences)


def _share(share: Share) -> str:
    low, high = share.bounds
    return f"{share.count}/{share.of} [{low * 100:.3g}, {high * 100:.3g}] %"


def _total(shares: Sequence[Share]) -> str:
    from fencepost.analysis.compare.selfcheck import Share

    return _share(Share(sum(share.count for share in shares), sum(share.of for share in shares)))
