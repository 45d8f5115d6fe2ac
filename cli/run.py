"""`fencepost run`: make a plan, measure it, keep it."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fencepost.cli.options import json_option, kernel_files_option, load_kernel_files, verbose_option

if TYPE_CHECKING:
    from fencepost.bench.engine import Engine
    from fencepost.bench.objects import KernelObject
    from fencepost.bench.plan import Plan
    from fencepost.bench.runfolder import RunFolder


@click.command(name="run", short_help="Measure, and keep the samples in a run folder.")
@click.argument("patterns", nargs=-1, metavar="[KERNEL]...")
@click.option("--kernels", multiple=True, metavar="KERNEL", help="Same as the argument; may be given several times.")
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "rigorous", "pgo"]),
    help="How much to measure: 6, 20 or 40 rounds; pgo: 20, of loops compiled with profiles.  [default: standard]",
)
@click.option(
    "--set",
    "-p",
    "settings",
    multiple=True,
    metavar="[KERNEL.]PARAMETER=V,V",
    help="Values of a parameter in place of the profile's, e.g. memory/chase.size=4KiB,2MiB.",
)
@click.option("--rounds", type=click.IntRange(1, 100_000), help="Rounds (processes), in place of the profile's.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Decides the order of cases.  [default: random]")
@click.option("--cpus", metavar="LIST", help="Use only these CPUs, e.g. 1,3-5.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the run's folder goes.  [default: results/runs]")
@click.option("--resume", metavar="RUN", help="Complete an interrupted run: its folder, its id, or `latest`.")
@kernel_files_option
@click.option("--dry-run", is_flag=True, help="Print the plan with its expected duration, and measure nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no summary.")
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
    out: Path | None,
    resume: str | None,
    kernel_files: tuple[Path, ...],
    cflags: str,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure KERNELs (names, globs such as 'clock/*', topics such as clock; default: all).

    Each round is a fresh process, pinned by taskset, that runs every case once in shuffled order. Ctrl-C keeps the
    complete rounds and says how to go on. With --kernel and no KERNEL: the kernels of those files, and beside them the
    few of the suite by which later runs see whether the machine itself has moved. A case that fails (its check, an
    error, a crash, a hang) loses its own row only; the run is completed and ends with exit code 1.
    """
    from fencepost.bench import runfolder
    from fencepost.bench.runner import describe_run

    base = out or runfolder.DEFAULT_BASE
    unfinished = None if resume is None else runfolder.find(resume)
    planned = profile if unfinished is None else _profile_of(unfinished)
    with _engine("standard" if dry_run else planned, quiet=quiet or as_json) as engine:
        if unfinished is not None:
            given = {
                "KERNEL": patterns or kernels,
                "--set": settings,
                "--cpus": cpus,
                "--out": out,
                "--dry-run": dry_run,
            }
            own = load_kernel_files(engine, kernel_files, cflags)
            folder = _resume(engine, unfinished, given, profile, rounds, seed, own)
        else:
            own = load_kernel_files(engine, kernel_files, cflags)
            labels = [item.label for item in own]
            plan, machine = _plan(
                engine, patterns + kernels, profile or "standard", settings, rounds, seed, cpus, labels
            )
            if dry_run:
                _show_plan(plan, as_json=as_json)
                return
            folder = runfolder.create(base, machine(), describe_run(engine, plan, own))
        with folder:
            _measure(engine, folder, quiet=quiet or as_json)
    found = _outcome(folder)
    if as_json:
        from fencepost.cli import display

        display.print_json(_summary(folder, found))
    elif not quiet:
        _show_summary(folder, found)
    _end(found)


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
        click.echo("compiling the suite and the loops of branch/pgo with gcc …", err=True)
    with tempfile.TemporaryDirectory(prefix="fencepost-pgo-") as folder:
        yield engines.load_from(pgo.build_engine(Path(folder)))


def _profile_of(path: Path) -> str | None:
    """The profile a run was started with; None where the folder does not say, which `_resume` then tells."""
    from fencepost.bench import schema

    try:
        return str(schema.read_run(path)["plan"]["profile"])
    except schema.RunFolderError:
        return None


def _plan(
    engine: Engine,
    patterns: tuple[str, ...],
    profile: str,
    settings: tuple[str, ...],
    rounds: int | None,
    seed: int | None,
    cpus: str | None,
    objects: list[str],
) -> tuple[Plan, Any]:
    import os
    import secrets

    from fencepost.bench import plan as plans
    from fencepost.bench.catalog import read_catalog
    from fencepost.bench.placement import allowed_cpus
    from fencepost.bench.topology import read_topology

    topology = read_topology(cpus=os.sched_getaffinity(0))
    allowed = allowed_cpus(topology)
    if cpus is not None:
        allowed = _chosen_cpus(cpus, allowed)
    catalog = read_catalog(engine, objects)
    fixed: list[plans.Override] = []
    if objects and not patterns:
        chosen, fixed = plans.own_selection(catalog)
        patterns = tuple(chosen)
    plan = plans.make_plan(
        engine,
        catalog,
        plans.PROFILES[profile],
        plans.placer_on(topology, allowed),
        patterns=patterns,
        # Last, so that values meant for the user's kernels leave the controls alone.
        overrides=[*plans.parse_overrides(settings), *fixed],
        rounds=rounds,
        seed=secrets.randbits(32) if seed is None else seed,
    )

    def machine() -> dict[str, Any]:
        from fencepost.bench.machine import describe_machine

        return describe_machine(
            topology=topology,
            cpus=allowed,
            capabilities=engine.capabilities(),
            perf_events=engine.perf_events(),
            tick=engine.tick(),
        )

    return plan, machine


