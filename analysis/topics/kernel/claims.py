"""What the notes say of the way into Linux and back."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import (
    Outcome,
    Verdict,
    by_side,
    claim,
    known,
    measure,
    needs,
    noise_of,
    refuted,
    row_of,
)
from fencepost.analysis.topics.control import Control, metric_of, over

FLAT = 1.1
"""What copies nothing costs the same for 1 byte and for 1 MiB. More between its sizes is a machine that changed."""

ALWAYS_PCT = 99.0
"""Of processes: of 20, one would be 5 %."""

NEVER_PCT = 1.0

TWICE = 2.0
"""So many times the price of a file in memory may a file of sysfs cost."""

STRAIGHT = 0.99
"""R squared from which on a way's times are a call and a price for each byte."""

NOTHING_NS = 1.0
"""A KiB that costs no more was not copied: that would be 1 TB/s."""


@claim(
    "kernel/copy",
    "Kernel space <-> User space copy_to_user copy_from_user",
    "Between kernel space and user space bytes are copied: copy_to_user, copy_from_user",
    ["kernel/copy"],
    "each KiB adds to the price of a pipe, a file in memory and process_vm_readv, and adds nothing to /dev/null",
    failure=refuted,
    control=Control(
        "a write to /dev/null, which copies nothing, costs the same at each size (most expensive over cheapest)",
        metric_of("kernel/copy", "spread", by="null"),
        "times",
        below=FLAT,
    ),
)
@needs("kernel/copy", by=("pipe", "file", "vm", "null", "memcpy"))
def copy(analysis: Analysis) -> Verdict:
    """What a further KiB costs where bytes arrive, beside where none do."""
    ways = {name: row_of(analysis, "kernel/copy", by=name) for name in ("pipe", "file", "vm")}
    slopes = {name: row.metric("kib_ns") for name, row in ways.items()}
    spread = row_of(analysis, "kernel/copy", by="null").metric("spread")
    floor = row_of(analysis, "kernel/copy", by="memcpy").metric("kib_ns")
    figure = ", ".join(f"{name} {found.text()}" for name, found in slopes.items()) + " ns a further KiB"
    said = (
        f"To /dev/null the most expensive size costs {spread.text()} times the cheapest. "
        f"A copy in the program takes {floor.text()} ns a KiB."
    )
    least = min(slopes.values(), key=lambda found: found.value)
    number = measure(least, "ns", NOTHING_NS)
    sides = [side(found, NOTHING_NS, noise_of(analysis, "kernel/copy")) for found in slopes.values()]
    if Side.TOUCHES in sides:
        return Verdict(
            Outcome.UNDECIDED, figure, f"Within the noise of this run a KiB may cost nothing. {said}", number
        )
    # What is flat has no line to fit.
    bent = [
        name for (name, row), found in zip(ways.items(), sides, strict=True) if found is Side.ABOVE and _is_bent(row)
    ]
    if bent:
        because = f"No straight line describes the times of {', '.join(bent)}. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if all(found is Side.ABOVE for found in sides):
        return Verdict(Outcome.CONFIRMED, figure, f"Bytes cost where they are copied, and only there. {said}", number)
    if Side.ABOVE in sides:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the way: not each of them copies. {said}", number)
    return Verdict(Outcome.REFUTED, figure, f"No way takes more for more bytes. {said}", number)


