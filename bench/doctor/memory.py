"""Examinations of memory management."""

from __future__ import annotations

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, competition, tee, unreadable


def examine_thp(subject: Subject) -> Finding:
    path = f"{machine.HUGEPAGE}/enabled"
    value = machine.chosen(subject.tree.text(path))
    if value is None:
        return unreadable("thp", f"/{path}", "transparent huge pages: it is unknown whether memory is on 4 KiB pages")
    if value == "madvise":
        return Finding("thp", f"/{path}", value, "each kernel gets the page size that it asks for")
    if value == "always":
        effect = "any large buffer may get huge pages or not, so memory figures may have two modes"
        return Finding("thp", f"/{path}", value, effect, tee("madvise", f"/{path}"), severity="hurts")
    effect = "no huge pages, so rows that need them cannot be measured"
    return Finding("thp", f"/{path}", value, effect, tee("madvise", f"/{path}"), severity="note")


def examine_aslr(subject: Subject) -> Finding:
    path = "/proc/sys/kernel/randomize_va_space"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("aslr", path, "it is unknown whether each process gets a new address layout")
    if value == "2":
        return Finding("aslr", path, value, "each round gets a new layout, so no single layout decides the figure")
    effect = "all rounds share one address layout, which adds a bias that no interval shows"
    return Finding("aslr", path, value, effect, "sudo sysctl kernel.randomize_va_space=2", severity="hurts")


def examine_numa_balancing(subject: Subject) -> Finding:
    path = "/proc/sys/kernel/numa_balancing"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("numa_balancing", path, "it is unknown whether Linux moves pages between NUMA nodes")
    if value == "0" or len(subject.topology.numa) < 2:
        return Finding("numa_balancing", path, value, "Linux does not move pages between NUMA nodes")
    effect = "Linux moves pages between NUMA nodes while they are used, which adds faults and shifts memory figures"
    return Finding("numa_balancing", path, value, effect, "sudo sysctl kernel.numa_balancing=0", severity="hurts")


def examine_ksm(subject: Subject) -> Finding:
    path = "/sys/kernel/mm/ksm/run"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("ksm", path, "it is unknown whether a daemon merges equal pages")
    if value != "1":
        return Finding("ksm", path, value, "no daemon scans memory for equal pages")
    return Finding(
        "ksm",
        path,
        value,
        "a daemon scans memory and merges pages, which adds load and faults",
        tee(0, path),
        severity="hurts",
    )


def examine_swap(subject: Subject) -> Finding:
    path = "/proc/meminfo"
    memory = machine.meminfo(subject.tree)
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    if total is None or free is None:
        return unreadable("swap", path, "it is unknown whether memory is swapped out")
    if total == free:
        return Finding("swap", path, "none in use" if total else "no swap", "no page is on disk")
    effect = "some pages are on disk because memory is or was short; figures may include major faults"
    value = f"{(total - free) >> 20} MiB in use"
    return Finding("swap", path, value, effect, "sudo swapoff -a", severity=competition(subject))
