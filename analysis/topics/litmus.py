"""Outcomes that no interleaving explains: how often, in which order."""

from __future__ import annotations

import math

from fencepost.analysis import figures, litmus
from fencepost.analysis.estimate import Analysis
from fencepost.analysis.figures import Bar, Figure, Group
from fencepost.analysis.tables import DASH, count, plain, table
from fencepost.analysis.topics import Topic

LEAST = 0.1
"""Where the axis of rates begins, in a million trials."""


def rates_figure(analysis: Analysis) -> Figure | None:
    """Rates of weak outcomes by test and order; the table is the verdicts beside what was seen."""
    found = litmus.rates(analysis)
    shown = [item for item in found if item.runner == litmus.RENDEZVOUS] or found
    if not shown:
        return None
    orders, tests = (list(dict.fromkeys(values)) for values in zip(*((i.order, i.test) for i in shown), strict=True))
    cell = {(item.test, item.order): item for item in shown}
    groups = []
    for test in tests:
        bars = []
        for order in orders:
            item = cell.get((test, order))
            if item is None or (not item.weak and order not in (litmus.CONTROL, "c11_seq_cst", "int")):
                continue
            value = item.per_million.value if item.weak else item.bound
            said = f"{plain(value, 3)}" if item.weak else f"none (< {plain(value, 2)})"
            low, high = (item.per_million.low, item.per_million.high) if item.weak else (math.nan, math.nan)
            bars.append(Bar(order, max(value, LEAST), low, high, 0 if item.weak else 7, said))
        groups.append(Group(test, bars))
    seen = sorted({item.test for item in shown if item.weak and item.order == litmus.CONTROL})
    return figures.bars(
        "litmus-rates",
        "Outcomes that no interleaving explains, in a million trials",
        f"Seen without a fence: {', '.join(seen) or 'none'}. Blue: median over processes with its interval. Grey: "
        "never seen; the bar ends at the exact 95 % bound. Orders that were never weak are in the table only.",
        table(
            "Weak outcomes in a million trials, and whether they must not be seen (forbidden); never seen: exact bound",
            ("test", *orders),
            [(test, *(_verdict(cell.get((test, order))) for order in orders)) for test in tests],
        ),
        groups,
        x_label="weak outcomes in a million trials (log)",
        x_scale="log",
        least=LEAST,
    )


def _verdict(item: litmus.Rate | None) -> str:
    if item is None:
        return DASH
    rate = (
        f"{plain(item.per_million.value, 3)}"
        if item.weak
        else f"none in {count(item.trials)}, < {plain(item.bound, 2)}"
    )
    return f"{rate}; {'forbidden' if item.forbidden else 'allowed'}"


TOPIC = Topic(
    "litmus",
    "What order others see",
    "Which orders of loads and stores does this processor show to another one, and which fence ends it?",
    "A weak outcome is one that no interleaving of the threads explains. `none` is what the processor does with "
    "accesses as they are written, the full fence beside it must end it; `int` adds what the compiler does. "
    "Rates differ between processes by factors of a hundred. A forbidden outcome that is seen fails its case.",
    "That something cannot happen: a bound is not a proof. Tests with dependencies.",
    figures=(rates_figure,),
    order=42,
)
