"""Examinations of memory management."""

from __future__ import annotations

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, competition, tee, unreadable


def examine_thp(subject: Subject) -> Finding:
    path = f"{machine.HUGEPAGE}/enabled"
    value = machine.chosen(subject.tree.text(path))
    if value is None:
        return unreadable(
            "thp", f"/{path}", "transparent huge pages: whether memory figures are of 4 KiB pages is not known"
        )
    if value == "madvise":
        return Finding("thp", f"/{path}", value, "kernels get the page size that they ask for")
    if value == "always":
        effect = "any large buffer may or may not become huge pages: memory figures have two modes"
        return Finding("thp", f"/{path}", value, effect, tee("madvise", f"/{path}"), severity="hurts")
    effect = "no huge pages: the rows that ask for them cannot be measured"
    return Finding("thp", f"/{path}", value, effect, tee("madvise", f"/{path}"), severity="note")


def examine_aslr(subject: Subject) -> Finding:
    path = "/proc/sys/kernel/randomize_va_space"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("aslr", path, "whether each process gets a new address layout is not known")
    if value == "2":
        return Finding("aslr", path, value, "each round gets a new layout, so that no lucky one decides the figure")
    effect = "all rounds share one address layout: its accident becomes a bias that no interval shows"
    return Finding("aslr", path, value, effect, "sudo sysctl kernel.randomize_va_space=2", severity="hurts")


def examine_numa_balancing(subject: Subject) -> Finding:
    path = "/proc/sys/kernel/numa_balancing"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("numa_balancing", path, "whether the kernel moves pages between nodes is not known")
    if value == "0" or len(subject.topology.numa) < 2:
        return Finding("numa_balancing", path, value, "the kernel does not move pages behind a kernel's back")
    effect = "the kernel unmaps and moves pages between nodes while they are used: faults and shifts in memory figures"
    return Finding("numa_balancing", path, value, effect, "sudo sysctl kernel.numa_balancing=0", severity="hurts")


def examine_ksm(subject: Subject) -> Finding:
    path = "/sys/kernel/mm/ksm/run"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("ksm", path, "whether a daemon merges equal pages is not known")
    if value != "1":
        return Finding("ksm", path, value, "no daemon scans memory for equal pages")
    return Finding(
        "ksm", path, value, "a daemon scans memory and merges pages: load and faults", tee(0, path), severity="hurts"
    )


def examine_swap(subject: Subject) -> Finding:
    path = "/proc/meminfo"
    memory = machine.meminfo(subject.tree)
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    if total is None or free is None:
        return unreadable("swap", path, "whether memory is swapped out is not known")
    if total == free:
        return Finding("swap", path, "none in use" if total else "no swap", "no page waits on a disk")
    effect = "pages wait on a disk: memory is short, or was; major faults in figures"
    value = f"{(total - free) >> 20} MiB in use"
    return Finding("swap", path, value, effect, "sudo swapoff -a", severity=competition(subject))