def _chosen_cpus(text: str, allowed: tuple[int, ...]) -> tuple[int, ...]:
    from fencepost.bench.errors import UsageError
    from fencepost.bench.sysfs import parse_cpulist

    try:
        wanted = tuple(parse_cpulist(text, "--cpus"))
    except ValueError as error:
        raise UsageError(f"--cpus {text}: not a list of CPUs; write 1,3-5") from error
    usable = ", ".join(map(str, allowed))
    if not wanted:
        raise UsageError(f"--cpus {text!r}: names no CPU; this process may use {usable}")
    beyond = sorted(set(wanted) - set(allowed))
    if beyond:
        raise UsageError(
            f"--cpus {text}: CPU {', '.join(map(str, beyond))} may not be used here; this process has {usable}"
        )
    return tuple(sorted(set(wanted)))


def _resume(
    engine: Engine,
    path: Path,
    given: dict[str, Any],
    profile: str | None,
    rounds: int | None,
    seed: int | None,
    own: list[KernelObject],
) -> RunFolder:
    """Open a run to complete it, after making sure that the rest would be measured like its beginning."""
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import UsageError
    from fencepost.bench.machine import describe_machine

    for option, value in given.items():
        if value:
            raise UsageError(f"{option} with --resume: the plan is the one in {path / schema.RUN_FILE}; leave it out")
    folder = runfolder.resume(path)
    try:
        plan, run = folder.plan, folder.run
        for option, wanted, recorded in (
            ("--profile", profile, plan.profile),
            ("--rounds", rounds, plan.rounds),
            ("--seed", seed, plan.seed),
        ):
            if wanted is not None and wanted != recorded:
                raise UsageError(f"{option} {wanted}: the run in {path} was started with {recorded}; start a new run")
        recorded_hash = run["engine"]["sha256"]
        if recorded_hash != engine.sha256:
            raise UsageError(
                f"{path}: was measured with another engine (sha256 {recorded_hash[:12]}…, the one here is "
                f"{engine.sha256[:12]}…), so its rounds cannot be mixed with new ones; start a new run"
            )
        _resume_objects(engine, path, run.get("objects", []), own)
        here = describe_machine()["key"]
        if run["machine_key"] != here:
            raise UsageError(f"{path}: was measured on {run['machine_key']}, this is {here}; start a new run")
    except BaseException:
        folder.close()
        raise
    return folder


def _resume_objects(engine: Engine, path: Path, records: list[dict[str, Any]], own: list[KernelObject]) -> None:
    """Have the kernels of the user's own loaded with which the run was started: given again, or from the cache."""
    from fencepost.bench import objects
    from fencepost.bench.errors import UsageError

    given = {item.label: item for item in own}
    for record in records:
        item = given.pop(record["label"], None)
        if item is not None:
            objects.require_same(item, record)
        else:
            item = objects.find_again(record)
            engine.load_object(item.label, item.path, record["label"])
    if given:
        raise UsageError(f"--kernel {', '.join(given)}: the run in {path} was started without it; leave it out")


def _measure(engine: Engine, folder: RunFolder, *, quiet: bool) -> None:
    from fencepost.bench.runner import Progress, Runner

    progress = Progress()
    if not quiet:
        from fencepost.cli.progress import progress_on

        progress = progress_on()
    Runner(engine, folder, progress).run()


MOST_FAILED_NAMED = 20
_FAILURES = {"check": "check failed", "error": "error", "worker": "worker lost"}


@dataclass(frozen=True)
class _Outcome:
    """What came of the cases of a run: those that failed in some round, with their kind and first reason; why others
    could not be measured; whether any was.
    """

    failed: dict[str, tuple[str, str]]
    lacking: dict[str, str]
    measured: bool


def _outcome(folder: RunFolder) -> _Outcome:
    from fencepost.bench import runfolder, schema

    failed: dict[str, tuple[str, str]] = {}
    lacking: dict[str, str] = {}
    measured = False
    for _, path in sorted(schema.round_files(folder.path).items()):
        for case, record in runfolder.read_round_record(path)["cases"].items():
            if record["status"] == "failed":
                # Rounds measured before the kind was recorded have none.
                failed.setdefault(case, (record.get("failure") or "error", str(record["reason"])))
            elif record["status"] == "ok":
                measured = True
            else:
                lacking.setdefault(case, str(record["reason"]))
    return _Outcome(failed, lacking, measured)


