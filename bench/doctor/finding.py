"""A finding of the doctor, and the machine that an examination looks at."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypedDict

from fencepost.bench.cgroup import Cgroup
from fencepost.bench.documents import (
    DISTURBANCES,
    FIT,
    NOT_FIT,
    DoctorJson,
    MachineJson,
    PerfEventJson,
    TopologyJson,
    doctor_word,
)
from fencepost.bench.schema import SCHEMA_VERSION
from fencepost.bench.sysfs import Tree
from fencepost.bench.topology import Topology

SEVERITIES = ("ok", "note", "hurts", "unfit")
"""ok: as it should be; note: good to know, or not readable; hurts: figures wander or shift; unfit: do not measure."""

PROFILES = ("quick", "standard", "rigorous")


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


class DiagnosisJson(TypedDict):
    """All that ``fencepost doctor --json`` prints; `machine` is empty where nothing of it can be read."""

    schema: int
    profile: str
    fit: bool
    verdict: str
    """A sentence: `Diagnosis.verdict`."""
    cpus: list[int]
    best_change: str | None
    findings: list[dict[str, object]]
    """The fields of `Finding`."""
    topology: TopologyJson
    machine: Mapping[str, object]


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a machine, in a fixed order."""

    topology: Topology
    machine: MachineJson | None
    """None where nothing of it can be read."""
    findings: tuple[Finding, ...]
    profile: str
    cpus: tuple[int, ...]

    @property
    def word(self) -> str:
        """``fit``, ``disturbed`` or ``not fit``: see `fencepost.bench.documents.doctor_word`."""
        return doctor_word((finding.knob, finding.severity) for finding in self.findings)

    @property
    def fit(self) -> bool:
        """Whether figures taken now, with this profile, are worth publishing."""
        return self.word == FIT

    @property
    def verdict(self) -> str:
        """The word in a sentence, with the findings that decided it."""
        if self.word == FIT:
            return f"This machine is fit for profile {self.profile}."
        if self.word == NOT_FIT:
            return f"This machine is not fit for profile {self.profile}: {self._knobs('unfit')}."
        names = self._knobs("hurts", *DISTURBANCES)
        return (
            f"Other work disturbs this machine ({names}): figures of profile {self.profile} can hardly be trusted now. "
            "Repeat at another hour; `fencepost neighbours` shows when the cores are free."
        )

    def _knobs(self, severity: str, *knobs: str) -> str:
        """The findings of a severity by name: all, or those among `knobs`."""
        found = [one.knob for one in self.findings if one.severity == severity and (not knobs or one.knob in knobs)]
        return ", ".join(knob.replace("_", " ") for knob in found)

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

    def as_record(self) -> DoctorJson:
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

    def as_dict(self) -> DiagnosisJson:
        """Everything as plain data, for ``fencepost doctor --json``."""
        best = self.best_change()
        return {
            "schema": SCHEMA_VERSION,
            "profile": self.profile,
            "fit": self.fit,
            "verdict": self.verdict,
            "cpus": list(self.cpus),
            "best_change": best.knob if best else None,
            "findings": [asdict(finding) for finding in self.findings],
            "topology": self.topology.as_dict(),
            "machine": self.machine or {},
        }


_CGROUP_PATH = re.compile(r"/sys/fs/cgroup/(?:\S*/)?")

IMPACT = (
    "cpus",
    "neighbours",
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
    "energy",
    "mitigations",
    "root",
    "topology",
)
"""All knobs, those first that bend most figures."""


@dataclass(frozen=True)
class Subject:
    """The machine that is examined."""

    tree: Tree
    topology: Topology
    cpus: tuple[int, ...]
    cgroup: Cgroup
    guest: bool
    profile: str
    perf_events: Sequence[PerfEventJson] | None
    """What the engine found out in a process on that machine; None for snapshots."""


Examination = Callable[[Subject], Finding]


def unreadable(knob: str, path: str, effect: str) -> Finding:
    return Finding(knob, path, None, effect, severity="note", state="unreadable")


def competition(subject: Subject) -> str:
    """Severity of another party taking time from the chosen CPUs."""
    return "unfit" if subject.profile == "rigorous" else "hurts"


def tee(value: str | int, *paths: str) -> str:
    return f"echo {value} | sudo tee {' '.join(paths)}"


def percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def boot(parameter: str) -> str:
    return f"add {parameter} to the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"
