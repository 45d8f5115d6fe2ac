"""Runs that were fetched from a target: put in place when they are whole. They are read, and nothing of them is run.

A target sends an archive with the files of its runs. What it sends was written by a stranger: only regular files with
the names of a run folder are taken, of a stated size, and each run is checked before it gets its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fencepost.bench import runfolder, schema
from fencepost.bench.errors import UsageError
from fencepost.bench.files import MOST_BYTES
from fencepost.bench.labels import HOST, run_folders

SERIES = "series"
"""The label that the runs of one command for a fleet have in common."""

INCOMING = ".incoming-"
"""How folders begin that are filled now, or were when a fetch was cut. Readers of runs look into no hidden folder."""

MOST_FILES = 200_000
MOST_TOTAL_BYTES = 64 << 30
"""Of an archive: a rigorous run of all kernels has 40 files and less than 1 GiB."""

_NAME = re.compile(r"(?:\./)?([A-Za-z0-9][A-Za-z0-9._@-]{0,199})/(run\.json|machine\.json|rounds/[0-9]{4,6}\.parquet)")
_AGAIN = "the same command again fetches it anew"


class Fetched(NamedTuple):
    """What there is of one host: whole runs of a series, and folders that a cut fetch or copy left."""

    runs: list[str]
    half: list[str]


def fetched(place: Path, series: str) -> Fetched:
    """The runs of a series in the folder of a host, by their ids.

    Parameters
    ----------
    place
        the folder of the host. It need not be there.
    """
    runs, half = [], []
    for folder in run_folders(place):
        try:
            run = schema.read_run(folder)
        except schema.RunFolderError:
            half.append(str(folder))
            continue
        if fault_of(folder):
            half.append(str(folder))
        elif run.get("labels", {}).get(SERIES) == series:
            runs.append(run["id"])
    for left in sorted(place.glob(f"{INCOMING}*")) if place.is_dir() else ():
        half.append(str(left))
    return Fetched(runs, half)


def take(archive: Path, place: Path, host: str, series: str) -> Fetched:
    """Put the runs of an archive into the folder of their host, and remove the archive; returns what there is now.

    A run that is there already stays as it is. A folder that lacks rounds of its run is replaced.

    Parameters
    ----------
    archive
        a tar file, not compressed.
    host, series
        the labels that each run has to have.

    Raises
    ------
    UsageError
        when the archive is cut, has a file that no run has, or has a run that is not whole. Nothing is put in place.
    """
    place.mkdir(parents=True, exist_ok=True)
    for left in place.glob(f"{INCOMING}*"):  # of a fetch that was cut: the archive has all of it
        shutil.rmtree(left, ignore_errors=True)
    incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=place))
    try:
        names = _unpack(archive, incoming)
        if not names:
            raise UsageError(f"{archive}: has no run; {_AGAIN}")
        for name in names:
            _require_whole(incoming / name, archive, {HOST: host, SERIES: series})
        for name in names:
            _put(incoming / name, place / name)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    archive.unlink()
    return fetched(place, series)


def _unpack(archive: Path, target: Path) -> list[str]:
    """Write the files of an archive into `target`; returns the names of the run folders."""
    names: dict[str, None] = {}
    total = 0
    try:
        with tarfile.open(archive, "r:") as tar:
            for number, member in enumerate(_files(tar, archive), 1):
                match = _NAME.fullmatch(member.name)
                total += member.size
                if match is None or not member.isreg():
                    kind = "a file" if member.isreg() else "a link, a device or a pipe"
                    raise UsageError(
                        f"{archive}: has {kind} {member.name[:80]!r}, which no run has; nothing of it was taken"
                    )
                if number > MOST_FILES or member.size > MOST_BYTES or total > MOST_TOTAL_BYTES:
                    raise UsageError(f"{archive}: has more than a run has; nothing of it was taken")
                path = target / match[1] / match[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None  # it is a regular file
                with path.open("xb") as file:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
                if path.stat().st_size != member.size:
                    raise UsageError(f"{archive}: ends in the middle of a file; {_AGAIN}")
                names[match[1]] = None
    except FileExistsError as error:
        raise UsageError(f"{archive}: has the same file twice; nothing of it was taken") from error
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UsageError(f"{archive}: is cut or damaged ({str(error)[:80]}); {_AGAIN}") from error
    return list(names)


def _files(tar: tarfile.TarFile, archive: Path) -> Iterator[tarfile.TarInfo]:
    """The members that are no folders."""
    for number, member in enumerate(tar):
        if number > 2 * MOST_FILES:
            raise UsageError(f"{archive}: has more files than a run has; nothing of it was taken")
        if not member.isdir():
            yield member


def fault_of(folder: Path) -> str:
    """Why a run is not whole, in a sentence; empty where it is."""
    try:
        if (folder / schema.ROWS_FILE).exists():  # imported, published or pruned
            schema.read_run(folder)
            return ""
        with runfolder.resume(folder) as run:
            missing = run.missing_rounds()
            rounds = run.plan.rounds
    except (schema.RunFolderError, UsageError) as error:
        return str(error)
    if missing:
        return f"{folder}: has {rounds - len(missing)} of {rounds} rounds"
    return ""


def _require_whole(folder: Path, archive: Path, labels: dict[str, str]) -> None:
    if fault := fault_of(folder):
        raise UsageError(f"{archive}: {fault.removeprefix(f'{folder.parent}/')}; {_AGAIN}")
    run = schema.read_run(folder)
    if run["id"] != folder.name:
        raise UsageError(f"{archive}: the folder {folder.name} has the run {run['id'][:80]!r}; nothing of it was taken")
    for key, value in labels.items():
        found = run.get("labels", {}).get(key, "")
        if found != value:
            raise UsageError(
                f"{archive}: {folder.name} has the label {key}={found[:80]}, where {key}={value} was measured; "
                "nothing of it was taken"
            )


def _put(source: Path, target: Path) -> None:
    if target.exists():
        if not fault_of(target):
            return
        half = source.with_name(f"{source.name}.half")
        target.rename(half)  # goes with the folder around it
    source.rename(target)
    with contextlib.suppress(OSError):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Told(NamedTuple):
    """What a target tells of itself before it measures.

    Attributes
    ----------
    host
        its name in the inventory.
    name
        what it calls itself.
    version
        of its fencepost.
    ahead_s
        by how much its clock is ahead of the one here, in seconds.
    """

    host: str
    name: str
    version: str
    ahead_s: float


MOST_AHEAD_S = 120
"""Clocks differ by less than a second where they are set by the network. History puts runs in order by minutes."""


def oddities(targets: Sequence[Told]) -> list[str]:
    """What spoils the comparison of these targets: one sentence for each."""
    found = []
    by_name: dict[str, list[str]] = {}
    by_version: dict[str, list[str]] = {}
    for one in targets:
        by_name.setdefault(one.name, []).append(one.host)
        by_version.setdefault(one.version, []).append(one.host)
        if abs(one.ahead_s) > MOST_AHEAD_S:
            way = "ahead" if one.ahead_s > 0 else "behind"
            found.append(
                f"{one.host}: its clock is {_duration(abs(one.ahead_s))} {way} of the one here, and history orders "
                "runs by it; set it, such as by `timedatectl set-ntp true`"
            )
    for name, hosts in by_name.items():
        if len(hosts) > 1:
            found.append(
                f"{_listed(hosts)} call themselves {name}; make sure that they are not one machine. Their runs are "
                "told apart by their names in the inventory"
            )
    if len(by_version) > 1:
        told = "; ".join(f"{version} on {_listed(hosts)}" for version, hosts in sorted(by_version.items()))
        found.append(
            f"the targets have different versions of fencepost ({told}), and their figures may differ for that "
            "reason; install one version on all"
        )
    return found


def _listed(hosts: Sequence[str]) -> str:
    named = list(hosts[:4])
    if len(hosts) > len(named):
        return f"{', '.join(named)} and {len(hosts) - len(named)} more"
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"
