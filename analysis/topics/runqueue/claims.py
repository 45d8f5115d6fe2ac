"""What the notes say of run queues."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid, ratio
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.claim import Outcome, Verdict, by_side, claim, known, measure, needs, noise_of
from fencepost.analysis.topics.control import Control, count_of, metric_of, over, times_of
from fencepost.analysis.topics.runqueue.measures import HEIGHT, PICK, REMOVE, TICK, cached, crossing, sizes, slope

FLAT = 0.05
"""Of a slope: a thousandfold number of tasks then costs 1.4 times as much, and a logarithm costs 4 times as much."""

FAR_BETTER = 10.0
"""With 1000 tasks a list walks through hundreds, and a tree goes down ten levels."""

FEW, MANY = 10, 1000
"""Numbers of tasks between which the core's own cache holds all of them."""

ARRAYS_TREE = ("bitmap", "rb")

ORDERED = ("rb", "avl", "heap", "list")
"""The structures in order of the key that each standard run has."""


def _tree_power(analysis: Analysis, kernel: str) -> Interval:
    """The power of the number of tasks with which a red-black tree grows, while the core's cache holds them."""
    found = grid(analysis, kernel)
    tasks = cached(found)
    return slope(found, "rb", tasks[0], tasks[-1]) if len(tasks) > 1 else UNKNOWN


@claim(
    "runqueue/constant",
    "O(1) since fixed number of queue to scan.",
    "O(1), since the number of queues to look through is fixed",
    [TICK],
    f"a turn of the bitmap grows by no more than the power {FLAT} of the number of tasks that fit into the cache",
    control=Control(
        "a red-black tree grows with the number of tasks (power)",
        lambda analysis: _tree_power(analysis, TICK),
        above=FLAT,
    ),
)
@needs(TICK, by=("touch", "bitmap", "rb"), keys="random")
def constant(analysis: Analysis) -> Verdict:
    """The red-black tree is the control: where it is as flat, the run cannot tell."""
    return _flat(analysis, TICK)


@claim(
    "runqueue/blocked",
    "Q: if task is blocked, such as on disk IO?",
    "Question: what if a task is blocked, such as on disk IO?",
    [REMOVE],
    "taking any task out of the two arrays, and putting it back, grows by no more than the power "
    f"{FLAT} of the number of tasks",
    control=Control(
        "a red-black tree grows with the number of tasks (power)",
        lambda analysis: _tree_power(analysis, REMOVE),
        above=FLAT,
    ),
)
@needs(REMOVE, by=("touch", "bitmap", "rb"))
def blocked(analysis: Analysis) -> Verdict:
    """The answer: it leaves its list, wherever it stands in it. In a tree it takes steps to mend the rest."""
    return _flat(analysis, REMOVE)


def _flat(analysis: Analysis, kernel: str) -> Verdict:
    """Whether the bitmap does not care how many tasks there are, while the cache holds them, and a tree does."""
    found = grid(analysis, kernel)
    tasks = cached(found)
    known(len(tasks) > 1, "No two numbers of tasks were measured that fit into the core's own cache.")
    fewest, most = tasks[0], tasks[-1]
    lacks = f"Too few processes had the core to themselves with {fewest} and with {most} tasks."
    bitmap, tree = (known(slope(found, by, fewest, most), lacks) for by in ("bitmap", "rb"))
    where = _side(analysis, bitmap, fewest, most)
    figure = f"the time grows with the power {bitmap.text()} of the number of tasks"
    number = measure(bitmap, "1", FLAT)
    said = (
        f"That is from {count(fewest)} to {count(most)} tasks. A red-black tree grows with the power "
        f"{tree.text()}.{_beyond(found, most)}"
    )
    words = {
        Side.BELOW: (Outcome.CONFIRMED, "The number of tasks does not matter."),
        Side.TOUCHES: (Outcome.UNDECIDED, "Within its interval it may be either."),
        Side.ABOVE: (Outcome.REFUTED, "It gets dearer with more tasks."),
    }
    return by_side(where, figure, number, said, words)


