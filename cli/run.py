"""`fencepost run`: make a plan, measure it, keep it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.completion import complete_kernels, complete_runs
from fencepost.cli.options import (
    json_option,
    kernel_files_option,
    label_option,
    load_kernel_files,
    seconds_of,
    verbose_option,
)

if TYPE_CHECKING:
    from fencepost.analysis.report.data import MeasuredJson
    from fencepost.analysis.runs.estimate import Analysis
    from fencepost.bench.documents import FailedJson, SamplesJson
    from fencepost.bench.engine import Engine
    from fencepost.bench.plan import Plan
    from fencepost.bench.runfolder import RunFolder
    from fencepost.cli.measuring import RunOutcome


AT_MOST = "10m"
"""What ``--until`` may take where nothing is said."""


@dataclass(frozen=True)
class _WantedRun:
    """What the command line wants of a plan; None and nothing leave it to the profile."""

    patterns: tuple[str, ...]
    profile: str | None
    settings: tuple[str, ...]
    rounds: int | None
    seed: int | None
    cpus: str | None
    until: str | None
    at_most: str | None


@click.command(name="run")
@click.argument("patterns", nargs=-1, metavar="[KERNEL]...", shell_complete=complete_kernels)
@click.option("--kernels", multiple=True, metavar="KERNEL", help="Same as the argument. May be given several times.")
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "rigorous", "pgo"]),
    help="8, 20 or 40 rounds. With pgo, 20 rounds of loops compiled with profiles.  [default: standard]",
)
@click.option(
    "--set",
    "-p",
    "settings",
    multiple=True,
    metavar="[KERNEL.]PARAMETER=V,V",
    help="Use these values of a parameter instead of the profile's, e.g. memory/chase.size=4KiB,2MiB.",
)
@click.option(
    "--rounds", type=click.IntRange(1, 100_000), help="Number of rounds (processes) instead of the profile's."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed for the order of cases.  [default: random]")
@click.option("--cpus", metavar="LIST", help="Use only these CPUs, e.g. 1,3-5.")
@click.option(
    "--until",
    type=click.Choice(["quiet"]),
    help="quiet: measure cases again until each had the core to itself in every round.",
)
@click.option("--at-most", metavar="TIME", help="End --until after this time, e.g. 5m.  [default: 10m]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for run folders.  [default: results/runs]")
@label_option
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Continue an interrupted run: its folder, its id, or `latest`.",
)
@kernel_files_option
@click.option("--dry-run", is_flag=True, help="Print the plan and its expected duration, and measure nothing.")
@click.option("--quiet", "-q", is_flag=True, help="Show neither progress nor summary.")
@json_option
@verbose_option
def run_command(
    patterns: tuple[str, ...],
    kernels: tuple[str, ...],
    profile: str | None,
    settings: tuple[str, ...],
    rounds: int | None,
    seed: int | None,
    cpus: str | None,
    until: str | None,
    at_most: str | None,
    out: Path | None,
    labels: dict[str, str],
    resume: str | None,
    kernel_files: tuple[Path, ...],
    cflags: str,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure KERNELs: names, globs such as 'clock/*', or topics such as clock. Default: all.

    Each round is a fresh, pinned process that runs every case, in shuffled order. In a run of more than a minute,
    cases that take 5 ms or more are in every second round. Ctrl-C keeps the complete rounds and prints the command that
    continues the run.

    With --kernel and no KERNEL argument, measures the kernels in those files plus three control kernels. So later
    comparisons can tell a change in your code from a change in the machine.

    A case that fails its check, crashes or hangs loses only its own row. The run continues and exits with 1.
    """
    from fencepost.bench import runfolder
    from fencepost.bench.describe import describe_run
    from fencepost.cli import measuring

    wanted = _WantedRun(patterns + kernels, profile, settings, rounds, seed, cpus, until, at_most)
    unfinished = None if resume is None else runfolder.find(resume)
    planned = profile if unfinished is None else _profile_of(unfinished)
    with _engine("standard" if dry_run else planned, quiet=quiet or as_json) as engine:
        own = load_kernel_files(engine, kernel_files, cflags)
        if unfinished is not None:
            given = {"KERNEL": wanted.patterns, "--set": settings, "--cpus": cpus, "--out": out, "--dry-run": dry_run}
            given |= {"--until": until, "--at-most": at_most, **measuring.beside_host(labels)}
            folder = measuring.resume_run(engine, unfinished, given, profile, rounds, seed, own, labels)
        else:
            plan, machine = _plan(engine, wanted, [item.label for item in own])
            if dry_run:
                _show_plan(plan, as_json=as_json)
                return
            folder = runfolder.create(
                out or runfolder.DEFAULT_BASE, machine(), describe_run(engine, plan, own, labels=labels)
            )
        with folder:
            measuring.complete(engine, folder, "run", measuring.progress_for(quiet=quiet or as_json))
    found = measuring.outcome_of(folder)
    if as_json or not quiet:
        _tell(folder, found, as_json=as_json)
    measuring.end_with(found)


