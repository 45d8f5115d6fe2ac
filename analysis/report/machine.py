"""What a run ran on and what was run: the machine in words and drawn, versions, compiler, hashes."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from fencepost.analysis.draw import grids
from fencepost.analysis.draw.figure import Box, Figure
from fencepost.analysis.report.trust import virtual
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.machine import caches
from fencepost.analysis.text.numbers import count, cpu_list, size
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.bench.documents import EngineJson, MachineJson
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE, round_files

_MACHINE_FACTS: tuple[tuple[str, str], ...] = (
    ("cpu_model", "processor"),
    ("arch", "architecture"),
    ("cpu_vendor", "vendor"),
    ("cpu_family", "family"),
    ("cpu_model_number", "model"),
    ("stepping", "stepping"),
    ("microcode", "microcode"),
    ("kernel", "kernel"),
    ("kernel_version", "kernel build"),
    ("libc", "C library"),
    ("clocksource", "clock source"),
    ("frequency_driver", "frequency driver"),
    ("governor", "governor"),
    ("turbo", "turbo"),
    ("smt", "sibling threads (SMT)"),
    ("thp", "transparent huge pages"),
    ("aslr", "address-space randomisation"),
)


def machine_table(machine: MachineJson, engine: EngineJson | None = None) -> Table:
    """What machine.json says, in words; what it does not know is said to be not known."""
    told: Mapping[str, object] = machine
    facts = [(word, _fact(told[name])) for name, word in _MACHINE_FACTS if name in told]
    topology = machine["topology"]
    if isinstance(topology, Mapping):
        counts = [
            (len(groups or ()), one, several)
            for groups, one, several in (
                (topology.get("cpus"), "CPU", "CPUs"),
                (topology.get("cores"), "core", "cores"),
                (topology.get("packages"), "package", "packages"),
                (topology.get("numa"), "NUMA node", "NUMA nodes"),
            )
        ]
        facts.append(
            (
                "topology",
                ", ".join(f"{count} {one if count == 1 else several}" for count, one, several in counts if count)
                or "not known",
            )
        )
    known = caches(machine)
    if known:
        facts.append(("caches", ", ".join(f"{name} {size(value)}" for name, value in known)))
    memory = machine.get("memory_bytes")
    if isinstance(memory, int | float):
        facts.append(("memory", size(memory)))
    facts.append(("virtualisation", virtual(machine.get("hypervisor"))))
    boot = machine.get("boot_parameters")
    if isinstance(boot, list | tuple):
        facts.append(("kernel parameters that matter", ", ".join(map(str, boot)) or "none given"))
    mitigations = machine.get("mitigations")
    if isinstance(mitigations, Mapping):
        active = [f"{name}: {text}" for name, text in mitigations.items() if text != "Not affected"]
        facts.append(("mitigations", "; ".join(active) or "not affected by any that the kernel knows"))
    if engine:
        facts += [("compiler", engine["compiler"]), ("flags", engine["flags"])]
    return table("What the machine says about itself", ("what", "value"), facts)


def _groups(topology: Mapping[str, object], name: str) -> list[list[int]]:
    """Groups of CPUs as machine.json has them; nothing where a hand-edited one has something else."""
    value = topology.get(name)
    found = list(value.values()) if isinstance(value, Mapping) else value
    if not isinstance(found, list):
        return []
    return [group for group in found if isinstance(group, list) and group and all(isinstance(c, int) for c in group)]


MOST_CPUS_DRAWN = 512


def topology_figure(machine: MachineJson, cpus: Sequence[int]) -> Figure | None:
    """The machine's CPUs in boxes by what they share, those of the run filled; None where it does not tell."""
    topology = machine.get("topology")
    if not isinstance(topology, Mapping):
        return None
    online = topology.get("cpus")
    if not isinstance(online, list) or not 0 < len(online) <= MOST_CPUS_DRAWN:
        return None
    if not all(isinstance(cpu, int) for cpu in online):
        return None
    kinds = machine.get("core_kinds")
    efficient = set(kinds.get("E") or ()) if isinstance(kinds, Mapping) else set()
    chosen = set(cpus)
    names = ("cores", "l2", "l3", "numa", "packages")
    cores, seconds, lasts, nodes, packages = (_groups(topology, name) for name in names)
    sizes = dict(caches(machine))

    def within(groups: list[list[int]], cpus: Sequence[int]) -> list[list[int]]:
        inside = set(cpus)
        found = [[cpu for cpu in group if cpu in inside] for group in groups]
        found = [group for group in found if group]
        left = sorted(inside - {cpu for group in found for cpu in group})
        return [*found, *([cpu] for cpu in left)] if groups else [sorted(inside)]

    def leaf(cpu: int) -> Box:
        return Box(f"{cpu}{'e' if cpu in efficient else ''}", (), cpu in chosen)

    def core(cpus: list[int]) -> Box:
        if len(cpus) == 1:
            return leaf(cpus[0])
        return Box("core", tuple(leaf(cpu) for cpu in cpus))

    def inside_of(cpus: list[int]) -> tuple[Box, ...]:
        """Cores, in a box of their own where several share a second-level cache."""
        found: list[Box] = []
        for group in within(seconds, cpus) if seconds else [cpus]:
            boxes = tuple(core(part) for part in within(cores, group)) if cores else tuple(map(leaf, group))
            shared = seconds and len(boxes) > 1 and len(cores) > 0
            found += [Box(f"L2 {size(sizes['L2'])}" if "L2" in sizes else "L2", boxes)] if shared else boxes
        return tuple(found)

    def last(cpus: list[int]) -> Box:
        return Box(f"L3 {size(sizes['L3'])}" if "L3" in sizes else "L3", inside_of(cpus))

    def node(cpus: list[int], number: int) -> Box:
        return Box(f"NUMA node {number}", tuple(map(last, within(lasts, cpus))) if lasts else inside_of(cpus))

    cells: list[tuple[str, ...]] = []
    outer = []
    for number, package in enumerate(within(packages, online)):
        here = within(nodes, package) if len(nodes) > 1 else [package]
        numbered = [(next((i for i, group in enumerate(nodes) if set(part) & set(group)), 0), part) for part in here]
        boxes_here = [node(part, index) for index, part in numbered]
        inside = tuple(boxes_here) if len(nodes) > 1 else boxes_here[0].parts
        outer.append(Box(f"package {number}", inside))
        for index, part in numbered:
            for group in within(lasts, part):
                cells.append(
                    (
                        f"package {number}",
                        str(index),
                        cpu_list(group) if lasts else DASH,
                        "; ".join(cpu_list(item) for item in within(cores, group)) if cores else DASH,
                        cpu_list(chosen & set(group)) or DASH,
                    )
                )
    siblings = max((len(group) for group in cores), default=1)
    across = 9.0 if len(online) <= 8 else 16.0 if len(online) <= 32 else 28.0 if len(online) <= 128 else 44.0
    described = (
        f"{count(len(online))} CPUs in {count(len(cores) or len(online))} cores and {count(len(outer))} "
        f"package{'s' if len(outer) != 1 else ''}, {siblings} CPU{'s' if siblings != 1 else ''} to a core. "
        f"Filled: the CPUs that this run may use ({cpu_list(chosen)})."
    )
    if efficient:
        described += " e: an efficiency core."
    return grids.boxes(
        "topology",
        "Which CPUs share what",
        described,
        table(
            "CPUs by what they share",
            ("package", "NUMA node", "share a last-level cache", "share a core", "in this run"),
            cells,
        ),
        outer,
        across=across,
    )


