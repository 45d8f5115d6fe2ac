"""The plan of `fencepost peers`: the library's rings and those of others, in every way of use, as rows of one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fencepost.bench import objects
from fencepost.bench.catalog import Catalog
from fencepost.bench.engine import Engine
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.overrides import parse_overrides
from fencepost.bench.placement import Placements
from fencepost.bench.plan import Placer, Plan, make_plan
from fencepost.bench.profiles import Profile

PROFILE = Profile("peers", rounds=20, batches=12, warmup_batches=1, batch_ns=500_000, sweeps="standard")
"""Batches of half a millisecond: the largest ring is filled and emptied within one."""


_NEEDS = re.compile(r"peer: header (\S+) (package|from) (\S+)")


_USES = (
    # kernels of ours, of peers, and parameters
    (
        ("ring/spsc_round_trip", "ring/spsc_lazy_round_trip"),
        "_round_trip",
        ("capacity=1024", "bytes=8", "batch=1", "pause=no,yes"),
    ),
    (("ring/spsc", "ring/spsc_lazy"), "_spsc", ("capacity=64,1024,65536", "bytes=8", "batch=1", "pause=no,yes")),
    (("ring/spsc", "ring/spsc_lazy"), "_spsc", ("capacity=1024", "bytes=8", "batch=8,32", "pause=yes")),
    (("ring/spsc", "ring/spsc_lazy"), "_spsc", ("capacity=1024", "bytes=64", "batch=1,32", "pause=yes")),
    (
        ("ring/mpmc_oversubscribed",),
        "_mpmc",
        ("capacity=1024", "bytes=8", "batch=1", "pause=yes", "roles=apart,mixed"),
    ),
    (("ring/latency",), "_latency", ("design=spsc", "capacity=1024", "gap_ns=300,1000,10000")),
)
"""Round trip; single items by capacity and spin hint; many items; large items; two producers and two consumers;
latency at three rates.
The SPSC ring in both forms: every push published, and lazy (flushed where a window ends and after each item there and
back).
"""


_ENDINGS = ("_round_trip", "_spsc", "_mpmc", "_latency")


TEAM = 4


@dataclass(frozen=True)
class Peers:
    """Files whose headers are here, and of the others what is missing: (file name, header, where to get it)."""

    files: tuple[Path, ...]
    missing: tuple[tuple[str, str, str], ...]


def find_peers(folder: Path) -> Peers:
    """Kernel files in `folder` that name the header they need, sorted by whether it is here.

    Raises
    ------
    UsageError
        when there is none.
    """
    files, missing = [], []
    for file in sorted(path for path in folder.glob("*") if path.suffix in objects.LANGUAGES):
        named = _NEEDS.search(file.read_text(encoding="utf-8", errors="replace"))
        if named is None:
            continue
        if objects.has_header(file, named[1]):
            files.append(file)
        else:
            where = f"Debian: apt install {named[3]}" if named[2] == "package" else f"{named[3]}, then --include DIR"
            missing.append((file.name, named[1], where))
    if not files and not missing:
        raise UsageError(f"{folder}: no kernel files of peers there; it is examples/peers of a checkout")
    return Peers(tuple(files), tuple(missing))


def require_rings(catalog: Catalog, files: Mapping[str, Path]) -> None:
    """Raise `UsageError` for a file without a ring; `files` by the label of their object."""
    for label, file in files.items():
        names = [name for name, kernel in catalog.kernels.items() if kernel.object == label]
        if not any(name.startswith("peer/") and name.endswith(_ENDINGS) for name in names):
            raise UsageError(
                f"{file}: no queue in it: its kernels are {', '.join(names)}. PEER_SPSC and PEER_MPMC make the rows; "
                "`fencepost new --ring NAME` writes a file that has them"
            )


def peers_plan(
    engine: Engine,
    catalog: Catalog,
    placer_on: Callable[[Sequence[int]], Placer],
    cpus: Sequence[int],
    *,
    rounds: int | None,
    seed: int,
) -> Plan:
    """All rings in all uses, on one pair of CPUs.

    Parameters
    ----------
    placer_on
        gives the placer for some CPUs.
    cpus
        of which the best pair is taken.

    Raises
    ------
    MeasureError
        with fewer than two CPUs, or without any peer.
    """
    if not any(name.startswith("peer/") for name in catalog.kernels):
        raise MeasureError(
            "none of the peers is installed here, so there is nothing to compare with; name your own file"
        )
    placed = placer_on(cpus)(catalog.get("ring/spsc"))
    if not isinstance(placed, Placements):
        raise MeasureError(f"rings between threads cannot be compared here: {placed}")
    pair = next(iter(placed)).cpus
    plans = []
    for ours, ending, values in _USES:
        names = [*ours, *(name for name in catalog.kernels if name.startswith("peer/") and name.endswith(ending))]
        plans.append(
            make_plan(
                engine,
                catalog,
                PROFILE,
                placer_on(pair),
                patterns=names,
                overrides=parse_overrides(values),
                rounds=rounds,
                seed=seed,
            )
        )
    cases = {case.case: case for plan in plans for case in plan.cases if len(case.cpus) in (2, TEAM)}
    # Of the teams only the one with two threads on each CPU. Rings of peers have no twins, so that ours need none.
    kept = [
        case
        for case in cases.values()
        if case.twin_of is None and ("mpmc" not in case.kernel or len(case.cpus) == TEAM)
    ]
    return replace(
        plans[0],
        cases=tuple(kept),
        cpus=tuple(sorted({cpu for case in kept for cpu in case.cpus})),
        unmeasurable=tuple(item for plan in plans for item in plan.unmeasurable),
        notes=tuple(dict.fromkeys(note for plan in plans for note in plan.notes)),
    )
