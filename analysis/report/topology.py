"""The machine drawn: its CPUs by what they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fencepost.analysis.draw import grids
from fencepost.analysis.draw.figure import Box, Figure
from fencepost.analysis.text.numbers import counted, cpu_list, size
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.bench.caches import caches
from fencepost.bench.documents import MachineJson

MOST_CPUS_DRAWN = 512


def topology_figure(machine: MachineJson, cpus: Sequence[int]) -> Figure | None:
    """The machine's CPUs in boxes by what they share, those of the run filled; None where it does not tell."""
    sharing = _sharing_of(machine, cpus)
    if sharing is None:
        return None
    online = len(sharing.online)
    return grids.boxes(
        "topology",
        "Which CPUs share what",
        _description(sharing),
        _sharing_table(sharing),
        [sharing.package(number, package) for number, package in enumerate(sharing.online_packages())],
        across=9.0 if online <= 8 else 16.0 if online <= 32 else 28.0 if online <= 128 else 44.0,
    )


@dataclass(frozen=True)
class _Sharing:
    """Which CPUs share what. Groups that the machine does not tell are empty."""

    online: list[int]
    cores: list[list[int]]
    l2: list[list[int]]
    l3: list[list[int]]
    nodes: list[list[int]]
    packages: list[list[int]]
    sizes: Mapping[str, float]
    """Bytes of the caches, by name."""
    efficient: frozenset[int]
    chosen: frozenset[int]

    def online_packages(self) -> list[list[int]]:
        """The packages that have CPUs online; one where the machine tells of none."""
        return _within(self.packages, self.online)

    def nodes_of(self, package: list[int]) -> Iterator[tuple[int, list[int]]]:
        """The NUMA nodes of a package, with their numbers; all of it is node 0 where there is only one."""
        for part in _within(self.nodes, package) if len(self.nodes) > 1 else [package]:
            yield next((i for i, group in enumerate(self.nodes) if set(part) & set(group)), 0), part

    def package(self, number: int, cpus: list[int]) -> Box:
        """A package with its NUMA nodes, where there are several in the machine."""
        if len(self.nodes) > 1:
            inside = tuple(Box(f"NUMA node {node}", self._in_node(part)) for node, part in self.nodes_of(cpus))
        else:
            inside = self._in_node(cpus)
        return Box(f"package {number}", inside)

    def _in_node(self, cpus: list[int]) -> tuple[Box, ...]:
        if not self.l3:
            return self._in_l3(cpus)
        return tuple(Box(self._cache("L3"), self._in_l3(group)) for group in _within(self.l3, cpus))

    def _in_l3(self, cpus: list[int]) -> tuple[Box, ...]:
        """Cores, in a box of their own where several share a second-level cache."""
        found: list[Box] = []
        for group in _within(self.l2, cpus) if self.l2 else [cpus]:
            cores = tuple(map(self._core, _within(self.cores, group) if self.cores else [[cpu] for cpu in group]))
            shared = self.l2 and self.cores and len(cores) > 1
            found += [Box(self._cache("L2"), cores)] if shared else cores
        return tuple(found)

    def _core(self, cpus: list[int]) -> Box:
        boxes = [Box(f"{cpu}{'e' if cpu in self.efficient else ''}", (), cpu in self.chosen) for cpu in cpus]
        return boxes[0] if len(boxes) == 1 else Box("core", tuple(boxes))

    def _cache(self, name: str) -> str:
        return f"{name} {size(self.sizes[name])}" if name in self.sizes else name


def _sharing_of(machine: MachineJson, cpus: Sequence[int]) -> _Sharing | None:
    topology = machine.get("topology")
    if not isinstance(topology, Mapping):
        return None
    online = topology.get("cpus")
    if not isinstance(online, list) or not 0 < len(online) <= MOST_CPUS_DRAWN:
        return None
    if not all(isinstance(cpu, int) for cpu in online):
        return None
    kinds = machine.get("core_kinds")
    return _Sharing(
        online=online,
        cores=_groups(topology, "cores"),
        l2=_groups(topology, "l2"),
        l3=_groups(topology, "l3"),
        nodes=_groups(topology, "numa"),
        packages=_groups(topology, "packages"),
        sizes=dict(caches(machine)),
        efficient=frozenset(
            cpu for kind in ("E", "L") for cpu in (kinds.get(kind) or () if isinstance(kinds, Mapping) else ())
        ),
        chosen=frozenset(cpus),
    )


def _groups(topology: Mapping[str, object], name: str) -> list[list[int]]:
    """Groups of CPUs as machine.json has them; nothing where a hand-edited one has something else."""
    value = topology.get(name)
    found = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(found, list):
        return []
    return [group for group in found if isinstance(group, list) and group and all(isinstance(c, int) for c in group)]


def _within(groups: list[list[int]], cpus: Sequence[int]) -> list[list[int]]:
    """The parts of groups that lie within `cpus`, and each CPU that is in none; all together if there are no groups."""
    inside = set(cpus)
    found = [[cpu for cpu in group if cpu in inside] for group in groups]
    found = [group for group in found if group]
    left = sorted(inside - {cpu for group in found for cpu in group})
    return [*found, *([cpu] for cpu in left)] if groups else [sorted(inside)]


def _sharing_table(sharing: _Sharing) -> Table:
    cells = [
        (
            f"package {number}",
            str(node),
            cpu_list(group) if sharing.l3 else DASH,
            "; ".join(cpu_list(core) for core in _within(sharing.cores, group)) if sharing.cores else DASH,
            cpu_list(sharing.chosen & set(group)) or DASH,
        )
        for number, package in enumerate(sharing.online_packages())
        for node, part in sharing.nodes_of(package)
        for group in _within(sharing.l3, part)
    ]
    columns = ("package", "NUMA node", "share a last-level cache", "share a core", "in this run")
    return table("CPUs by what they share", columns, cells)


def _description(sharing: _Sharing) -> str:
    online, packages = len(sharing.online), len(sharing.online_packages())
    siblings = max((len(group) for group in sharing.cores), default=1)
    described = (
        f"{counted(online, 'CPU')} in {counted(len(sharing.cores) or online, 'core')} and "
        f"{counted(packages, 'package')}, {counted(siblings, 'CPU')} to a core. "
        f"Filled: the CPUs that this run may use ({cpu_list(sharing.chosen)})."
    )
    return described + " e: an efficiency core." if sharing.efficient else described
