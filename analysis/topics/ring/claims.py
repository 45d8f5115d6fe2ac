"""What the notes say of rings."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import Interval, above, below, quotient
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

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
    gains = known(
        _on_two_cpus(analysis), "needs ring/mutex_spin beside ring/naive, ring/seq_cst or ring/spsc, on 2 CPUs."
    )
    shared = _on_one_cpu(analysis)
    figure = "a mutex costs " + "; ".join(
        f"×{gain.text()} ({name})" for name, gain in [*gains.items(), *shared.items()]
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


@claim(
    "ring/early_boot",
    "實作上是ring buffer，log太多會有遺失",
    "It is implemented as a ring buffer; with too many logs some are lost",
    ["ring/overwrite_burst"],
    "a burst longer than the capacity loses exactly the difference, and the oldest",
)
def early_boot(analysis: Analysis) -> Verdict:
    """Counts, not times: the kernel's check has compared each record that was left."""
    told = []
    for row in analysis.measured("ring/overwrite_burst"):
        burst = f"{row.parameter('burst_pct')} % of {row.parameter('capacity')}"
        told.append((burst, row.metric("lost").value, row.metric("expected").value))
    figure = "; ".join(f"burst of {burst}: {count(lost)} lost" for burst, lost, _ in told)
    wrong = [burst for burst, lost, expected in told if lost != expected]
    if wrong:
        return Verdict(Outcome.REFUTED, figure, f"Not burst less capacity: {', '.join(wrong)}.")
    known(any(expected for *_, expected in told), "No burst of this run is longer than the capacity.", figure)
    return Verdict(
        Outcome.CONFIRMED,
        figure,
        "Each burst lost exactly its length less the capacity, the oldest records first; what was left came whole.",
    )


@claim(
    "ring/printk",
    "訊息完整顯示不會被截斷，代表printk有mutex lock",
    "Messages are shown whole and are not cut, which means that printk has a mutex lock",
    ["ring/printk"],
    "whole messages need a lock around the log (printk itself has had a lockless log since Linux 5.10)",
)
def printk(analysis: Analysis) -> Verdict:
    """Several writers into one log, with a lock and without: whether records came back whole, and what they cost."""
    found = [row for row in analysis.measured("ring/printk") if row.relation != OVERSUBSCRIBED]
    most = max((len(row.cpus) for row in found), default=0)
    by = {str(row.parameter("design")): row for row in found if len(row.cpus) == most}
    known(
        most >= 2 and set(by) == {"lock", "lockless"},
        "needs two writers on CPUs of their own, with each design.",
    )
    figure = "; ".join(
        f"{name}: {row.time.ns_text()} a record, "
        f"{count(row.metric('torn').value)} torn of {count(row.metric('read').value)} read back"
        for name, row in by.items()
    )
    if by["lockless"].metric("torn").value:
        return Verdict(Outcome.CONFIRMED, figure, "Without a lock records were torn.")
    return Verdict(
        Outcome.REFUTED,
        f"{most} writers, {figure}",
        "Records are whole without a lock, too. printk's log took one until Linux 5.9; the console still does.",
    )
