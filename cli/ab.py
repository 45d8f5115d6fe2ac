"""`fencepost ab`: two sides in the same rounds, and a verdict for each row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencepost.cli.completion import complete_kernels
from fencepost.cli.gates import Gates, Judged, gate_options
from fencepost.cli.options import json_option, label_option, verbose_option
from fencepost.cli.verdicts import margin_option, markdown_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fencepost.analysis.compare.comparison import RunComparison
    from fencepost.analysis.compare.documents import SidesJson
    from fencepost.bench.ab_plan import Pair
    from fencepost.bench.errors import RunInterruptedError
    from fencepost.bench.runfolder import RunFolder

ROUNDS = {"quick": 12, "standard": 36, "rigorous": 60}
"""Rounds of each profile; the batches of a round are those of the profile quick. See docs/statistics.md."""
DEFAULT_BASE = Path("results") / "ab"


@dataclass(frozen=True)
class _WantedAb:
    """What the command line wants of a new comparison."""

    old: str
    new: str
    only: tuple[str, ...]
    settings: tuple[str, ...]
    options: list[str]
    """For the compiler."""
    profile: str
    rounds: int | None
    seed: int | None
    cpus: str | None
    labels: dict[str, str]


@click.command(name="ab")
@click.argument("old", required=False, shell_complete=complete_kernels)
@click.argument("new", required=False, shell_complete=complete_kernels)
@click.option(
    "--only",
    multiple=True,
    metavar="KERNEL",
    help="Compare only these kernels of the two files (names, globs, topics).",
)
@click.option(
    "--set",
    "-p",
    "settings",
    multiple=True,
    metavar="[KERNEL.]PARAMETER=V,V",
    help="Values of a parameter, for both sides. Each value makes a row.",
)
@click.option("--cflags", metavar="OPTIONS", default="", help="More compiler options, for the files of both sides.")
@margin_option
@click.option(
    "--profile",
    type=click.Choice(list(ROUNDS)),
    default="standard",
    show_default=True,
    help="How many rounds: " + ", ".join(f"{name} {rounds}" for name, rounds in ROUNDS.items()) + ".",
)
@click.option(
    "--rounds", type=click.IntRange(1, 100_000), help="Number of rounds (processes) instead of the profile's."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of sides.  [default: random]")
@click.option("--cpus", metavar="LIST", help="Use only these CPUs, e.g. 1,3-5.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/ab]")
@label_option
@click.option("--resume", metavar="RUN", help="Continue an interrupted comparison, or judge a complete one again.")
@gate_options
@markdown_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@json_option
@verbose_option
def ab_command(
    old: str | None,
    new: str | None,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    cflags: str,
    margin: float,
    profile: str,
    rounds: int | None,
    seed: int | None,
    cpus: str | None,
    out: Path | None,
    labels: dict[str, str],
    resume: str | None,
    gates: Gates,
    as_markdown: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Compare OLD with NEW.

    Each is a kernel file (.c .cc .cpp .cxx), a shared object (.so), or a file of a git revision (HEAD~1:bench/mine.c).
    It may also be a kernel of the suite with parameter values ('memory/chase[pages=huge]').

    Each round is a fresh process that has both sides. It measures them in the order old, new, new, old, or the other
    way round. The number of rounds is fixed in advance.

    A row is *changed* if the interval of the ratio lies beyond the margin, *same* if it lies inside the margin, and
    otherwise *undecided*. An undecided row says how many rounds a new measurement needs, and how long they take.

    With --fail-on slower the exit code is 1 if a row is slower, and 0 if all are the same, faster or undecided. Add
    --fail-on undecided to stop at those as well.

    Ctrl-C keeps the complete rounds and prints ratios without verdicts. --resume continues. A side that fails its
    check, crashes or hangs loses only its own row, and the exit code is 1.
    """
    from fencepost.bench.errors import UsageError
    from fencepost.cli import measuring

    if as_json and as_markdown:
        raise UsageError("--json and --markdown: choose one")
    notes: list[str] = []
    if resume is not None:
        folder = _go_on(resume, out or DEFAULT_BASE, labels)
    elif old is None or new is None:
        raise UsageError("two sides are needed: fencepost ab OLD NEW; see `fencepost ab --help`")
    else:
        wanted = _WantedAb(old, new, only, settings, _options_in(cflags), profile, rounds, seed, cpus, labels)
        folder, notes = _begin(wanted, out or DEFAULT_BASE)
    stopped = _measure(folder, quiet=quiet or as_json)
    found = _judge(folder, margin, notes, stopped)
    title, outcome = _title(old, new, folder), measuring.outcome_of(folder)
    _show(found, folder, title, as_json=as_json, as_markdown=as_markdown)
    file = Path(new) if new is not None and Path(new).is_file() else None
    failed = gates.close([Judged(title, found, file, {case: reason for case, (_, reason) in outcome.failed.items()})])
    if stopped is not None:
        raise stopped
    # A side that fails its check, or kills its worker, is a fault without any gate.
    measuring.end_with(outcome)
    return int(failed)


