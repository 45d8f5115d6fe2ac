"""What the notes say of processes."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, refuted

FAR_DEARER = 20.0
"""So many times is another way of working, and no overhead."""

UNHINDERED = 1.05
"""Work without system calls takes no longer beside a tracer. More is a machine that changed meanwhile."""


@claim(
    "process/vfork",
    "vfork - create a child process and block parent 鳩佔鵲巢",
    "vfork creates a child process and blocks the parent: the cuckoo in the magpie's nest",
    ["process/spawn"],
    "every child of vfork has ended when the call returns in the parent, and not every child of fork has",
)
@needs("process/spawn", how=("vfork", "fork"), touched=0)
def vfork(analysis: Analysis) -> Verdict:
    """In which order child and parent went on, in every process."""
    shares, times = {}, {}
    for how in ("vfork", "fork"):
        row = next(row for row in analysis.measured("process/spawn") if row.has(how=how, touched=0))
        shares[how] = row.metric("waited_pct")
        times[how] = row.time.ns_text()
        parent = f"Their parent had {plain(row.metric('resident_mib').value, 3)} MiB resident."
    figure = ", ".join(
        f"{how}: {plain(share[0], 3)} % of children had ended before the call returned" for how, share in shares.items()
    )
    prices = f"With the wait for the child a vfork takes {times['vfork']}, a fork {times['fork']}. {parent}"
    number = measure(shares["vfork"], "%", 100.0)
    if shares["vfork"].high < 100:
        because = f"Here the parent of a vfork went on before its child ended. {prices}"
        return Verdict(Outcome.REFUTED, figure, because, number)
    if not all(share.bounded for share in shares.values()) or shares["vfork"].low < 100:
        because = f"Too few processes, or processes that differ: who goes on first is open. {prices}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if shares["fork"][2] >= 100:
        return Verdict(
            Outcome.DEPENDS,
            figure,
            f"The parent of a vfork waits; but here the child of a fork ran first as well, on the one CPU. {prices}",
            number,
        )
    because = f"The parent waits in the call, and lends its memory. {prices}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)


@claim(
    "process/ptrace",
    "ptrace: 用process a去read/write process b的內容",
    "ptrace: with process a one reads and writes what process b holds",
    ["process/peek"],
    "words that a reads are those of b, and those that it writes are there; 4 KiB cost 20 times process_vm_readv",
    failure=refuted,
)
@needs("process/peek", by=("peekdata", "vm"))
def ptrace(analysis: Analysis) -> Verdict:
    """What a word with each call costs, beside all of it with one."""
    words, block = (_row(analysis, "process/peek", by=by) for by in ("peekdata", "vm"))
    dearer = ratio(analysis, words.case, block.case)
    figure = f"4 KiB by ptrace take {dearer.text()} times process_vm_readv"
    said = (
        f"8 bytes take {words.metric('b8_ns').text('ns')} by ptrace and {block.metric('b8_ns').text('ns')} otherwise. "
        f"4 KiB take {words.time.ns_text()} and {block.time.ns_text()}."
    )
    number = measure(dearer, "1", FAR_DEARER)
    where = side(dearer, FAR_DEARER)
    if where is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"It reads and writes, and its price is open. {said}", number)
    if where is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"It reads and writes, and not word by word. {said}", number)
    because = f"It reads and writes, a word with each call. {said}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)


@claim(
    "process/uml",
    "best case: compute intensive, no too many system calls, context switches worst case: IO",
    "User Mode Linux, best case: compute intensive, few system calls and context switches; worst case: I/O",
    ["process/trace"],
    "stopped at each system call, as User Mode Linux stops programs, computing takes as long and I/O 20 times as long",
)
@needs("process/trace", work=("compute", "io"))
def uml(analysis: Analysis) -> Verdict:
    """How many times as long work takes beside a tracer."""
    best, worst = (_row(analysis, "process/trace", work=work).metric("slowdown") for work in ("compute", "io"))
    figure = f"computing {best.text()} times as long, I/O {worst.text()} times"
    stops = _row(analysis, "process/trace", work="io").metric("stops_per_operation")
    said = f"A write and a read were stopped {stops.text()} times."
    number = measure(worst, "1", UNHINDERED, FAR_DEARER)
    unhindered, none, far = side(best, UNHINDERED), side(worst, UNHINDERED), side(worst, FAR_DEARER)
    if unhindered is not Side.BELOW or Side.TOUCHES in (none, far):
        because = f"The control, or the part of the stops, is open in this run. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if none is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"I/O is not hindered either. {said}", number)
    if far is Side.BELOW:
        return Verdict(Outcome.DEPENDS, figure, f"I/O is the worse case, and not by much. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Each system call pays for two stops. {said}", number)


def _row(analysis: Analysis, kernel: str, **wanted: object) -> Row:
    return next(row for row in analysis.decided(kernel) if row.has(**wanted))