@contextlib.contextmanager
def _engine(profile: str | None, *, quiet: bool) -> Iterator[Engine]:
    """The installed engine; for the profile pgo one that is built now and thrown away afterwards."""
    import tempfile

    from fencepost.bench import engine as engines

    if profile != "pgo":
        yield engines.load()
        return
    from fencepost.bench import pgo

    if not quiet:
        click.echo("Compiling the suite and the loops of branch/pgo with gcc …", err=True)
    with tempfile.TemporaryDirectory(prefix="fencepost-pgo-") as folder:
        yield engines.load_from(pgo.build_engine(Path(folder)))


def _profile_of(path: Path) -> str | None:
    """The profile a run was started with; None where the folder does not say, which `resume_run` then tells."""
    from fencepost.bench import schema

    try:
        return str(schema.read_run(path)["plan"]["profile"])
    except schema.RunFolderError:
        return None


def _plan(engine: Engine, wanted: _WantedRun, objects: list[str]) -> tuple[Plan, Any]:
    """The plan of a new run with the kernels of `objects`, and a function that tells what machine.json will hold."""
    import secrets

    from fencepost.bench import overrides, profiles
    from fencepost.bench import plan as plans
    from fencepost.bench.catalog import read_catalog
    from fencepost.cli import measuring

    at_most_s = _at_most_s(wanted)
    topology, allowed = measuring.here(wanted.cpus)
    catalog = read_catalog(engine, objects)
    patterns = wanted.patterns
    fixed: list[overrides.Override] = []
    if objects and not patterns:
        chosen, fixed = plans.own_selection(catalog)
        patterns = tuple(chosen)
    plan = plans.make_plan(
        engine,
        catalog,
        profiles.PROFILES[wanted.profile or "standard"],
        plans.placer_on(topology, allowed),
        patterns=patterns,
        # Last, so that values meant for the user's kernels leave the controls alone.
        overrides=[*overrides.parse_overrides(wanted.settings), *fixed],
        rounds=wanted.rounds,
        seed=secrets.randbits(32) if wanted.seed is None else wanted.seed,
        at_most_s=at_most_s,
    )
    if at_most_s is not None and not plan.again_ns:
        from fencepost.bench.errors import UsageError
        from fencepost.cli import display

        raise UsageError(
            f"--at-most {wanted.at_most or AT_MOST}: the rounds alone take about {display.duration(plan.expected_ns)}; "
            "allow more time, or measure fewer kernels or rounds"
        )
    return plan, lambda: measuring.machine_facts(engine, topology, allowed)


def _at_most_s(wanted: _WantedRun) -> float | None:
    """The time that ``--until quiet`` has; None where it was not asked for."""
    if wanted.until is None:
        if wanted.at_most is not None:
            from fencepost.bench.errors import UsageError

            raise UsageError("--at-most says when --until ends; add --until quiet")
        return None
    return seconds_of(wanted.at_most or AT_MOST, "--at-most")


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    from fencepost.analysis.text.numbers import counted
    from fencepost.cli import display
    from fencepost.cli.expected import expected

    if as_json:
        calm_ns, most_ns = expected(plan)
        expected_json = {"expected_ns": plan.expected_ns, "expected_calm_ns": calm_ns, "expected_most_ns": most_ns}
        display.print_json({**plan.as_json(), **expected_json})
        return
    out = display.console()
    rows = []
    for case in plan.cases:
        times = plan.rounds_of(case)
        rows.append(
            (
                case.case,
                case.relation or "",
                times,
                display.duration(case.expected_ns),
                display.duration(case.expected_ns * times),
            )
        )
    out.print(
        display.table(
            None,
            ("case", "relation", "rounds", "per round", "total"),
            rows,
            right=("rounds", "per round", "total"),
            whole=("relation", "rounds", "per round", "total"),
        )
    )
    if plan.unmeasurable:
        out.print(display.unmeasurable_table([(item.case, item.reason) for item in plan.unmeasurable]))
    for note in plan.notes:
        out.print(note)
    out.print(
        f"Profile {plan.profile}: {counted(len(plan.cases), 'case')}, {counted(plan.rounds, 'round')} "
        f"on CPU {', '.join(map(str, plan.cpus))}, seed {plan.seed}. "
        f"Expected time: {expected(plan).text}."
    )


def _tell(folder: RunFolder, found: RunOutcome, *, as_json: bool) -> None:
    """The figures of a run, or where its samples are in an installation that has no analysis."""
    from fencepost.cli import display, extras

    if lacking := extras.missing():
        plan = folder.plan
        if as_json:
            told: SamplesJson = {
                "run": folder.id,
                "folder": str(folder.path.resolve()),
                "rounds": plan.rounds,
                "cases": len(plan.cases),
                "failed": _failed(found),
                "unmeasurable": [{"case": case, "reason": reason} for case, reason in found.lacking.items()],
            }
            display.print_json(told)
            return
        path, cases = display.short_path(folder.path), len(plan.cases)
        click.echo(f"Measured {cases} {'case' if cases == 1 else 'cases'} in {plan.rounds} rounds. Samples: {path}")
        click.echo(f"It has no figures yet: {lacking}")
    elif as_json:
        display.print_json(_summary(folder, found))
    else:
        _show_summary(folder, found)


