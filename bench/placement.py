"""On which CPUs the cases of a kernel run, and what those CPUs share."""

from __future__ import annotations

import enum
import itertools
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fencepost.bench.cgroup import read_cgroup
from fencepost.bench.sysfs import Tree, parse_cpulist
from fencepost.bench.topology import KINDS, Topology

RELATIONS = ("same_core", "same_l2", "same_l3", "same_package", "cross_numa", "cross_package", "unknown")
"""What two CPUs share, nearest first. ``same_core`` are SMT siblings; the others are different cores."""

MOST_PAIRED_CPUS = 64
"""With more CPUs than this, pairs are sampled even if nobody asked for a maximum."""

OVERSUBSCRIBED = "oversubscribed"
"""In place of a relation: more threads than CPUs, so that some take turns."""

OVERSUBSCRIPTION = (2, 4)
"""How many threads a CPU gets in the oversubscribed placements."""

SAMPLED_PAIRS = 256
"""How many directed pairs are taken where nobody asked for a maximum."""


class PlaceKind(enum.IntEnum):
    """How a kernel wants to be placed: the PLACE_ constants of csrc/kernel.h.

    ``PAIRS`` takes both directions of each pair. ``SWEEP`` takes 1, 2, 4 … and all CPUs, as far as the kernel's range
    of threads goes; each team holds the smaller ones, in the same order. ``ONE_CPU`` puts all threads on the CPU that
    a single one would get.
    """

    ANY = 0
    EACH_CPU = 1
    PAIRS = 2
    ALL = 3
    SWEEP = 4
    ONE_CPU = 5


@dataclass(frozen=True)
class Placement:
    """The CPUs of one case in thread order, and their relation: the farthest of any two, None for a single one.

    A CPU that has several threads stands there several times, and the relation is `OVERSUBSCRIBED`.
    """

    cpus: tuple[int, ...]
    relation: str | None

    @property
    def threads_per_cpu(self) -> int:
        """How many threads the CPU with the most has; 1 unless the placement is oversubscribed."""
        return max(self.cpus.count(cpu) for cpu in set(self.cpus))


@dataclass(frozen=True)
class Placements:
    """The placements of one kernel. Where `sampled`, they are only some of the `total` that there are."""

    placements: tuple[Placement, ...]
    sampled: bool
    total: int

    def __iter__(self) -> Iterator[Placement]:
        return iter(self.placements)

    def __len__(self) -> int:
        return len(self.placements)

    @property
    def sentence(self) -> str | None:
        """What a reader has to know about a sample; None where nothing was left out."""
        if not self.sampled:
            return None
        return f"{len(self)} of {self.total} pairs of CPUs were sampled, some of each relation"


@dataclass(frozen=True)
class Shortage:
    """A kernel cannot be placed here: it needs more CPUs than there are, or than this process may use."""

    needed: int
    usable: int
    online: int

    @property
    def sentence(self) -> str:
        """The reason for the report, e.g. "needs 4 CPUs, this machine has 2"."""
        needs = f"needs {self.needed} CPU{'s' if self.needed != 1 else ''}"
        if self.usable < self.online and self.needed <= self.online:
            return f"{needs}, this process may use {self.usable} of {self.online}"
        if self.usable < self.online:
            return f"{needs}, this machine has {self.online} and this process may use {self.usable}"
        return f"{needs}, this machine has {self.online}"

    def __str__(self) -> str:
        return self.sentence


class Relations:
    """Answers what two CPUs of a topology share."""

    def __init__(self, topology: Topology) -> None:
        def index(groups: Iterable[Iterable[int]]) -> dict[int, int]:
            return {cpu: number for number, group in enumerate(groups) for cpu in group}

        self._core, self._l2, self._l3 = index(topology.cores), index(topology.l2), index(topology.l3)
        self._package, self._node = index(topology.packages), index(topology.numa.values())
        # Some machines have several nodes in a package, others several packages in a node (behind one node controller).
        # The wider of the two names the far pairs; where they coincide, package does.
        self._node_is_wider = (
            any(len({self._package.get(cpu) for cpu in cpus}) > 1 for cpus in topology.numa.values())
            and len(topology.numa) > 1
        )

    def core(self, cpu: int) -> int:
        """A number that SMT siblings share; each CPU has its own where the cores are not known."""
        return self._core.get(cpu, -1 - cpu)

    def between(self, one: int, other: int) -> str:
        """The nearest of `RELATIONS` that holds between two different CPUs."""

        def same(where: dict[int, int]) -> bool | None:
            return where[one] == where[other] if one in where and other in where else None

        for where, relation in ((self._core, "same_core"), (self._l2, "same_l2"), (self._l3, "same_l3")):
            if same(where):
                return relation
        package, node = same(self._package), same(self._node)
        if package is None and (node is None or node):
            return "unknown"
        if package is False and not (node is False and self._node_is_wider):
            return "cross_package"
        return "cross_numa" if node is False else "same_package"

    def widest(self, cpus: Iterable[int]) -> str | None:
        """The farthest relation between any two of `cpus`; None for fewer than two."""
        ranks = [RELATIONS.index(self.between(*pair)) for pair in itertools.combinations(cpus, 2)]
        return RELATIONS[max(ranks)] if ranks else None


