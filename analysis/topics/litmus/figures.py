"""Outcomes that no interleaving explains: how often, in which order."""

from __future__ import annotations

import math
from dataclasses import replace

from fencepost.analysis.draw.bars import dots
from fencepost.analysis.draw.figure import Dot, Dots, Figure
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.litmus import measures
from fencepost.analysis.topics.litmus.measures import RENDEZVOUS, Rate
from fencepost.analysis.topics.orders import PLAIN
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.topic import Topic

START = 1.0
"""Where the axis of rates begins, in a million trials: no run is long enough for a smaller bound."""


@shows("litmus/*")
def rates_figure(analysis: Analysis) -> Figure | None:
    """Rates of weak outcomes by test and order; the table has every runner, with verdicts."""
    found = measures.rates(analysis)
    if not found:
        return None
    groups = []
    for test in dict.fromkeys(item.test for item in found):
        mine = [item for item in found if item.test == test]
        main = [item for item in mine if item.runner == RENDEZVOUS] or mine
        # Other runners beside it for the control alone: how much the runner decides.
        others = [item for item in mine if item not in main and item.order == PLAIN]
        groups.append(Dots(_heading(main), [_dot(item) for item in _grouped(main)] + [_dot(item) for item in others]))
    seen = sorted({item.test for item in found if item.weak and item.order == PLAIN})
    return dots(
        "litmus-rates",
        "Outcomes that no interleaving explains, in a million trials",
        f"Seen without a fence: {', '.join(seen) or 'none'}. Dot: median over processes, thick its interval, thin "
        "eight of ten processes. Hollow triangle: never seen; the rate is below it with 95 % confidence (exact). "
        "Runner: rendezvous, where no other is named.",
        table(
            "Weak outcomes by test, order and runner; forbidden ones must not be seen. Never seen: exact 95 % bound",
            ("test", "order", "runner", "verdict", "in a million", "8 of 10 processes", "a second", "weak", "trials"),
            [
                (
                    item.test,
                    item.order,
                    item.runner,
                    "forbidden" if item.forbidden else "allowed",
                    item.per_million.text() if item.weak else f"none, < {plain(item.bound, 2)}",
                    f"{plain(item.least, 3)} to {plain(item.most, 3)}" if item.weak else DASH,
                    item.per_second.text() if item.weak else DASH,
                    count(item.weak),
                    count(item.trials),
                )
                for item in found
            ],
        ),
        groups,
        x_label="weak outcomes in a million trials",
        start=START,
    )


def _heading(rates: list[Rate]) -> str:
    (test,) = {item.test for item in rates}
    return test if any(item.weak for item in rates) else f"{test}: never in any order"


def _grouped(rates: list[Rate]) -> list[Rate]:
    """Every order of a test that was weak in some; of one that never was, the order that was tried least."""
    if any(item.weak for item in rates):
        return rates
    least = max(rates, key=lambda item: item.bound)
    return [replace(least, order="all orders" if len(rates) > 1 else least.order)]


def _dot(item: Rate) -> Dot:
    label = item.order if item.runner == RENDEZVOUS else f"{item.order}, {item.runner}"
    if not item.weak:
        return Dot(label, math.nan, bound=item.bound, said=f"none, < {plain(item.bound, 2)}")
    value, low, high = item.per_million[:3]
    said = "" if value else f"median 0; {count(item.weak)} in all processes"
    return Dot(label, value, low, high, item.least, item.most, said=said)


TOPIC = Topic(
    "litmus",
    figures=(rates_figure,),
)
