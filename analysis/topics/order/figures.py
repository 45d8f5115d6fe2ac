"""The bug that a fence prevents, and its price."""

from __future__ import annotations

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.interval import upper_bound
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.order.measures import break_even, losses
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.topic import Topic


@shows("order/peterson", "order/dekker")
def losses_figure(analysis: Analysis) -> Figure | None:
    """Price of a section by order, with what is lost beside it."""
    found = losses(analysis)
    if not found:
        return None
    groups = []
    for algorithm in dict.fromkeys(item.algorithm for item in found):
        bars = [
            Bar(
                item.order,
                *item.ns[:3],
                1 if item.lost else 0,
                f"{plain(item.ns.value, 3)} ns, "
                + (f"{plain(item.per_million.value, 2)} lost in a million" if item.lost else "none lost"),
            )
            for item in found
            if item.algorithm == algorithm
        ]
        groups.append(Group(algorithm, bars))
    ratio = break_even(analysis)
    pays = f" membarrier(2) pays from {ratio.text()} fast turns for each slow one." if ratio.n else ""
    return figures.bars(
        "order-losses",
        "Two threads under a textbook lock: price of a section, and additions lost",
        f"Orange: additions were lost.{pays}",
        table(
            "A section by algorithm and order: its price, and additions lost; where none was, the exact 95 % bound",
            ("algorithm", "order", "section", "lost in a million", "lost", "of"),
            [
                (
                    item.algorithm,
                    item.order,
                    item.ns.ns_text(),
                    item.per_million.text() if item.lost else f"none, < {plain(upper_bound(item.sections) * 1e6, 2)}",
                    count(item.lost),
                    count(item.sections),
                )
                for item in found
            ],
        ),
        groups,
        x_label="ns per section",
    )


TOPIC = Topic(
    "order",
    figures=(losses_figure,),
    tables_only=("order/membarrier",),
)
