"""What the notes say of rings."""

from __future__ import annotations

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval, quotient
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known, measure, noise_of, refuted
from fencepost.analysis.topics.control import Control, spread_of
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

WANTED = {"capacity": 1024, "bytes": 8, "batch": 1}


def _not_whole(row: Row) -> Outcome | None:
    """A ring without a lock whose items did not come whole and in order beats nothing."""
    return None if row.kernel == "ring/mutex_spin" else Outcome.REFUTED


FEWEST_READ = 500.0
"""Records that most processes have to read while others are written. A reader that does not look again meets a
torn one among fewer: seen in each of seven processes.
"""


def _lost_of_fitting(analysis: Analysis) -> Interval:
    """Records that the worst burst lost of those that the ring can hold."""
    rows = [row for row in analysis.measured("ring/overwrite_burst") if row.number("burst_pct") <= 100]
    return max((row.metric("lost") for row in rows), key=lambda lost: lost.value, default=UNKNOWN)


def _read_meanwhile(analysis: Analysis) -> Interval:
    """Records that were read while others were written, with the most writers that have a CPU of their own."""
    rows = [row for row in analysis.measured("ring/printk") if row.has(design="lockless")]
    own = [row for row in rows if row.relation != OVERSUBSCRIBED and len(row.cpus) > 1]
    row = max(own, key=lambda row: len(row.cpus), default=None)
    return row.metric("read_meanwhile") if row else UNKNOWN


@claim(
    "ring/lockless",
    "ring buffer lockless lockfree",
    "",
    ["ring/spsc", "ring/naive", "ring/mutex_spin"],
    "lockless rings beat a mutex",
    _not_whole,
    control=Control(
        "under the mutex, an item takes the same time in all processes, within half of it",
        spread_of("ring/mutex_spin", **WANTED),
        "%",
        below=50.0,
    ),
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
    noise = noise_of(analysis, "ring/spsc", "ring/naive", "ring/seq_cst", "ring/mutex_spin")
    sides = {name: side(gain, 1, noise) for name, gain in [*gains.items(), *shared.items()]}
    number = measure(min(gains.values(), key=lambda gain: gain.value), "1", 1.0)
    if set(sides.values()) == {Side.ABOVE}:
        because = "Every lockless ring was faster; how much, its use of lines decides."
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if all(sides[name] is Side.BELOW for name in gains):
        return Verdict(Outcome.REFUTED, figure, "No lockless ring was faster.", number)
    lost = [name for name, where in sides.items() if where is Side.BELOW]
    close = [name for name, where in sides.items() if where is Side.TOUCHES]
    also = f" Open within the noise of this run: {', '.join(close)}." if close else ""
    if not lost or Side.ABOVE not in sides.values():
        return Verdict(Outcome.UNDECIDED, figure, (also or " Some are slower.").strip(), number)
    because = f"Lockless alone is not fast. Slower than the mutex: {', '.join(lost)}.{also}"
    return Verdict(Outcome.DEPENDS, figure, because, number)


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
    refuted,
    control=Control("a burst that fits loses nothing", _lost_of_fitting, "records", below=0.5),
)
def early_boot(analysis: Analysis) -> Verdict:
    """Counts, not times: the kernel's check has compared each record that was left."""
    told = []
    for row in analysis.measured("ring/overwrite_burst"):
        burst = f"{row.parameter('burst_pct')} % of {row.parameter('capacity')}"
        told.append((burst, row.metric("lost"), row.metric("expected").value))
    figure = "; ".join(f"burst of {burst}: {count(lost.value)} lost" for burst, lost, _ in told)
    wrong = [burst for burst, lost, expected in told if lost.value != expected]
    longest = max(told, key=lambda one: one[2])
    number = measure(longest[1], "records", longest[2])
    if wrong:
        return Verdict(Outcome.REFUTED, figure, f"Not burst less capacity: {', '.join(wrong)}.", number)
    known(longest[2], "No burst of this run is longer than the capacity.", figure)
    if not all(lost.low == lost.high == expected for _, lost, expected in told):
        return Verdict(Outcome.UNDECIDED, figure, "Too few processes, or processes that differ, leave it open.", number)
    return Verdict(
        Outcome.CONFIRMED,
        figure,
        "Each burst lost exactly its length less the capacity, the oldest records first; what was left came whole.",
        number,
    )


def _torn(row: Row) -> Outcome | None:
    """A record torn without a lock shows that it needs one; one torn under the lock, that the lock does not do it.

    The same check also counts records. Where it found none torn, it says nothing to this.
    """
    if " torn" not in (row.reason or "") or " 0 torn" in (row.reason or ""):
        return None
    return Outcome.CONFIRMED if row.parameter("design") == "lockless" else Outcome.REFUTED


@claim(
    "ring/printk",
    "訊息完整顯示不會被截斷，代表printk有mutex lock",
    "Messages are shown whole and are not cut, which means that printk has a mutex lock",
    ["ring/printk"],
    "whole messages need a lock around the log, which a reader reads while others write (printk itself has had a "
    "lockless log since Linux 5.10)",
    _torn,
    control=Control(
        f"more than {FEWEST_READ:.0f} records were read while others were written",
        _read_meanwhile,
        "records",
        above=FEWEST_READ,
    ),
)
def printk(analysis: Analysis) -> Verdict:
    """Several writers into one log, with a lock and without: whether records came back whole, and what they cost."""
    found = [row for row in analysis.measured("ring/printk") if row.relation != OVERSUBSCRIBED]
    most = max((len(row.cpus) for row in found), default=0)
    by = {str(row.parameter("design")): row for row in found if len(row.cpus) == most}
    known(
        most >= 2 and set(by) == {"lock", "lockless"},
        "needs two writers on separate CPUs, with each design.",
    )
    figure = "; ".join(
        f"{name}: {row.time.ns_text()} a record, "
        f"{count(row.metric('torn').value)} torn of {count(row.metric('read').value)} read back"
        + (f", {meanwhile.text()} of them meanwhile" if (meanwhile := row.metric("read_meanwhile")).known else "")
        for name, row in by.items()
    )
    number = measure(by["lockless"].metric("torn"), "records", 0.0)
    return Verdict(
        Outcome.REFUTED,
        f"{most} writers, {figure}",
        "Records are whole without a lock, too. printk's log took one until Linux 5.9; the console still does.",
        number,
    )
