"""What the notes say of rings."""

from __future__ import annotations

from fencepost.analysis.claims import Outcome, Verdict, claim
from fencepost.analysis.estimate import Analysis, Interval
from fencepost.analysis.paired import above, below, grid, quotient
from fencepost.analysis.tables import with_bounds

WANTED = {"capacity": 1024, "bytes": 8, "batch": 1}


@claim(
    "ring/lockless",
    "ring buffer lockless lockfree",
    "",
    ["ring/spsc", "ring/naive", "ring/mutex_spin"],
    "lockless rings beat a mutex",
)
def lockless(analysis: Analysis) -> Verdict:
    """An item under a mutex over one without, round by round: the library's ring, the plainest, and one in seq_cst."""
    gains = _on_two_cpus(analysis)
    if not gains:
        return Verdict(
            Outcome.NOT_MEASURABLE, "", "needs ring/mutex_spin beside ring/naive, ring/seq_cst or ring/spsc, on 2 CPUs."
        )
    shared = _on_one_cpu(analysis)
    figure = "a mutex costs " + "; ".join(
        f"×{with_bounds(*gain[:3])} ({name})" for name, gain in [*gains.items(), *shared.items()]
    )
    lost = [name for name, gain in [*gains.items(), *shared.items()] if not above(gain, 1)]
    if not lost:
        return Verdict(Outcome.CONFIRMED, figure, "Every lockless ring was faster; how much, its use of lines decides.")
    if all(below(gain, 1) for gain in gains.values()):
        return Verdict(Outcome.REFUTED, figure, "No lockless ring was faster.")
    return Verdict(
        Outcome.DEPENDS, figure, f"Lockless alone is not fast. Not faster than the mutex: {', '.join(lost)}."
    )


def _on_two_cpus(analysis: Analysis) -> dict[str, Interval]:
    locked = grid(analysis, "ring/mutex_spin")
    gains = {}
    for name in ("ring/spsc", "ring/naive", "ring/seq_cst"):
        free = grid(analysis, name)
        for pause in ("yes", "no"):
            i, j = locked.find(**WANTED, pause=pause), free.find(**WANTED, pause=pause)
            if i is not None and j is not None and locked.ns.shape[0] == free.ns.shape[0]:
                steps = locked.steps[:, i], free.steps[:, j]
                gains[f"{name}, pause={pause}"] = quotient(locked.ns[:, i], free.ns[:, j], *steps)
    return gains


def _on_one_cpu(analysis: Analysis) -> dict[str, Interval]:
    """Both threads on one CPU, against the mutex that sleeps there: giving way, and spinning."""
    shared = grid(analysis, "ring/one_cpu")
    asleep = shared.find(capacity=1024, design="mutex_condvar")
    gains = {}
    for word, free in (("giving way", shared), ("spinning", grid(analysis, "ring/one_cpu_spin"))):
        place = free.find(capacity=1024, design="spsc")
        if asleep is not None and place is not None and shared.ns.shape[0] == free.ns.shape[0]:
            gains[f"spsc on one CPU, {word}"] = quotient(
                shared.ns[:, asleep], free.ns[:, place], shared.steps[:, asleep], free.steps[:, place]
            )
    return gains