def allowed_cpus(topology: Topology, tree: Tree | None = None, mask: Iterable[int] | None = None) -> tuple[int, ...]:
    """CPUs that this process may use: inherited affinity mask ∩ cpuset of its control group ∩ online.

    Parameters
    ----------
    topology : Topology
        says which CPUs are online.
    tree : Tree, optional
        where /proc and /sys are; the mask of a snapshot is the one in its ``proc/self/status``, if it has one. A list
        of CPUs that is damaged limits nothing, and the tree notes the damage.
    mask : iterable of int, optional
        the affinity mask, instead of the one that this process inherited.
    """
    tree = tree or Tree()
    cpus = set(topology.cpus)
    if mask is not None:
        cpus &= set(mask)
    elif tree.live:
        inherited = os.sched_getaffinity(0)
        cpus = cpus & inherited if cpus else inherited
    else:
        for line in (tree.text("proc/self/status") or "").splitlines():
            if line.startswith("Cpus_allowed_list:"):
                listed = tree.parsed(parse_cpulist, line.partition(":")[2], "/proc/self/status")
                cpus &= cpus if listed is None else set(listed)
    cpuset = read_cgroup(tree).cpuset
    return tuple(sorted(cpus & set(cpuset) if cpuset is not None else cpus))


def place(
    topology: Topology,
    allowed: Iterable[int],
    kind: int,
    threads: int,
    *,
    most_threads: int | None = None,
    most_pairs: int | None = None,
    oversubscribe: bool = False,
    seed: int = 0,
) -> Placements | Shortage:
    """Place a kernel on the CPUs that it may use; which of them come first, `_team` says.

    Parameters
    ----------
    topology : Topology
        of this machine.
    allowed : iterable of int
        CPUs that may be used, from `allowed_cpus`; offline ones are left out.
    kind : int
        a `PlaceKind`, or the kernel's `place`.
    threads : int
        how many CPUs the kernel needs (its ``threads.min``).
    most_threads : int, optional
        how many it can use at most (its ``threads.max``), for `PlaceKind.ALL` and `PlaceKind.SWEEP`.
    most_pairs : int, optional
        how many directed pairs to take at most, for `PlaceKind.PAIRS`. Exceeded only where it is too small for each
        relation to be seen once in both directions.
    oversubscribe : bool
        for `PlaceKind.SWEEP`: also 2 and 4 times as many threads as CPUs, unless `most_threads` is less.
    seed : int
        for sampling pairs; the same seed gives the same pairs.

    Returns
    -------
    Placements or Shortage
        a `Shortage` where fewer CPUs may be used than the kernel needs.

    Raises
    ------
    ValueError
        for an unknown kind, fewer than one thread, or pairs of other than two threads.
    """
    kind = PlaceKind(kind)
    if threads < 1:
        raise ValueError(f"a kernel has at least 1 thread, not {threads}")
    if kind is PlaceKind.PAIRS and threads != 2:
        raise ValueError(f"pairs are placements of 2 threads, not {threads}")
    usable = sorted(set(allowed) & set(topology.cpus))
    if len(usable) < (1 if kind is PlaceKind.ONE_CPU else threads):
        return Shortage(threads, len(usable), len(topology.cpus))
    relations = Relations(topology)
    if kind is PlaceKind.PAIRS:
        return _pairs(relations, usable, most_pairs, seed)
    most = max(threads, most_threads or len(usable))
    if kind is PlaceKind.SWEEP:
        return _sweep(topology, relations, usable, threads, most, oversubscribe)
    return _teams(topology, relations, usable, kind, threads, most)