def _summary(folder: RunFolder, found: RunOutcome) -> MeasuredJson:
    from fencepost.analysis.report.answers import report_of

    report = report_of(folder.path)
    return {
        "run": folder.id,
        "folder": str(folder.path.resolve()),
        "label": report["label"],
        "rounds": folder.plan.rounds,
        "cases": len(folder.plan.cases),
        "noise_floor_pct": report["noise_floor_pct"],
        "trust": report["trust"],
        "headlines": report["headlines"],
        "rows": report["rows"],
        "counts": [
            {"case": row["case"], "count": name, **count}
            for row in report["rows"]
            for name, count in row.get("counts", {}).items()
        ],
        "failed": _failed(found),
        "unmeasurable": [
            {"case": row["case"], "reason": row["reason"]}
            for row in report["rows"]
            if row["reason"] and row["case"] not in found.failed
        ],
    }


def _failed(found: RunOutcome) -> list[FailedJson]:
    return [{"case": case, "failure": kind, "reason": reason} for case, (kind, reason) in found.failed.items()]


MOST_ROWS_SHOWN = 40


def _show_summary(folder: RunFolder, found: RunOutcome) -> None:
    """A large run ends with one screen, since the report shows its hundreds of rows. Of a small one all are shown."""
    from fencepost.analysis.report.screen import screen
    from fencepost.analysis.report.summary import summary_of
    from fencepost.analysis.runs.estimated import analysis_of
    from fencepost.analysis.topics.headlines import told_headlines
    from fencepost.cli import display

    out = display.console()
    analysis = analysis_of(folder.path)
    told_headlines(analysis)  # kept for a comparison
    many = len(folder.plan.cases) > MOST_ROWS_SHOWN
    short = summary_of(analysis) if many else None
    lines = [] if short is None else screen(short, display.readable_width(out))
    for line in lines:
        out.print(line, soft_wrap=True)
    if not lines:
        _show_rows(analysis, found)
    path = display.short_path(folder.path)
    step = "" if short is None else short.next_step
    display.say(out, [_measured(folder, found, analysis), *([] if lines else [_trust_sentence(analysis)])])
    if not lines:
        out.print(f"Samples: {path}", soft_wrap=True)  # whole, to be copied
    if step:
        display.say(out, [f"Next: {step}"])
    out.print(f"Report: fencepost report {path}", soft_wrap=True)


def _show_rows(analysis: Analysis, found: RunOutcome) -> None:
    """Each row, each count, and each case that could not be measured, with its reason."""
    from rich import box

    from fencepost.analysis.report.terminal import counts_summary, summary_table
    from fencepost.cli import display

    out = display.console()
    times, counts = summary_table(analysis), counts_summary(analysis)
    for table in (times if times.row_count or counts is None else None, counts):
        if table is not None:
            table.box = box.SIMPLE_HEAD
            out.print(table)
    reasons: dict[str, list[str]] = {}
    for row in analysis.rows:
        if row.reason and row.case not in found.failed:
            reasons.setdefault(row.reason, []).append(row.case)
    if reasons:
        out.print(display.unmeasurable_table([(_briefly(cases), reason) for reason, cases in reasons.items()]))


def _trust_sentence(analysis: Analysis) -> str:
    from fencepost.analysis.report.trust import trust_verdict

    verdict = trust_verdict(analysis)
    return f"Trust: {verdict.word}. {verdict.sentence}"


def _measured(folder: RunFolder, found: RunOutcome, analysis: Analysis) -> str:
    """How many cases were measured, in a sentence."""
    from fencepost.analysis.text.numbers import counted

    plan = folder.plan
    without = sum(bool(row.reason) and row.case not in found.failed for row in analysis.rows)
    sentence = f"Measured {counted(len(plan.cases), 'case')} in {counted(plan.rounds, 'round')}"
    if without:
        sentence += f"; {without} cannot be measured on this machine"
    if found.failed:
        sentence += f"; {len(found.failed)} failed"
    counts = [count for row in analysis.rows for count in row.counts.values()]
    if counts:
        sentence += f"; {sum(count.equal for count in counts)} of {len(counts)} counts as expected"
    return sentence + "."


def _briefly(cases: list[str]) -> str:
    """Cases that share a reason: all of a few, otherwise their kernels and how many."""
    if len(cases) <= 3:
        return "\n".join(cases)
    kernels: dict[str, int] = {}
    for case in cases:
        name = case.partition("[")[0].partition("@")[0]
        kernels[name] = kernels.get(name, 0) + 1
    return "\n".join(f"{name} ({count} cases)" if count > 1 else name for name, count in kernels.items())
