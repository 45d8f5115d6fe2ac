"""The way into Linux and back, and the bytes that go along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import ns_with_bounds, plain, size
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.kernel.measures import SIZES
from fencepost.analysis.topics.pictures import bars_by, shows
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

CALLS = bars_by(
    "kernel/call",
    "call",
    title="The way into Linux and back",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="call",
    caption="A call by where it goes",
    heading="call",
    labels={
        "empty": "a function of the program",
        "vdso": "a function of the vDSO",
        "bad_raw": "no such call, by the instruction",
        "bad_libc": "no such call, by libc",
        "getppid_raw": "getppid, by the instruction",
        "getppid_libc": "getppid, by libc",
        "exit": "cpuid (leaves the guest)",
    },
    metrics={"entering_pct": "entered Linux"},
    columns={"cycles": lambda row: row.cycles.text()},
)


def mitigations(machine: Mapping[str, object]) -> str:
    """A sentence about what makes each entry dearer here; empty where the machine does not tell."""
    found = machine.get("mitigations")
    if not isinstance(found, Mapping):
        return ""
    active = sorted(str(name) for name, text in found.items() if str(text).startswith("Mitigation"))
    if not active:
        return " No mitigation is active here."
    return f" {len(active)} mitigations are active here: {', '.join(active)}."


@shows(*CALLS.kernels)
def call(analysis: Analysis) -> Figure | None:
    """The price of an entry, with what makes it dearer on this machine beside it."""
    figure = CALLS(analysis)
    if figure is None:
        return None
    return replace(figure, description=figure.description + mitigations(analysis.machine))


WAYS = {
    "pipe": "through a pipe",
    "file": "from a file in memory",
    "vm": "from a process",
    "zero": "from /dev/zero",
    "null": "to /dev/null",
    "memcpy": "in the program",
}


@shows("kernel/copy")
def copy(analysis: Analysis) -> Figure | None:
    """A transfer by its size, one line a way."""
    rows = analysis.measured("kernel/copy")
    found = {
        WAYS.get(by, by): (row, [row.metric(f"b{bytes_}_ns") for bytes_ in SIZES])
        for row in rows
        if (by := row.parameter("by")) is not None
    }
    found = {way: (row, points) for way, (row, points) in found.items() if all(point.value > 0 for point in points)}
    if not found:
        return None
    each = "; ".join(f"{way} {plain(row.metric('kib_ns').value, 3)} ns" for way, (row, _) in found.items())
    return lines(
        "kernel-copy",
        "A transfer by the number of its bytes",
        f"A further KiB costs {each}, by the straight line through each way's points.",
        table(
            "A transfer by its way: three of its eight sizes, and the straight line through all of them",
            (
                "way",
                *(size(SIZES[place]) for place in (0, 3, 7)),
                "a further KiB, ns",
                "R squared",
                "most/least expensive",
            ),
            [
                (
                    way,
                    *(ns_with_bounds(*points[place][:3]) for place in (0, 3, 7)),
                    row.metric("kib_ns").text(),
                    row.metric("fit").text(),
                    row.metric("spread").text(),
                )
                for way, (row, points) in found.items()
            ],
        ),
        [Series(way, np.array(SIZES, float), *columns_of(points)) for way, (_, points) in found.items()],
        x=Axis("bytes", log=True, write=size, ticks=[float(bytes_) for bytes_ in SIZES]),
        y=Axis("ns per transfer", log=True),
    )


FILE = bars_by(
    "kernel/file",
    "file",
    title="Small files, made while they are read or kept in memory",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="file",
    heading="file",
    labels={
        "tmpfs": "a file in memory",
        "sysfs": "sysfs, one value",
        "uptime": "procfs, /proc/uptime",
        "stat": "procfs, /proc/self/stat",
    },
    groups="how",
    group_heading="how",
    group_labels={"open": "opened, read and closed", "read": "read while it is open"},
    metrics={"stated_bytes": "says that it has, B", "read_bytes": "gives, B"},
)


NAME = bars_by(
    "kernel/name",
    "name",
    title="A name that is there, and one that is not",
    says="From {least} ({least_of}) to {most} ({most_of}). A dentry that is kept saves the search for its name.",
    unit="name",
    heading="name",
    labels=lambda name: f"{name} name",
    groups="where",
    group_heading="file system",
    group_labels={"memory": "in memory (tmpfs)", "disk": "on a disk"},
    metrics={"negative_per_name": "dentries kept of a missing name"},
)


TOPIC = Topic(
    "kernel",
    figures=(call, copy, FILE, NAME),
    tables_only=("kernel/maps", "kernel/path"),
    rungs=(
        step("call a function that does nothing", "kernel/call", with_values(call="empty")),
        step("hand Linux a number that no call has", "kernel/call", with_values(call="bad_raw")),
        step("leave a guest for its hypervisor", "kernel/call", with_values(call="exit")),
        step("open, read and close a file in memory", "kernel/file", with_values(file="tmpfs", how="open")),
        step("open, read and close /proc/uptime", "kernel/file", with_values(file="uptime", how="open")),
        step("send 4 KiB through a pipe to oneself", "kernel/copy", with_values(by="pipe"), cycles=False),
    ),
)
