"""What the notes say of rings."""

from __future__ import annotations

from fencepost.analysis.claims import Outcome, Verdict, claim
from fencepost.analysis.estimate import Analysis
from fencepost.analysis.paired import above, below, grid, pooled
from fencepost.analysis.tables import with_bounds


@claim(
    "ring/lockless",
    "ring buffer lockless lockfree",
    "",
    ["ring/spsc", "ring/naive", "ring/mutex_spin"],
    "lockless rings beat a mutex",
)
def lockless(analysis: Analysis) -> Verdict:
    """An item under a mutex over one without, round by round: the plainest lockless ring and the library's."""
    wanted = {"capacity": 1024, "bytes": 8, "batch": 1}
    locked = grid(analysis, "ring/mutex_spin")
    gains = {}
    for name in ("ring/naive", "ring/spsc"):
        free = grid(analysis, name)
        for pause in ("yes", "no"):
            i, j = locked.find(**wanted, pause=pause), free.find(**wanted, pause=pause)
            if i is not None and j is not None and locked.ns.shape[0] == free.ns.shape[0]:
                gains[f"{name}, pause={pause}"] = pooled(locked.ns[:, i] / free.ns[:, j])
    if not gains:
        return Verdict(Outcome.NOT_MEASURABLE, "", "needs ring/mutex_spin beside ring/naive or ring/spsc, on two CPUs.")
    figure = "a mutex costs " + "; ".join(f"×{with_bounds(*gain[:3])} ({name})" for name, gain in gains.items())
    if all(above(gain, 1) for gain in gains.values()):
        return Verdict(Outcome.CONFIRMED, figure, "Every lockless ring was faster; how much, its use of lines decides.")
    if all(below(gain, 1) for gain in gains.values()):
        return Verdict(Outcome.REFUTED, figure, "No lockless ring was faster.")
    return Verdict(
        Outcome.DEPENDS, figure, "Lockless alone is not fast: some of these rings were not faster than the mutex."
    )
