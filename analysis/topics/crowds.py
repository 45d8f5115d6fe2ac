"""The cost of an operation by the number of threads that make it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series, Span
from fencepost.analysis.draw.lines import stacked
from fencepost.analysis.runs.paired import Grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Floats, Interval, columns_of, pooled
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics import crowds as sharing

OVERSUBSCRIBED = "oversubscribed"
"""In place of a relation: more threads than CPUs."""


# ---- what a crowd costs ----


@dataclass(frozen=True)
class Crowd:
    """Cost of an operation by the number of threads, and the share of the slowest over that of the fastest."""

    name: str
    threads: Floats
    ns: Floats
    low: Floats
    high: Floats
    fairness: Floats
    rows: list[Row]
    places: list[int]


def crowds(table: Grid, by: str, **wanted: object) -> list[Crowd]:
    """Rows with these values by number of threads, one line a value of the parameter `by`."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(table.rows):
        if row.has(**wanted):
            found.setdefault(str(row.parameter(by)), []).append(place)
    result = []
    for name, places in found.items():
        places.sort(key=lambda place: len(table.rows[place].cpus))
        rows = [table.rows[place] for place in places]
        result.append(
            Crowd(
                name,
                np.array([len(row.cpus) for row in rows], float),
                *columns_of(row.time for row in rows),
                np.array([1.0 if row.single else row.metric("fairness").value for row in rows]),
                rows,
                places,
            )
        )
    return result


def on_own_cpus(crowd: Crowd) -> list[int]:
    """Indices of the points at which each thread has a CPU of its own."""
    return [i for i, row in enumerate(crowd.rows) if row.relation != OVERSUBSCRIBED]


def step(table: Grid, crowd: Crowd) -> tuple[int, Interval]:
    """The largest number of threads with CPUs of their own, and what an operation costs with it against alone."""
    own = on_own_cpus(crowd)
    if len(own) < 2:
        return 0, UNKNOWN
    first, last = crowd.places[own[0]], crowd.places[own[-1]]
    return int(crowd.threads[own[-1]]), table.ratio(last, first)


def slope(table: Grid, crowd: Crowd) -> Interval:
    """What each further thread adds to an operation, in ns, from two threads with CPUs of their own on; nothing with
    fewer than three such points.
    """
    own = [i for i in on_own_cpus(crowd) if crowd.threads[i] >= 2]
    if len(own) < 3:
        return UNKNOWN
    x = crowd.threads[own]
    places = [crowd.places[i] for i in own]
    # A slope is a sum of the values by these weights, and may be off by the steps by their amounts.
    weights = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    return pooled(table.ns[:, places] @ weights, table.steps[:, places] @ np.abs(weights))


def crowd_figure(
    name: str, title: str, description: str, caption: str, found: Sequence[sharing.Crowd], unit: str, *more: str
) -> Figure | None:
    """Cost by number of threads, fairness beneath, what is oversubscribed shaded. `more`: metrics for the table, as
    ``name=heading``.
    """
    found = [item for item in found if len(item.threads) > 1]
    if not found:
        return None
    own = max((float(item.threads[i]) for item in found for i in sharing.on_own_cpus(item)), default=math.nan)
    most = max(float(item.threads[-1]) for item in found)
    threads = sorted({float(number) for item in found for number in item.threads})
    extra = [word.partition("=")[::2] for word in more]
    cells = [
        (
            item.name.replace("_", " "),
            count(item.threads[i]) + (" on fewer CPUs" if row.relation == sharing.OVERSUBSCRIBED else ""),
            row.time.ns_text(),
            plain(item.fairness[i], 3),
            row.metric("xraw").text(),
            *(row.metric(metric).text() for metric, _ in extra),
        )
        for item in found
        for i, row in enumerate(item.rows)
    ]
    # From the highest line down, so that names and lines come in the same order.
    ordered = sorted(found, key=lambda item: -float(item.ns[-1]))
    shade = (
        [Span(math.sqrt(own * min(t for t in threads if t > own)), most * 1.1, "more threads than CPUs")]
        if most > own
        else []
    )
    values = np.concatenate([item.ns for item in found])
    return stacked(
        name,
        title,
        description,
        table(
            caption,
            ("", "threads", "time", "fairness", "÷ raw round trip", *(heading for _, heading in extra)),
            cells,
        ),
        [Series(item.name.replace("_", " "), item.threads, item.ns, item.low, item.high) for item in ordered],
        [Series(item.name, item.threads, item.fairness) for item in ordered],
        x_label="threads (log)",
        y_label=f"ns per {unit}" + (" (log)" if values.max() > 20 * values.min() else ""),
        beneath_label="fairness",
        x_ticks=threads if len(threads) <= 8 else threads[:: math.ceil(len(threads) / 8)],
        y_scale="log" if values.max() > 20 * values.min() else "linear",
        spans=shade,
    )
