"""What the notes say of the way into Linux and back."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, noise_of, refuted

FLAT = 1.1
"""What copies nothing costs the same for 1 byte and for 1 MiB. More between its sizes is a machine that changed."""

NOTHING_NS = 1.0
"""A KiB that costs no more was not copied: that would be 1 TB/s."""


@claim(
    "kernel/copy",
    "Kernel space <-> User space copy_to_user copy_from_user",
    "Between kernel space and user space bytes are copied: copy_to_user, copy_from_user",
    ["kernel/copy"],
    "each KiB adds to the price of a pipe, a file in memory and process_vm_readv, and adds nothing to /dev/null",
    failure=refuted,
)
@needs("kernel/copy", by=("pipe", "file", "vm", "null", "memcpy"))
def copy(analysis: Analysis) -> Verdict:
    """What a further KiB costs where bytes arrive, beside where none do."""
    ways = {name: _row(analysis, by=name) for name in ("pipe", "file", "vm")}
    slopes = {name: row.metric("kib_ns") for name, row in ways.items()}
    spread = _row(analysis, by="null").metric("spread")
    floor = _row(analysis, by="memcpy").metric("kib_ns")
    figure = ", ".join(f"{name} {found.text()}" for name, found in slopes.items()) + " ns a further KiB"
    said = (
        f"To /dev/null the dearest size costs {spread.text()} times the cheapest. "
        f"A copy in the program takes {floor.text()} ns a KiB."
    )
    least = min(slopes.values(), key=lambda found: found.value)
    number = measure(least, "ns", NOTHING_NS)
    sides = [side(found, NOTHING_NS, noise_of(analysis, "kernel/copy")) for found in slopes.values()]
    if side(spread, FLAT) is not Side.BELOW:
        because = f"What copies nothing is not flat in this run, so no slope is a copy. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if Side.TOUCHES in sides:
        return Verdict(
            Outcome.UNDECIDED, figure, f"Within the noise of this run a KiB may cost nothing. {said}", number
        )
    if all(found is Side.ABOVE for found in sides):
        return Verdict(Outcome.CONFIRMED, figure, f"Bytes cost where they are copied, and only there. {said}", number)
    if Side.ABOVE in sides:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the way: not each of them copies. {said}", number)
    return Verdict(Outcome.REFUTED, figure, f"No way takes more for more bytes. {said}", number)


def _row(analysis: Analysis, kernel: str = "kernel/copy", **wanted: object) -> Row:
    return next(row for row in analysis.decided(kernel) if row.has(**wanted))
