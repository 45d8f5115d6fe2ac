"""What the notes say of coroutines."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import ratio
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, by_side, claim, measure, needs, noise_of, row_of
from fencepost.analysis.topics.control import Control, times_of

CHEAPER = 20.0
"""A switch in the kernel is a system call, a look for who is next, and other registers. That is not a few times a jump,
but tens of times."""

SWITCHES = 2
"""In a round trip."""


@claim(
    "coroutine/cooperative",
    "這種機制，是協同cooperative的，context switch會是程式在特定場合自發的呼叫longjmp",
    "This mechanism is cooperative: the program itself decides when to switch, and does so by longjmp",
    ["coroutine/switch", "ipc/switch"],
    f"one switch by longjmp between stacks costs at most 1/{CHEAPER:.0f} of one by sched_yield between two threads",
    control=Control(
        "a call that switches nothing takes less than a round trip by longjmp",
        times_of(
            "coroutine/switch",
            {"by": "call", "coroutines": 1, "stacks": "coloured"},
            {"by": "longjmp", "coroutines": 1, "stacks": "coloured"},
        ),
        "times",
        below=1.0,
    ),
)
@needs("coroutine/switch", by=("longjmp", "swapcontext"), coroutines=1, stacks="coloured")
@needs("ipc/switch", by="yield", partner="thread")
def cooperative(analysis: Analysis) -> Verdict:
    """Both switch of their own accord: the one past the kernel, the other through it."""
    jump, context = (row_of(analysis, "coroutine/switch", by=by, coroutines=1) for by in ("longjmp", "swapcontext"))
    kernel = row_of(analysis, "ipc/switch", by="yield", partner="thread")
    round_trips = ratio(analysis, kernel.case, jump.case)
    times = round_trips._replace(**{name: getattr(round_trips, name) * SWITCHES for name in ("value", "low", "high")})
    figure = f"a switch of threads takes {times.text()} times as long as one by longjmp"
    said = (
        f"A round trip, which is two switches, takes {jump.time.ns_text()} by longjmp. One switch by sched_yield takes "
        f"{kernel.time.ns_text()}, less the call. swapcontext asks Linux for the blocked signals at each switch. A "
        f"round trip by it takes {context.time.ns_text()}."
    )
    number = measure(times, "1", CHEAPER)
    words = {
        Side.BELOW: (Outcome.REFUTED, "The kernel is not that far away."),
        Side.TOUCHES: (Outcome.UNDECIDED, f"Within its interval it is {CHEAPER:.0f} times or less."),
        Side.ABOVE: (Outcome.CONFIRMED, "The program needs no kernel to switch."),
    }
    return by_side(side(times, CHEAPER, noise_of(analysis, "coroutine/switch")), figure, number, said, words)