def _teams(
    topology: Topology, relations: Relations, usable: list[int], kind: PlaceKind, threads: int, most: int
) -> Placements:
    """One team, or one for each CPU to begin with; for `PlaceKind.ALL` as large as it can be."""
    if kind is PlaceKind.ONE_CPU:
        team = _team(topology, relations, usable, 1) * threads
        return Placements((Placement(team, OVERSUBSCRIBED if threads > 1 else None),), False, 1)
    if kind is PlaceKind.EACH_CPU:
        teams = [_team(topology, relations, usable, threads, first) for first in usable]
    else:
        size = min(len(usable), most) if kind is PlaceKind.ALL else threads
        teams = [_team(topology, relations, usable, size)]
    return Placements(tuple(Placement(team, relations.widest(team)) for team in teams), False, len(teams))


def _team(
    topology: Topology, relations: Relations, usable: list[int], size: int, first: int | None = None
) -> tuple[int, ...]:
    """The CPUs of `size` threads, in the order of the threads.

    One thread goes to an isolated CPU if there is one, on a hybrid machine to a P core, and among equals to the last
    CPU rather than CPU 0, which takes most of the interrupts. Several threads go to distinct physical cores as long as
    there are some (this comes even before isolation), then by the same preferences, then nearest to each other. The
    first of them, which in some kernels is the only one that measures, is the CPU that a single thread would get,
    unless `first` is given.
    """
    isolated = set(topology.isolated)

    def merit(cpu: int) -> tuple[bool, int]:
        # On a hybrid machine, a CPU whose kind nothing tells may be the weakest of all.
        return cpu in isolated, KINDS.index(topology.kinds[cpu]) if cpu in topology.kinds else -1

    team = [max(usable, key=lambda cpu: (*merit(cpu), cpu)) if first is None else first]
    cores = {relations.core(team[0])}
    # How far a candidate is from the team so far: its relation to the farthest member, then to all of them together.
    rest = {cpu: (0, 0) for cpu in usable if cpu != team[0]}
    while len(team) < size:
        for cpu, (farthest, total) in rest.items():
            rank = RELATIONS.index(relations.between(cpu, team[-1]))
            rest[cpu] = max(farthest, rank), total + rank
        best = max(
            rest,
            key=lambda cpu: (relations.core(cpu) not in cores, *merit(cpu), -rest[cpu][0], -rest[cpu][1], cpu),
        )
        del rest[best]
        team.append(best)
        cores.add(relations.core(best))
    return tuple(team)


def _sweep(
    topology: Topology, relations: Relations, usable: list[int], least: int, most: int, oversubscribe: bool
) -> Placements:
    largest = min(len(usable), most)
    # The order in which a team grows does not depend on its size: a larger one adds CPUs and takes none away.
    team = _team(topology, relations, usable, largest)
    doubled = itertools.takewhile(lambda size: size < largest, (2**power for power in itertools.count()))
    sizes = sorted({least, largest, *(size for size in doubled if size >= least)})
    placements = [Placement(team[:size], relations.widest(team[:size])) for size in sizes]
    if oversubscribe and largest == len(usable):
        # In turn, so that thread i + 1 is on another CPU than thread i where there are several.
        placements += [
            Placement(team * times, OVERSUBSCRIBED) for times in OVERSUBSCRIPTION if len(team) * times <= most
        ]
    return Placements(tuple(placements), False, len(placements))


def _pairs(relations: Relations, usable: list[int], most_pairs: int | None, seed: int) -> Placements:
    total = len(usable) * (len(usable) - 1)
    if most_pairs is None:
        most_pairs = total if len(usable) <= MOST_PAIRED_CPUS else SAMPLED_PAIRS
    by_relation: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for pair in itertools.combinations(usable, 2):
        by_relation[relations.between(*pair)].append(pair)
    if total > most_pairs:
        generator = random.Random(seed)
        # The scarce relations first: what they leave of their share goes to the plentiful ones.
        scarce = sorted(by_relation, key=lambda relation: (len(by_relation[relation]), relation))
        left = most_pairs // 2
        for index, relation in enumerate(scarce):
            share = max(1, left // (len(scarce) - index))
            if share < len(by_relation[relation]):
                by_relation[relation] = generator.sample(by_relation[relation], share)
            left -= len(by_relation[relation])
    placements = sorted(
        (cpus, relation)
        for relation, pairs in by_relation.items()
        for one, other in pairs
        for cpus in ((one, other), (other, one))
    )
    return Placements(tuple(Placement(*found) for found in placements), len(placements) < total, total)
