"""What the notes say of processes."""

from __future__ import annotations

from math import nan

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid, ratio
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import plain, size_bytes
from fencepost.analysis.topics.claim import (
    Measure,
    Outcome,
    Verdict,
    by_side,
    claim,
    first_true,
    known,
    measure,
    needs,
    refuted,
    row_of,
)
from fencepost.analysis.topics.control import Control, count_of, metric_of, over
from fencepost.analysis.topics.process.measures import slope

FAR_DEARER = 20.0
"""So many times is another way of working, and no overhead."""

UNHINDERED = 1.05
"""Work without system calls takes no longer beside a tracer. More is a machine that changed meanwhile."""

SAME_CALL = 0.03
"""By so much a clone3 that asks for nothing but SIGCHLD may differ from the fork beside it."""

FLAT_PART = 0.1
"""Of what a MiB adds to a fork: vfork lends the tables of pages and has nothing to copy, and a huge page stands for
512 small ones."""

BY_EACH_CPU = 1.5
"""Calls of two CPUs over those of one: halfway between a kernel on one CPU and a kernel on each."""


def _clone_over_fork(analysis: Analysis) -> Interval:
    """Of the most memory: there the call is most of a pair, and less of it is chance."""
    clones = [row for row in analysis.decided("process/create") if row.has(how="clone3", pages="small")]
    row = max(clones, key=lambda row: size_bytes(str(row.parameters["touched"])), default=None)
    return row.metric("fork_ratio") if row else UNKNOWN


