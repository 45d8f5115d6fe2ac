"""What Linux has counted by line of /proc/interrupts and /proc/softirqs, on some CPUs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

FILES = ("interrupts", "softirqs")

Counts = dict[str, dict[str, int]]
"""By file and line."""


def read_counts(cpus: Collection[int], root: Path = Path("/proc")) -> Counts:
    """Each line summed over these CPUs. A file that cannot be read is left out.

    A line is named as Linux names it, with its words: ``LOC: Local timer interrupts``. Of a device these are the last
    one alone, without its place on the machine: ``36: virtio1-req.0``.
    """
    found: Counts = {}
    for name in FILES:
        try:
            lines = (root / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        columns = lines[0].split() if lines else []
        ours = [place for place, column in enumerate(columns) if column in {f"CPU{cpu}" for cpu in cpus}]
        found[name] = {}
        for line in lines[1:]:
            label, _, rest = line.partition(":")
            numbers = rest.split(maxsplit=len(columns))
            # A line with one number for the whole machine belongs to no CPU.
            if len(numbers) >= len(columns) and all(number.isdecimal() for number in numbers[: len(columns)]):
                words = numbers[len(columns)].strip() if len(numbers) > len(columns) else ""
                said = words.rpartition(" ")[2] if label.strip().isdecimal() else words
                found[name][f"{label.strip()}: {said}".rstrip(": ")] = sum(int(numbers[place]) for place in ours)
    return found


def added(before: Counts, after: Counts) -> Counts:
    """What came between two readings, by the lines that have any. One that went back was of a CPU that went offline."""
    return {
        name: {line: count - of.get(line, 0) for line, count in after[name].items() if count > of.get(line, 0)}
        for name, of in before.items()
        if name in after
    }