def _end(found: _Outcome) -> None:
    """Name the cases that failed and exit with 1; with 3 where nothing failed and nothing was measured."""
    from fencepost.analysis.text import visible
    from fencepost.bench.errors import EXIT_GATE, MeasureError

    failed = found.failed
    if failed:
        kinds = Counter(kind for kind, _ in failed.values())
        how = ", ".join(f"{_FAILURES[kind]}: {count}" for kind, count in kinds.items())
        cases = "1 case" if len(failed) == 1 else f"{len(failed)} cases"
        click.echo(f"fencepost: {cases} failed ({how}); none of their figures counts:", err=True)
        for case, (_, reason) in itertools.islice(failed.items(), MOST_FAILED_NAMED):
            click.echo(f"  {case}: {visible(reason)}", err=True)
        if len(failed) > MOST_FAILED_NAMED:
            click.echo(f"  and {len(failed) - MOST_FAILED_NAMED} more, in the report", err=True)
        click.get_current_context().exit(EXIT_GATE)
    if not found.measured:
        raise MeasureError(
            f"nothing of this could be measured here: {'; '.join(dict.fromkeys(found.lacking.values()))}"
        )


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    from fencepost.cli import display

    if as_json:
        display.print_json({**plan.as_json(), "expected_ns": plan.expected_ns})
        return
    out = display.console()
    rows = []
    for case in plan.cases:
        times = 1 if case.once else plan.rounds
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
            ("case", "relation", "rounds", "a round", "in all"),
            rows,
            right=("rounds", "a round", "in all"),
            whole=("relation", "rounds", "a round", "in all"),
        )
    )
    if plan.unmeasurable:
        out.print(display.unmeasurable_table([(item.case, item.reason) for item in plan.unmeasurable]))
    for note in plan.notes:
        out.print(note)
    out.print(
        f"profile {plan.profile}: {len(plan.cases)} cases, {plan.rounds} rounds "
        f"on CPU {', '.join(map(str, plan.cpus))}, seed {plan.seed}; expected {display.duration(plan.expected_ns)}"
    )


def _summary(folder: RunFolder, found: _Outcome) -> dict[str, Any]:
    from fencepost.analysis.report import as_json

    report = as_json(folder.path)
    return {
        "run": folder.id,
        "folder": str(folder.path.resolve()),
        "rounds": folder.plan.rounds,
        "cases": len(folder.plan.cases),
        "noise_floor_pct": report["noise_floor_pct"],
        "failed": [{"case": case, "failure": kind, "reason": reason} for case, (kind, reason) in found.failed.items()],
        "unmeasurable": [
            {"case": row["case"], "reason": row["reason"]}
            for row in report["rows"]
            if row["reason"] and row["case"] not in found.failed
        ],
    }


MOST_ROWS_SHOWN = 40


def _show_summary(folder: RunFolder, found: _Outcome) -> None:
    from rich import box

    from fencepost.analysis.estimate import analyse
    from fencepost.analysis.summary import ladder_table, summary_table
    from fencepost.cli import display

    out = display.console()
    plan = folder.plan
    analysis = analyse(folder.path)
    # Hundreds of rows are for the report; here the ones that everybody looks for.
    brief = ladder_table(analysis) if len(plan.cases) > MOST_ROWS_SHOWN else None
    table = brief or summary_table(analysis)
    table.box = box.SIMPLE_HEAD
    out.print(table)
    reasons: dict[str, list[str]] = {}
    for case, reason in zip(analysis.rows["case"], analysis.rows["reason"], strict=True):
        if isinstance(reason, str) and reason and case not in found.failed:
            reasons.setdefault(reason, []).append(case)
    if reasons:
        out.print(display.unmeasurable_table([(_briefly(cases), reason) for reason, cases in reasons.items()]))
    without = sum(map(len, reasons.values()))
    cases = "1 case" if len(plan.cases) == 1 else f"{len(plan.cases)} cases"
    sentence = f"{cases} in {plan.rounds} rounds"
    if without:
        sentence += f", {without} not measurable here"
    if found.failed:
        sentence += f", {len(found.failed)} failed"
    if math.isfinite(analysis.noise_floor_pct):
        reach = max(analysis.noise_floor_pct, analysis.noise_reach_pct)  # NaN, which is no larger, with few rounds
        sentence += (
            f"; the same code under two names differs by {analysis.noise_floor_pct:.2g} % (noise floor), "
            f"with 95 % confidence by at most {reach:.2g} %: believe no smaller difference"
        )
    path = display.short_path(folder.path)
    for line in (sentence, f"samples: {path}", f"report:  fencepost report {path}"):
        out.print(line, soft_wrap=True)


def _briefly(cases: list[str]) -> str:
    """Cases that share a reason: all of a few, otherwise their kernels and how many."""
    if len(cases) <= 3:
        return "\n".join(cases)
    kernels: dict[str, int] = {}
    for case in cases:
        name = case.partition("[")[0].partition("@")[0]
        kernels[name] = kernels.get(name, 0) + 1
    return "\n".join(f"{name} ({count} cases)" if count > 1 else name for name, count in kernels.items())
