"""Examinations of CPUs, interrupts and neighbours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, boot, competition, percent, tee, unreadable
from fencepost.bench.sysfs import Tree, format_cpulist
from fencepost.bench.topology import CPU, KINDS, Topology


def examine_cpus(subject: Subject) -> Finding:
    online, usable = subject.topology.cpus, subject.cpus
    path = f"/{CPU}/online" if subject.topology.source == "sysfs" else "/proc/cpuinfo"
    if not online:
        return Finding("cpus", path, None, "no CPU is listed, so nothing can run", severity="unfit", state="unreadable")
    away = sorted(set(usable) - set(online))
    if not usable or away:
        value = f"{format_cpulist(away)} not online" if away else "none usable"
        change = f"choose among {format_cpulist(online)}"
        return Finding("cpus", path, value, "nothing can run on the chosen CPUs", change, severity="unfit")
    value = f"{format_cpulist(usable)} of {format_cpulist(online)}"
    if subject.topology.offline:
        value += f", offline {format_cpulist(subject.topology.offline)}"
    if len(usable) == 1:
        effect = "with one CPU, kernels with several threads cannot be measured, and other work shares that CPU"
        return Finding("cpus", path, value, effect, severity="note")
    return Finding("cpus", path, value, "kernels run on these CPUs")


def examine_affinity(subject: Subject) -> Finding:
    path = "/proc/self/status"
    value = format_cpulist(subject.cpus)
    left_out = sorted(set(subject.topology.cpus) - set(subject.cpus))
    isolated = sorted(set(left_out) & set(subject.topology.isolated))
    if isolated:
        effect = f"CPUs {format_cpulist(isolated)} are isolated and the quietest here, but they are not chosen"
        change = f"taskset -c {format_cpulist({*subject.cpus, *isolated})} make bench"
        return Finding("affinity", path, value, effect, change, severity="hurts")
    if left_out:
        return Finding(
            "affinity", path, value, f"the run does not use CPUs {format_cpulist(left_out)}", severity="note"
        )
    return Finding("affinity", path, value, "all online CPUs may be used")


def second_cpus(topology: Topology, chosen: Iterable[int]) -> list[int]:
    """Of each core with chosen CPUs, all CPUs but one, which is chosen: those that are to go offline."""
    away: set[int] = set()
    for core in topology.cores:
        if usable := set(core) & set(chosen):
            away |= set(core) - {min(usable)}
    return sorted(away)


def examine_smt(subject: Subject) -> Finding:
    path = f"/{CPU}/smt/active"
    if not subject.tree.exists(path):
        path = f"/{CPU}/cpu*/topology/thread_siblings"
    if subject.topology.smt_active is None:
        return unreadable("smt", path, "it is unknown whether CPUs share a core; a busy neighbour can double a time")
    if not subject.topology.smt_active:
        return Finding("smt", path, "off", "no CPU shares its core with another")
    siblings = {sibling for cpu in subject.cpus for sibling in subject.topology.siblings(cpu)}
    if not siblings:
        return Finding("smt", path, "on", "the chosen CPUs have their cores to themselves")
    control = f"/{CPU}/smt/control"
    paths = [f"/{CPU}/cpu{cpu}/online" for cpu in second_cpus(subject.topology, subject.cpus)]
    command = tee("off", control) if subject.tree.exists(control) else tee(0, *paths) if paths else None
    others = siblings - set(subject.cpus)
    value = f"on, siblings outside of the run: {format_cpulist(others)}" if others else "on, siblings are chosen too"
    effect = "work on a sibling takes half of the core, so times may double at random"
    return Finding("smt", path, value, effect, command, severity="hurts")


def cpus_to_isolate(topology: Topology) -> tuple[int, ...]:
    """Half of the fastest cores with all of their threads, but not the core of the first CPU: Linux needs one.

    Runs prefer isolated CPUs. So slow ones must not be isolated, nor a thread whose sibling other tasks may use.
    """
    spare = [core for core in topology.cores or [(cpu,) for cpu in topology.cpus] if topology.cpus[0] not in core]
    for kind in reversed(KINDS):
        if fast := [core for core in spare if topology.kinds.get(core[0]) == kind]:
            spare = fast
            break
    return tuple(sorted(cpu for core in spare[len(spare) // 2 :] for cpu in core))


def examine_isolation(subject: Subject) -> Finding:
    path = "/proc/cmdline"
    parameters = machine.boot_parameters(subject.tree)
    if subject.tree.text(path) is None and not subject.topology.isolated:
        return unreadable("isolation", path, "it is unknown whether CPUs are kept free of the timer tick")
    wanted = ("isolcpus", "nohz_full", "rcu_nocbs")
    found = [f"{name}={value}" for name, value in parameters if name in wanted and value]
    if subject.topology.isolated and not any(word.startswith("isolcpus") for word in found):
        found.append(f"isolated {format_cpulist(subject.topology.isolated)}")
    missing = [name for name in wanted if not any(word.startswith(name) for word in found)]
    if subject.topology.isolated and "isolcpus" in missing:
        missing.remove("isolcpus")
    value = " ".join(found) or "none"
    if not missing:
        return Finding("isolation", path, value, "scheduler, timer tick and RCU leave the isolated CPUs alone")
    spare = subject.topology.isolated or cpus_to_isolate(subject.topology)
    effect = "the timer tick and other tasks interrupt kernels a few hundred times a second"
    if not spare:
        return Finding("isolation", path, value, f"{effect}; a single core cannot be isolated", severity="note")
    change = boot(" ".join(f"{name}={format_cpulist(spare)}" for name in missing))
    return Finding("isolation", path, value, effect, change, reboot=True, severity="note")


def examine_interrupts(subject: Subject) -> Finding:
    path = "/proc/irq/*/smp_affinity_list"
    chosen = set(subject.cpus)
    total, here = 0, []
    for number in subject.tree.entries("proc/irq", r"\d+"):
        at = f"proc/irq/{number}"
        # Where the kernel says to which of the allowed CPUs it really delivers, that is what counts.
        where = subject.tree.cpulist(f"{at}/effective_affinity_list") or subject.tree.cpulist(f"{at}/smp_affinity_list")
        if where is not None:
            total += 1
            if chosen & set(where):
                here.append(number)
    if not total:
        return unreadable(
            "interrupts", path, "it is unknown which CPUs handle device interrupts; they cause gaps of microseconds"
        )
    value = f"{len(here)} of {total} interrupts may be delivered to CPUs {format_cpulist(chosen)}"
    if not here:
        return Finding("interrupts", path, value, "devices do not interrupt the chosen CPUs")
    effect = "each interrupt pauses the measured code for a few microseconds"
    others = sorted(set(subject.topology.cpus) - chosen)
    if not others:
        return Finding(
            "interrupts", path, f"{value}, and there are no others", f"{effect}; no spare CPU", severity="note"
        )
    loop = f"for irq in /proc/irq/[0-9]*; do echo {format_cpulist(others)} > $irq/smp_affinity_list; done 2>/dev/null"
    return Finding("interrupts", path, value, effect, f"sudo sh -c {shlex.quote(loop)}", severity="hurts")


def examine_hypervisor(subject: Subject) -> Finding:
    facts = machine.hypervisor(subject.tree, subject.topology)
    path = "/proc/cpuinfo"
    if facts["guest"] is None:
        return unreadable("hypervisor", path, "it is unknown whether this is a virtual machine")
    if not facts["guest"]:
        return Finding("hypervisor", path, "none", "no hypervisor takes time from Linux")
    value = f"guest of {facts['kind'] or 'an unnamed hypervisor'}"
    effect = "the host takes time in gaps of microseconds to milliseconds; noise/gaps measures them"
    return Finding("hypervisor", path, value, effect, severity="note")


def _cpu_times(tree: Tree) -> dict[int, list[int]]:
    times = {}
    for line in (tree.text("proc/stat") or "").splitlines():
        match = re.fullmatch(r"cpu(\d+)((?: \d+)+)", line.strip())
        if match:
            times[int(match[1])] = [int(value) for value in match[2].split()]
    return times


def examine_steal(subject: Subject) -> Finding:
    path = "/proc/stat"
    rows = [row for cpu, row in _cpu_times(subject.tree).items() if cpu in subject.cpus and len(row) >= 8]
    total = sum(sum(row[:8]) for row in rows)  # guest times (9, 10) are contained in user and nice
    if not total:
        return unreadable("steal", path, "it is unknown how much time the host has taken")
    share = sum(row[7] for row in rows) / total
    value = f"{percent(share)} since boot"
    if share < 0.001:
        effect = (
            "the host reports almost no stolen time, but it does not count short gaps"
            if subject.guest
            else "no host takes time from these CPUs"
        )
        return Finding("steal", path, value, effect)
    effect = "the host ran other work on these CPUs, which causes gaps and cold caches"
    change = "move to a dedicated host or an instance type without shared CPUs"
    return Finding("steal", path, value, effect, change, severity=competition(subject) if share >= 0.01 else "note")


def examine_cgroup_quota(subject: Subject) -> Finding:
    cgroup = subject.cgroup
    path = cgroup.quota_path or "/sys/fs/cgroup"
    if not cgroup.readable:
        return unreadable("cgroup_quota", path, "it is unknown whether a control group limits CPU time")
    if cgroup.quota_cpus is None:
        return Finding("cgroup_quota", path, "none", "no control group limits the CPU time")
    value = f"{cgroup.quota_cpus:g} CPUs"
    if cgroup.quota_cpus >= max(1, len(subject.cpus)):
        return Finding("cgroup_quota", path, value, "the quota is at least what the chosen CPUs can use")
    effect = "when the quota is used up, all threads stop until the next period (up to 100 ms)"
    command = tee("max" if path.endswith("cpu.max") else -1, path)
    change = f"{command} (in a container: start it without --cpus)"
    return Finding("cgroup_quota", path, value, effect, change, severity="unfit" if cgroup.quota_cpus < 1 else "hurts")


def examine_throttled(subject: Subject) -> Finding:
    cgroup = subject.cgroup
    if cgroup.stat_path is None or cgroup.throttled_periods is None:
        return unreadable("throttled", "/sys/fs/cgroup", "it is unknown whether a quota has stopped this control group")
    value = f"{cgroup.throttled_periods} periods, {(cgroup.throttled_us or 0) / 1e6:.3g} s"
    if not cgroup.throttled_periods:
        return Finding("throttled", cgroup.stat_path, value, "no quota has stopped this control group")
    effect = "a quota has stopped this control group, which causes gaps of milliseconds"
    change = "remove the quota (see cgroup_quota) or start in another group"
    severity = competition(subject) if cgroup.quota_cpus is not None else "note"
    return Finding("throttled", cgroup.stat_path, value, effect, change, severity=severity)


def examine_load(subject: Subject) -> Finding:
    path = "/proc/loadavg"
    words = (subject.tree.text(path) or "").split()
    try:
        load = float(words[0])
    except (IndexError, ValueError):
        return unreadable("load", path, "it is unknown whether other work is running")
    count = max(1, len(subject.topology.cpus))
    value = f"{load:g} on {count} CPU{'s' if count > 1 else ''}"
    if load < 0.3 * count:
        return Finding("load", path, value, "the machine is almost idle")
    effect = "other work shares the CPUs, caches, memory and clock"
    change = "stop other work (see top) and wait a minute, because this is the average of the last minute"
    severity = "unfit" if load >= 1.5 * count else competition(subject)
    return Finding("load", path, value, effect, change, severity=severity)
