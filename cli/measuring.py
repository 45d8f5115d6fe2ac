"""What `run`, `ab` and `selfcheck` share: the machine at hand, going on with a run, measuring, how a run ends."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fencepost.bench.documents import MachineJson, ObjectJson, RunJson
    from fencepost.bench.engine import Engine
    from fencepost.bench.objects import KernelObject
    from fencepost.bench.progress import Progress
    from fencepost.bench.runfolder import RunFolder
    from fencepost.bench.topology import Topology


def here(cpus: str | None) -> tuple[Topology, tuple[int, ...]]:
    """The machine at hand, and the CPUs that may be used."""
    import os

    from fencepost.bench.placement import allowed_cpus
    from fencepost.bench.topology import read_topology

    topology = read_topology(cpus=os.sched_getaffinity(0))
    allowed = allowed_cpus(topology)
    return topology, allowed if cpus is None else chosen_cpus(cpus, allowed)


def chosen_cpus(text: str, allowed: tuple[int, ...]) -> tuple[int, ...]:
    """The CPUs that a user names; raises `UsageError` for what is no list, or not among `allowed`."""
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


def machine_facts(engine: Engine, topology: Topology, allowed: tuple[int, ...]) -> MachineJson:
    """What machine.json will hold."""
    from fencepost.bench.machine import describe_machine

    return describe_machine(
        topology=topology,
        cpus=allowed,
        capabilities=engine.capabilities(),
        perf_events=engine.perf_events(),
        tick=engine.tick(),
    )


def refuse_beside_resume(*names: str) -> None:
    """Refuse options and arguments that the plan of an interrupted run has already decided."""
    from click.core import ParameterSource

    from fencepost.bench.errors import UsageError

    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            word = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
            raise UsageError(f"{word} with --resume: the plan is the interrupted run's; leave it out")


def beside_host(labels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The labels that a run cannot get afterwards, as an option that `resume_run` refuses: all but that of the host."""
    from fencepost.bench.labels import HOST

    return {"--label": tuple(labels.keys() - {HOST})}


def resume_run(
    engine: Engine,
    path: Path,
    given: Mapping[str, object],
    profile: str | None,
    rounds: int | None,
    seed: int | None,
    own: list[KernelObject],
    labels: Mapping[str, str] = MappingProxyType({}),
) -> RunFolder:
    """Open a run to complete it, after making sure that the rest would be measured like its beginning.

    `labels` may say which host this is, where its name has changed.
    """
    from fencepost.bench import runfolder, schema
    from fencepost.bench.errors import UsageError
    from fencepost.bench.labels import HOST, with_host
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
                f"{engine.sha256[:12]}…). Rounds of two engines cannot be mixed; start a new run"
            )
        _resume_objects(engine, path, run.get("objects", []), own)
        here = describe_machine()["key"]
        if run["machine_key"] != here:
            raise UsageError(f"{path}: was measured on {run['machine_key']}, this is {here}; start a new run")
        _require_same_host(path, run, with_host(labels).get(HOST))
    except BaseException:
        folder.close()
        raise
    return folder


def _require_same_host(path: Path, run: RunJson, here: str | None) -> None:
    """Refuse to mix the rounds of two machines of one make. A host that the user named is not looked at."""
    from fencepost.bench.errors import UsageError
    from fencepost.bench.labels import HOST

    recorded = run.get("labels", {}).get(HOST)
    named = any(word.removeprefix("--label=").startswith(f"{HOST}=") for word in run["command"])
    if recorded and here and recorded != here and not named:
        raise UsageError(
            f"{path}: was measured on the host {recorded}, this is {here}; start a new run, or add "
            f"--label {HOST}={recorded} if this host had that name then"
        )


def _resume_objects(engine: Engine, path: Path, records: Sequence[ObjectJson], own: list[KernelObject]) -> None:
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


def progress_for(*, quiet: bool) -> Progress:
    """What a run tells while it measures: a bar on a terminal, lines elsewhere, nothing if `quiet`."""
    from fencepost.bench.progress import Progress

    if quiet:
        return Progress()
    from fencepost.cli.progress import progress_on

    return progress_on()


def complete(engine: Engine, folder: RunFolder, command: str, progress: Progress) -> None:
    """Measure the missing rounds of a run; `command` is the one that goes on with it, for its last words."""
    from fencepost.bench.runner import Runner

    Runner(engine, folder, progress, go_on=f"fencepost {command} --resume").run()


MOST_FAILED_NAMED = 20
_FAILURES = {"check": "check failed", "error": "error", "worker": "worker lost"}


@dataclass(frozen=True)
class RunOutcome:
    """What came of the cases of a run: those that failed in some round, with their kind and first reason; why others
    could not be measured; whether any was.
    """

    failed: dict[str, tuple[str, str]]
    lacking: dict[str, str]
    measured: bool


def outcome_of(folder: RunFolder) -> RunOutcome:
    """Read it from the complete rounds of a run."""
    failed: dict[str, tuple[str, str]] = {}
    lacking: dict[str, str] = {}
    measured = False
    for case, outcome in folder.outcomes():
        if outcome.status == "failed":
            # Rounds measured before the kind was recorded have none.
            failed.setdefault(case, (outcome.failure or "error", str(outcome.reason)))
        elif outcome.status == "ok":
            measured = True
        else:
            lacking.setdefault(case, str(outcome.reason))
    return RunOutcome(failed, lacking, measured)


def end_with(found: RunOutcome) -> None:
    """Name the cases that failed and exit with 1; with 3 where nothing failed and nothing was measured."""
    from fencepost.analysis.text.escape import visible
    from fencepost.bench.errors import EXIT_GATE, MeasureError

    failed = found.failed
    if failed:
        kinds = Counter(kind for kind, _ in failed.values())
        how = ", ".join(f"{_FAILURES[kind]}: {count}" for kind, count in kinds.items())
        cases = "1 case" if len(failed) == 1 else f"{len(failed)} cases"
        click.echo(f"fencepost: {cases} failed ({how}). They have no figures:", err=True)
        for case, (_, reason) in itertools.islice(failed.items(), MOST_FAILED_NAMED):
            click.echo(f"  {case}: {visible(reason)}", err=True)
        if len(failed) > MOST_FAILED_NAMED:
            click.echo(f"  and {len(failed) - MOST_FAILED_NAMED} more, in the report", err=True)
        click.get_current_context().exit(EXIT_GATE)
    if not found.measured:
        raise MeasureError(
            f"nothing could be measured on this machine: {'; '.join(dict.fromkeys(found.lacking.values()))}"
        )
