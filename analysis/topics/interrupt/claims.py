"""What the notes say of interrupts."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, measure, needs, row_of
from fencepost.analysis.topics.control import Control, metric_of

NONE_A_CALL = 0.001
"""Interrupts that a system call may add: what others cause meanwhile is spread over a hundred thousand calls."""

ONE_A_CALL = 0.5
"""From here on each other call has one."""

TIMER = (850.0, 1150.0)
"""Interrupts a second that a timer of 1 kHz adds. Windows of 30 ms have 30 of them, give or take one at the ends."""


@claim(
    "interrupt/software",
    "軟體interrupt: system call 硬體interrupt: timer",
    "Software interrupt: system call; hardware interrupt: timer",
    ["interrupt/rate"],
    "a timer of 1 kHz adds 1000 interrupts a second to those of a CPU, and a system call adds none",
    control=Control(
        "a timer of 1 kHz adds 1000 interrupts a second",
        metric_of("interrupt/rate", "added_by_timer"),
        "a second",
        *TIMER,
    ),
)
@needs("interrupt/rate")
def software(analysis: Analysis) -> Verdict:
    """What Linux counts as an interrupt of a CPU."""
    row = row_of(analysis, "interrupt/rate")
    call, timer = row.metric("added_per_call"), row.metric("added_by_timer")
    figure = f"{call.text()} interrupts a system call; {timer.text()} a second by a timer of 1 kHz"
    said = (
        f"A thread that spins has {row.metric('all_per_s').text()} interrupts a second. It does not run "
        f"{row.metric('gaps_per_s').text()} times a second for more than 1 µs."
    )
    number = measure(call, "interrupts", NONE_A_CALL, ONE_A_CALL)
    none, one = side(call, NONE_A_CALL), side(call, ONE_A_CALL)
    if one is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"System calls are counted like a device's interrupts. {said}", number)
    if Side.TOUCHES in (none, one):
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval a call may have one. {said}", number)
    if none is Side.ABOVE:
        return Verdict(Outcome.DEPENDS, figure, f"Some system calls cause interrupts here. {said}", number)
    because = f"Both enter Linux, but only the hardware's is an interrupt that it counts. {said}"
    return Verdict(Outcome.CONFIRMED, figure, because, number)
