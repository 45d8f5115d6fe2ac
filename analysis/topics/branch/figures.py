"""Branches: what a wrong guess costs, and what the predictor can learn."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Fit, Group, Series, Shade
from fencepost.analysis.draw.lines import Axis, lines, regression
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.text.numbers import count, plain, powers, size, with_bounds
from fencepost.analysis.text.table import DASH, SPACE, table
from fencepost.analysis.topics.branch.measures import (
    Penalty,
    break_even,
    capacity,
    learning,
    loaded_penalties,
    penalties,
    quotient,
    taken_rates,
)
from fencepost.analysis.topics.pictures import Picture, lines_by, shows
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import Topic
from fencepost.bench.caches import caches

NOTES_CYCLES = (10.0, 20.0)
"""What the notes say that a misprediction costs."""


def said_of(interval: Interval) -> str:
    """A number with its interval, a dash where there is none."""
    return interval.text() if interval.n else DASH


def ground(counted: bool) -> str:
    """On what ground the number of mispredictions is known."""
    return (
        "The mispredictions are those that the hardware counted."
        if counted
        else "No hardware counter is needed to know the mispredictions: a random bit is guessed wrong half of the "
        "time, whatever the predictor does."
    )


@shows("branch/pattern")
def rate_figure(analysis: Analysis) -> Figure | None:
    """Cost by taken rate: random outcomes, the same sorted, and the branch-free twin, with the break-even marked."""
    unit, found = taken_rates(analysis)
    random, twin = found.get(("random", "branch")), found.get(("random", "cmov"))
    if random is None or len(random.pct) < 3:
        return None
    drawn = {"random": random, "sorted": found.get(("sorted", "branch")), "branch-free": twin}
    marks, said = [], "The branch-free twin was not measured beside it."
    if twin is not None:
        low, high = break_even(random, twin)
        marks = [(side.value, f"break-even {plain(side.value, 2)}{SPACE}%") for side in (low, high) if side.n]
        said = _break_even_said(low, high)
    top = int(np.nanargmax(random.cost))
    columns = {
        "random": random,
        "sorted": found.get(("sorted", "branch")),
        "alternating": found.get(("alternating", "branch")),
        "periodic": found.get(("periodic", "branch")),
        "random, branch-free": twin,
    }
    present = {name: line for name, line in columns.items() if line is not None}
    cells = [
        (
            f"{count(pct)} %",
            *(
                next(
                    (with_bounds(line.cost[i], line.low[i], line.high[i]) for i in np.flatnonzero(line.pct == pct)),
                    DASH,
                )
                for line in present.values()
            ),
        )
        for pct in random.pct
    ]
    return lines(
        "branch-rate",
        "Cost of a jump, by how often it is taken",
        f"Random outcomes cost {plain(random.cost[0], 3)} {unit} an element where the jump is never taken, "
        f"{plain(random.cost[top], 3)} at {count(random.pct[top])} % and {plain(random.cost[-1], 3)} where it always "
        f"is. {said}",
        table(f"{unit.capitalize()} per element by share of taken jumps", ("taken", *present), cells),
        [Series(name, line.pct, line.cost, line.low, line.high) for name, line in drawn.items() if line is not None],
        x=Axis("taken jumps, %"),
        y=Axis(f"{unit} per element", from_zero=True),
        marks=marks,
    )


def _break_even_said(low: Interval, high: Interval) -> str:
    if low.n and high.n:
        return f"Without a jump it is cheaper from {said_of(low)} % up to {said_of(high)} % of taken jumps (dashed)."
    if low.n:
        return f"Without a jump it is cheaper from {said_of(low)} % of taken jumps on (dashed)."
    if high.n:
        return f"Without a jump it is cheaper up to {said_of(high)} % of taken jumps (dashed)."
    return "No break-even with the branch-free twin lies in this range."


@shows("branch/penalty")
def penalty_figure(analysis: Analysis) -> Figure | None:
    """The line of block cost on mispredictions, and what it leaves over."""
    found = penalties(analysis)
    if not found:
        return None
    counted = any(item.counted for item in found)
    cells = [
        (
            f"slots {item.slots}",
            said_of(item.cycles),
            item.ns.ns_text(),
            plain(item.r_squared.value, 5),
            plain(float(np.nanmax(np.abs(item.residual))), 2) + f" {item.unit}",
            "counted by the hardware" if item.counted else "half of the coins",
        )
        for item in found
    ]
    worst = max(found, key=lambda item: float(np.nanmax(np.abs(item.residual))))
    return regression(
        "branch-penalty",
        "Cost of one misprediction, as the slope of a line",
        "Blocks of 64 branches of which 0 to 64 are coins, the others always the same. One misprediction costs "
        + "; ".join(f"{_price(item)} (slots {item.slots})" for item in found)
        + f". {ground(counted)} Beneath, what the line leaves over: at most "
        f"{plain(float(np.nanmax(np.abs(worst.residual))), 2)} {worst.unit} a block.",
        table(
            "One misprediction, its condition in a register: slope over processes, with its 95 % interval",
            ("block", "cycles", "time", "R²", "largest residual", "mispredictions"),
            cells,
        ),
        [
            Fit(
                f"slots {item.slots}: {plain((item.cycles if item.cycles.n else item.ns).value, 3)} {item.unit} each",
                item.misses,
                item.block,
                item.block_low,
                item.block_high,
                item.fit,
                item.fit_low,
                item.fit_high,
                item.residual,
                item.residual_low,
                item.residual_high,
            )
            for item in found
            if item.unit == found[0].unit
        ],
        x_label="mispredictions in the block of 64 branches",
        y_label=f"{found[0].unit} per block",
        unit=found[0].unit,
    )


def _price(item: Penalty) -> str:
    return f"{said_of(item.cycles)} cycles" if item.cycles.n else item.ns.ns_text()


@shows("branch/penalty_loaded")
def loaded_figure(analysis: Analysis) -> Figure | None:
    """The price of a misprediction by where its condition comes from."""
    found = [item for item in loaded_penalties(analysis) if item.ns.n]
    if not found:
        return None
    in_cycles = all(item.cycles.n for item in found)
    unit = "cycles" if in_cycles else "ns"
    values = np.array([(item.cycles if in_cycles else item.ns)[:3] for item in found])
    sizes = np.array([item.size for item in found])
    series = [Series("from a buffer", sizes, values[:, 0], values[:, 1], values[:, 2])]
    cells = [(size(item.size), said_of(item.cycles), item.ns.ns_text()) for item in found]
    ready = next((item for item in penalties(analysis) if item.cycles.n or not in_cycles), None)
    if ready is not None:
        price = ready.cycles if in_cycles else ready.ns
        series.append(Series("in a register", sizes[[0, -1]], *(np.full(2, value) for value in price[:3])))
        cells.insert(0, ("in a register", said_of(ready.cycles), ready.ns.ns_text()))
    ticks = sizes if len(sizes) <= 5 else sizes[:: math.ceil(len(sizes) / 5)]
    return lines(
        "branch-loaded",
        "Cost of a misprediction whose condition has to be loaded first",
        "One misprediction costs "
        + ", ".join(
            f"{plain(value, 3)} {unit} from {size(item.size)}" for item, value in zip(found, values[:, 0], strict=True)
        )
        + (f", against {plain(series[1].y[0], 3)} with the condition in a register" if ready is not None else "")
        + ". The mistake shows only when the data is there. "
        + ("Shaded: the notes' 10 to 20 cycles. " if in_cycles else "")
        + ground(any(item.counted for item in found)),
        table(
            "One misprediction by where its condition comes from, paired by round",
            ("condition", "cycles", "time"),
            cells,
        ),
        series,
        x=Axis("size of the buffer", log=True, write=size, ticks=[float(tick) for tick in ticks]),
        y=Axis(f"{unit} per misprediction", from_zero=True),
        marks=[(value, word) for word, value in caches(analysis.machine) if sizes[0] <= value <= sizes[-1]],
        shades=[Shade(*NOTES_CYCLES, "the notes", of_y=True)] if in_cycles else [],
    )


@shows("branch/capacity")
def capacity_figure(analysis: Analysis) -> Figure | None:
    """Steady cost by period, with the knee."""
    item = capacity(analysis)
    if item is None:
        return None
    knee = item.knee
    said = (
        f"Half of the way is passed at {powers(knee.value)} outcomes ({said_of(knee)})."
        if knee.n
        else "No knee in this range: the longest pattern costs hardly more than the shortest."
    )
    cells = [
        (powers(period), with_bounds(cost, low, high))
        for period, cost, low, high in zip(item.period, item.cost, item.low, item.high, strict=True)
    ]
    if knee.n:
        cells.append(("knee, outcomes", said_of(knee)))
    return lines(
        "branch-capacity",
        "How long a pattern the predictor keeps",
        f"A random pattern that repeats costs {plain(item.floor.value, 3)} {item.unit} an element with a period of "
        f"{powers(item.period[0])} and {plain(item.ceiling.value, 3)} with {powers(item.period[-1])}. {said}",
        table(f"{item.unit.capitalize()} per element by period of the pattern", ("period", "cost"), cells),
        [Series("", item.period, item.cost, item.low, item.high)],
        x=Axis(
            "period of the pattern, outcomes",
            log=True,
            write=powers,
            ticks=[float(4**power) for power in range(2, 11) if item.period[0] <= 4**power <= item.period[-1]][::2],
        ),
        y=Axis(f"{item.unit} per element", from_zero=True),
        marks=[(knee.value, f"knee at {powers(knee.value)}")] if knee.n else [],
        shades=[Shade(knee.low, knee.high)] if math.isfinite(knee.low) else [],
    )


@shows("branch/learning")
def learning_figure(analysis: Analysis) -> Figure | None:
    """Cost by pass over the same array."""
    found = learning(analysis)
    if not found:
        return None
    unit = found[0].unit
    found = [item for item in found if item.unit == unit]
    passes = found[0].passes
    cells = [
        (
            count(item.n),
            *(with_bounds(*bounds) for bounds in zip(item.cost, item.low, item.high, strict=True)),
            f"×{said_of(item.gain)}",
        )
        for item in found
    ]
    return lines(
        "branch-learning",
        "How an array that was random becomes known by heart",
        "; ".join(
            f"{count(item.n)} outcomes: {plain(item.cost[0], 3)} {unit} an element at the first pass, "
            f"{plain(item.cost[-1], 3)} at pass {count(item.passes[-1])}"
            for item in found
        )
        + ". A benchmark that repeats a small array measures a machine that knows it.",
        table(
            f"{unit.capitalize()} per element by pass over the same random array",
            ("outcomes", *(f"pass {count(number)}" for number in passes), "first ÷ last"),
            cells,
        ),
        [Series(f"n = {count(item.n)}", item.passes, item.cost, item.low, item.high) for item in found],
        x=Axis("pass over the same array", log=True, ticks=[float(number) for number in passes]),
        y=Axis(f"{unit} per element", from_zero=True),
    )


FOOTPRINT = lines_by(
    "branch/footprint",
    "jumps",
    title="How many different jumps the machine keeps in mind",
    says="{each}. Where only the taken ones rise, their targets no longer fit.",
    unit="jump",
    caption="A jump by the number of different jumps",
    groups="kind",
    group_labels={"never": "never taken"},
    cycles=True,
    x_label="different jumps",
    x_format=powers,
    x_word="jumps",
)


def _compiled_by(kernel: str, parameter: str, control: str, title: str) -> Picture:
    """Bars of one loop that was compiled in several ways, by what its data is, and their ratios to the `control`."""

    def draw(analysis: Analysis) -> Figure | None:
        found = grid(analysis, kernel)
        words = list(dict.fromkeys(str(row.parameter(parameter)) for row in found.rows))
        data = list(dict.fromkeys(str(row.parameter("data")) for row in found.rows))
        if control not in words:
            return None
        groups, cells, said = [], [], []
        for kind in data:
            bars = []
            for word in words:
                place = found.find(**{parameter: word, "data": kind})
                if place is None:
                    continue
                factor = quotient(found, place, found.find(**{parameter: control, "data": kind}))
                bars.append(Bar(word, *found.bounds(place), colour=words.index(word)))
                cells.append((f"{word}, data {kind}", with_bounds(*found.bounds(place)), f"×{said_of(factor)}"))
                if word != control and kind != "random":
                    said.append(f"{word} on {kind} data ×{plain(factor.value, 3)}")
            groups.append(Group(f"data {kind}", bars))
        return figures.bars(
            kernel.replace("/", "-"),
            title,
            f"Against {control}: {', '.join(said)}. All-true and all-false data is never mispredicted: what differs is "
            "where the compiler put the block.",
            table(
                f"{found.unit.capitalize()} per turn, and the ratio to {control} on the same data, paired by round",
                ("loop", found.unit, f"÷ {control}"),
                cells,
            ),
            groups,
            x_label=f"{found.unit} per turn",
        )

    return Picture((kernel,), draw)


LIKELY = _compiled_by("branch/likely", "hint", "plain", "Effect of a hint to the compiler")


PGO = _compiled_by("branch/pgo", "training", "none", "Effect of a measured profile")


def mispredicted(analysis: Analysis) -> Rung | None:
    """The rung of a misprediction, its condition in a register."""
    for item in penalties(analysis):
        if item.ns.n:
            label = "mispredict a branch, its condition in a register"
            return Rung(label, item.case, item.ns, item.cycles, headline=True)
    return None


TOPIC = Topic(
    "branch",
    figures=(
        rate_figure,
        penalty_figure,
        loaded_figure,
        capacity_figure,
        learning_figure,
        FOOTPRINT,
        LIKELY,
        PGO,
    ),
    rungs=(mispredicted,),
)