def _options_in(cflags: str) -> list[str]:
    """The options of --cflags, one by one."""
    import shlex

    from fencepost.bench.errors import UsageError

    try:
        return shlex.split(cflags)
    except ValueError as error:
        raise UsageError(f"--cflags {cflags}: cannot be read ({str(error).lower()})") from error


def _measure(folder: RunFolder, *, quiet: bool) -> RunInterruptedError | None:
    """Measure the missing rounds. An interruption is returned, because the complete rounds are shown first."""
    from fencepost.bench import engine as engines
    from fencepost.bench.errors import RunInterruptedError
    from fencepost.cli import measuring

    with folder:
        try:
            measuring.complete(engines.load(), folder, "ab", measuring.progress_for(quiet=quiet))
        except RunInterruptedError as error:
            return error
    return None


def _judge(folder: RunFolder, margin: float, notes: list[str], stopped: RunInterruptedError | None) -> RunComparison:
    """The verdicts, with all notes. Where no row was measured because cases failed, the notes name these.

    Raises `stopped`, or a `MeasureError`, where there is nothing to judge.
    """
    from dataclasses import replace
    from math import nan

    from fencepost.analysis.compare.comparison import NothingMeasuredError, RunComparison
    from fencepost.analysis.compare.sides import compare_sides
    from fencepost.bench.errors import MeasureError
    from fencepost.cli import measuring

    try:
        found = compare_sides(folder.path, margin)
    except NothingMeasuredError as error:
        outcome = measuring.outcome_of(folder)
        if stopped is None and outcome.failed:
            # A pull request shows the table and the annotations, and not what stands on standard error.
            said = tuple(f"{name}: {why}" for name, (_, why) in outcome.failed.items())
            return RunComparison(margin, nan, (), notes=said)
        if stopped is None:
            measuring.end_with(outcome)
        raise stopped or MeasureError(str(error)) from error
    found = replace(found, round_s=_round_s(folder))
    return replace(found, notes=(*notes, *found.notes, *_advice(found)))


def _round_s(folder: RunFolder) -> float:
    """How long a round took on average, with the start of its process, in seconds."""
    from statistics import fmean

    from fencepost.bench import schema
    from fencepost.bench.runfolder import read_round_record

    records = [read_round_record(path) for path in schema.round_files(folder.path).values()]
    return fmean(record["worker"]["elapsed_ms"] for record in records) / 1e3


def _show(found: RunComparison, folder: RunFolder, title: str, *, as_json: bool, as_markdown: bool) -> None:
    from fencepost.cli import display, verdicts

    if as_json:
        document: SidesJson = {"run": folder.id, "folder": str(folder.path.resolve()), **found.as_json()}
        display.print_json(document)
    elif as_markdown:
        click.echo(verdicts.as_markdown(found, title), nl=False)
    else:
        verdicts.show(found)
        click.echo(f"samples: {display.short_path(folder.path)}")


def _title(old: str | None, new: str | None, folder: RunFolder) -> str:
    return f"{old} against {new}" if old is not None else folder.id


def _advice(found: RunComparison) -> list[str]:
    """What to do about undecided rows: measure anew, with as many rounds as they want in all."""
    from fencepost.analysis.stats.verdict import ChangeVerdict
    from fencepost.cli import verdicts

    wanted = [
        row.decision.rounds + row.decision.more
        for row in found.rows
        if row.decision.verdict is ChangeVerdict.UNDECIDED and row.decision.more
    ]
    if not wanted:
        return []
    time = verdicts.time_of(max(wanted), found.round_s)
    needed = f"{max(wanted)} ({time})" if time else str(max(wanted))
    return [f"for a decision measure anew with --rounds {needed}: more rounds on top of these would be a peek"]