@claim(
    "process/vfork",
    "vfork - create a child process and block parent 鳩佔鵲巢",
    "vfork creates a child process and blocks the parent: the cuckoo in the magpie's nest",
    ["process/spawn"],
    "every child of vfork has ended when the call returns in the parent, and not every child of fork has",
    control=Control(
        "not each child of fork has ended when the call returns",
        metric_of("process/spawn", "waited_pct", how="fork", touched=0),
        "%",
        below=100.0,
    ),
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
    always = shares["vfork"].low >= 100
    return first_true(
        figure,
        number,
        prices,
        (shares["vfork"].high < 100, Outcome.REFUTED, "The parent of a vfork went on before its child ended."),
        (always, Outcome.CONFIRMED, "The parent waits in the call, and lends its memory."),
        (True, Outcome.UNDECIDED, "Too few processes were measured, or they differ."),
    )


@claim(
    "process/fork",
    "fork, exec, clone",
    "Three calls that make processes",
    ["process/create"],
    f"A fork pays for each MiB. A vfork, and a fork on huge pages, pay less than a {1 / FLAT_PART:.0f}th of that",
    control=Control(
        f"clone3 that asks for nothing else takes as long as fork, within {SAME_CALL:.0%}",
        _clone_over_fork,
        "times",
        1 - SAME_CALL,
        1 + SAME_CALL,
    ),
)
@needs("process/create", how=("fork", "vfork", "clone3"), pages=("small", "huge"))
def fork(analysis: Analysis) -> Verdict:
    """The price of memory that each way has."""
    found = grid(analysis, "process/create")
    missing = "needs process/create with two sizes of `touched`."
    small, huge, lent = (
        known(slope(found, how=how, pages=pages), missing)
        for how, pages in (("fork", "small"), ("fork", "huge"), ("vfork", "small"))
    )
    figure = f"fork adds {small.text('µs')} for each MiB"
    said = f"On huge pages a MiB adds {huge.text('µs')}, and to a vfork {lent.text('µs')}."
    limit = FLAT_PART * small.value
    grows, flat = side(small, 0.0), {side(huge, limit), side(lent, limit)}
    return first_true(
        figure,
        measure(small, "µs", 0.0),
        said,
        (grows is Side.BELOW, Outcome.REFUTED, "Memory costs a fork nothing."),
        (Side.TOUCHES in {grows, *flat}, Outcome.UNDECIDED, "Within its interval a slope may lie on either side."),
        (Side.ABOVE in flat, Outcome.DEPENDS, "Huge pages or a vfork do not save what they promise."),
        (True, Outcome.CONFIRMED, "The calls are one, which copies the tables of pages."),
    )


@claim(
    "process/zombie",
    "zombie process 佔著資源",
    "A zombie process occupies resources",
    ["process/zombie"],
    "each child that nobody waited for is there and has no memory but the kernel's, and a wait takes it away",
    failure=refuted,
    control=Control("after the wait no child is left", count_of("process/zombie", "left"), "children", below=0.5),
)
@needs("process/zombie")
def zombie(analysis: Analysis) -> Verdict:
    """Counts of children, and the kernel's memory for as many of them as were measured."""
    row = max(analysis.decided("process/zombie"), key=lambda row: row.number("children"))
    kept = row.metric("slab_kib")
    counted = "each of them is there until its parent waits, and has no page of memory"
    figure = f"{row.number('children'):.0f} zombies: {counted}"
    if not kept.known:
        because = "Its number alone is certain. Linux tells only root how much memory it keeps for it."
        return Verdict(Outcome.DEPENDS, figure, because, Measure(row.number("children"), nan, nan, "children", (0.0,)))
    said = f"For each the kernel keeps {kept.text('KiB')}."
    number = measure(kept, "KiB", 0.0)
    words = {
        Side.BELOW: (Outcome.REFUTED, "It keeps only a number."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Whether that takes memory is open."),
        Side.ABOVE: (Outcome.CONFIRMED, "It keeps its number and some memory of the kernel."),
    }
    return by_side(side(kept, 0.0), figure, number, said, words)


@claim(
    "process/mode",
    "process的execution mode，意味著可以執行的指令，kernel mode較多",
    "The execution mode of a process means which instructions it may run. In kernel mode there are more",
    ["process/mode"],
    "cli, hlt, a load of cr3 and rdmsr end in SIGSEGV each time, and nop never does",
    failure=refuted,
    control=Control(
        "nop, which everybody may run, brings no signal", count_of("process/mode", "nop"), "signals", below=0.5
    ),
)
@needs("process/mode")
def mode(analysis: Analysis) -> Verdict:
    """Signals that the instructions of the kernel bring. A count that differs is a failed check, which refutes."""
    signals = row_of(analysis, "process/mode").metric("signals_per_attempt")
    return first_true(
        f"cli, hlt, cr3 and rdmsr bring {signals.text()} signals an attempt, nop none",
        measure(signals, "per attempt", 1.0),
        "",
        (side(signals, 1.0) is Side.BELOW, Outcome.REFUTED, "Some of them were let through."),
        (signals.low < 1, Outcome.UNDECIDED, "Processes differ in what they were let do."),
        (not signals.bounded, Outcome.UNDECIDED, "Too few processes tried."),
        (True, Outcome.CONFIRMED, "Only the kernel may stop a CPU or switch tables."),
    )


@claim(
    "process/smp",
    "smp: symmetric multiple processor 對稱多處理器 每個處理器都有kernel",
    "SMP: symmetric multiprocessor. Each processor has the kernel",
    ["process/smp"],
    f"two CPUs make more than {BY_EACH_CPU} times the system calls of one, as they do with a loop in user mode",
    control=Control(
        "two CPUs do more than 1.5 times a loop in user mode",
        metric_of("process/smp", "times_one", work="user"),
        "times",
        above=BY_EACH_CPU,
    ),
)
@needs("process/smp", work=("call", "user"))
def smp(analysis: Analysis) -> Verdict:
    """A kernel that runs on one processor would give once the calls."""
    calls, free = (row_of(analysis, "process/smp", work=work).metric("times_one") for work in ("call", "user"))
    figure = f"two CPUs make {calls.text()} times the system calls of one"
    said = f"Of a loop in user mode they make {free.text()} times as many."
    number = measure(calls, "1", BY_EACH_CPU)
    words = {
        Side.BELOW: (Outcome.REFUTED, "One CPU answers for both."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval the figure may lie on either side."),
        Side.ABOVE: (Outcome.CONFIRMED, "Each CPU enters the kernel by itself."),
    }
    return by_side(side(calls, BY_EACH_CPU), figure, number, said, words)


@claim(
    "process/ptrace",
    "ptrace: 用process a去read/write process b的內容",
    "ptrace: with process a one reads and writes the content of process b",
    ["process/peek"],
    "words that a reads are those of b, and those that it writes are there; 4 KiB cost 20 times process_vm_readv",
    failure=refuted,
    control=Control(
        "a single word costs about the same by both calls",
        over(metric_of("process/peek", "b8_ns", by="peekdata"), metric_of("process/peek", "b8_ns", by="vm")),
        "times",
        below=5.0,
    ),
)
@needs("process/peek", by=("peekdata", "vm"))
def ptrace(analysis: Analysis) -> Verdict:
    """What a word with each call costs, beside all of it with one."""
    words, block = (row_of(analysis, "process/peek", by=by) for by in ("peekdata", "vm"))
    dearer = ratio(analysis, words.case, block.case)
    figure = f"4 KiB by ptrace take {dearer.text()} times process_vm_readv"
    said = (
        f"8 bytes take {words.metric('b8_ns').text('ns')} by ptrace and {block.metric('b8_ns').text('ns')} otherwise. "
        f"4 KiB take {words.time.ns_text()} and {block.time.ns_text()}."
    )
    number = measure(dearer, "1", FAR_DEARER)
    verdicts = {
        Side.BELOW: (Outcome.DEPENDS, "It reads and writes, and not word by word."),
        Side.TOUCHES: (Outcome.UNDECIDED, "It reads and writes, and its price is open."),
        Side.ABOVE: (Outcome.CONFIRMED, "It reads and writes, a word with each call."),
    }
    return by_side(side(dearer, FAR_DEARER), figure, number, said, verdicts)


@claim(
    "process/uml",
    "best case: compute intensive, no too many system calls, context switches worst case: IO",
    "User Mode Linux, best case: compute intensive, few system calls and context switches; worst case: I/O",
    ["process/trace"],
    "stopped at each system call, as User Mode Linux stops programs, computing takes as long and I/O 20 times as long",
    control=Control(
        "computing, which makes no system call, takes no longer beside the tracer",
        metric_of("process/trace", "slowdown", work="compute"),
        "times",
        below=UNHINDERED,
    ),
)
@needs("process/trace", work=("compute", "io"))
def uml(analysis: Analysis) -> Verdict:
    """How many times as long work takes beside a tracer."""
    best, worst = (row_of(analysis, "process/trace", work=work).metric("slowdown") for work in ("compute", "io"))
    figure = f"computing {best.text()} times as long, I/O {worst.text()} times"
    stops = row_of(analysis, "process/trace", work="io").metric("stops_per_operation")
    said = f"A write and a read were stopped {stops.text()} times."
    number = measure(worst, "1", UNHINDERED, FAR_DEARER)
    none, far = side(worst, UNHINDERED), side(worst, FAR_DEARER)
    return first_true(
        figure,
        number,
        said,
        (Side.TOUCHES in (none, far), Outcome.UNDECIDED, "Within its interval the part of the stops is open."),
        (none is Side.BELOW, Outcome.REFUTED, "I/O is not hindered either."),
        (far is Side.BELOW, Outcome.DEPENDS, "I/O is the worse case, and not by much."),
        (True, Outcome.CONFIRMED, "Each system call pays for two stops."),
    )
