"""What the notes say of semaphores and mutexes."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import UNKNOWN, Interval, pooled
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.topics.claim import (
    Measure,
    Outcome,
    Verdict,
    by_side,
    claim,
    known,
    measure,
    needs,
    noise_of,
    refuted,
)
from fencepost.analysis.topics.control import Control, metric_of, over, quotient_of
from fencepost.analysis.topics.lock.measures import BRIEF, crossover, spent

SLEEPS_PCT = 1.0
"""Of a wait: to fall asleep and to wake take some 20 us, whatever the length of the wait."""

SPINS_PCT = 50.0
"""Of a wait: who looks all the time uses all of it, but for what the host and others take."""


def _spun(analysis: Analysis) -> Interval:
    """The share of the longest wait in which a waiter for a spin lock used its CPU."""
    rows = [row for row in analysis.decided(BRIEF) if row.has(by="spin")]
    row = max(rows, key=lambda row: row.number("held_us"), default=None)
    return quotient_of(row.metric("spent_ns"), row.metric("waited_ns")) if row else UNKNOWN


@claim(
    "lock/owner",
    "但semaphore沒有持有者的概念！也就是說今天可以有另一個thread直接呼叫post來增加一個名額",
    "But a semaphore has no notion of an owner: another thread can simply call post and add a place",
    ["lock/owner"],
    "a semaphore may be posted by a thread that did not wait; an error-checking mutex refuses that with EPERM",
    refuted,
    control=Control(
        "the owner of a mutex may unlock it",
        metric_of("lock/owner", "allowed", unlock="mutex_own"),
        "of all calls",
        above=0.99,
    ),
)
@needs("lock/owner", unlock=("semaphore_other", "mutex_other"))
def owner(analysis: Analysis) -> Verdict:
    """What each call answered in every process: a matter of meaning, not of time."""
    answers: dict[str, tuple[float, float]] = {}
    for row in analysis.measured("lock/owner"):
        answers[str(row.parameter("unlock"))] = row.metric("allowed").value, row.metric("refused").value
    said = {
        name: "allowed"
        if allowed == 1
        else "refused with EPERM"
        if refused == 1
        else "answered differently from call to call"
        for name, (allowed, refused) in answers.items()
    }
    figure = (
        f"post by another thread: {said['semaphore_other']}; unlock of a mutex by another thread: {said['mutex_other']}"
    )
    number = Measure(answers["semaphore_other"][0], *answers["semaphore_other"][:1] * 2, "share", (1.0,))
    mixed = [name for name, word in said.items() if word.startswith("answered")]
    if mixed:
        because = f"Not every call was answered alike: {', '.join(sorted(mixed))}."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if said["semaphore_other"] == "allowed" and said["mutex_other"] != "allowed":
        return Verdict(Outcome.CONFIRMED, figure, "The mutex knows its owner, the semaphore has none.", number)
    return Verdict(Outcome.REFUTED, figure, "Here the two did not differ as they should.", number)


@claim(
    "lock/wait",
    "如果是用spin lock，就得空轉等待",
    "With a spin lock, the thread has to wait by running idle",
    ["lock/wait"],
    f"who waits for a spin lock uses more than {SPINS_PCT:.0f} % of the wait, and for a semaphore less than "
    f"{SLEEPS_PCT:.0f} %",
    control=Control(
        "both wait for the same holder (semaphore over spin lock)",
        over(metric_of("lock/wait", "waited_ms", by="semaphore"), metric_of("lock/wait", "waited_ms", by="spin")),
        "times",
        0.8,
        1.25,
    ),
)
@needs("lock/wait", by=("semaphore", "spin"))
def wait(analysis: Analysis) -> Verdict:
    """Processor time, as Linux accounts it, of the longest hold that was measured."""
    held = max(row.number("held_ms") for row in analysis.decided("lock/wait"))
    used = {
        str(row.parameter("by")): row.metric("used_pct")
        for row in analysis.decided("lock/wait")
        if row.number("held_ms") == held
    }
    known({"spin", "semaphore"} <= set(used), "One of the two was not measured at the longest wait.")
    noise = noise_of(analysis, "lock/wait")
    spins, sleeps = side(used["spin"], SPINS_PCT, noise), side(used["semaphore"], SLEEPS_PCT, noise)
    figure = f"spin lock {used['spin'].text('%')}, semaphore {used['semaphore'].text('%')} of the wait"
    number = measure(used["spin"], "%", SPINS_PCT)
    if Side.TOUCHES in (spins, sleeps):
        return Verdict(Outcome.UNDECIDED, figure, "Within its interval one of the two may be on either side.", number)
    if spins is Side.ABOVE and sleeps is Side.BELOW:
        because = "The one looks at the lock for the whole wait, the other sleeps until it is woken."
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    because = "A spin lock that sleeps." if spins is Side.BELOW else "A semaphore that spins."
    return Verdict(Outcome.REFUTED, figure, because, number)


@claim(
    "lock/sleep",
    "當process看到semaphore的counter是0時，就能知道自己無法獲取資源，可以進入sleep",
    "A process that sees 0 in the counter of a semaphore knows that it cannot have the resource, and may go to sleep",
    [BRIEF],
    "in the longest wait that was measured a semaphore spends less processor time than a spin lock",
    control=Control("a spin lock uses its CPU for most of the longest wait", _spun, "of the wait", above=0.5),
)
@needs(BRIEF, by=("semaphore", "spin"))
def sleep(analysis: Analysis) -> Verdict:
    """Sleeping over spinning, each process by itself, and where the two cross."""
    times = spent(analysis)
    both = [us for by, us in times if by == "semaphore" and ("spin", us) in times]
    longest = max(known(both, "needs one length of the wait with both locks."))
    less = known(pooled(times["semaphore", longest] / times["spin", longest]), "Too few processes measured both.")
    crossing = crossover(analysis, "semaphore")
    figure = f"held for {plain(longest, 3)} us, a semaphore spends {less.text()} times what a spin lock does"
    said = f"Sleeping spends less from {crossing.text('us')} on." if crossing.known else "The two do not cross below."
    words = {
        Side.BELOW: (Outcome.CONFIRMED, "A thread that sleeps leaves its CPU to others. One that spins does not."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval neither spends less."),
        Side.ABOVE: (Outcome.REFUTED, "To fall asleep and to be woken costs more than the wait."),
    }
    return by_side(side(less, 1.0, noise_of(analysis, BRIEF)), figure, measure(less, "1", 1.0), said, words)