def _go_on(name: str, base: Path, labels: dict[str, str]) -> RunFolder:
    """Open the comparison that a user names with --resume."""
    from fencepost.analysis.compare.side_ratios import planned_rows
    from fencepost.bench import engine as engines
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import UsageError
    from fencepost.cli import measuring

    path = runfolder.find(name, base)
    run = schema.read_run(path)
    if not planned_rows(run) or "rounds_a_repeat" in run:
        other = "selfcheck" if "rounds_a_repeat" in run else "run"
        raise UsageError(f"{path}: not made by fencepost ab; resume it with `fencepost {other} --resume`")
    measuring.refuse_beside_resume("only", "settings", "cflags", "profile", "rounds", "seed", "cpus", "old", "new")
    return measuring.resume_run(engines.load(), path, measuring.beside_host(labels), None, None, None, [], labels)


def _unlike(pairs: Sequence[Pair]) -> list[str]:
    """A sentence for each pair of different kernels: their ratio is no change of one thing."""
    kernels = [(pair.old.kernel, pair.new.kernel) for pair in pairs]
    return list(
        dict.fromkeys(
            f"{old.name} and {new.name} are different kernels: the ratio is of one {new.unit} to one {old.unit}"
            for old, new in kernels
            if old.name != new.name
        )
    )


def _begin(wanted: _WantedAb, base: Path) -> tuple[RunFolder, list[str]]:
    """A new comparison's folder, and what is to be said of it."""
    import secrets

    from fencepost.bench import engine as engines
    from fencepost.bench import plan as plans
    from fencepost.bench import profiles, runfolder
    from fencepost.bench.ab_plan import make_ab_plan
    from fencepost.bench.describe import describe_run
    from fencepost.bench.overrides import parse_overrides
    from fencepost.cli import extras, measuring
    from fencepost.cli.ab_sides import pairs_of, read_side

    extras.require()
    engine = engines.load()
    given = [
        read_side(engine, text, label, wanted.options) for text, label in ((wanted.old, "old"), (wanted.new, "new"))
    ]
    own = [side.object for side in given if side.object is not None]
    if wanted.options and not own:
        from fencepost.bench.errors import UsageError

        raise UsageError("--cflags is for kernel files, and there are none")
    pairs, notes = pairs_of(given[0], given[1], parse_overrides(wanted.settings), wanted.only)
    if len(own) == 2 and own[0].sha256 == own[1].sha256:
        notes.append("both sides are the same machine code: whatever differs is noise")
    notes += _unlike(pairs)
    topology, allowed = measuring.here(wanted.cpus)
    plan = make_ab_plan(
        engine,
        pairs,
        profiles.PROFILES["quick"],
        plans.placer_on(topology, allowed),
        rounds=rounds_for(len(pairs), wanted.profile, wanted.rounds),
        seed=secrets.randbits(32) if wanted.seed is None else wanted.seed,
    )
    notes += [f"{item.case}: not measurable here, {item.reason}" for item in plan.unmeasurable]
    notes += plan.notes
    machine = measuring.machine_facts(engine, topology, allowed)
    return runfolder.create(base, machine, describe_run(engine, plan, own, labels=wanted.labels)), notes


def rounds_for(rows: int, profile: str, rounds: int | None) -> int:
    """The number of rounds, fixed before the first.

    Raises
    ------
    UsageError
        when so few were asked for that no row could be decided, whatever they show.
    """
    import math

    from fencepost.bench.errors import UsageError

    # log2 of the smallest error at which a row may be tested (analysis.verdict): the sign test needs as many rounds,
    # all of one mind. Two more, so that a round out of line does not hide a plain effect.
    least = math.ceil(math.log2(max(100, 20 * rows)))
    if rounds is None:
        return max(ROUNDS[profile], least + 2)
    if rounds < least:
        words = "1 row" if rows == 1 else f"{rows} rows"
        raise UsageError(f"--rounds {rounds}: fewer than {least} rounds decide nothing about {words}; leave it out")
    return rounds
