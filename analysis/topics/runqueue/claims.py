"""What the notes say of run queues."""

from __future__ import annotations

import math

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Outcome, Verdict, claim, known, measure, needs, noise_of
from fencepost.analysis.topics.runqueue.measures import TICK, cached, crossing, sizes, slope

FLAT = 0.05
"""Of a slope: a thousandfold number of tasks then costs 1.4 times as much, and a logarithm costs 4 times as much."""

FAR_BETTER = 10.0
"""With 1000 tasks a list walks through hundreds, and a tree goes down ten levels."""

MANY = 1000

ORDERED = ("rb", "avl", "heap", "list")
"""The structures in order of the key that each standard run has."""


@claim(
    "runqueue/constant",
    "O(1) since fixed number of queue to scan.",
    "O(1), since the number of queues to look through is fixed",
    [TICK],
    f"a turn of the bitmap grows by no more than the power {FLAT} of the number of tasks, while the cache holds them",
)
@needs(TICK, by=("touch", "bitmap", "rb"), keys="random")
def constant(analysis: Analysis) -> Verdict:
    """The red-black tree is the control: where it is as flat, the run cannot tell."""
    found = grid(analysis, TICK)
    tasks = cached(found)
    known(len(tasks) > 1, "No two numbers of tasks were measured that the core's own cache holds.")
    fewest, most = tasks[0], tasks[-1]
    lacks = f"Too few processes had the core to themselves with {fewest} and with {most} tasks."
    bitmap, tree = (known(slope(found, by, fewest, most), lacks) for by in ("bitmap", "rb"))
    # A figure that is wrong by the noise at one end turns the line by so much.
    a_turn = 1 / math.log(most / fewest)
    noise = noise_of(analysis, TICK)
    where, control = (side(of, FLAT, noise, base=a_turn) for of in (bitmap, tree))
    figure = f"the time grows with the power {bitmap.text()} of the number of tasks"
    number = measure(bitmap, "1", FLAT)
    said = (
        f"That is from {count(fewest)} to {count(most)} tasks. A red-black tree grows with the power "
        f"{tree.text()}.{_beyond(found, most)}"
    )
    if where is Side.TOUCHES or (where is Side.BELOW and control is not Side.ABOVE):
        because = "Within its interval it may be either." if where is Side.TOUCHES else "A tree may be as flat."
        return Verdict(Outcome.UNDECIDED, figure, f"{because} {said}", number)
    if where is Side.ABOVE:
        return Verdict(Outcome.REFUTED, figure, f"The turn gets dearer with more tasks. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"The number of tasks does not matter. {said}", number)


def _beyond(found: Grid, last: int) -> str:
    """What the bitmap and the control take with the most tasks, where the cache does not hold them."""
    bitmap, touch = sizes(found, "bitmap"), sizes(found, "touch")
    most = max(bitmap)
    if most <= last or most not in touch:
        return ""
    times = [found.rows[places[most]].time.ns_text() for places in (bitmap, touch)]
    return f" {count(most)} tasks leave the cache: a turn takes {times[0]}, and {times[1]} without any queue."


@claim(
    "runqueue/list_to_tree",
    "list -> (v)RB Tree, AVL Tree",
    "From the list to the red-black tree, or the AVL tree",
    [TICK],
    f"with {MANY} tasks a turn of a sorted list costs at least {FAR_BETTER:.0f} times one of either tree",
)
@needs(TICK, by=("list", "rb", "avl"), tasks=MANY, keys="random")
def list_to_tree(analysis: Analysis) -> Verdict:
    """With few tasks the list is cheaper: where it ceases to be is said beside it."""
    found = grid(analysis, TICK)
    ratios = {by: found.ratio(sizes(found, "list")[MANY], sizes(found, by)[MANY]) for by in ("rb", "avl")}
    worst = min(ratios.values(), key=lambda ratio: ratio.value)
    noise = noise_of(analysis, TICK)
    sides = {side(ratio, FAR_BETTER, noise) for ratio in ratios.values()}
    figure = (
        f"with {count(MANY)} tasks the list takes {ratios['rb'].text()} times as long as a red-black tree and "
        f"{ratios['avl'].text()} times as long as an AVL tree"
    )
    number = measure(worst, "1", FAR_BETTER)
    said = _few(found)
    if Side.BELOW in sides:
        return Verdict(Outcome.REFUTED, figure, f"The list is not that much dearer. {said}", number)
    if Side.TOUCHES in sides:
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval a ratio may be less. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"With many tasks a tree pays. {said}", number)


def _few(found: Grid) -> str:
    crossed = {by: crossing(found, "list", by) for by in ("rb", "avl")}
    if not all(at.known for at in crossed.values()):
        return "From how many tasks on it pays is not known."
    return (
        f"The list is cheaper than a red-black tree up to {_tasks(crossed['rb'])} tasks, and than an AVL tree up to "
        f"{_tasks(crossed['avl'])}."
    )


def _tasks(interval: Interval) -> str:
    value, low, high = (plain(number, 3) for number in interval[:3])
    return f"{value} [{low}, {high}]" if interval.bounded else value


@claim(
    "runqueue/neediest",
    "always pick the neediest task to run",
    "Always pick the neediest task to run",
    [TICK],
    "a queue in order of the key never gives a turn to a task while one with a lesser key waits",
)
@needs(TICK, by=ORDERED)
def neediest(analysis: Analysis) -> Verdict:
    """Each look walks through all tasks, whatever the structure is. The O(1) scheduler is said beside it."""
    rows = [row for row in analysis.measured(TICK) if row.parameter("by") not in ("touch", "bitmap")]
    worst = max((row.metric("passed_over_pct") for row in rows), key=lambda share: share.high)
    known(worst, "needs the metric passed_over_pct.")
    bitmap = [row.metric("passed_over_pct").value for row in analysis.measured(TICK) if row.has(by="bitmap")]
    figure = f"{worst.text('%')} of the turns pass over a task with a lesser key"
    said = ""
    if bitmap:
        said = (
            f" The O(1) scheduler passes over one in up to {plain(max(bitmap), 3)} % of its turns, since who has had a "
            "turn waits for the next lap."
        )
    linux = "Linux since 6.6 takes the earliest deadline of those that may run, and not the least key."
    number = measure(worst, "%", 0.0)
    if worst.low > 0:
        return Verdict(Outcome.REFUTED, figure, f"A needier task had to wait.{said} {linux}", number)
    if worst.high > 0 or not worst.bounded:
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval a task may be passed over.{said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"No structure in order of the key does so.{said} {linux}", number)
