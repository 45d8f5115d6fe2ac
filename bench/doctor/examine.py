"""The doctor: every knob of a machine that bends figures, its value here, and how to turn it. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from fencepost.bench import machine
from fencepost.bench.cgroup import read_cgroup
from fencepost.bench.doctor import clocks, counters, memory
from fencepost.bench.doctor import cpus as cpu_knobs
from fencepost.bench.doctor.finding import PROFILES, Diagnosis, Examination, Finding, Subject
from fencepost.bench.documents import PerfEventJson
from fencepost.bench.placement import allowed_cpus
from fencepost.bench.sysfs import TopologyError, Tree
from fencepost.bench.topology import Topology, read_topology

EXAMINATIONS: tuple[Examination, ...] = (
    cpu_knobs.examine_cpus,
    cpu_knobs.examine_affinity,
    clocks.examine_turbo,
    clocks.examine_frequency,
    clocks.examine_governor,
    clocks.examine_energy_preference,
    cpu_knobs.examine_smt,
    clocks.examine_cstates,
    clocks.examine_dma_latency,
    cpu_knobs.examine_isolation,
    cpu_knobs.examine_interrupts,
    memory.examine_thp,
    memory.examine_aslr,
    memory.examine_numa_balancing,
    memory.examine_ksm,
    counters.examine_mitigations,
    clocks.examine_clocksource,
    clocks.examine_vdso,
    counters.examine_perf_permission,
    counters.examine_hardware_counters,
    counters.examine_energy,
    cpu_knobs.examine_hypervisor,
    cpu_knobs.examine_steal,
    cpu_knobs.examine_cgroup_quota,
    cpu_knobs.examine_throttled,
    memory.examine_swap,
    cpu_knobs.examine_load,
    clocks.examine_temperature,
    clocks.examine_thermal_throttle,
    clocks.examine_power_supply,
)
"""Every examination, in the order in which the findings are shown."""


def examine(
    root: Path = Path("/"),
    cpus: Iterable[int] | None = None,
    profile: str = "standard",
    perf_events: Sequence[PerfEventJson] | None = None,
    neighbours: Finding | None = None,
) -> Diagnosis:
    """Examine the machine whose /sys and /proc are below `root`. Nothing is written, nothing is run.

    Parameters
    ----------
    root : Path
        ``/``, or a folder that holds a snapshot. Parts that a snapshot lacks are reported as unreadable.
    cpus : iterable of int, optional
        the CPUs that are to measure; by default all that this process (or the snapshot's) may use.
    profile : str
        "quick", "standard" or "rigorous"; in the last, competition for the CPUs (load, throttling, steal, swap) is
        unfit where it otherwise only hurts.
    perf_events : sequence, optional
        what only a process on that machine can find out (`fencepost.bench.engine.Engine.perf_events`). None for
        snapshots.
    neighbours : Finding, optional
        what was measured on that machine beforehand (`fencepost.bench.doctor.neighbours`): the first finding.

    Raises
    ------
    TopologyError
        when `root` is not a directory. Damage below it becomes a finding.
    ValueError
        for an unknown profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r}: choose one of {', '.join(PROFILES)}")
    if not root.is_dir():
        raise TopologyError(f"{root}: no such directory; --root wants a folder with a snapshot of sys and proc")
    tree = Tree(root)
    chosen = tuple(sorted(set(cpus))) if cpus is not None else None
    if not tree.exists("sys") and not tree.exists("proc"):
        nothing = _unfit("root", str(root), "neither sys nor proc was found, so nothing can be examined")
        return Diagnosis(Topology(), None, (nothing,), profile, chosen or ())
    topology = read_topology(root, os.sched_getaffinity(0) if tree.live else None)
    description = machine.describe_machine(root, topology=topology)
    usable = chosen if chosen is not None else allowed_cpus(topology, tree)
    cgroup = read_cgroup(tree)
    subject = Subject(tree, topology, usable, cgroup, bool(description["hypervisor"]["guest"]), profile, perf_events)
    findings = tuple(examination(subject) for examination in EXAMINATIONS)
    damage = tuple(dict.fromkeys((*topology.damage, *tree.damage)))
    if damage:
        findings = (_damaged(damage), *findings)
    if neighbours is not None:
        findings = (neighbours, *findings)
    description["cpus_usable"] = list(usable)
    return Diagnosis(topology, description, findings, profile, usable)


def _unfit(knob: str, path: str, effect: str) -> Finding:
    """What keeps the machine from being examined at all."""
    return Finding(knob, path, None, effect, severity="unfit", state="unreadable")


def _damaged(damage: Sequence[str]) -> Finding:
    """Files that do not say what they should. What they say is left out, and the rest is read."""
    path, _, fault = damage[0].partition(": ")
    more = f". So are {len(damage) - 1} more files" if len(damage) > 1 else ""
    return Finding("damage", path, None, f"damaged and left out: {fault}{more}", severity="hurts", state="unreadable")