def _side(analysis: Analysis, power: Interval, fewest: int, most: int) -> Side:
    """Of `FLAT`. A figure that is wrong by the noise at one end turns the line by so much."""
    return side(power, FLAT, noise_of(analysis, TICK), base=1 / math.log(most / fewest))


def _beyond(found: Grid, last: int) -> str:
    """What the bitmap takes with the most tasks, and the control, where the cache does not hold them."""
    bitmap, touch = sizes(found, "bitmap"), sizes(found, "touch")
    most = max(bitmap)
    if most <= last or most not in touch:
        return ""
    times = [found.rows[places[most]].time.ns_text() for places in (bitmap, touch)]
    return f" {count(most)} tasks leave the cache: it takes {times[0]}, and {times[1]} without any queue."


@claim(
    "runqueue/query",
    "constant QUERY time, 但修改刪除有額外開銷",
    "Constant query time, but changes and deletions cost extra",
    [PICK, REMOVE],
    f"a look at the next task grows by no more than the power {FLAT} of the number of tasks. It costs less than "
    "taking a task out and putting it back",
    control=Control(
        "a scan of all tasks grows with their number (power)",
        lambda analysis: slope(grid(analysis, PICK), "scan", FEW, MANY),
        above=0.5,
    ),
)
@needs(PICK, by=("bitmap", "rb", "scan"), tasks=(FEW, MANY))
@needs(REMOVE, by=("bitmap", "rb"), tasks=MANY)
def query(analysis: Analysis) -> Verdict:
    """Of the two arrays and of a tree that knows its first node. The scan is the control: it looks at all tasks."""
    found = grid(analysis, PICK)
    powers = {by: slope(found, by, FEW, MANY) for by in ("bitmap", "rb", "scan")}
    extra = {
        by: ratio(analysis, _many(analysis, REMOVE, by).case, _many(analysis, PICK, by).case) for by in ARRAYS_TREE
    }
    known(
        all(interval.known for interval in (*powers.values(), *extra.values())),
        "Too few processes had the core to themselves in two of the rows.",
    )
    grown = [_side(analysis, powers[by], FEW, MANY) for by in ARRAYS_TREE]
    dearer = [side(times, 1.0, noise_of(analysis, TICK)) for times in extra.values()]
    worst = max((powers[by] for by in ARRAYS_TREE), key=lambda power: power.value)
    figure = f"a look grows with the power {worst.text()} of the number of tasks"
    said = (
        f"That is from {count(FEW)} to {count(MANY)} tasks. A scan grows with the power {powers['scan'].text()}. "
        f"Taking a task out and putting it back takes {extra['bitmap'].text()} times as long as a look. That is in the "
        f"two arrays. In a red-black tree it is {extra['rb'].text()} times."
    )
    number = measure(worst, "1", FLAT)
    if Side.ABOVE in grown or Side.BELOW in dearer:
        because = "A look gets dearer with more tasks." if Side.ABOVE in grown else "A look costs more than a change."
        return Verdict(Outcome.REFUTED, figure, f"{because} {said}", number)
    if Side.TOUCHES in (*grown, *dearer):
        return Verdict(Outcome.UNDECIDED, figure, f"Within its interval a figure may be either. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"A look is constant, and a change is not free. {said}", number)


def _many(analysis: Analysis, kernel: str, by: str) -> Row:
    return next(row for row in analysis.measured(kernel) if row.has(by=by, tasks=MANY))


@claim(
    "runqueue/list_to_tree",
    "list -> (v)RB Tree, AVL Tree",
    "From the list to the red-black tree, or the AVL tree",
    [TICK],
    f"with {MANY} tasks a turn of a sorted list costs at least {FAR_BETTER:.0f} times one of either tree",
    control=Control(
        "to touch a random task, without a structure, takes less than a turn of the tree",
        times_of(TICK, {"by": "touch", "tasks": MANY, "keys": "random"}, {"by": "rb", "tasks": MANY, "keys": "random"}),
        "times",
        below=1.0,
    ),
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
    control=Control(
        "the O(1) scheduler, which is not in order of the key, passes tasks over",
        metric_of(TICK, "passed_over_pct", by="bitmap"),
        "% of turns",
        above=1.0,
    ),
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


@claim(
    "runqueue/avl_height",
    "AVL Tree height: log(n)",
    "The height of an AVL tree is log(n)",
    [HEIGHT],
    "the highest AVL tree of n nodes has as many levels as a full tree, log2(n + 1) rounded up",
    control=Control(
        "ascending keys make a full tree",
        over(
            metric_of(HEIGHT, "height", tree="avl", order="ascending"),
            metric_of(HEIGHT, "least", tree="avl", order="ascending"),
        ),
        "times",
        0.99,
        1.01,
    ),
)
@needs(HEIGHT, tree="avl", order=("ascending", "fibonacci"))
def avl_height(analysis: Analysis) -> Verdict:
    """Fibonacci trees are the highest, and ascending keys make the lowest."""
    rows = _trees(analysis, "avl")
    worst, least = _highest(rows), rows[0].metric("least").value
    times = worst.over(least)
    lowest = min(row.metric("height").value for row in rows)
    figure = f"the highest of {_tasks_of(rows)} nodes has {times.text()} times the levels of a full tree"
    said = (
        f"That is {_levels(worst)}. A full tree has {count(least)}, and one of ascending keys {count(lowest)}. "
        f"It stays below 1.4405 log2(n + 2) − 0.3277 = {plain(rows[0].metric('bound').value)}. So it is log2(n) to a "
        "constant, and up to 44 % more."
    )
    more = (Outcome.REFUTED, "AVL trees may be higher than log2(n).")
    return _against_one(times, figure, said, more, (Outcome.CONFIRMED, "No AVL tree was higher than a full one."))


def _too_high(row: Row) -> Outcome | None:
    """The kernel's own check looks at the bound, and at rules of which the sentence says nothing."""
    return Outcome.REFUTED if row.has(tree="rb") and "more than the bound" in (row.reason or "") else None


@claim(
    "runqueue/rb_height",
    "RB Tree  height: <= 2 * log(n+1)",
    "The height of a red-black tree is at most 2 log(n + 1)",
    [HEIGHT],
    "no red-black tree that was looked at is higher than 2 log2(n + 1) levels",
    _too_high,
    control=Control(
        "ascending keys make it higher than a full tree",
        over(
            metric_of(HEIGHT, "height", tree="rb", order="ascending"),
            metric_of(HEIGHT, "least", tree="rb", order="ascending"),
        ),
        "times",
        above=1.1,
    ),
)
@needs(HEIGHT, tree="rb", order=("random", "ascending"))
def rb_height(analysis: Analysis) -> Verdict:
    """Random histories, and ascending keys, which come near the bound."""
    rows = _trees(analysis, "rb")
    worst, bound = _highest(rows), rows[0].metric("bound").value
    times = worst.over(bound)
    figure = f"the highest of {_tasks_of(rows)} nodes has {times.text()} times the levels of the bound"
    said = f"That is {_levels(worst)} of {plain(bound)}. Each case looks at rules and bound."
    more = (Outcome.REFUTED, "A tree was higher than it may be.")
    return _against_one(times, figure, said, more, (Outcome.CONFIRMED, "No tree was higher."))


@claim(
    "runqueue/worst_case",
    "Worst case: RB > AVL",
    "In the worst case a red-black tree is higher than an AVL tree",
    [HEIGHT],
    "in the worst order for each a red-black tree has more levels than an AVL tree of as many nodes",
    control=Control(
        "with random keys the two are about as high",
        over(
            metric_of(HEIGHT, "height", tree="rb", order="random"),
            metric_of(HEIGHT, "height", tree="avl", order="random"),
        ),
        "times",
        0.8,
        1.25,
    ),
)
@needs(HEIGHT, tree=("rb", "avl"), order=("random", "ascending", "fibonacci"))
def worst_case(analysis: Analysis) -> Verdict:
    """Ascending keys for red-black, a Fibonacci tree for AVL. Random keys beside them."""
    rows = {tree: _trees(analysis, tree) for tree in ("rb", "avl")}
    rb, avl = (_highest(rows[tree]) for tree in ("rb", "avl"))
    times = rb._replace(value=rb.value / avl.value, low=rb.low / avl.high, high=rb.high / avl.low)
    drawn = [row.metric("height").value for tree in ("rb", "avl") for row in rows[tree] if row.has(order="random")]
    figure = f"of {_tasks_of(rows['rb'])} nodes a red-black tree has {times.text()} times the levels of an AVL tree"
    said = (
        f"The highest are {_levels(rb)} and {_levels(avl)}. With random keys they are "
        f"{count(drawn[0])} and {count(drawn[1])}."
    )
    more = (Outcome.CONFIRMED, "Its rules allow more.")
    return _against_one(times, figure, said, more, (Outcome.REFUTED, "The red-black tree is not higher."))


def _against_one(
    times: Interval, figure: str, said: str, more: tuple[Outcome, str], not_more: tuple[Outcome, str]
) -> Verdict:
    """The verdict of a ratio of levels by the side of 1 on which all of it lies. Levels are counted, so there is no
    noise.
    """
    outcome, because = more if times.low > 1 else not_more
    if not (times.low > 1 or times.high <= 1):
        outcome, because = Outcome.UNDECIDED, "Processes differ."
    return Verdict(outcome, figure, f"{because} {said}", measure(times, "1", 1.0))


@claim(
    "runqueue/avl_is_rb",
    "AVL Tree is also a RB Tree",
    "An AVL tree is also a red-black tree",
    [HEIGHT],
    "every AVL tree that was looked at can be coloured red and black by the rules",
    control=Control(
        "the trees kept the rules of AVL in each look", count_of(HEIGHT, "sound", tree="avl"), "looks", above=0.5
    ),
)
@needs(HEIGHT, tree="avl", order=("random", "fibonacci"))
def avl_is_rb(analysis: Analysis) -> Verdict:
    """A node is red if its height is odd and that of its parent even. A check of all rules follows."""
    rows = [row for row in analysis.decided(HEIGHT) if row.has(tree="avl")]
    worst = min((row.metric("coloured_pct") for row in rows), key=lambda share: share.low)
    figure = f"{worst.text('%')} of the trees could be coloured"
    said = "They come from random histories, from ascending keys, and from Fibonacci trees, which are the least even."
    number = measure(worst, "%", 100.0)
    if worst.high < 100:
        return Verdict(Outcome.REFUTED, figure, f"Some tree could not. {said}", number)
    if worst.low < 100 or not worst.bounded:
        return Verdict(Outcome.UNDECIDED, figure, f"In some processes a tree could not. {said}", number)
    return Verdict(Outcome.CONFIRMED, figure, f"All of them could. {said}", number)


def _trees(analysis: Analysis, tree: str) -> list[Row]:
    """The rows of the most nodes."""
    rows = [row for row in analysis.decided(HEIGHT) if row.has(tree=tree)]
    most = max(row.number("tasks") for row in rows)
    return [row for row in rows if row.number("tasks") == most]


def _highest(rows: Sequence[Row]) -> Interval:
    return max((row.metric("height") for row in rows), key=lambda height: height.high)


def _levels(height: Interval) -> str:
    """A height; with its bounds where processes differ."""
    return height.text("levels") if height.low < height.high else f"{count(height.value)} levels"


def _tasks_of(rows: Sequence[Row]) -> str:
    return count(rows[0].number("tasks"))
