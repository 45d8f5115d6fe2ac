"""The runs of a fleet: which hosts there are, which runs each has, and what is odd about them.

A host is a folder of runs below the folder of the fleet, such as ``DIR/web1/RUN``. Runs that lie in the folder of the
fleet itself are told apart by the label ``host`` that is stored in each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fencepost.analysis.compare.collected import Collected, CollectedRun
from fencepost.analysis.runs.labels import label_of
from fencepost.analysis.stats.interval import FEWEST_PROCESSES
from fencepost.analysis.text.escape import one_line
from fencepost.bench import schema
from fencepost.bench.documents import RunJson
from fencepost.bench.files import words_of
from fencepost.bench.labels import run_folders

APART = timedelta(hours=2)
"""Hosts of one fleet are measured at one time, or their clocks differ."""

FUTURE = timedelta(hours=1)

MOST_NAMED = 8
"""Hosts or runs that a sentence names."""

_OF_A_RUN = (schema.ROUNDS_FOLDER, schema.MACHINE_FILE, schema.ROWS_FILE)


class FleetError(ValueError):
    """The folder does not hold what a report of a fleet needs."""


@dataclass(frozen=True)
class HostRun:
    """A run of a host: its number among those that are collected, its id, time and engine."""

    no: int
    id: str
    created: datetime
    engine: str
    label: str = ""
    """The value of the label that was asked for."""
    noise_floor_pct: float = float("nan")


@dataclass(frozen=True)
class Host:
    """A host: its name in the fleet, the key of its make, and its runs in the order of time."""

    name: str
    make: str
    runs: tuple[HostRun, ...]


def fleet_hosts(
    base: Path, collected: Collected, key: str = "", *, anyway: bool = False, now: datetime | None = None
) -> tuple[list[Host], list[str]]:
    """Hosts of a folder by name, and a sentence for each thing about them that is odd.

    Parameters
    ----------
    key
        a label that each run is to have; empty for none.
    anyway
        take runs of every engine. By default those of the most common one are taken.
    now
        by default the time of this machine.

    Raises
    ------
    FleetError
        where no run can be used.
    """
    notes = list(_half_fetched(base))
    found: dict[tuple[str, str], list[HostRun]] = {}
    told: dict[str, set[str]] = {}
    seen: dict[str, Path] = {}
    for one in collected.runs:
        run = _usable(one, notes)
        if run is None:
            continue
        host = _host_of(base, one)
        if not host:
            notes.append(f"{one.folder}: left out, it lies in no folder of a host and names no host")
        elif one.id in seen and one.key == _key(collected, seen[one.id]):
            notes.append(f"{one.folder}: left out, it is the same run as {seen[one.id]}")
        elif key and not label_of(run, key):
            notes.append(f"{one.folder}: left out, it has no label {key}")
        else:
            seen[one.id] = one.folder
            told.setdefault(one.machine.host, set()).add(host)
            created = datetime.fromisoformat(one.created)
            engine, label = one.made_with.get("engine", ""), label_of(run, key) if key else ""
            item = HostRun(one.no, one.id, created, engine, label, one.noise_floor_pct)
            found.setdefault((host, one.machine.key), []).append(item)
    notes += _equal_names(told)
    if not anyway:
        found = _of_one_engine(found, notes)
    if not found:
        first = f"; {notes[0]}" if notes else "; name the folder that has one folder for each host"
        raise FleetError(f"{base}: no run of a host that can be used{first}")
    several = {host for host, count in Counter(host for host, _ in found).items() if count > 1}
    for host in sorted(several):
        notes.append(f"{host}: its runs are of several makes of machine; each make counts as another host")
    hosts = [
        Host(f"{host} [{make}]" if host in several else host, make, tuple(sorted(runs, key=lambda run: run.created)))
        for (host, make), runs in sorted(found.items())
    ]
    notes += _clocks(hosts, now or datetime.now(UTC))
    return hosts, notes


def collect(base: Path, processes: int | None = None, executor: Executor | None = None) -> Collected:
    """The runs in a folder and in folders of it; raises `FleetError` where there are none."""
    paths = run_folders(base)
    if not paths:
        odd = next(_half_fetched(base), "name the folder that has one folder for each host")
        raise FleetError(f"{base}: has no run folders; {odd}")
    return Collected(base, paths, processes, executor)


def _usable(one: CollectedRun, notes: list[str]) -> RunJson | None:
    if one.note:
        notes.append(one.note)
        return None
    if one.complete_rounds < FEWEST_PROCESSES:
        few = f"{one.complete_rounds} complete rounds are too few for a median with an interval"
        notes.append(f"{one.folder}: left out, {few}")
        return None
    try:
        run = schema.read_run(one.folder)
    except (schema.RunFolderError, OSError) as error:  # gone or changed since it was collected
        notes.append(f"left out: {words_of(error, named=True)}")
        return None
    planned = run["plan"]["rounds"]
    if one.complete_rounds < planned:
        notes.append(f"{one.folder}: has {one.complete_rounds} of {planned} rounds, which count; fetch it again")
    return run


def _key(collected: Collected, folder: Path) -> str:
    return next(one.key for one in collected.runs if one.folder == folder)


def _host_of(base: Path, one: CollectedRun) -> str:
    """The folder around a run, from `base`; in `base` itself what the run says of its host."""
    around = os.path.relpath(one.folder.parent, base)
    if around not in (".", ".."):
        return one_line(around, 80)
    return one.machine.host or one.machine.name


def _half_fetched(base: Path, depth: int = 8) -> Iterator[str]:
    """A sentence for each folder that has parts of a run but not its run.json, and for each that has nothing."""
    try:
        entries = sorted(os.scandir(base), key=lambda entry: entry.name)
    except OSError as error:
        yield f"{base}: cannot be read ({words_of(error)})"
        return
    names = {entry.name for entry in entries}
    if schema.RUN_FILE in names:
        if not (base / schema.RUN_FILE).is_file():
            yield f"{base}: left out, its {schema.RUN_FILE} is not an ordinary file; fetch it again"
        return
    if names & set(_OF_A_RUN):
        yield f"{base}: left out, it has no {schema.RUN_FILE}; fetch it again"
        return
    inner = [entry for entry in entries if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)]
    if not any(not entry.name.startswith(".") for entry in entries):
        yield f"{base}: left out, it is empty; fetch its runs again"
    for entry in inner:
        if depth > 1 and entry.name != "cache":
            yield from _half_fetched(base / entry.name, depth - 1)


def _equal_names(told: Mapping[str, set[str]]) -> Iterator[str]:
    for name, folders in sorted(told.items()):
        if name and len(folders) > 1:
            yield f"{named(sorted(folders))}: all say that their host is {name}; they are told apart by their folders"


def _of_one_engine(
    found: Mapping[tuple[str, str], list[HostRun]], notes: list[str]
) -> dict[tuple[str, str], list[HostRun]]:
    """Runs of the engine that the most hosts have: another one is other code. Of equals the newest."""
    hosts = {(host, make, run.engine, run.label): run for (host, make), runs in found.items() for run in runs}
    kept: dict[tuple[str, str], list[HostRun]] = {}
    usual: dict[str, str] = {}
    for label in {run.label for run in hosts.values()}:
        engines = Counter(engine for _, _, engine, own in hosts if own == label)
        newest = {engine: max(run.created for run in hosts.values() if run.engine == engine) for engine in engines}
        usual[label] = max(engines, key=lambda engine: (engines[engine], newest[engine]))
    left: list[str] = []
    for which, runs in found.items():
        own = [run for run in runs if run.engine == usual[run.label]]
        if own:
            kept[which] = own
        if len(own) < len(runs):
            left.append(which[0])
    if left:
        notes.append(
            f"{named(sorted(set(left)))}: runs of another engine than most hosts have are left out. Measure all hosts "
            "with one version of fencepost, or compare them with --anyway"
        )
    return kept


def _clocks(hosts: Sequence[Host], now: datetime) -> Iterator[str]:
    ahead = [host.name for host in hosts if host.runs[-1].created > now + FUTURE]
    if ahead:
        yield f"{named(ahead)}: runs begin in the future; the clock of the host, or of this machine, is wrong"
    middles = {host.name: host.runs[len(host.runs) // 2].created for host in hosts}
    order = sorted(middles.values())
    middle = order[len(order) // 2]
    apart = [name for name, own in middles.items() if abs(own - middle) > APART and name not in ahead]
    if apart and len(apart) < len(hosts) / 2:
        hours = max(abs(middles[name] - middle) for name in apart) / timedelta(hours=1)
        yield (
            f"{named(apart)}: measured up to {hours:.0f} hours apart from the others by their clocks; "
            "figures do not depend on the clock, but the hour may matter"
        )


def named(names: Sequence[str]) -> str:
    """Names in a sentence, not more than fit."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
