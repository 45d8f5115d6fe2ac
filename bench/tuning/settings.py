"""What `fencepost tune` may set: for each setting of the doctor its files and the value that it advises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fencepost.bench import machine
from fencepost.bench.doctor.clocks import DEEP_SLEEP_US
from fencepost.bench.doctor.cpus import second_cpus
from fencepost.bench.doctor.finding import Diagnosis
from fencepost.bench.sysfs import TopologyError, Tree, format_cpulist, parse_cpulist
from fencepost.bench.topology import CPU


@dataclass(frozen=True)
class Situation:
    """What a wanted value depends on."""

    tree: Tree
    chosen: tuple[int, ...]
    """CPUs that the command may use, and keeps."""
    away: frozenset[int]
    """Siblings that go offline."""
    spare: tuple[int, ...]
    """CPUs that the command does not use and that stay online."""


Wanted = Callable[[Situation, str, list[int]], str | None]
"""From the situation, a path and the numbers in it to the value; None where the file is to stay as it is."""


@dataclass(frozen=True)
class Setting:
    """The files of one setting.

    `knob` is the doctor's name of it. In `template` ``{}`` stands for a number, as in ``cpu{}``. Files that are `kept`
    are not set: setting another one may change them, so they go back to what they held before.
    """

    knob: str
    template: str
    wanted: str | Wanted = ""
    kept: bool = False
    cpulist: bool = False

    def pattern(self) -> re.Pattern[str]:
        """What all paths of the setting look like."""
        return re.compile(re.escape(self.template).replace(r"\{\}", r"(\d+)"), re.ASCII)

    def paths(self, tree: Tree) -> Iterator[str]:
        """The files that this machine has."""
        found = [""]
        for part in self.template.split("/"):
            name = re.escape(part).replace(r"\{\}", r"\d+")
            found = [
                f"{folder}{entry}/"
                for folder in found
                for entry in ([part] if "{}" not in part else tree.entries(folder, name))
            ]
        return (path.removesuffix("/") for path in found if tree.text(path.removesuffix("/")) is not None)

    def value(self, situation: Situation, path: str) -> str | None:
        """What a file of the setting is to hold; None where it is to stay as it is."""
        if self.kept or isinstance(self.wanted, str):
            return None if self.kept else str(self.wanted)
        match = self.pattern().fullmatch(path)
        assert match is not None  # `path` is one of `paths`
        return self.wanted(situation, path, [int(number) for number in match.groups()])

    def plain(self, text: str | None) -> str | None:
        """A value in the form in which two of them can be compared: the chosen word, the short list of CPUs."""
        if not text or not self.cpulist:
            return machine.chosen(text) or text
        try:
            return format_cpulist(parse_cpulist(text))
        except TopologyError:
            return text


def _offline(situation: Situation, _path: str, numbers: list[int]) -> str | None:
    return "0" if numbers[0] in situation.away else None


def _elsewhere(situation: Situation, path: str, _numbers: list[int]) -> str | None:
    folder = path.rpartition("/")[0]
    where = situation.tree.cpulist(f"{folder}/effective_affinity_list") or situation.tree.cpulist(path) or ()
    return format_cpulist(situation.spare) if set(where) & set(situation.chosen) else None


def _of_chosen(value: str) -> Wanted:
    return lambda situation, _path, numbers: value if numbers[0] in situation.chosen else None


def _bias(situation: Situation, _path: str, numbers: list[int]) -> str | None:
    newer = f"{CPU}/cpu{numbers[0]}/cpufreq/energy_performance_preference"
    return "0" if numbers[0] in situation.chosen and not situation.tree.exists(newer) else None


def _awake(situation: Situation, path: str, numbers: list[int]) -> str | None:
    latency_us = situation.tree.integer(f"{path.rpartition('/')[0]}/latency")
    deep = latency_us is not None and latency_us > DEEP_SLEEP_US
    return "1" if deep and numbers[0] in situation.chosen else None


_IRQ = "proc/irq/{}/smp_affinity_list"
_POLICY = f"{CPU}/cpufreq/policy{{}}"

SETTINGS = (
    Setting("smt", _IRQ, kept=True, cpulist=True),  # interrupts leave a CPU that goes offline
    Setting("smt", f"{CPU}/cpu{{}}/online", _offline),
    Setting("interrupts", _IRQ, _elsewhere, cpulist=True),
    # The limit follows the switch down, and with some drivers it does not come up again.
    Setting("turbo", f"{_POLICY}/scaling_max_freq", kept=True),
    Setting("turbo", f"{_POLICY}/boost", kept=True),  # the one switch moves all of these
    Setting("turbo", f"{CPU}/intel_pstate/no_turbo", "1"),
    Setting("turbo", f"{CPU}/cpufreq/boost", "0"),
    Setting("turbo", f"{_POLICY}/boost", "0"),
    # Before the governor: with governor performance, some drivers refuse another preference.
    Setting("energy_preference", f"{CPU}/cpu{{}}/cpufreq/energy_performance_preference", _of_chosen("performance")),
    Setting("energy_preference", f"{CPU}/cpu{{}}/power/energy_perf_bias", _bias),
    Setting("governor", f"{CPU}/cpu{{}}/cpufreq/scaling_governor", _of_chosen("performance")),
    Setting("cstates", f"{CPU}/cpu{{}}/cpuidle/state{{}}/disable", _awake),
    Setting("thp", f"{machine.HUGEPAGE}/enabled", "madvise"),
    Setting("aslr", "proc/sys/kernel/randomize_va_space", "2"),
    Setting("numa_balancing", "proc/sys/kernel/numa_balancing", "0"),
    Setting("ksm", "sys/kernel/mm/ksm/run", "0"),
)
"""In the order in which they are set. They go back in reverse."""

KNOBS = tuple(dict.fromkeys(setting.knob for setting in SETTINGS))

DAEMONS = {
    "tuned": ("turbo", "energy_preference", "governor", "cstates", "thp", "aslr", "numa_balancing", "ksm"),
    "power-profiles-": ("turbo", "energy_preference", "governor"),
    "auto-cpufreq": ("turbo", "energy_preference", "governor"),
    "irqbalance": ("interrupts",),
}
"""Daemons that set the same, by the name that Linux gives them (at most 15 letters)."""


@dataclass(frozen=True)
class Step:
    """One file, and what it is to hold; None where it is only to come back to what it holds."""

    setting: Setting
    path: str
    wanted: str | None


@dataclass(frozen=True)
class TuningPlan:
    """All that is to be set on a machine, in this order."""

    groups: tuple[tuple[Step, ...], ...]
    """Steps that do not depend on each other are together."""
    notes: tuple[str, ...]
    """A sentence for each setting that is left alone although the doctor advises it."""


def make_plan(tree: Tree, diagnosis: Diagnosis) -> TuningPlan:
    """What the doctor advises for this machine, without what a daemon sets there."""
    advised = {found.knob for found in diagnosis.findings if found.change and found.knob in KNOBS}
    notes = []
    for name, knobs in _daemons(tree):
        if theirs := [knob for knob in knobs if knob in advised]:
            said = ", ".join(knob.replace("_", " ") for knob in theirs)
            notes.append(f"{name} runs here and sets {said}; left alone. Stop it, or choose another profile of it")
            advised -= set(theirs)
    topology = diagnosis.topology
    away = frozenset(second_cpus(topology, diagnosis.cpus) if "smt" in advised else ())
    chosen = tuple(cpu for cpu in diagnosis.cpus if cpu not in away)
    spare = tuple(sorted(set(topology.cpus) - set(chosen) - away))
    if "interrupts" in advised and not spare:
        notes.append("interrupts stay where they are, because the command may use all CPUs. Give it fewer (taskset)")
        advised.discard("interrupts")
    situation = Situation(tree, chosen, away, spare)
    groups = tuple(
        tuple(steps) for setting in SETTINGS if setting.knob in advised and (steps := list(_steps(setting, situation)))
    )
    for knob in KNOBS:
        if knob in advised and not any(step.setting.knob == knob and step.wanted for group in groups for step in group):
            advice = next(found.change for found in diagnosis.findings if found.knob == knob)
            notes.append(f"{knob.replace('_', ' ')} has no file that tune can set. By hand: {advice}")
            groups = tuple(group for group in groups if group[0].setting.knob != knob)
    return TuningPlan(groups, tuple(notes))


def _steps(setting: Setting, situation: Situation) -> Iterator[Step]:
    for path in setting.paths(situation.tree):
        wanted = setting.value(situation, path)
        if setting.kept or (wanted is not None and setting.plain(situation.tree.text(path)) != wanted):
            yield Step(setting, path, wanted)


def _daemons(tree: Tree) -> Iterator[tuple[str, tuple[str, ...]]]:
    names = {tree.text(f"proc/{process}/comm") for process in tree.entries("proc", r"\d+")}
    return ((name.rstrip("-"), knobs) for name, knobs in DAEMONS.items() if name in names)
