"""Fences, by what is under way when they come."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import Interval, above
from fencepost.analysis.text.numbers import plain
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.analysis.topics.fence.measures import CONTEXTS, Cost, Costs, cheapest_full, costs
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import Topic

BARRIER_OF_THE_COMPILER = "compiler"


NOTHING = 0.05
"""Below this, in cycles or ns, a cost whose interval holds 0 is written as 0."""


@shows("fence/cost")
def cost_figure(analysis: Analysis) -> Figure | None:
    """Bars of what each fence adds, by context."""
    found = costs(analysis)
    known = {key: item for key, item in found.items.items() if found.interval(item).n}
    if not known:
        return None
    drawn = [name for name in found.fences if _shows(found, name)]
    values = [found.interval(item).value for (fence, _), item in known.items() if fence in drawn]
    wide = bool(values) and max(values) > 20 * max(min(values), 1e-9)
    groups = []
    for context in found.contexts:
        items = [known[name, context] for name in drawn if (name, context) in known]
        groups.append(Group(_named(context), [_bar(found.interval(item), item) for item in items]))
    return figures.bars(
        "fence-cost",
        "Cost of a fence, by the work that is under way",
        _description(found, [name for name in found.fences if name not in drawn]),
        _cost_table(found, known),
        groups,
        x_label=f"{found.unit} added",
        x_scale="log" if wide else "linear",
        least=(0.5 if found.unit == "cycles" else 0.1) if wide else 0.0,
    )


def _named(context: str) -> str:
    return CONTEXTS.get(context, context)


def _description(found: Costs, free: Sequence[str]) -> str:
    """What the bars say; `free` are the fences that have none."""
    barrier = cheapest_full(found)
    sentences = []
    if barrier:
        cost = found.interval(barrier).text(found.unit)
        sentences.append(f"The cheapest full barrier, {barrier.fence}, adds {cost} {_named(barrier.context)}.")
    sentences.append("The same turn without a fence is subtracted, round by round.")
    if free:
        names = ", ".join(free)
        sentences.append(f"Not drawn, because they add no more than a barrier to the compiler alone: {names}.")
    sentences.append(
        "Blue: fence instructions; orange: locked operations and exchanges; green: C11 orders, as compiled."
    )
    return " ".join(sentences)


def _cost_table(found: Costs, known: Mapping[tuple[str, str], Cost]) -> Table:
    hidden = ["hidden in the chain"] if "chain" in found.contexts else []
    cells = []
    for name in found.fences:
        items = [known.get((name, context)) for context in found.contexts]
        row = [name, *(DASH if item is None else _added(found.interval(item)) for item in items)]
        if hidden:
            chained = known.get((name, "chain"))
            row.append(DASH if chained is None else _hidden(chained.hidden_pct))
        cells.append(row)
    caption = f"{found.unit.capitalize()} that a fence adds, by context: the same turn without it is subtracted"
    return table(caption, ["fence", *map(_named, found.contexts), *hidden], cells)


def _shows(found: Costs, name: str) -> bool:
    """Whether a fence costs more somewhere than telling the compiler alone, which is no instruction but keeps it from
    moving code.
    """
    for context in found.contexts:
        item, told = (found.items.get((fence, context)) for fence in (name, BARRIER_OF_THE_COMPILER))
        limit = max(0.0, found.interval(told).high) if told and math.isfinite(told.ns.high) else 0.0
        if item is not None and above(found.interval(item), limit + NOTHING):
            return True
    return False


def _bar(cost: Interval, item: Cost) -> Bar:
    colour = 2 if item.fence.startswith("c11_") else 1 if re.match("lock_|xchg|cmpxchg", item.fence) else 0
    nothing = cost.value <= 0 or (math.isfinite(cost.low) and cost.low <= 0)
    if item.hidden_pct.n and item.context == "chain":
        said = "all hidden" if nothing else f"{plain(cost.value, 3)} ({_hidden(item.hidden_pct)} hidden)"
    else:
        said = "none seen" if nothing else ""
    return Bar(item.fence, cost.value, cost.low, cost.high, colour, said)


def _added(cost: Interval) -> str:
    """A cost with its interval; 0 where it is nothing but rounding."""
    return "0" if cost.low <= 0 <= cost.high and max(-cost.low, cost.high) < NOTHING else cost.text()


def _hidden(share: Interval) -> str:
    return f"{plain(min(max(share.value, 0.0), 100.0), 2)} %" if share.n else DASH


def barrier(analysis: Analysis) -> Rung | None:
    """The rung of the cheapest full barrier."""
    item = cheapest_full(costs(analysis))
    if item is None:
        return None
    return Rung(f"full fence, the cheapest: {item.fence} {_named(item.context)}", item.case, item.ns, item.cycles)


TOPIC = Topic(
    "fence",
    figures=(cost_figure,),
    rungs=(barrier,),
)