@claim(
    "kernel/pseudo",
    "psuedo: 不具備真實的要件",
    "Pseudo (file system): it does not have what a real one needs",
    ["kernel/file", "kernel/maps"],
    "a file of procfs says that it is empty and has content, which costs by the line; one in memory has what it says",
    failure=lambda row: Outcome.REFUTED if row.kernel == "kernel/file" else None,
    control=Control(
        "a file in memory gives as many bytes as it says",
        over(
            metric_of("kernel/file", "read_bytes", file="tmpfs", how="read"),
            metric_of("kernel/file", "stated_bytes", file="tmpfs", how="read"),
        ),
        "times",
        0.99,
        1.01,
    ),
)
@needs("kernel/file", file=("tmpfs", "uptime"), how="read")
@needs("kernel/maps")
def pseudo(analysis: Analysis) -> Verdict:
    """What files say of their length and what they give, and what Linux takes for writing a line."""
    real, made = (row_of(analysis, "kernel/file", file=file, how="read") for file in ("tmpfs", "uptime"))
    stated, given = made.metric("stated_bytes"), made.metric("read_bytes")
    maps = row_of(analysis, "kernel/maps")
    line, copied = maps.metric("mapping_ns"), maps.metric("copy_ns")
    figure = f"/proc/uptime says {stated.text()} bytes and gives {given.text()}"
    said = (
        f"The file in memory says {real.metric('stated_bytes').text()} and gives {real.metric('read_bytes').text()}. "
        f"A line of /proc/self/maps costs {line.text('ns')}, and as part of a file in memory {copied.text('ns')}."
    )
    number = measure(stated, "bytes", 0.5)
    empty, content = side(stated, 0.5), side(given, 0.5)
    dearer = side(line, copied.high)
    if empty is Side.ABOVE:
        because = f"The file says that it has a length, like any other. {said}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if Side.TOUCHES in (empty, content, dearer) or content is Side.BELOW:
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what the files are. {said}", number)
    if dearer is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"It is empty by its own word, but costs as a real one. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"There is no file: Linux writes it while it is read. {said}", number)


@claim(
    "kernel/sysfs",
    "使用sysfs把kernel的(執行時期的)資訊揭露到user space",
    "sysfs shows user space what the kernel knows at run time",
    ["kernel/file"],
    "a counter in sysfs goes up with what the process does, and to read it costs at most twice a file in memory",
    control=Control(
        "a file in memory gives as many bytes as it says",
        over(
            metric_of("kernel/file", "read_bytes", file="tmpfs", how="open"),
            metric_of("kernel/file", "stated_bytes", file="tmpfs", how="open"),
        ),
        "times",
        0.99,
        1.01,
    ),
)
@needs("kernel/file", file=("tmpfs", "sysfs"), how="open")
def sysfs(analysis: Analysis) -> Verdict:
    """Whether a figure moves with what it tells, and what it costs to ask."""
    real, made = (row_of(analysis, "kernel/file", file=file, how="open") for file in ("tmpfs", "sysfs"))
    follows = known(made.metric("followed_pct"), "needs a loopback device, whose packets sysfs counts.")
    dearer = ratio(analysis, made.case, real.case)
    figure = f"in {follows.text('%')} of processes the counter went up with their packets"
    said = f"To open, read and close costs {made.time.ns_text()}, {dearer.text()} times a file in memory."
    number = measure(follows, "%", NEVER_PCT, ALWAYS_PCT)
    never, always = side(follows, NEVER_PCT), side(follows, ALWAYS_PCT)
    if never is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"The counter does not move. {said}", number)
    if always is Side.TOUCHES or never is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in whether it moved. {said}", number)
    if always is Side.BELOW or side(dearer, TWICE, noise_of(analysis, "kernel/file")) is Side.ABOVE:
        return Verdict(Outcome.DEPENDS, figure, f"It tells, at a price or not always. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"sysfs tells what Linux does. {said}", number)


@claim(
    "kernel/dentry",
    "dentry: vfs 像是inode",
    "A dentry is to the VFS what an inode is",
    ["kernel/path"],
    "each component of a path adds to the price of finding a file, and an open file is found at one price at any depth",
    failure=refuted,
    control=Control(
        "an open file is found at one price at each depth (most expensive over cheapest)",
        metric_of("kernel/path", "empty_spread"),
        "times",
        below=FLAT,
    ),
)
@needs("kernel/path")
def dentry(analysis: Analysis) -> Verdict:
    """What a component costs, with the control that has none."""
    row = row_of(analysis, "kernel/path")
    component, spread = row.metric("component_ns"), row.metric("empty_spread")
    figure = f"{component.text('ns')} a component"
    said = f"By an open file the most expensive of six depths costs {spread.text()} times the cheapest."
    number = measure(component, "ns", 0.0)
    words = {
        Side.BELOW: (Outcome.REFUTED, "A longer path costs no more."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval a component may cost nothing."),
        Side.ABOVE: (Outcome.CONFIRMED, "Linux looks each name up by itself."),
    }
    return by_side(side(component, 0.0), figure, number, said, words)


def _is_bent(row: Row) -> bool:
    """Whether the line through a way's sizes has too small an R squared in the processes."""
    return side(row.metric("fit"), STRAIGHT) is not Side.ABOVE
