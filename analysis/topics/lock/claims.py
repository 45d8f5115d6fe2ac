"""What the notes say of semaphores and mutexes."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics.claim import Measure, Outcome, Verdict, claim, needs, refuted


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
