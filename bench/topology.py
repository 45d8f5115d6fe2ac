"""Which CPUs a machine has and what they share, read from sysfs and procfs below any root directory."""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fencepost.bench.documents import TopologyJson
from fencepost.bench.sysfs import TopologyError, Tree, format_cpulist

__all__ = ["Cache", "Identity", "Topology", "TopologyError", "read_topology"]

Groups = tuple[tuple[int, ...], ...]

CPU = "sys/devices/system/cpu"
NODE = "sys/devices/system/node"

# MIDR implementer and part, as lscpu (util-linux, sys-utils/lscpu-arm.c) names them; Arm kernels print numbers only.
_ARM_IMPLEMENTERS = {
    0x41: "Arm", 0x42: "Broadcom", 0x43: "Cavium", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x4E: "NVIDIA", 0x50: "APM",
    0x51: "Qualcomm", 0x53: "Samsung", 0x56: "Marvell", 0x61: "Apple", 0x69: "Intel", 0x6D: "Microsoft",
    0x70: "Phytium", 0xC0: "Ampere",
}  # fmt: skip
_ARM_PARTS = {
    (0x41, 0xD03): "Cortex-A53", (0x41, 0xD05): "Cortex-A55", (0x41, 0xD07): "Cortex-A57", (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73", (0x41, 0xD0A): "Cortex-A75", (0x41, 0xD0B): "Cortex-A76", (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77", (0x41, 0xD40): "Neoverse-V1", (0x41, 0xD41): "Cortex-A78", (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510", (0x41, 0xD47): "Cortex-A710", (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2", (0x41, 0xD4A): "Neoverse-E1", (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3", (0x41, 0xD4F): "Neoverse-V2", (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720", (0x41, 0xD82): "Cortex-X4", (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3", (0x43, 0x0AF): "ThunderX2", (0x46, 0x001): "A64FX", (0x48, 0xD01): "TSV110",
    (0x4E, 0x004): "Carmel", (0x51, 0x001): "Oryon", (0xC0, 0xAC3): "Ampere-1", (0xC0, 0xAC4): "Ampere-1a",
}  # fmt: skip


@dataclass(frozen=True)
class Cache:
    """One cache: what it holds ("data", "instruction", "unified"), its size, and the online CPUs that share it."""

    level: int
    kind: str
    size_bytes: int | None
    line_bytes: int | None
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Identity:
    """What /proc/cpuinfo says about the processor; None for what this architecture or kernel does not say.

    On Arm, vendor and model are MIDR implementer and part, stepping is ``r<variant>p<revision>``; on RISC-V they are
    mvendorid, marchid and mimpid. `flags` are x86 flags, Arm features, or the RISC-V ISA string as one entry.
    """

    arch: str | None = None
    model_name: str | None = None
    vendor: str | None = None
    family: str | None = None
    model: str | None = None
    stepping: str | None = None
    microcode: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def hypervisor(self) -> bool | None:
        """Whether the processor says that it is a guest's. None where the architecture has no such flag."""
        return "hypervisor" in self.flags if self.arch in ("x86_64", "i686") and self.flags else None


KINDS = ("L", "E", "P")
"""The kinds of cores, the slowest first."""


@dataclass(frozen=True)
class Topology:
    """The CPUs of a machine, the groups in which they share something, and where this was read.

    All groups hold online CPUs only, ascending, sorted by their first CPU. No two groups of a kind overlap. `kinds` are
    "P" (performance), "E" (efficiency) and "L" (low-power efficiency) of a hybrid machine. `source` is "sysfs",
    "cpuinfo" (no /sys: the CPUs are known, what they share is not) or "none". `damage` has a sentence for each file
    that does not say what it should, and what it says is left out.
    """

    cpus: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    present: tuple[int, ...] = ()
    cores: Groups = ()
    clusters: Groups = ()
    packages: Groups = ()
    l2: Groups = ()
    l3: Groups = ()
    numa: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    distances: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    caches: tuple[Cache, ...] = ()
    kinds: Mapping[int, str] = field(default_factory=dict)
    isolated: tuple[int, ...] = ()
    nohz_full: tuple[int, ...] = ()
    smt_active: bool | None = None
    identity: Identity = field(default_factory=Identity)
    source: str = "none"
    damage: tuple[str, ...] = ()

    def as_dict(self) -> TopologyJson:
        """The groups as plain data, in the form that `fencepost doctor --json` prints under ``topology``."""
        return {
            "cpus": list(self.cpus),
            "cores": [list(group) for group in self.cores],
            "packages": [list(group) for group in self.packages],
            "l2": [list(group) for group in self.l2],
            "l3": [list(group) for group in self.l3],
            "numa": {str(node): list(cpus) for node, cpus in self.numa.items()},
        }

    def siblings(self, cpu: int) -> tuple[int, ...]:
        """The other online CPUs of this CPU's core."""
        return tuple(other for core in self.cores if cpu in core for other in core if other != cpu)

    @property
    def line_bytes(self) -> int | None:
        """Size of a line of the first-level data cache; None where unknown."""
        return next((c.line_bytes for c in self.caches if c.level == 1 and c.kind != "instruction"), None)


def read_topology(root: Path = Path("/"), cpus: Iterable[int] | None = None) -> Topology:
    """Read the topology of the machine whose /sys and /proc are below `root`.

    Parameters
    ----------
    root : Path
        ``/``, or a folder that holds a snapshot; nothing outside of it is read.
    cpus : iterable of int, optional
        the CPUs to assume where neither /sys nor /proc lists any, e.g. ``os.sched_getaffinity(0)``.

    Returns
    -------
    Topology
        Where sysfs has a CPU directory but no node directory the kernel was built without NUMA: one node, 0. Groups
        that a machine does not tell (no L3, no /sys) are empty.

    Raises
    ------
    TopologyError
        when `root` is not a directory.
    """
    if not root.is_dir():
        raise TopologyError(f"{root}: no such directory; --root wants a folder with a snapshot of sys and proc")
    tree = Tree(root)
    blocks = _cpuinfo_blocks(tree)
    present, online = _listed_cpus(tree)
    if not online:
        return _without_sysfs(tree, blocks, cpus)
    threads = _siblings(tree, online, "core_cpus", "thread_siblings")
    caches, sharing = _caches(tree, online, threads)
    cores = _cores(tree, threads, caches)
    numa = _numa(tree, online)
    if not numa and cores:
        numa = {0: online}
    smt = tree.integer(f"{CPU}/smt/active")
    return Topology(
        cpus=online,
        offline=tuple(cpu for cpu in present if cpu not in set(online)),
        present=present,
        cores=cores,
        clusters=_siblings(tree, online, "cluster_cpus"),
        packages=_siblings(tree, online, "package_cpus", "core_siblings"),
        l2=_disjoint(tree, sharing[2]),
        l3=_disjoint(tree, sharing[3]),
        numa=numa,
        distances=_distances(tree),
        caches=caches,
        kinds=_kinds(tree, online, caches, cores),
        isolated=_within(tree.cpulist(f"{CPU}/isolated"), online),
        nohz_full=_within(tree.cpulist(f"{CPU}/nohz_full"), online),
        smt_active=bool(smt) if smt is not None else (any(len(core) > 1 for core in cores) if cores else None),
        identity=_identity(tree, blocks),
        source="sysfs",
        damage=tuple(tree.damage),
    )


def _without_sysfs(tree: Tree, blocks: list[dict[str, str]], cpus: Iterable[int] | None) -> Topology:
    """The CPUs of a machine without lists in /sys: `cpus`, or else those of /proc/cpuinfo."""
    listed = {int(block["processor"]) for block in blocks if block.get("processor", "").isdecimal()}
    online = tuple(sorted(set(cpus if cpus is not None else ()) or listed))
    return Topology(
        cpus=online,
        present=tuple(sorted(listed | set(online))),
        identity=_identity(tree, blocks),
        source="cpuinfo" if online else "none",
        damage=tuple(tree.damage),
    )


def _siblings(tree: Tree, online: tuple[int, ...], *names: str) -> Groups:
    """Groups of CPUs by the first file of these `names` that each CPU has, as a mask or as a list."""
    groups = []
    for cpu in online:
        at = f"{CPU}/cpu{cpu}/topology"
        shared = tree.cpus(*(f"{at}/{name}{form}" for name in names for form in ("", "_list")))
        if shared is not None:
            # Masks of old kernels still name CPUs that went offline.
            groups.append((f"{at}/{names[0]}", _within(_with(cpu, shared), online)))
    return _disjoint(tree, groups)


def _disjoint(tree: Tree, groups: Iterable[tuple[str, tuple[int, ...]]]) -> Groups:
    """The groups, each with the file that names it, so that no two overlap. The others are damage.

    Of two groups that overlap, the one stays that more of its own members name.
    """
    named = [*groups]
    votes = Counter(group for _, group in named)
    owner: dict[int, tuple[int, ...]] = {}
    first = {group: where for where, group in reversed(named)}
    for group in sorted(first, key=lambda group: (-votes[group] / max(1, len(group)), group)):
        other = next((owner[cpu] for cpu in group if cpu in owner), None)
        if other is None:
            owner.update(dict.fromkeys(group, group))
        else:
            overlap = f"CPUs {format_cpulist(group)} overlap CPUs {format_cpulist(other)} of another group"
            tree.damage.append(f"/{first[group]}: {overlap}")
    return tuple(sorted(set(owner.values())))


def _cores(tree: Tree, threads: Groups, caches: tuple[Cache, ...]) -> Groups:
    """Threads of one core: siblings by Linux's word that share a core's number and its first-level data cache.

    The two cores of an AMD module are siblings as well, and on some boards all CPUs, whose cores have the number -1.
    """
    first_level = {
        cpu: cache.cpus for cache in caches if cache.level == 1 and cache.kind != "instruction" for cpu in cache.cpus
    }
    numbers = {cpu: tree.integer(f"{CPU}/cpu{cpu}/topology/core_id") for group in threads for cpu in group}

    def same(one: int, other: int) -> bool:
        if one == other:
            return True
        if numbers[one] != numbers[other]:
            return False
        if one in first_level and other in first_level:
            return first_level[one] == first_level[other]
        return numbers[one] != -1

    return tuple(sorted({tuple(cpu for cpu in group if same(first, cpu)) for group in threads for first in group}))


@functools.lru_cache(4096)
def _within(cpus: tuple[int, ...] | None, online: tuple[int, ...]) -> tuple[int, ...]:
    """Those that are online. Remembered, since thousands of CPUs tell the same group."""
    return tuple(sorted(set(cpus or ()) & set(online)))


def _with(cpu: int, cpus: tuple[int, ...] | None) -> tuple[int, ...]:
    return cpus if cpus and cpu in cpus else (cpu, *(cpus or ()))


def _listed_cpus(tree: Tree) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """CPUs that are present and CPUs that are online; old kernels have neither file, only a folder per CPU."""
    folders = tuple(int(name[3:]) for name in tree.entries(CPU, r"cpu\d+"))
    online = tree.cpulist(f"{CPU}/online")
    if not online:
        # CPU 0 has no `online` file on most machines: it cannot be taken away.
        online = tuple(cpu for cpu in folders if tree.text(f"{CPU}/cpu{cpu}/online") != "0")
    present = tree.cpulist(f"{CPU}/present") or folders or online
    return tuple(sorted({*present, *online})), online


def _bytes(text: str | None) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)B?", text or "")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]] if match else None


def _caches(
    tree: Tree, online: tuple[int, ...], threads: Groups
) -> tuple[tuple[Cache, ...], Mapping[int, list[tuple[str, tuple[int, ...]]]]]:
    """The caches, and by level which CPUs each CPU shares its data cache with, with the file that says so."""
    core = {cpu: group for group in threads for cpu in group}
    caches: dict[tuple[int, str, tuple[int, ...]], Cache] = {}
    sharing = defaultdict(list)
    for cpu in online:
        for name in tree.entries(f"{CPU}/cpu{cpu}/cache", r"index\d+"):
            at = f"{CPU}/cpu{cpu}/cache/{name}"
            level = tree.integer(f"{at}/level")
            if level is None:
                continue
            kind = (tree.text(f"{at}/type") or "Unified").lower()
            listed = tree.cpus(f"{at}/shared_cpu_map", f"{at}/shared_cpu_list")
            # A mask without any CPU tells nothing, and no cache is narrower than the siblings of a CPU.
            shared = _within(_with(cpu, core.get(cpu) if listed == () else listed), online)
            if (level, kind, shared) not in caches:
                size, line = _bytes(tree.text(f"{at}/size")), tree.integer(f"{at}/coherency_line_size")
                caches[level, kind, shared] = Cache(level, kind, size or None, line or None, shared)
            if kind != "instruction":
                sharing[level].append((f"{at}/shared_cpu_map", shared))
    return tuple(caches[key] for key in sorted(caches)), sharing


def _numa(tree: Tree, online: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """CPUs of each node. A node whose CPUs an earlier one has, in whole or in part, is damage and left out."""
    nodes = {}
    for name in tree.entries(NODE, r"node\d+"):
        cpus = tree.cpus(f"{NODE}/{name}/cpumap", f"{NODE}/{name}/cpulist")
        if cpus is None:
            cpus = tuple(int(entry[3:]) for entry in tree.entries(f"{NODE}/{name}", r"cpu\d+"))
        nodes[int(name[4:])] = _within(cpus, online)
    groups = set(_disjoint(tree, ((f"{NODE}/node{node}/cpumap", cpus) for node, cpus in nodes.items())))
    kept: dict[int, tuple[int, ...]] = {}
    for node, cpus in nodes.items():
        if not cpus or (cpus in groups and cpus not in kept.values()):
            kept[node] = cpus
    return kept


def _distances(tree: Tree) -> dict[int, dict[int, int]]:
    """Relative memory distance from node to node; 10 is a node's own (ACPI SLIT)."""
    nodes = [int(name[4:]) for name in tree.entries(NODE, r"node\d+")]
    rows = {}
    for node in nodes:
        values = (tree.text(f"{NODE}/node{node}/distance") or "").split()
        # The columns are the online nodes in ascending order; anything else cannot be assigned.
        if len(values) == len(nodes) and all(value.isdecimal() for value in values):
            rows[node] = dict(zip(nodes, map(int, values), strict=True))
    return rows


def _kinds(tree: Tree, online: tuple[int, ...], caches: tuple[Cache, ...], cores: Groups) -> dict[int, str]:
    """The kind of each core of a hybrid machine, see `Topology`; empty where all are alike or nothing tells."""
    strong, weak = tree.cpulist("sys/devices/cpu_core/cpus"), tree.cpulist("sys/devices/cpu_atom/cpus")
    if strong and weak:
        # The weakest cores have a PMU of their own, or the PMU of the efficiency cores but no part of the L3 cache.
        weakest = set(tree.cpulist("sys/devices/cpu_lowpower/cpus") or ())
        with_l3 = {cpu for cache in caches if cache.level == 3 for cpu in cache.cpus}
        if with_l3 >= set(_within(strong, online)):
            weakest |= set(weak) - with_l3
        lists = (("L", weakest), ("P", set(strong)), ("E", set(weak)))
        kinds = {cpu: next((kind for kind, cpus in lists if cpu in cpus), None) for cpu in online}
        return {cpu: kind for cpu, kind in kinds.items() if kind is not None}
    # Equal cores may differ by some percent of capacity, where one of them is allowed a higher clock.
    capacity = _known({cpu: tree.integer(f"{CPU}/cpu{cpu}/cpu_capacity") for cpu in online})
    if capacity and min(capacity.values()) < 0.9 * max(capacity.values()):
        return {cpu: "P" if value >= 0.9 * max(capacity.values()) else "E" for cpu, value in capacity.items()}
    base = _known({cpu: tree.integer(f"{CPU}/cpu{cpu}/cpufreq/base_frequency") for cpu in online})
    if len(set(base.values())) != 2:
        return {}
    # Base clocks also differ among equal cores (Intel speed select): caches or SMT have to differ with them.
    shapes: dict[int, set[tuple[Any, ...]]] = {clock: set() for clock in base.values()}
    for cpu, clock in base.items():
        own = [(c.level, c.kind, c.size_bytes, len(c.cpus)) for c in caches if c.level < 3 and cpu in c.cpus]
        shapes[clock].add((next((len(core) for core in cores if cpu in core), 1), *own))
    if shapes[min(shapes)] & shapes[max(shapes)]:
        return {}
    return {cpu: "P" if clock == max(shapes) else "E" for cpu, clock in base.items()}


def _known(values: Mapping[int, int | None]) -> dict[int, int]:
    """The values where each CPU has one, otherwise none."""
    known = {cpu: value for cpu, value in values.items() if value is not None}
    return known if len(known) == len(values) else {}


def _cpuinfo_blocks(tree: Tree) -> list[dict[str, str]]:
    blocks = []
    for paragraph in re.split(r"\n\s*\n", tree.text("proc/cpuinfo") or ""):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        block = {key.strip(): " ".join(value.split()) for key, colon, value in pairs if colon}
        if block:
            blocks.append(block)
    return blocks


def _identity(tree: Tree, blocks: list[dict[str, str]]) -> Identity:
    facts: dict[str, str] = {}
    for block in reversed(
        blocks
    ):  # the first CPU's word counts; older Arm kernels put some of it into a block of its own
        facts.update(block)
    if "vendor_id" in facts and "flags" in facts:
        flags = facts["flags"].split()
        microcode = facts.get("microcode") or tree.text(f"{CPU}/cpu0/microcode/version")
        return Identity(
            arch="x86_64" if "lm" in flags else "i686",
            model_name=facts.get("model name"),
            vendor=facts["vendor_id"],
            family=facts.get("cpu family"),
            model=facts.get("model"),
            stepping=facts.get("stepping"),
            microcode=microcode,
            flags=tuple(flags),
        )
    if "CPU implementer" in facts:
        return _arm_identity(facts, blocks)
    if "isa" in facts:
        isa = facts["isa"]
        return Identity(
            arch="riscv64" if isa.startswith("rv64") else "riscv32",
            model_name=facts.get("model name") or facts.get("uarch"),
            vendor=facts.get("mvendorid"),
            model=facts.get("marchid"),
            stepping=facts.get("mimpid"),
            flags=(isa,),
        )
    return Identity(model_name=facts.get("model name"))


def _arm_identity(facts: dict[str, str], blocks: list[dict[str, str]]) -> Identity:
    names = []
    for block in blocks:
        try:
            implementer, part = int(block["CPU implementer"], 16), int(block["CPU part"], 16)
        except (KeyError, ValueError):
            continue
        vendor = _ARM_IMPLEMENTERS.get(implementer, f"implementer {implementer:#04x}")
        name = f"{vendor} {_ARM_PARTS.get((implementer, part), f'part {part:#05x}')}"
        if name not in names:
            names.append(name)
    variant, revision = facts.get("CPU variant"), facts.get("CPU revision")
    try:
        stepping = f"r{int(variant or '', 16)}p{int(revision or '', 0)}"
    except ValueError:
        stepping = None
    # Architecture 8 runs in a 32-bit kernel as well, whose features then lack the 64-bit name of the FPU.
    features = facts.get("Features", "").split()
    return Identity(
        arch="aarch64" if "fp" in features or "asimd" in features else "arm",
        model_name=facts.get("model name") or " + ".join(names) or None,
        vendor=facts.get("CPU implementer"),
        family=facts.get("CPU architecture"),
        model=facts.get("CPU part"),
        stepping=stepping,
        flags=tuple(features),
    )
