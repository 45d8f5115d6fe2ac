"""Examinations of memory management."""

from __future__ import annotations

import re

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, competition, tee, unreadable
from fencepost.bench.sysfs import Tree


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


LITTLE_SWAP = 0.01
"""Share of the memory. Less was put aside long ago and is not missed. What a run uses comes back at its first use."""


def examine_swap(subject: Subject) -> Finding:
    path = "/proc/meminfo"
    memory = machine.meminfo(subject.tree)
    total, free = memory.get("SwapTotal"), memory.get("SwapFree")
    if total is None or free is None:
        return unreadable("swap", path, "it is unknown whether memory is swapped out")
    used = total - free
    if used <= 0:
        return Finding("swap", path, "none in use" if total else "no swap", "no page is swapped out")
    value = f"{used >> 20} MiB in use" if used >= 1 << 20 else f"{used >> 10} KiB in use"
    if used < LITTLE_SWAP * memory.get("MemTotal", 0):
        effect = "few pages are swapped out; those that a run uses come back at their first use"
        return Finding("swap", path, value, effect, severity="note")
    if _only_in_memory(subject.tree):
        effect = "some pages are compressed in memory (zram), because memory is or was short"
        return Finding("swap", path, f"{value}, in zram", effect, severity="note")
    effect = "some pages are on disk because memory is or was short; figures may include major faults"
    return Finding("swap", path, value, effect, "sudo swapoff -a", severity=competition(subject))


def _only_in_memory(tree: Tree) -> bool:
    """Whether all that is swapped out lies in zram: a device that compresses pages into memory."""
    rows = [line.split() for line in (tree.text("proc/swaps") or "").splitlines()[1:]]
    used = [row[0] for row in rows if len(row) >= 4 and row[3] != "0"]
    return bool(used) and all(re.fullmatch(r"/dev/zram\d+", name) for name in used)
