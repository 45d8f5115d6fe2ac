"""`fencepost selfcheck`: how often the verdicts are wrong on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.ab import ROUNDS
from fencepost.cli.options import json_option, verbose_option
from fencepost.cli.verdicts import margin_option

if TYPE_CHECKING:
    from fencepost.analysis.compare.selfcheck import SelfCheck, Share
    from fencepost.bench.ab_plan import Pair
    from fencepost.bench.runfolder import RunFolder

KNOWN = (
    ("selfcheck/chain", "imuls", 100, 102),
    ("selfcheck/walk", "steps", 2000, 2040),
    ("selfcheck/syscall", "calls", 100, 102),
)
"""Kernel, parameter, and two values of which the second is 2 % more work."""
DEFAULT_BASE = Path("results") / "selfcheck"


@click.command(name="selfcheck", short_help="Measure how often the verdicts are wrong on this machine.")
@click.argument("kernels", nargs=-1, metavar="[KERNEL]...")
@click.option("--pairs", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Repeats of each row.")
@click.option(
    "--rounds",
    type=click.IntRange(7, 10_000),
    default=ROUNDS["standard"],
    show_default=True,
    help="Rounds of one repeat.  [default: as `fencepost ab`]",
)
@margin_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of sides.  [default: random]")
@click.option("--cpus", metavar="LIST", help="Use only these CPUs, e.g. 1,3-5.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/selfcheck]")
@click.option("--resume", metavar="RUN", help="Continue an interrupted self-check: its folder, its id, or `latest`.")
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@json_option
@verbose_option
def selfcheck_command(
    kernels: tuple[str, ...],
    pairs: int,
    rounds: int,
    margin: float,
    seed: int | None,
    cpus: str | None,
    out: Path | None,
    resume: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Count how often verdicts are right, on code whose difference is known.

    Compares code with itself and with 2 % more of the same work, many times. Three kernels are always measured:
    multiplications (100 against 102), a walk through memory (2000 against 2040 loads) and system calls (100 against
    102). Each KERNEL (name, glob or topic) adds a row of identical code.

    Takes some minutes. Ctrl-C keeps the complete repeats and prints them; --resume continues.
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
        measuring.refuse_beside_resume("kernels", "pairs", "rounds", "seed", "cpus")
    folder, rounds = (
        _begin(kernels, pairs, rounds, seed, cpus, out or DEFAULT_BASE)
        if resume is None
        else _go_on(resume, out or DEFAULT_BASE)
    )
    stopped: RunInterruptedError | None = None
    with folder:
        try:
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
    kernels: Sequence[str], pairs: int, rounds: int, seed: int | None, cpus: str | None, base: Path
) -> tuple[RunFolder, int]:
    import secrets

    from fencepost.bench import engine as engines
    from fencepost.bench import plan as plans
    from fencepost.bench import runfolder
    from fencepost.bench.ab_plan import Pair, Side, make_ab_plan
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.describe import describe_run
    from fencepost.cli import measuring

    engine = engines.load()
    catalog = read_catalog(engine)
    compared: list[Pair] = []
    for name, parameter, old, new in KNOWN:
        kernel = catalog.get(name)
        values = [item.initial for item in kernel.parameters]
        place = kernel.parameters.index(kernel.parameter(parameter))
        sides = []
        for value in (old, new):
            values[place] = kernel.parameters[place].parse(str(value))
            sides.append(Side(kernel, tuple(values)))
        compared.append(Pair(*sides))
    for kernel in catalog.select(kernels) if kernels else ():
        if kernel.once or (kernel.opt_in and kernel.name not in kernels):
            continue
        side = Side(kernel, tuple(item.initial for item in kernel.parameters))
        compared.append(Pair(side, side))
    topology, allowed = measuring.here(cpus)
    plan = make_ab_plan(
        engine,
        compared,
        plans.PROFILES["quick"],
        plans.placer_on(topology, allowed),
        rounds=pairs * rounds,
        seed=secrets.randbits(32) if seed is None else seed,
        twins={name for name, *_ in KNOWN},
    )
    record = describe_run(engine, plan)
    record["rounds_a_repeat"] = rounds
    return runfolder.create(base, measuring.machine_facts(engine, topology, allowed), record), rounds


def _go_on(name: str, base: Path) -> tuple[RunFolder, int]:
    from fencepost.bench import engine as engines
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import UsageError
    from fencepost.cli import measuring

    path = runfolder.find(name, base)
    rounds = schema.read_run(path).get("rounds_a_repeat")
    if not isinstance(rounds, int) or rounds < 1:
        raise UsageError(f"{path}: not a self-check; resume it with `fencepost run --resume`")
    return measuring.resume_run(engines.load(), path, {}, None, None, None, []), rounds


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
    from fencepost.cli import display

    out = display.console()
    header = ("row", "effect", "changed", "same", "undecided", "truth in interval", "its width")
    rows = [
        (
            row.case,
            f"{row.effect * 100:+.0f} %" if row.effect else "none",
            _share(row.changed),
            str(row.same.count),
            str(row.undecided.count) + (f" (+{row.more_rounds:.0f} rounds)" if row.more_rounds else ""),
            _share(row.covered),
            f"{row.width_pct:.2g} %",
        )
        for row in found.rows
    ]
    out.print(display.table(None, header, rows, right=header[1:2], whole=header))
    alarms = [row.changed for row in found.rows if not row.effect]
    caught = [row.changed for row in found.rows if row.effect]
    floors = [value for name, value in found.floor_range_pct.items() if name.startswith("selfcheck/chain")]
    size = (
        f"{found.repeats} repeats of {len(found.rows)} rows; a row takes {found.rounds} rounds, "
        f"{found.seconds_a_row:.2f} s; margin {found.margin * 100:.3g} %"
    )
    sentences = [
        size,
        f"false alarms: {_total(alarms)} in a row, {_share(found.any_alarm)} in a report",
        f"true 2 % found: {_total(caught)}",
    ]
    counter = [2 * row.counter_step_pct for row in found.rows if math.isfinite(row.counter_step_pct)]
    if counter and max(counter) > 0:
        sentences.append(f"of an interval's width, {min(counter):.2g} to {max(counter):.2g} % are the counter's steps")
    if floors and math.isfinite(max(floors)):
        sentences.append(f"floor of the chain from repeat to repeat: a range of {max(floors):.3f} %")
    for sentence in sentences:
        out.print(sentence, soft_wrap=True)


def _share(share: Share) -> str:
    low, high = share.bounds
    return f"{share.count}/{share.of} [{low * 100:.3g}, {high * 100:.3g}] %"


def _total(shares: Sequence[Share]) -> str:
    from fencepost.analysis.compare.selfcheck import Share

    return _share(Share(sum(share.count for share in shares), sum(share.of for share in shares)))
