"""Examinations of hardware counters and mitigations."""

from __future__ import annotations

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, boot, unreadable
from fencepost.bench.energy import EVENT, POWERCAP, find_energy
from fencepost.bench.topology import CPU


def examine_mitigations(subject: Subject) -> Finding:
    path = f"/{CPU}/vulnerabilities/*"
    found = machine.mitigations(subject.tree)
    if found is None:
        return unreadable("mitigations", path, "it is unknown which mitigations slow down system calls")
    active = [name for name, text in found.items() if text.startswith("Mitigation")]
    bare = [name for name, text in found.items() if text.startswith("Vulnerable")]
    value = f"{len(active)} active ({', '.join(active)})" if active else "none active"
    if bare:
        value += f"; vulnerable: {', '.join(bare)}"
    if not active:
        return Finding("mitigations", path, value, "no mitigation slows down system calls")
    effect = "mitigations make system calls and context switches slower; this is recorded, and no reason to remove them"
    change = boot("mitigations=off") + ", only on a machine that runs nobody else's code"
    return Finding("mitigations", path, value, effect, change, reboot=True, severity="note")


def examine_perf_permission(subject: Subject) -> Finding:
    path = "/proc/sys/kernel/perf_event_paranoid"
    value = subject.tree.integer(path)
    if value is None:
        return unreadable("perf_permission", path, "it is unknown whether this user may open perf events")
    if value <= 1:
        return Finding("perf_permission", path, str(value), "perf events may count user code and Linux")
    effect = (
        "only root may open perf events, so there are no counts"
        if value > 2
        else "without root, perf events count user code only"
    )
    return Finding(
        "perf_permission", path, str(value), effect, "sudo sysctl kernel.perf_event_paranoid=1", severity="note"
    )


def examine_hardware_counters(subject: Subject) -> Finding:
    path = "perf_event_open(2)"
    if subject.perf_events is None:
        return unreadable("hardware_counters", path, "hardware counters can only be tried on the live machine")
    hardware = [event for event in subject.perf_events if event["hardware"]]
    opened = [event for event in hardware if not event["error"]]
    silent = [event for event in opened if event["count"] < (event["expect"] or 1)]
    if not opened:
        effect = "no hardware counters, so branch and cache misses cannot be counted; times are unaffected"
        return Finding("hardware_counters", path, "none opens", effect, severity="note")
    if silent:
        names = ", ".join(event["name"] for event in silent)
        value = f"{len(silent)} of {len(opened)} open and count nothing: {names}"
        effect = "some counters open but read almost zero; their counts are not used"
        return Finding("hardware_counters", path, value, effect, severity="hurts")
    value = f"{len(opened)} of {len(hardware)} open and count"
    return Finding("hardware_counters", path, value, "hardware counters count a known workload correctly")


def examine_energy(subject: Subject) -> Finding:
    source = find_energy(subject.tree, subject.cpus[0]) if subject.cpus else None
    if source is None:
        effect = "energy is not measurable here: no counter of a package may be read; times are unaffected"
        return Finding("energy", f"/{POWERCAP}, /{EVENT}", "not told", effect, severity="note")
    path = f"/{POWERCAP}" if source["kind"] == "file" else f"/{EVENT}"
    return Finding("energy", path, "told", "the rows of a run also show the power of the package")
