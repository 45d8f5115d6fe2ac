"""The doctor: every knob of a machine that bends figures, its value here, and how to turn it. Reads only."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fencepost.bench import machine
from fencepost.bench.cgroup import Cgroup, read_cgroup
from fencepost.bench.placement import allowed_cpus
from fencepost.bench.schema import SCHEMA_VERSION
from fencepost.bench.sysfs import TopologyError, Tree, format_cpulist
from fencepost.bench.topology import CPU, Topology, read_topology

SEVERITIES = ("ok", "note", "hurts", "unfit")
"""ok: as it should be; note: good to know, or not readable; hurts: figures wander or shift; unfit: do not measure."""

PROFILES = ("quick", "standard", "rigorous")

DEEP_SLEEP_US = 10
"""A C-state that takes longer than this to leave shows in wake-up figures."""


@dataclass(frozen=True)
class Finding:
    """One knob of the machine.

    `path` is its file as that machine calls it, `value` what it says, None where `state` is "unreadable" instead of
    "read". `effect` says in one line what this does to figures; `change` is the command or boot parameter that alters
    it, None where there is nothing to alter or no way to; `reboot` whether that takes a reboot.
    """

    knob: str
    path: str
    value: str | None
    effect: str
    change: str | None = None
    reboot: bool = False
    severity: str = "ok"
    state: str = "read"


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a machine, in a fixed order."""

    topology: Topology
    machine: Mapping[str, Any]
    findings: tuple[Finding, ...]
    profile: str
    cpus: tuple[int, ...]

    @property
    def fit(self) -> bool:
        """Whether figures taken now, with this profile, are worth publishing."""
        return all(finding.severity != "unfit" for finding in self.findings)

    def best_change(self) -> Finding | None:
        """The one change that would help most.

        Of what can be changed: the gravest; among equals what needs no reboot; then what bends most figures, in the
        order of `IMPACT`. None where nothing that hurts can be changed.
        """
        candidates = [found for found in self.findings if found.change and found.severity in ("hurts", "unfit")]
        return min(
            candidates,
            key=lambda found: (-SEVERITIES.index(found.severity), found.reboot, IMPACT.index(found.knob)),
            default=None,
        )

    def as_record(self) -> dict[str, Any]:
        """What run.json keeps: all that is not as it should be. Paths are left out, because that of a control group can
        name a user or a container, and run folders are published.
        """
        best = self.best_change()
        return {
            "profile": self.profile,
            "fit": self.fit,
            "best_change": best.knob if best else None,
            "findings": [
                {
                    "knob": found.knob,
                    "value": found.value,
                    "effect": found.effect,
                    "change": _CGROUP_PATH.sub("/sys/fs/cgroup/…/", found.change) if found.change else None,
                    "reboot": found.reboot,
                    "severity": found.severity,
                }
                for found in sorted(self.findings, key=lambda found: -SEVERITIES.index(found.severity))
                if found.severity != "ok"
            ],
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, for ``fencepost doctor --json``."""
        best = self.best_change()
        return {
            "schema": SCHEMA_VERSION,
            "profile": self.profile,
            "fit": self.fit,
            "cpus": list(self.cpus),
            "best_change": best.knob if best else None,
            "findings": [asdict(finding) for finding in self.findings],
            "topology": self.topology.as_dict(),
            "machine": dict(self.machine),
        }


_CGROUP_PATH = re.compile(r"/sys/fs/cgroup/(?:\S*/)?")

IMPACT = (
    "cpus",
    "cgroup_quota",
    "throttled",
    "load",
    "affinity",
    "governor",
    "turbo",
    "frequency",
    "power_supply",
    "temperature",
    "thermal_throttle",
    "interrupts",
    "energy_preference",
    "smt",
    "cstates",
    "dma_latency",
    "clocksource",
    "vdso",
    "aslr",
    "numa_balancing",
    "ksm",
    "swap",
    "thp",
    "isolation",
    "steal",
    "hypervisor",
    "perf_permission",
    "hardware_counters",
    "mitigations",
    "root",
    "topology",
)
"""All knobs, those first that bend most figures."""


@dataclass(frozen=True)
class _Subject:
    tree: Tree
    topology: Topology
    cpus: tuple[int, ...]
    cgroup: Cgroup
    guest: bool
    profile: str
    live: Mapping[str, Any] | None


Examination = Callable[[_Subject], Finding]
_EXAMINATIONS: list[Examination] = []


def _examination(function: Examination) -> Examination:
    _EXAMINATIONS.append(function)
    return function


def examine(
    root: Path = Path("/"),
    cpus: Iterable[int] | None = None,
    profile: str = "standard",
    live: Mapping[str, Any] | None = None,
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
    live : mapping, optional
        what only a process on that machine can find out: ``perf_events``, a list of mappings with the fields of the
        engine's ``struct perf_fact`` (name, hardware, error, count, expect). None for snapshots.

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
        nothing = Finding(
            "root",
            str(root),
            None,
            "neither sys nor proc is here: nothing can be said",
            severity="unfit",
            state="unreadable",
        )
        return Diagnosis(Topology(), {}, (nothing,), profile, chosen or ())
    try:
        topology = read_topology(root, os.sched_getaffinity(0) if tree.live else None)
        description = machine.describe_machine(root, topology=topology)
        usable = chosen if chosen is not None else allowed_cpus(topology, root)
        cgroup = read_cgroup(tree)
    except TopologyError as error:
        path, _, fault = str(error).partition(": ")
        damage = Finding("topology", path, None, f"damaged: {fault}", severity="unfit", state="unreadable")
        return Diagnosis(Topology(), {}, (damage,), profile, chosen or ())
    subject = _Subject(tree, topology, usable, cgroup, bool(description["hypervisor"]["guest"]), profile, live)
    findings: list[Finding] = []
    for examination in _EXAMINATIONS:
        try:
            findings.append(examination(subject))
        except TopologyError as error:
            path, _, fault = str(error).partition(": ")
            findings.append(_unreadable(_name(examination), path, f"damaged: {fault}"))
    description["cpus_usable"] = list(usable)
    return Diagnosis(topology, description, tuple(findings), profile, usable)


def _name(examination: Examination) -> str:
    return getattr(examination, "__name__", "topology").strip("_")


def _unreadable(knob: str, path: str, effect: str) -> Finding:
    return Finding(knob, path, None, effect, severity="note", state="unreadable")


def _competition(subject: _Subject) -> str:
    """Severity of another party taking time from the chosen CPUs."""
    return "unfit" if subject.profile == "rigorous" else "hurts"


def _tee(value: str | int, *paths: str) -> str:
    return f"echo {value} | sudo tee {' '.join(paths)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _boot(parameter: str) -> str:
    return f"add {parameter} to the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"


@_examination
def _cpus(subject: _Subject) -> Finding:
    online, usable = subject.topology.cpus, subject.cpus
    path = f"/{CPU}/online" if subject.topology.source == "sysfs" else "/proc/cpuinfo"
    if not online:
        return Finding(
            "cpus", path, None, "no CPU is listed: nothing can be placed", severity="unfit", state="unreadable"
        )
    away = sorted(set(usable) - set(online))
    if not usable or away:
        value = f"{format_cpulist(away)} not online" if away else "none usable"
        change = f"choose among {format_cpulist(online)}"
        return Finding("cpus", path, value, "the chosen CPUs cannot run anything", change, severity="unfit")
    value = f"{format_cpulist(usable)} of {format_cpulist(online)}"
    if subject.topology.offline:
        value += f", offline {format_cpulist(subject.topology.offline)}"
    if len(usable) == 1:
        effect = "with one CPU, kernels with several threads cannot be measured, and the system shares the CPU"
        return Finding("cpus", path, value, effect, severity="note")
    return Finding("cpus", path, value, "kernels run on these CPUs")


@_examination
def _affinity(subject: _Subject) -> Finding:
    path = "/proc/self/status"
    value = format_cpulist(subject.cpus)
    left_out = sorted(set(subject.topology.cpus) - set(subject.cpus))
    isolated = sorted(set(left_out) & set(subject.topology.isolated))
    if isolated:
        effect = f"CPUs {format_cpulist(isolated)} are isolated, the quietest here, but are not among the chosen ones"
        change = f"taskset -c {format_cpulist({*subject.cpus, *isolated})} make bench"
        return Finding("affinity", path, value, effect, change, severity="hurts")
    if left_out:
        return Finding(
            "affinity", path, value, f"CPUs {format_cpulist(left_out)} are left out of the run", severity="note"
        )
    return Finding("affinity", path, value, "all online CPUs may be used")


@_examination
def _turbo(subject: _Subject) -> Finding:
    # In a guest the registers are the hypervisor's, whatever they say.
    vendor = None if subject.guest else subject.topology.identity.vendor
    path, value = machine.turbo(subject.tree, vendor)
    if path is None:
        effect = (
            "the host decides over turbo" if subject.guest else "turbo: the clock may rise and fall with load and heat"
        )
        if vendor in ("GenuineIntel", "AuthenticAMD", "HygonGenuine"):
            effect += "; root with the kernel's msr module (modprobe msr) can read whether it does"
        return _unreadable("turbo", f"/{machine.CPUFREQ}/boost", effect)
    if value == "off":
        return Finding("turbo", path, value, "the clock keeps below its rated limit, whatever the heat")
    command = _tee(1 if path.endswith("no_turbo") else 0, path)
    register, values = machine.turbo_register(subject.tree, vendor)
    if path.endswith("msr") and register is not None:
        wanted = max(values.values()) | 1 << register.bit
        path = f"{path} ({register.number:#x})"
        command = f"sudo modprobe msr && sudo wrmsr --all {register.number:#x} {wanted:#x}"
    effect = "the clock rises and falls with load and heat: ns wander by some percent, cycles hardly"
    return Finding("turbo", path, value, effect, command, severity="hurts")


@_examination
def _frequency(subject: _Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/scaling_max_freq"
    tree, cpus = subject.tree, subject.cpus
    names = ("scaling_min_freq", "scaling_max_freq", "cpuinfo_max_freq")
    found = [machine.cpufreq(tree, name, cpus) for name in names]
    try:
        least, most, limit = (max(int(value) for value in values) if values else None for values in found)
    except ValueError:
        return _unreadable("frequency", path, "the limits of the clock are not numbers")
    if least is None or most is None:
        effect = "the host decides over the clock" if subject.guest else "no frequency driver states the clock's limits"
        return _unreadable("frequency", path, effect)
    driver = machine.same(machine.cpufreq(tree, "scaling_driver", cpus))
    value = f"{least / 1e6:.3g} to {most / 1e6:.3g} GHz" + (f", {driver}" if driver else "")
    if least == most:
        return Finding("frequency", path, value, "the clock is held at one value")
    if limit is not None and most < 0.99 * limit:
        effect = (
            f"the clock is kept below its limit of {limit / 1e6:.3g} GHz: steadier, and slower than this machine can"
        )
        return Finding("frequency", path, value, effect, _tee(limit, path), severity="note")
    return Finding("frequency", path, value, "the clock may reach its limit; governor and turbo say how it moves")


def _spread(values: Mapping[str, list[int]]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} on {format_cpulist(cpus)}" for value, cpus in values.items())


@_examination
def _governor(subject: _Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/scaling_governor"
    values = machine.cpufreq(subject.tree, "scaling_governor", subject.cpus)
    if values is None:
        effect = "the host decides over the clock" if subject.guest else "no frequency driver: the firmware decides"
        return _unreadable("governor", path, effect)
    if set(values) == {"performance"}:
        return Finding("governor", path, "performance", "the clock does not wait for load to rise")
    effect = "the clock follows the load with a delay: first batches are slower, short cases slower than long ones"
    return Finding("governor", path, _spread(values), effect, _tee("performance", path), severity="hurts")


@_examination
def _energy_preference(subject: _Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/energy_performance_preference"
    values = machine.cpufreq(subject.tree, "energy_performance_preference", subject.cpus)
    if values is None:
        return _energy_bias(subject, path)
    if set(values) <= {"performance", "0"}:
        return Finding("energy_preference", path, _spread(values), "the processor favours its highest clock")
    effect = "the processor trades clock for energy on its own: slower to rise, sooner to fall"
    return Finding("energy_preference", path, _spread(values), effect, _tee("performance", path), severity="hurts")


def _energy_bias(subject: _Subject, elsewhere: str) -> Finding:
    """The older form of the same preference, of Intel processors without the newer one: 0 is performance, 15 power."""
    path = f"/{CPU}/cpu*/power/energy_perf_bias"
    values: dict[str, list[int]] = {}
    for cpu in subject.cpus:
        bias = subject.tree.text(f"{CPU}/cpu{cpu}/power/energy_perf_bias")
        if bias:
            values.setdefault(bias, []).append(cpu)
    if not values:
        return _unreadable("energy_preference", elsewhere, "no preference for the processor's own choice of clock")
    if set(values) == {"0"}:
        return Finding("energy_preference", path, _spread(values), "the processor favours its highest clock")
    effect = "the processor trades clock for energy on its own: slower to rise, sooner to fall"
    return Finding("energy_preference", path, _spread(values), effect, _tee(0, path), severity="hurts")


@_examination
def _smt(subject: _Subject) -> Finding:
    path = f"/{CPU}/smt/active"
    if not subject.tree.exists(path):
        path = f"/{CPU}/cpu*/topology/thread_siblings"
    if subject.topology.smt_active is None:
        return _unreadable("smt", path, "whether CPUs share a core is not known: neighbours may halve a figure")
    if not subject.topology.smt_active:
        return Finding("smt", path, "off", "no CPU here shares its core with another one")
    siblings = {sibling for cpu in subject.cpus for sibling in subject.topology.siblings(cpu)}
    if not siblings:
        return Finding("smt", path, "on", "the chosen CPUs have their cores to themselves")
    control = f"/{CPU}/smt/control"
    paths = [f"/{CPU}/cpu{cpu}/online" for cpu in sorted(siblings - {min(core) for core in subject.topology.cores})]
    command = _tee("off", control) if subject.tree.exists(control) else _tee(0, *paths) if paths else None
    others = siblings - set(subject.cpus)
    value = f"on, siblings outside of the run: {format_cpulist(others)}" if others else "on, siblings are chosen too"
    effect = "whatever runs on a sibling takes half of the core: figures up to twice as large, at random"
    return Finding("smt", path, value, effect, command, severity="hurts")


def _idle_states(subject: _Subject) -> dict[str, tuple[int, str]]:
    """Idle states that are not switched off: latency in us and name, by their entry in sysfs."""
    states: dict[str, tuple[int, str]] = {}
    for cpu in subject.cpus:
        at = f"{CPU}/cpu{cpu}/cpuidle"
        for entry in subject.tree.entries(at, r"state\d+"):
            latency = subject.tree.integer(f"{at}/{entry}/latency")
            if latency is not None and subject.tree.integer(f"{at}/{entry}/disable") == 0:
                states.setdefault(entry, (latency, subject.tree.text(f"{at}/{entry}/name") or entry))
    return states


@_examination
def _cstates(subject: _Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpuidle/state*"
    states = _idle_states(subject)
    if not states:
        driver = subject.tree.text(f"{CPU}/cpuidle/current_driver")
        effect = "how deeply idle CPUs sleep is not known: wake-ups may take up to a millisecond longer"
        return _unreadable("cstates", path, f"{effect} (driver {driver})" if driver else effect)
    latency, name = max(states.values(), key=lambda state: state[0])
    value = f"{name}, {latency} us to leave"
    if latency <= DEEP_SLEEP_US:
        return Finding("cstates", path, value, "idle CPUs wake up fast")
    deep = [entry for entry, state in states.items() if state[0] > DEEP_SLEEP_US]
    paths = [f"/{CPU}/cpu[0-9]*/cpuidle/{entry}/disable" for entry in deep]
    effect = f"an idle CPU takes {latency} us to wake up, and its clock ramps up again: wake-ups and first batches grow"
    return Finding("cstates", path, value, effect, _tee(1, *paths), severity="hurts")


_HOLD_AWAKE = (
    "sudo sh -c 'exec 3>/dev/cpu_dma_latency; printf 0x00000000 >&3; sleep 3600' & "
    "(it holds for as long as the file is open; end it with the run)"
)
"""The file takes a latency in us as hexadecimal text, and forgets it when it is closed (kernel: pm_qos_interface)."""


@_examination
def _dma_latency(subject: _Subject) -> Finding:
    path = "/dev/cpu_dma_latency"
    limit = subject.tree.word(path, size=4)
    deepest = max((latency for latency, _ in _idle_states(subject).values()), default=0)
    if limit is None:
        there = subject.tree.exists(path)
        effect = (
            "only root can read how long a CPU may take to wake up"
            if there
            else "no process can ask for CPUs that wake up fast"
        )
        return _unreadable("dma_latency", path, effect)
    value = f"{limit} us" if limit < 1_000_000 else "no limit"
    if deepest <= DEEP_SLEEP_US or limit <= DEEP_SLEEP_US:
        return Finding("dma_latency", path, value, "no idle CPU takes long to wake up")
    effect = f"nobody asks for fast wake-ups, so idle CPUs sleep for up to {min(limit, deepest)} us longer"
    return Finding("dma_latency", path, value, effect, _HOLD_AWAKE, severity="note")


@_examination
def _isolation(subject: _Subject) -> Finding:
    path = "/proc/cmdline"
    parameters = machine.boot_parameters(subject.tree)
    if subject.tree.text(path) is None and not subject.topology.isolated:
        return _unreadable("isolation", path, "whether CPUs are kept free of the scheduler's ticks is not known")
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
    spare = subject.topology.isolated or subject.topology.cpus[1:]
    effect = "the timer tick and other tasks interrupt kernels some hundred times a second: gaps, flagged batches"
    if not spare:
        return Finding("isolation", path, value, f"{effect}; one CPU cannot be isolated", severity="note")
    half = spare if subject.topology.isolated else spare[len(spare) // 2 :]
    change = _boot(" ".join(f"{name}={format_cpulist(half)}" for name in missing))
    return Finding("isolation", path, value, effect, change, reboot=True, severity="note")


@_examination
def _interrupts(subject: _Subject) -> Finding:
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
        return _unreadable(
            "interrupts", path, "where devices interrupt is not known: gaps of microseconds may come from them"
        )
    value = f"{len(here)} of {total} interrupts arrive on {format_cpulist(chosen)}"
    if not here:
        return Finding("interrupts", path, value, "devices do not interrupt the chosen CPUs")
    effect = "each interrupt is a gap of some microseconds in whatever runs there"
    others = sorted(set(subject.topology.cpus) - chosen)
    if not others:
        return Finding(
            "interrupts", path, f"{value}, which are all", f"{effect}; no CPU is left for them", severity="note"
        )
    loop = f"for irq in /proc/irq/[0-9]*; do echo {format_cpulist(others)} > $irq/smp_affinity_list; done 2>/dev/null"
    return Finding("interrupts", path, value, effect, f"sudo sh -c {shlex.quote(loop)}", severity="hurts")


@_examination
def _thp(subject: _Subject) -> Finding:
    path = f"{machine.HUGEPAGE}/enabled"
    value = machine.chosen(subject.tree.text(path))
    if value is None:
        return _unreadable(
            "thp", f"/{path}", "transparent huge pages: whether memory figures are of 4 KiB pages is not known"
        )
    if value == "madvise":
        return Finding("thp", f"/{path}", value, "kernels get the page size that they ask for")
    if value == "always":
        effect = "any large buffer may or may not become huge pages: memory figures have two modes"
        return Finding("thp", f"/{path}", value, effect, _tee("madvise", f"/{path}"), severity="hurts")
    effect = "no huge pages: the rows that ask for them cannot be measured"
    return Finding("thp", f"/{path}", value, effect, _tee("madvise", f"/{path}"), severity="note")


@_examination
def _aslr(subject: _Subject) -> Finding:
    path = "/proc/sys/kernel/randomize_va_space"
    value = subject.tree.text(path)
    if value is None:
        return _unreadable("aslr", path, "whether each process gets a new address layout is not known")
    if value == "2":
        return Finding("aslr", path, value, "each round gets a new layout, so that no lucky one decides the figure")
    effect = "all rounds share one address layout: its accident becomes a bias that no interval shows"
    return Finding("aslr", path, value, effect, "sudo sysctl kernel.randomize_va_space=2", severity="hurts")


@_examination
def _numa_balancing(subject: _Subject) -> Finding:
    path = "/proc/sys/kernel/numa_balancing"
    value = subject.tree.text(path)
    if value is None:
        return _unreadable("numa_balancing", path, "whether the kernel moves pages between nodes is not known")
    if value == "0" or len(subject.topology.numa) < 2:
        return Finding("numa_balancing", path, value, "the kernel does not move pages behind a kernel's back")
    effect = "the kernel unmaps and moves pages between nodes while they are used: faults and shifts in memory figures"
    return Finding("numa_balancing", path, value, effect, "sudo sysctl kernel.numa_balancing=0", severity="hurts")


@_examination
def _ksm(subject: _Subject) -> Finding:
    path = "/sys/kernel/mm/ksm/run"
    value = subject.tree.text(path)
    if value is None:
        return _unreadable("ksm", path, "whether a daemon merges equal pages is not known")
    if value != "1":
        return Finding("ksm", path, value, "no daemon scans memory for equal pages")
    return Finding(
        "ksm", path, value, "a daemon scans memory and merges pages: load and faults", _tee(0, path), severity="hurts"
    )


@_examination
def _mitigations(subject: _Subject) -> Finding:
    path = f"/{CPU}/vulnerabilities/*"
    found = machine.mitigations(subject.tree)
    if found is None:
        return _unreadable("mitigations", path, "which mitigations slow down kernel entry is not known")
    active = [name for name, text in found.items() if text.startswith("Mitigation")]
    bare = [name for name, text in found.items() if text.startswith("Vulnerable")]
    value = f"{len(active)} active ({', '.join(active)})" if active else "none active"
    if bare:
        value += f"; vulnerable: {', '.join(bare)}"
    if not active:
        return Finding("mitigations", path, value, "kernel entries cost what the hardware charges")
    effect = "part of what system calls and switches cost here: recorded with the run, not to be removed for a figure"
    change = _boot("mitigations=off") + ", only on a machine that runs nobody else's code"
    return Finding("mitigations", path, value, effect, change, reboot=True, severity="note")


@_examination
def _clocksource(subject: _Subject) -> Finding:
    path = f"{machine.CLOCKSOURCE}/current_clocksource"
    value = subject.tree.text(path)
    if value is None:
        return _unreadable("clocksource", f"/{path}", "whether reading the clock takes a system call is not known")
    available = (subject.tree.text(f"{machine.CLOCKSOURCE}/available_clocksource") or "").split()
    if value in ("tsc", "arch_sys_counter", "riscv_clocksource", "timebase"):
        return Finding("clocksource", f"/{path}", value, "clock_gettime reads the counter in user space (vDSO)")
    change, reboot = _tee("tsc", f"/{path}"), False
    if "tsc" not in available:
        change, reboot = _boot("clocksource=tsc tsc=reliable"), True
    if value == "kvm-clock" or value.startswith("hyperv"):
        effect = "clock_gettime stays in user space (vDSO), but converts the host's clock: some ns more a read"
        return Finding("clocksource", f"/{path}", value, effect, change, reboot, "note")
    effect = "clock_gettime is a system call, and reads a slow device: 0.1 to some microseconds instead of 20 ns"
    return Finding("clocksource", f"/{path}", value, effect, change, reboot, "hurts")


@_examination
def _vdso(subject: _Subject) -> Finding:
    path = "/proc/self/maps"
    maps = subject.tree.text(path)
    if ("vdso", "0") in machine.boot_parameters(subject.tree):
        change = (
            "remove vdso=0 from the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"
        )
        effect = "switched off: every reading of a clock enters the kernel, 0.1 us and more instead of 20 ns"
        return Finding("vdso", "/proc/cmdline", "vdso=0", effect, change, reboot=True, severity="hurts")
    if maps is None:
        return _unreadable("vdso", path, "whether clocks can be read without entering the kernel is not known")
    if "[vdso]" in maps:
        return Finding("vdso", path, "mapped", "clocks can be read without entering the kernel (see clocksource)")
    effect = "not mapped into this process: every reading of a clock enters the kernel"
    return Finding("vdso", path, "not mapped", effect, severity="hurts")


@_examination
def _perf_permission(subject: _Subject) -> Finding:
    path = "/proc/sys/kernel/perf_event_paranoid"
    value = subject.tree.integer(path)
    if value is None:
        return _unreadable("perf_permission", path, "whether this user may open perf events is not known")
    if value <= 1:
        return Finding("perf_permission", path, str(value), "perf events of user and kernel may be opened")
    effect = (
        "only root may open perf events: no counts beside the times"
        if value > 2
        else "without root, perf events count user code only"
    )
    return Finding(
        "perf_permission", path, str(value), effect, "sudo sysctl kernel.perf_event_paranoid=1", severity="note"
    )


@_examination
def _hardware_counters(subject: _Subject) -> Finding:
    path = "perf_event_open(2)"
    if subject.live is None or subject.live.get("perf_events") is None:
        return _unreadable("hardware_counters", path, "hardware counters can only be tried on the live machine")
    hardware = [event for event in subject.live["perf_events"] if event.get("hardware")]
    opened = [event for event in hardware if not event.get("error")]
    silent = [event for event in opened if (event.get("count") or 0) < (event.get("expect") or 1)]
    if not opened:
        effect = "no hardware counters: causes such as branch or cache misses cannot be counted, times are unaffected"
        return Finding("hardware_counters", path, "none opens", effect, severity="note")
    if silent:
        names = ", ".join(str(event.get("name")) for event in silent)
        value = f"{len(silent)} of {len(opened)} open and count nothing: {names}"
        effect = "counters that open but read (almost) zero: their counts are not used"
        return Finding("hardware_counters", path, value, effect, severity="hurts")
    value = f"{len(opened)} of {len(hardware)} open and count"
    return Finding("hardware_counters", path, value, "hardware counters count a known workload as they should")


@_examination
def _hypervisor(subject: _Subject) -> Finding:
    facts = machine.hypervisor(subject.tree, subject.topology)
    path = "/proc/cpuinfo"
    if facts["guest"] is None:
        return _unreadable("hypervisor", path, "whether this is a guest is not known")
    if not facts["guest"]:
        return Finding("hypervisor", path, "none", "nobody below the kernel takes time away")
    value = f"guest of {facts['kind'] or 'an unnamed hypervisor'}"
    effect = "the host takes a share of the time in gaps of microseconds to milliseconds: see noise/gaps of a run"
    return Finding("hypervisor", path, value, effect, severity="note")


_CPU_SENSORS = {"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "acpitz"}
_CPU_ZONES = re.compile(r"x86_pkg_temp|acpitz|.*(cpu|soc|pkg).*", re.IGNORECASE)


def _cpu_times(tree: Tree) -> dict[int, list[int]]:
    times = {}
    for line in (tree.text("proc/stat") or "").splitlines():
        match = re.fullmatch(r"cpu(\d+)((?: \d+)+)", line.strip())
        if match:
            times[int(match[1])] = [int(value) for value in match[2].split()]
    return times


@_examination
def _steal(subject: _Subject) -> Finding:
    path = "/proc/stat"
    rows = [row for cpu, row in _cpu_times(subject.tree).items() if cpu in subject.cpus and len(row) >= 8]
    total = sum(sum(row[:8]) for row in rows)  # guest times (9, 10) are contained in user and nice
    if not total:
        return _unreadable("steal", path, "how much time the host has taken is not known")
    share = sum(row[7] for row in rows) / total
    value = f"{_percent(share)} since boot"
    if share < 0.001:
        effect = (
            "the host admits to almost nothing; it does not count short gaps"
            if subject.guest
            else "nobody takes time from these CPUs"
        )
        return Finding("steal", path, value, effect)
    effect = "the host ran something else on these CPUs meanwhile: gaps, and caches gone cold"
    change = "move to a dedicated host or an instance type without shared CPUs"
    return Finding("steal", path, value, effect, change, severity=_competition(subject) if share >= 0.01 else "note")


@_examination
def _cgroup_quota(subject: _Subject) -> Finding:
    cgroup = subject.cgroup
    path = cgroup.quota_path or "/sys/fs/cgroup"
    if not cgroup.readable:
        return _unreadable("cgroup_quota", path, "whether a control group limits the CPU time is not known")
    if cgroup.quota_cpus is None:
        return Finding("cgroup_quota", path, "none", "no control group limits the CPU time")
    value = f"{cgroup.quota_cpus:g} CPUs"
    if cgroup.quota_cpus >= max(1, len(subject.cpus)):
        return Finding("cgroup_quota", path, value, "the quota is no less than the chosen CPUs can use")
    effect = "when the quota is used up, everything stands still until the next period (up to 100 ms)"
    command = _tee("max" if path.endswith("cpu.max") else -1, path)
    change = f"{command} (in a container: start it without --cpus)"
    return Finding("cgroup_quota", path, value, effect, change, severity="unfit" if cgroup.quota_cpus < 1 else "hurts")


@_examination
def _throttled(subject: _Subject) -> Finding:
    cgroup = subject.cgroup
    if cgroup.stat_path is None or cgroup.throttled_periods is None:
        return _unreadable(
            "throttled", "/sys/fs/cgroup", "whether a quota has held this control group back is not known"
        )
    value = f"{cgroup.throttled_periods} periods, {(cgroup.throttled_us or 0) / 1e6:.3g} s"
    if not cgroup.throttled_periods:
        return Finding("throttled", cgroup.stat_path, value, "this control group was never held back")
    effect = "this control group has been held back by its quota: gaps of milliseconds"
    change = "remove the quota (see cgroup_quota) or start in another group"
    severity = _competition(subject) if cgroup.quota_cpus is not None else "note"
    return Finding("throttled", cgroup.stat_path, value, effect, change, severity=severity)


@_examination
def _swap(subject: _Subject) -> Finding:
    path = "/proc/meminfo"
    memory = machine.meminfo(subject.tree)
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    if total is None or free is None:
        return _unreadable("swap", path, "whether memory is swapped out is not known")
    if total == free:
        return Finding("swap", path, "none in use" if total else "no swap", "no page waits on a disk")
    effect = "pages wait on a disk: memory is short, or was; major faults in figures"
    value = f"{(total - free) >> 20} MiB in use"
    return Finding("swap", path, value, effect, "sudo swapoff -a", severity=_competition(subject))


@_examination
def _load(subject: _Subject) -> Finding:
    path = "/proc/loadavg"
    words = (subject.tree.text(path) or "").split()
    try:
        load = float(words[0])
    except (IndexError, ValueError):
        return _unreadable("load", path, "whether other work is running is not known")
    count = max(1, len(subject.topology.cpus))
    value = f"{load:g} on {count} CPU{'s' if count > 1 else ''}"
    if load < 0.3 * count:
        return Finding("load", path, value, "the machine is almost idle")
    effect = "other work takes turns on the CPUs, and their caches, memory and clock with it"
    change = "stop other work (see top) and wait a minute: this is an average over the last one"
    severity = "unfit" if load >= 1.5 * count else _competition(subject)
    return Finding("load", path, value, effect, change, severity=severity)


@_examination
def _temperature(subject: _Subject) -> Finding:
    tree = subject.tree
    readings: list[tuple[int, int | None, str]] = []
    for zone in tree.entries("sys/class/thermal", r"thermal_zone\d+"):
        at = f"sys/class/thermal/{zone}"
        degrees = tree.integer(f"{at}/temp") if _CPU_ZONES.fullmatch(tree.text(f"{at}/type") or "") else None
        limits = [
            tree.integer(f"{at}/{trip}_temp")
            for trip in (name.removesuffix("_type") for name in tree.entries(at, r"trip_point_\d+_type"))
            if tree.text(f"{at}/{trip}_type") in ("passive", "hot", "critical")
        ]
        if degrees is not None:
            readings.append((degrees, min((limit for limit in limits if limit), default=None), f"/{at}/temp"))
    for chip in tree.entries("sys/class/hwmon", r"hwmon\d+"):
        at = f"sys/class/hwmon/{chip}"
        if tree.text(f"{at}/name") not in _CPU_SENSORS:  # a warm disk does not slow a CPU
            continue
        for name in tree.entries(at, r"temp\d+_input"):
            degrees = tree.integer(f"{at}/{name}")
            limit = tree.integer(f"{at}/{name.replace('_input', '_max')}") or tree.integer(
                f"{at}/{name.replace('_input', '_crit')}"
            )
            if degrees is not None:
                readings.append((degrees, limit, f"/{at}/{name}"))
    plausible = [reading for reading in readings if 0 < reading[0] < 150_000]
    if not plausible:
        effect = "no sensor in a guest" if subject.guest else "no sensor: whether heat lowers the clock is not known"
        return _unreadable("temperature", "/sys/class/thermal/thermal_zone*/temp", effect)
    # The sensor that is nearest to its limit; 95 degrees where it names none.
    degrees, limit, path = max(plausible, key=lambda reading: reading[0] - (reading[1] or 95_000))
    value = f"{degrees / 1000:.0f} degrees C" + (f", limit {limit / 1000:.0f}" if limit else "")
    if degrees < (limit or 95_000) - 10_000:
        return Finding("temperature", path, value, "far enough from where heat lowers the clock")
    effect = "close to where heat lowers the clock: figures grow while the run heats the machine"
    change = "let it cool down, clear the fans, or lower the clock: sudo cpupower frequency-set -u FREQUENCY"
    return Finding("temperature", path, value, effect, change, severity="hurts")


@_examination
def _thermal_throttle(subject: _Subject) -> Finding:
    path = f"/{CPU}/cpu*/thermal_throttle/core_throttle_count"
    counts = [
        subject.tree.integer(f"{CPU}/cpu{cpu}/thermal_throttle/{name}_throttle_count")
        for cpu in subject.cpus
        for name in ("core", "package")
    ]
    known = [count for count in counts if count is not None]
    if not known:
        return _unreadable("thermal_throttle", path, "whether heat has lowered the clock since boot is not known")
    value = f"{sum(known)} times since boot"
    if not any(known):
        return Finding("thermal_throttle", path, value, "heat has never lowered the clock of these CPUs")
    effect = "heat has lowered the clock of these CPUs: long runs may end slower than they began"
    change = "cool the machine better; until then lower the clock: sudo cpupower frequency-set -u FREQUENCY"
    return Finding("thermal_throttle", path, value, effect, change, severity="note")


@_examination
def _power_supply(subject: _Subject) -> Finding:
    at = "sys/class/power_supply"
    discharging, mains = None, None
    for name in subject.tree.entries(at):
        if subject.tree.text(f"{at}/{name}/scope") == "Device":  # the battery of a mouse
            continue
        kind = subject.tree.text(f"{at}/{name}/type")
        if kind == "Battery" and subject.tree.text(f"{at}/{name}/status") == "Discharging":
            discharging = f"/{at}/{name}/status"
        elif kind == "Mains" and subject.tree.text(f"{at}/{name}/online") == "1":
            mains = f"/{at}/{name}/online"
    if discharging and not mains:
        effect = "on battery, firmware and kernel lower the clock as they see fit"
        return Finding("power_supply", discharging, "battery", effect, "plug in the mains", severity="hurts")
    if mains:
        return Finding("power_supply", mains, "mains", "no battery to be saved")
    return _unreadable("power_supply", f"/{at}", "no supply is listed: most likely there is no battery")
