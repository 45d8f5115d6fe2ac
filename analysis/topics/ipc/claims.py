"""What the notes say of processes that talk to each other."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid, ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import ns_with_bounds, plain
from fencepost.analysis.topics.claim import Outcome, Verdict, by_side, claim, measure, needs, noise_of, refuted, row_of
from fencepost.analysis.topics.control import Control, metric_of, over
from fencepost.analysis.topics.ipc.measures import times_as_dear

MORE_THAN_CACHE_PCT = 10.0
"""Of a message: two processes that touch the same differ by less."""


@claim(
    "ipc/taskset",
    "`taskset -c 0 perf bench sched pipe`",
    "perf bench sched pipe, kept on one CPU by taskset (beside the same without it)",
    ["ipc/switch", "ipc/across"],
    "a message by pipe costs more between two CPUs than on one, also where both CPUs are kept awake",
    control=Control(
        "a spinner keeps both CPUs awake in the batches that say so",
        metric_of("ipc/across", "loaded_pct", by="pipe", awake="yes"),
        "%",
        above=90.0,
    ),
)
@needs("ipc/switch", by="pipe", partner="process")
@needs("ipc/across", by="pipe", awake=("no", "yes"))
def taskset(analysis: Analysis) -> Verdict:
    """Placement, the halt of a CPU that has nothing to do, and cache: what each has of the factor."""
    same = row_of(analysis, "ipc/switch", by="pipe", partner="process")
    two, awake = (row_of(analysis, "ipc/across", by="pipe", awake=value) for value in ("no", "yes"))
    whole, placement = (times_as_dear(analysis, row, same) for row in (two, awake))
    halt = times_as_dear(analysis, two, awake)
    figure = f"two CPUs {whole.text()} times one CPU; kept awake {placement.text()} times"
    said = (
        f"A message takes {_message(same)} on one CPU, {_message(two)} on two, and {_message(awake)} on two that are "
        f"kept awake. CPUs that may sleep make it {halt.text()} times as expensive.{_cache(analysis)}"
    )
    number = measure(whole, "1", 1.0)
    noise = noise_of(analysis, "ipc/switch")
    dearer, awake_dearer, sleep = (side(found, 1.0, noise) for found in (whole, placement, halt))
    if dearer is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"Two CPUs are faster than one. {said}", number)
    if dearer is Side.TOUCHES or awake_dearer is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval the placement may not matter. {said}", number)
    if awake_dearer is Side.BELOW:
        because = f"It is the sleep of the other CPU alone, and not the distance. {said}"
        return Verdict(Outcome.DEPENDS, figure, because, number)
    why = {Side.ABOVE: "and part of it is the sleep", Side.BELOW: "and sleep has no part in it"}
    because = f"One CPU is cheaper, {why.get(sleep, 'and the part of sleep is open')}. {said}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)


@claim(
    "ipc/domain_socket",
    "domain socket",
    "Domain sockets",
    ["ipc/switch"],
    "a message over a unix socket costs more than over a pipe, between two processes on one CPU",
    control=Control(
        "each message over the pipe is one switch",
        metric_of("ipc/switch", "switches_per_message", by="pipe", partner="process"),
        "switches",
        0.9,
        1.1,
    ),
)
@needs("ipc/switch", by=("pipe", "unix_stream"), partner="process")
def domain_socket(analysis: Analysis) -> Verdict:
    """The price of a message with its calls: the switch is the same in both."""
    pipe, socket = (row_of(analysis, "ipc/switch", by=by, partner="process") for by in ("pipe", "unix_stream"))
    dearer = times_as_dear(analysis, socket, pipe)
    figure = f"{dearer.text()} times a pipe"
    said = (
        f"A message takes {_message(socket)} over the socket and {_message(pipe)} over the pipe. "
        f"Without its calls it is {socket.time.ns_text()} and {pipe.time.ns_text()}."
    )
    number = measure(dearer, "1", 1.0)
    words = {
        Side.BELOW: (Outcome.REFUTED, "The socket is cheaper."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval neither is dearer."),
        Side.ABOVE: (Outcome.CONFIRMED, "The socket's own calls are the dearer ones."),
    }
    return by_side(side(dearer, 1.0, noise_of(analysis, "ipc/switch")), figure, number, said, words)


@claim(
    "ipc/borrowed_mm",
    "kernel thread just borrows previous task's mm, as they only execute in kernel space.",
    "",
    ["ipc/switch"],
    "a switch that keeps the memory map, between threads, costs less than one between processes, by sched_yield",
    control=Control(
        "each yield between processes is one switch",
        metric_of("ipc/switch", "switches_per_message", by="yield", partner="process"),
        "switches",
        0.9,
        1.1,
    ),
)
@needs("ipc/switch", by="yield", partner=("thread", "process"))
def borrowed_mm(analysis: Analysis) -> Verdict:
    """What the change of the memory map costs, on one CPU. A kernel thread itself is out of reach."""
    thread, process = (row_of(analysis, "ipc/switch", by="yield", partner=who) for who in ("thread", "process"))
    dearer = ratio(analysis, process.case, thread.case)
    figure = f"between processes {dearer.text()} times as much as between threads"
    said = f"A switch takes {thread.time.ns_text()} between threads and {process.time.ns_text()} between processes."
    number = measure(dearer, "1", 1.0)
    words = {
        Side.BELOW: (Outcome.REFUTED, "To keep the memory map saves nothing."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval the memory map costs nothing: its price is small here."),
        Side.ABOVE: (Outcome.CONFIRMED, "To keep the memory map is cheaper."),
    }
    return by_side(side(dearer, 1.0, noise_of(analysis, "ipc/switch")), figure, number, said, words)


@claim(
    "ipc/zero_copy",
    "kvm zero copy",
    "",
    ["ipc/zero_copy"],
    "4 KiB and 64 KiB that go through a pipe as pages (vmsplice) cost less than as bytes, with a reader that copies",
    failure=refuted,
    control=Control(
        "to copy 64 KiB takes more than 4 times as long as 4 KiB",
        over(
            metric_of("ipc/zero_copy", "c65536_ns", by="vmsplice"),
            metric_of("ipc/zero_copy", "c4096_ns", by="vmsplice"),
        ),
        "times",
        above=4.0,
    ),
)
@needs("ipc/zero_copy", by="vmsplice")
def zero_copy(analysis: Analysis) -> Verdict:
    """From which size on one copy less is worth the work with pages."""
    row = row_of(analysis, "ipc/zero_copy", by="vmsplice")
    small, large = row.metric("r4096"), row.metric("r65536")
    figure = f"copied over handed over: {small.text()} at 4 KiB, {large.text()} at 64 KiB"
    said = (
        f"With pages 64 KiB take {row.metric('z65536_ns').text('ns')}, with bytes {row.metric('c65536_ns').text('ns')}."
    )
    number = measure(small, "1", 1.0)
    noise = noise_of(analysis, "ipc/zero_copy")
    few, many = side(small, 1.0, noise), side(large, 1.0, noise)
    if many is Side.TOUCHES:
        return Verdict(Outcome.UNDECIDED, figure, f"Within the noise of this run both cost the same. {said}", number)
    if many is Side.BELOW:
        return Verdict(Outcome.REFUTED, figure, f"The copy is cheaper than the work with pages. {said}", number)
    if few is not Side.ABOVE:
        return Verdict(Outcome.DEPENDS, figure, f"It pays for large transfers, and not for one page. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"Pages are cheaper from one page on. {said}", number)


def _message(row: Row) -> str:
    return ns_with_bounds(*row.ns_of("operation_ticks")[:3])


def _cache(analysis: Analysis) -> str:
    """What a working set adds beyond what touching it takes without a switch, where it was measured."""
    found = grid(analysis, "ipc/working_set")
    places = {row.number("touched"): place for place, row in enumerate(found.rows)}
    if len(places) < 2:
        return ""
    least, most = min(places), max(places)
    message = found.rows[places[most]].ns_of("operation_ticks").value
    left = found.difference(places[most], places[least])[0].over(message / 100)
    words = {
        Side.BELOW: "So cache is all that a working set adds",
        Side.TOUCHES: "Whether a working set adds more than cache is open",
        Side.ABOVE: "So a working set adds more than cache",
    }
    said = f"Of a message with {plain(most / 1024)} KiB on each side, {left.text('%')} are more than cache."
    return f" {said} {words[side(left, MORE_THAN_CACHE_PCT)]}."
