"""What the notes say of events that Linux and the CPU count."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.limit import Side, side, within
from fencepost.analysis.topics.claim import Outcome, Verdict, by_side, claim, measure, needs, refuted, row_of
from fencepost.analysis.topics.control import Control, metric_of

EXACT = 0.0005
"""So far from 1 may counts for each event be: one of 1024 too many or too few is twice that."""

ONE = 0.5
"""Between no move and one."""


@claim(
    "perf/software",
    "software : 是核心程式產生的事件，比如",
    "software: events that the kernel's own program makes, such as context switches, page faults and CPU migrations",
    ["perf/software", "perf/migrations"],
    "1000 round trips count as 1000 context switches, 1024 fresh pages as 1024 page faults, and 20 moves as 20 "
    "migrations",
    failure=refuted,
    control=Control(
        "a thread that is not moved counts no move",
        metric_of("perf/migrations", "migrations", moves="pinned"),
        "moves",
        below=ONE,
    ),
)
@needs("perf/software", event=("context_switches", "page_faults"))
def software(analysis: Analysis) -> Verdict:
    """Events as counted, for each that there was."""
    counted = {
        "context switches a round trip": row_of(analysis, "perf/software", event="context_switches"),
        "page faults a page": row_of(analysis, "perf/software", event="page_faults"),
    }
    each = {name: row.metric("counted_per_event") for name, row in counted.items()}
    figure = "; ".join(f"{number.text()} {name}" for name, number in each.items())
    moves = next((row for row in analysis.decided("perf/migrations") if row.has(moves="asked")), None)
    said = (
        f"Of 20 moves to another CPU it counted {moves.metric('migrations').text()}."
        if moves
        else "Moves to another CPU were not measured."
    )
    worst = max(each.values(), key=lambda number: abs(number.value - 1))
    number = measure(worst, "1", 1 - EXACT, 1 + EXACT)
    if all(within(found, 1 - EXACT, 1 + EXACT) for found in each.values()):
        return Verdict(Outcome.CONFIRMED, figure, f"Linux counts each of them. {said}", number)
    if any(Side.TOUCHES in (side(found, 1 - EXACT), side(found, 1 + EXACT)) for found in each.values()):
        return Verdict(Outcome.UNDECIDED, figure, f"Processes differ in what was counted. {said}", number)
    return Verdict(Outcome.REFUTED, figure, f"Linux does not count each of them. {said}", number)


@claim(
    "perf/taskset",
    "taskset 固定在一個cpu上",
    "taskset: fixed on one CPU",
    ["perf/migrations"],
    "beside another thread on its CPU, a thread that may use this CPU alone is never moved. One that may use two is. "
    "20 moves that are asked for count as 20",
    failure=lambda row: Outcome.REFUTED if row.has(moves="pinned") else None,
    control=Control(
        "20 moves that are asked for count as 20",
        metric_of("perf/migrations", "migrations", moves="asked"),
        "moves",
        20 - ONE,
        20 + ONE,
    ),
)
@needs("perf/migrations", moves=("asked", "pinned", "free"))
def taskset(analysis: Analysis) -> Verdict:
    """Moves of a thread that is pinned, beside one that is not."""
    asked, pinned, free = (
        row_of(analysis, "perf/migrations", moves=moves).metric("migrations") for moves in ("asked", "pinned", "free")
    )
    figure = f"{pinned.text()} moves of a pinned thread, {free.text()} of a free one"
    said = f"Of 20 moves that were asked for Linux counted {asked.text()}."
    number = measure(pinned, "moves", ONE)
    stays, moves = side(pinned, ONE), side(free, ONE)
    if stays is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"It was moved all the same. {said}", number)
    if stays is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"In some processes it was moved. {said}", number)
    if moves is not Side.ABOVE:
        because = f"A thread that might have been moved stayed too, so nothing is decided. {said}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    return Verdict(Outcome.CONFIRMED, figure, f"It stays although its CPU is shared. {said}", number)


@claim(
    "perf/tracepoint",
    "tracepoint : 是核心中的靜態 tracepoint 所觸發的事件，這些 tracepoint 用來判斷在程式執行時期，核心的行為細節，"
    "比如 slab 記憶體配置器的配置次數等。",
    "tracepoint: events of static tracepoints in the kernel. They tell details of what it does at run time, such as "
    "how often the slab allocator allocates",
    ["perf/tracepoint"],
    "kmem:kmem_cache_alloc counts at least one block for each file that is made, and none for calls that make nothing",
    failure=refuted,
    control=Control(
        "calls that make no file count no block",
        metric_of("perf/tracepoint", "blocks_per_file", files="none"),
        "blocks",
        below=ONE,
    ),
)
@needs("perf/tracepoint", files=("made", "none"))
def tracepoint(analysis: Analysis) -> Verdict:
    """Blocks of the slab allocator that a file takes."""
    made, none = (
        row_of(analysis, "perf/tracepoint", files=files).metric("blocks_per_file") for files in ("made", "none")
    )
    figure = f"{made.text()} blocks a file, {none.text()} a call that makes none"
    number = measure(made, "blocks", 1 - EXACT)
    words = {
        Side.BELOW: (Outcome.REFUTED, "Files are made whose blocks are not counted."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Processes differ in what was counted."),
        Side.ABOVE: (Outcome.CONFIRMED, "Each allocation passes the tracepoint and is counted."),
    }
    return by_side(side(made, 1 - EXACT), figure, number, "", words)


@claim(
    "perf/hardware",
    "hardware : 由 PMU 產生的事件，比如",
    "hardware: events that the PMU makes, such as cache misses, cycles, instructions and branch misses",
    ["perf/hardware"],
    "a loop of two instructions, of which one is a branch, counts as two instructions and one branch of the hardware",
    failure=refuted,
    control=Control(
        "the same call counts each page fault",
        metric_of("perf/software", "counted_per_event", event="page_faults"),
        "counted for each",
        1 - EXACT,
        1 + EXACT,
    ),
)
@needs("perf/hardware", event=("instructions", "branches"))
def hardware(analysis: Analysis) -> Verdict:
    """Events that the CPU counts, for each that there was."""
    each = {
        event: row_of(analysis, "perf/hardware", event=event).metric("counted_per_event")
        for event in ("instructions", "branches")
    }
    figure = "; ".join(f"{found.text()} {event} counted for each" for event, found in each.items())
    worst = max(each.values(), key=lambda number: abs(number.value - 1))
    number = measure(worst, "1", 1 - EXACT, 1 + EXACT)
    if all(within(found, 1 - EXACT, 1 + EXACT) for found in each.values()):
        return Verdict(Outcome.CONFIRMED, figure, "The CPU counts each of them by itself.", number)
    if any(Side.TOUCHES in (side(found, 1 - EXACT), side(found, 1 + EXACT)) for found in each.values()):
        return Verdict(Outcome.UNDECIDED, figure, "Processes differ in what was counted.", number)
    return Verdict(Outcome.REFUTED, figure, "The CPU does not count each of them.", number)
