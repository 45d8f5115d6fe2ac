"""What a run ran on: the facts for machine.json, and the machine's key.

Facts that a machine does not tell are None. Nothing here names a person, a host or a serial number, because run folders
are published: of DMI only the system's vendor is read, and of the kernel command line only parameters known to matter.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fencepost.bench.cgroup import read_cgroup
from fencepost.bench.documents import (
    CacheJson,
    CpusJson,
    HypervisorJson,
    LimitsJson,
    MachineFactsJson,
    MachineJson,
    PerfEventJson,
    ProcessorJson,
    SystemJson,
    TickJson,
)
from fencepost.bench.schema import SCHEMA_VERSION
from fencepost.bench.sysfs import Tree
from fencepost.bench.topology import CPU, Topology, read_topology

CPUFREQ = f"{CPU}/cpufreq"
CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0"
HUGEPAGE = "sys/kernel/mm/transparent_hugepage"

BOOT_PARAMETERS = {
    "amd_pstate", "clocksource", "cpufreq.off", "cpuidle.off", "cpuidle_haltpoll.force", "default_hugepagesz",
    "gather_data_sampling", "haltpoll.guest_halt_poll_ns", "hpet", "hugepages", "hugepagesz", "idle",
    "intel_idle.max_cstate", "intel_pstate", "irqaffinity", "isolcpus", "kpti", "kvm-intel.vmentry_l1d_flush",
    "l1tf", "maxcpus", "mds", "mitigations", "mmio_stale_data", "nmi_watchdog", "nohz", "nohz_full", "nopti",
    "norandmaps", "nosmt", "nosoftlockup", "nospectre_v1", "nospectre_v2", "notsc", "nowatchdog", "nr_cpus",
    "numa_balancing", "preempt", "processor.max_cstate", "pti", "rcu_nocb_poll", "rcu_nocbs", "retbleed",
    "skew_tick", "spec_store_bypass_disable", "spectre_v1", "spectre_v2", "srso", "ssbd", "threadirqs",
    "transparent_hugepage", "tsc", "tsx", "tsx_async_abort",
}  # fmt: skip
"""Kernel parameters that are recorded. The others may name disks, addresses or hosts, and do not change a figure."""


def describe_machine(
    root: Path = Path("/"),
    *,
    topology: Topology | None = None,
    cpus: Iterable[int] | None = None,
    capabilities: Mapping[str, bool] | None = None,
    perf_events: Iterable[PerfEventJson] | None = None,
    tick: TickJson | None = None,
) -> MachineJson:
    """Describe the machine whose /sys and /proc are below `root`, as plain data for machine.json.

    Parameters
    ----------
    root : Path
        ``/``, or a folder that holds a snapshot.
    topology : Topology, optional
        what `read_topology` read from `root`, if the caller has it already.
    cpus : iterable of int, optional
        the CPUs that the run may use.
    capabilities, perf_events, tick : optional
        what the C engine found out in this process; kept as given.

    Returns
    -------
    MachineJson
        Passes `fencepost.bench.schema.MACHINE_SCHEMA`, ``key`` included. ``cpu_model``, ``arch`` and ``kernel`` are
        "unknown" where nothing tells, every other fact is None. Sizes are in bytes.

    Raises
    ------
    TopologyError
        when `root` is not a directory.
    """
    tree = Tree(root)
    topology = topology or read_topology(root, os.sched_getaffinity(0) if tree.live else None)
    facts: MachineFactsJson = {
        **_processor(tree, topology),
        **_cpus(topology, cpus),
        **_system(tree, topology),
        **_memory_and_limits(tree, topology),
        "capabilities": dict(capabilities) if capabilities is not None else None,
        "perf_events": list(perf_events) if perf_events is not None else None,
        "tick": tick,
    }
    return {"schema": SCHEMA_VERSION, "key": machine_key(facts), **facts}


def _processor(tree: Tree, topology: Topology) -> ProcessorJson:
    identity = topology.identity
    return {
        "cpu_model": identity.model_name or "unknown",
        "arch": (os.uname().machine if tree.live else identity.arch) or "unknown",
        "cpu_vendor": identity.vendor,
        "cpu_family": identity.family,
        "cpu_model_number": identity.model,
        "stepping": identity.stepping,
        "microcode": identity.microcode,
        "cpu_flags": list(identity.flags),
    }


def _cpus(topology: Topology, usable: Iterable[int] | None) -> CpusJson:
    return {
        "topology": topology.as_dict(),
        "topology_source": topology.source,
        "cpus_present": list(topology.present),
        "cpus_offline": list(topology.offline),
        "cpus_isolated": list(topology.isolated),
        "cpus_nohz_full": list(topology.nohz_full),
        "cpus_usable": sorted(usable) if usable is not None else None,
        "clusters": [list(group) for group in topology.clusters],
        "core_kinds": _core_kinds(topology),
        "numa_distances": {str(a): {str(b): d for b, d in row.items()} for a, row in topology.distances.items()},
        "caches": _caches(topology),
        "line_bytes": topology.line_bytes,
    }


def _core_kinds(topology: Topology) -> dict[str, list[int]] | None:
    kinds: dict[str, list[int]] = {"P": [], "E": []} if topology.kinds else {}
    for cpu, kind in topology.kinds.items():
        kinds.setdefault(kind, []).append(cpu)
    return kinds or None


def _system(tree: Tree, topology: Topology) -> SystemJson:
    """The Linux kernel and what it was told: on the command line, of clock rates, of pages, of its clock."""
    return {
        "kernel": kernel_release(tree) or "unknown",
        "kernel_version": _kernel_version(tree),
        "boot_parameters": [
            f"{name}={value}" if value is not None else name
            for name, value in boot_parameters(tree)
            if name in BOOT_PARAMETERS
        ]
        if tree.text("proc/cmdline") is not None
        else None,
        "mitigations": mitigations(tree),
        "frequency_driver": same(cpufreq(tree, "scaling_driver")),
        "governor": same(cpufreq(tree, "scaling_governor")),
        "energy_performance_preference": same(cpufreq(tree, "energy_performance_preference")),
        "turbo": turbo(tree, topology.identity.vendor)[1],
        "smt": topology.smt_active,
        "thp": chosen(tree.text(f"{HUGEPAGE}/enabled")),
        "thp_defrag": chosen(tree.text(f"{HUGEPAGE}/defrag")),
        "aslr": tree.integer("proc/sys/kernel/randomize_va_space"),
        "clocksource": tree.text(f"{CLOCKSOURCE}/current_clocksource"),
        "clocksources_available": _words(tree.text(f"{CLOCKSOURCE}/available_clocksource")),
    }


def _memory_and_limits(tree: Tree, topology: Topology) -> LimitsJson:
    memory = meminfo(tree)
    cgroup = read_cgroup(tree)
    libc, page = (_libc(), os.sysconf("SC_PAGE_SIZE")) if tree.live else (None, None)
    return {
        "hypervisor": hypervisor(tree, topology),
        "cgroup": {
            "version": cgroup.version,
            "quota_cpus": cgroup.quota_cpus,
            "cpuset": list(cgroup.cpuset) if cgroup.cpuset is not None else None,
            "memory_bytes": cgroup.memory_bytes,
        },
        "memory_bytes": memory.get("MemTotal"),
        "swap_bytes": memory.get("SwapTotal"),
        "huge_page_bytes": memory.get("Hugepagesize"),
        "page_bytes": page,
        "libc": libc,
    }


def machine_key(description: MachineFactsJson) -> str:
    """A short name for a machine: model, number of CPUs and a digest, e.g. ``amd-epyc-9b14-2cpu-3f9a1c2e``.

    It is made of what stays the same over reboots, updates of kernel and microcode, and CPUs going offline; of no clock
    rate, host name or serial number. Two machines of the same make have the same key.
    """
    model = re.sub(r"@?\s*\d+(\.\d+)?\s*[GM]Hz", " ", str(description["cpu_model"]), flags=re.IGNORECASE)
    count = len(description.get("cpus_present") or ())
    hypervisor = description.get("hypervisor")
    facts = [
        model.split(),
        description["arch"],
        description.get("cpu_vendor"),
        description.get("cpu_family"),
        description.get("cpu_model_number"),
        description.get("stepping"),
        count,
        sorted({(c["level"], c["kind"], c["size_bytes"] or 0) for c in description.get("caches") or ()}),
        hypervisor.get("guest") if hypervisor else None,
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]
    words = re.sub(r"\((r|tm)\)|\b(cpu|processor|genuine|\d+-core|with .* graphics)\b", " ", model.lower())
    name = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    vendor = {"AuthenticAMD": "amd", "GenuineIntel": "intel", "HygonGenuine": "hygon"}.get(
        str(description.get("cpu_vendor")), ""
    )
    if vendor and vendor not in name.split("-"):
        name = f"{vendor}-{name}"
    return f"{name[:40].strip('-') or 'unknown'}-{count}cpu-{digest}"


def kernel_release(tree: Tree) -> str | None:
    """Release of the kernel, e.g. ``6.1.0-13-amd64``."""
    match = re.match(r"Linux version (\S+)", tree.text("proc/version") or "")
    return tree.text("proc/sys/kernel/osrelease") or (match[1] if match else None)


def _kernel_version(tree: Tree) -> str | None:
    # /proc/version also tells who built the kernel on which host: only what follows the last "#" is the version.
    match = re.search(r"(#\d+ .*)$", tree.text("proc/version") or "")
    return tree.text("proc/sys/kernel/version") or (match[1] if match else None)


def boot_parameters(tree: Tree) -> list[tuple[str, str | None]]:
    """The kernel command line as (name, value) pairs, up to the words that are meant for init."""
    pairs = []
    for word in (tree.text("proc/cmdline") or "").split():
        if word == "--":
            break
        name, equals, value = word.partition("=")
        pairs.append((name, value if equals else None))
    return pairs


def meminfo(tree: Tree) -> dict[str, int]:
    """/proc/meminfo in bytes, by its own names."""
    sizes = {}
    for line in (tree.text("proc/meminfo") or "").splitlines():
        match = re.match(r"([^:]+):\s+(\d+) kB", line)
        if match:
            sizes[match[1]] = int(match[2]) * 1024
    return sizes


def mitigations(tree: Tree) -> dict[str, str] | None:
    """What the kernel does about each known vulnerability, by its name in sysfs; None where it does not tell."""
    folder = f"{CPU}/vulnerabilities"
    found = {name: tree.text(f"{folder}/{name}") for name in tree.entries(folder)}
    return {name: text for name, text in found.items() if text} or None


def cpufreq(tree: Tree, name: str, cpus: Iterable[int] | None = None) -> dict[str, list[int]] | None:
    """Values of a cpufreq attribute, each with the CPUs that have it; None where there is no cpufreq."""
    values: dict[str, list[int]] = {}
    numbers = [int(entry[3:]) for entry in tree.entries(CPU, r"cpu\d+")] if cpus is None else cpus
    for cpu in numbers:
        value = tree.text(f"{CPU}/cpu{cpu}/cpufreq/{name}")
        if value is None:
            value = tree.text(f"{CPUFREQ}/policy{cpu}/{name}")
        if value:
            values.setdefault(value, []).append(cpu)
    return values or None


def same(values: Mapping[str, list[int]] | None) -> str | None:
    """The one value that all CPUs have, or all values, joined by "+"."""
    return "+".join(sorted(values)) if values else None


def turbo(tree: Tree, vendor: str | None = None) -> tuple[str | None, str | None]:
    """The file that switches turbo, and "on", "off" or "mixed"; (None, None) where there is no such file.

    Four ways, of which a machine has one or two: intel_pstate, the switch of cpufreq (acpi-cpufreq, amd-pstate, Arm),
    the one of each frequency policy, and where no driver has a switch, the processor's own register (`turbo_register`).
    """
    no_turbo = tree.integer(f"{CPU}/intel_pstate/no_turbo")
    if no_turbo is not None:
        return f"/{CPU}/intel_pstate/no_turbo", "off" if no_turbo else "on"
    boost = tree.integer(f"{CPUFREQ}/boost")
    if boost is not None:
        return f"/{CPUFREQ}/boost", "on" if boost else "off"
    policies = [tree.integer(f"{CPUFREQ}/{name}/boost") for name in tree.entries(CPUFREQ, r"policy\d+")]
    known = {bool(value) for value in policies if value is not None}
    if known:
        return f"/{CPUFREQ}/policy*/boost", "mixed" if len(known) > 1 else "on" if True in known else "off"
    register, values = turbo_register(tree, vendor)
    if register is not None and values:
        off = {bool(value >> register.bit & 1) for value in values.values()}
        return "/dev/cpu/*/msr", "mixed" if len(off) > 1 else "off" if True in off else "on"
    return None, None


@dataclass(frozen=True)
class Register:
    """A model-specific register with a bit that is 1 where turbo is off."""

    number: int
    bit: int


_TURBO_REGISTERS = {
    "GenuineIntel": Register(0x1A0, 38),  # IA32_MISC_ENABLE, turbo mode disable (Intel SDM vol. 4, table 2-2)
    "AuthenticAMD": Register(0xC0010015, 25),  # HWCR, CpbDis (AMD APM vol. 2, section 17.2)
    "HygonGenuine": Register(0xC0010015, 25),
}


def turbo_register(tree: Tree, vendor: str | None) -> tuple[Register | None, dict[int, int]]:
    """The register of this vendor's processors, and its value by CPU; none without root or the kernel's msr module."""
    register = _TURBO_REGISTERS.get(vendor or "")
    if register is None:
        return None, {}
    values = {int(cpu): tree.word(f"dev/cpu/{cpu}/msr", register.number) for cpu in tree.entries("dev/cpu", r"\d+")}
    return register, {cpu: value for cpu, value in values.items() if value is not None}


def hypervisor(tree: Tree, topology: Topology) -> HypervisorJson:
    """Whether this is a guest (True, False, or None where nothing tells), of what, and the vendor of the system."""
    vendor = tree.text("sys/class/dmi/id/sys_vendor")
    kind = tree.text("sys/hypervisor/type")
    clocks = f"{tree.text(f'{CLOCKSOURCE}/available_clocksource')} {tree.text(f'{CLOCKSOURCE}/current_clocksource')}"
    for name, word in (("kvm", "kvm-clock"), ("hyperv", "hyperv"), ("xen", "xen")):
        if kind is None and word in clocks:
            kind = name
    if kind is None:
        for name, word in (("vmware", "VMware"), ("virtualbox", "innotek"), ("kvm", "QEMU"), ("xen", "Xen")):
            if word in (vendor or ""):
                kind = name
    flag = topology.identity.hypervisor
    return {"guest": True if kind is not None else flag, "kind": kind, "system_vendor": vendor}


def chosen(text: str | None) -> str | None:
    """The word in brackets of a sysfs choice such as ``always [madvise] never``."""
    match = re.search(r"\[([^\]]+)\]", text or "")
    return match[1] if match else text or None


def _words(text: str | None) -> list[str] | None:
    return text.split() if text is not None else None


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or None
    except (OSError, ValueError):  # another C library than glibc
        return None


def _caches(topology: Topology) -> list[CacheJson]:
    """One entry per kind of cache: how large, how many of them, and how many CPUs share one."""
    counts: dict[tuple[int, str, int | None, int | None, int], int] = {}
    for cache in topology.caches:
        key = (cache.level, cache.kind, cache.size_bytes, cache.line_bytes, len(cache.cpus))
        counts[key] = counts.get(key, 0) + 1
    return [
        {
            "level": level,
            "kind": kind,
            "size_bytes": size_bytes,
            "line_bytes": line_bytes,
            "shared_by": shared_by,
            "count": count,
        }
        for (level, kind, size_bytes, line_bytes, shared_by), count in counts.items()
    ]