def _fact(value: object) -> str:
    if value is None or value == "" or value == []:
        return "not known"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def run_hash(folder: Path) -> str:
    """SHA-256 of a run: what ``cat run.json machine.json rounds/*.parquet | sha256sum`` in its folder says; with
    rows.parquet in place of the rounds where they were reduced to it.
    """
    digest = hashlib.sha256()
    samples = [folder / ROWS_FILE] if (folder / ROWS_FILE).exists() else round_files(folder).values()
    for path in (folder / RUN_FILE, folder / MACHINE_FILE, *samples):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def data_table(analysis: Analysis) -> Table:
    """What was run, with what command, compiler and versions."""
    run, plan = analysis.run, analysis.run["plan"]
    engine = run["engine"]
    facts = [
        ("run", run["id"]),
        (
            "sha256 of the run",
            f"{run_hash(analysis.reduced.folder)} (of its run.json, machine.json and rounds, in this order)",
        ),
        ("made", run["created_utc"]),
        ("command", shlex.join(run["command"])),
        (
            "profile",
            (
                f"{plan['profile']}: {plan['rounds']} rounds, {plan['batches']} batches of {plan['batch_ns'] // 1000} "
                f"µs a case, seed {plan['seed']}"
            ),
        ),
        ("launcher", run["launcher"]),
        ("engine", f"{engine['arch']}, {engine['compiler']}, {engine['flags']}"),
        ("sha256 of the engine", engine["sha256"]),
        ("versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items())),
        ("batches", count(float(sum(row.batches for row in analysis.rows)))),
    ]
    return table("What was run, and with what", ("what", "value"), facts)
