"""What the notes say of output."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, noise_of, refuted, row_of
from fencepost.analysis.topics.control import Control, count_of, metric_of

AS_A_WRITE = 3.0
"""So many times the price of a write that does nothing is more than a call."""

AS_A_PRINT = 20.0
"""So many times a line of printf is expensive: its buffer holds a hundred of them."""

ALL_PCT = 99.0
NONE_PCT = 1.0


@claim(
    "output/printk",
    "在user space用printf 在kernel space用printk printk成本高",
    "In user space one uses printf, in kernel space printk; printk is expensive",
    ["output/kmsg", "output/print"],
    "a record that the kernel keeps costs at least 3 times a write to /dev/null and 20 times a line of buffered printf",
    control=Control(
        "the record was found in the log, so it was kept", count_of("output/kmsg", "kept"), "records", above=0.5
    ),
)
@needs("output/kmsg")
@needs("output/print", how="buffered", to="null")
def printk(analysis: Analysis) -> Verdict:
    """A record that was read back, beside a call that does nothing and a line that stays in a buffer."""
    record = row_of(analysis, "output/kmsg")
    line = row_of(analysis, "output/print", how="buffered", to="null")
    nothing = record.metric("null_ns")
    dearer = ratio(analysis, record.case, line.case)
    figure = f"{dearer.text()} times a line of buffered printf"
    dropped = next(iter(analysis.measured("output/kmsg_dropped")), None)
    said = (
        f"A record that is kept takes {record.time.ns_text()}, a line {line.time.ns_text()}, and a write to /dev/null "
        f"{nothing.text('ns')}. The console shows records below level {record.metric('console_level').text()}."
    )
    if dropped is not None:
        said += f" A record that is dropped takes {dropped.time.ns_text()}, and the call says that it was written."
    number = measure(dearer, "1", AS_A_PRINT)
    noise = noise_of(analysis, "output/print")
    as_print = side(dearer, AS_A_PRINT, noise)
    as_write = side(record.time, AS_A_WRITE * nothing.value, noise)
    if Side.TOUCHES in (as_print, as_write):
        return Verdict(Outcome.UNDECIDED, figure, f"Within the noise of this run it is open. {said}", number)
    if as_print is as_write is Side.ABOVE:
        return Verdict(Outcome.CONFIRMED, figure, f"It is expensive also where nobody shows it. {said}", number)
    if as_print is as_write is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"A record costs about as much as any output. {said}", number)
    return Verdict(Outcome.DEPENDS, figure, f"It depends on what it is compared with. {said}", number)


@claim(
    "output/buffer",
    "printf只顯示buffer內的資訊",
    "printf only shows what is in the buffer",
    ["output/loss"],
    "of lines that are still in the buffer nothing arrives when the process ends by _exit, and all of it after a flush",
    failure=refuted,
    control=Control(
        "after a flush nothing is lost", metric_of("output/loss", "lost_pct", buffer="flushed"), "%", below=NONE_PCT
    ),
)
@needs("output/loss", buffer=("full", "flushed"))
def buffer(analysis: Analysis) -> Verdict:
    """What is lost with the buffer, and without it."""
    full, flushed = (row_of(analysis, "output/loss", buffer=kind).metric("lost_pct") for kind in ("full", "flushed"))
    figure = f"lost: {full.text('%')} of what was in the buffer, {flushed.text('%')} after a flush"
    number = measure(full, "%", NONE_PCT, ALL_PCT)
    kept, gone = side(full, NONE_PCT), side(full, ALL_PCT)
    if Side.TOUCHES in (kept, gone):
        return Verdict(Outcome.UNDECIDED, figure, "Processes differ in what arrived.", number)
    if gone is Side.ABOVE:
        because = "printf puts lines into a buffer, and only what leaves it is shown."
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if kept is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, "All printed lines arrived without a flush.", number)
    return Verdict(Outcome.DEPENDS, figure, "Part of what was printed arrived without a flush.", number)
