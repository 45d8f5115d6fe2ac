"""What the notes say of semaphores and mutexes."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, claim, measure, needs, noise_of, refuted

SLEEPS_PCT = 1.0
"""Of a wait: to fall asleep and to wake take some 20 us, whatever the length of the wait."""

SPINS_PCT = 50.0
"""Of a wait: who looks all the time uses all of it, but for what the host and others take."""


@claim(
    "lock/owner",
    "但semaphore沒有持有者的概念！也就是說今天可以有另一個thread直接呼叫post來增加一個名額",
    "But a semaphore has no notion of an owner: another thread can simply call post and add a place",
    ["lock/owner"],
    "a semaphore may be posted by a thread that did not wait; an error-checking mutex refuses that with EPERM",
    refuted,
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
    if not {"spin", "semaphore"} <= set(used):
        return Verdict(Outcome.NOT_MEASURABLE, "", "One of the two was not measured at the longest hold.", None)
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
