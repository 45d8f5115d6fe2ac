"""The cost of an operation by the number of threads that make it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Required, TypedDict, Unpack

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series, Shade
from fencepost.analysis.draw.lines import stacked
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Floats, Interval, columns_of, pooled
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import Table, table
from fencepost.analysis.topics.declared import check_fields
from fencepost.analysis.topics.pictures import FAR_APART, Picture

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


# ---- its picture ----


FIELDS = ("threads", "least", "least_of", "most", "most_of", "fairness", "fairness_of", "each")
"""Fields of a crowd's sentence: the largest number of threads, the least and the greatest cost there and the lowest
fairness, and whose they are; each line's largest team with a CPU for each thread, against one thread alone.
"""


class CrowdOptions(TypedDict, total=False):
    """What the picture of a crowd says, as in `fencepost.analysis.topics.declared.Options`."""

    title: Required[str]
    says: Required[str]
    unit: Required[str]
    name: Required[str]
    caption: Required[str]
    where: Mapping[str, object]
    metrics: Mapping[str, str]


def crowds_by(kernel: str, by: str, **options: Unpack[CrowdOptions]) -> Picture:
    """Cost of an operation by the number of threads, a line for each value of a parameter, and the fairness beneath.
    Where there are more threads than CPUs, the picture is shaded. Its sentence may have the `FIELDS` above.
    """
    check_fields(kernel, options["says"], FIELDS)

    def draw(analysis: Analysis) -> Figure | None:
        measured = grid(analysis, kernel)
        found = [item for item in crowds(measured, by, **options.get("where", {})) if len(item.threads) > 1]
        if not found:
            return None
        # From the highest line down, so that names and lines come in the same order.
        ordered = sorted(found, key=lambda item: -float(item.ns[-1]))
        threads = sorted({float(number) for item in found for number in item.threads})
        values = np.concatenate([item.ns for item in found])
        wide = values.max() > FAR_APART * values.min()
        return stacked(
            options["name"],
            options["title"],
            options["says"].format(**_said(measured, found)),
            _table(found, options["caption"], options.get("metrics", {})),
            [Series(item.name.replace("_", " "), item.threads, item.ns, item.low, item.high) for item in ordered],
            [Series(item.name, item.threads, item.fairness) for item in ordered],
            x_label="threads",
            y_label=f"ns per {options['unit']}",
            beneath_label="fairness",
            x_ticks=threads if len(threads) <= 8 else threads[:: math.ceil(len(threads) / 8)],
            y_scale="log" if wide else "linear",
            shades=_shade(found, threads),
        )

    return Picture((kernel,), draw)


def _said(measured: Grid, found: Sequence[Crowd]) -> dict[str, str]:
    threads = max(float(item.threads[-1]) for item in found)
    last = sorted((item for item in found if item.threads[-1] == threads), key=lambda item: float(item.ns[-1]))
    unfair = min(last, key=lambda item: float(item.fairness[-1]))
    steps = [(item.name, *step(measured, item)) for item in found]
    return {
        "threads": count(threads),
        "least": f"{plain(last[0].ns[-1], 3)} ns",
        "least_of": last[0].name,
        "most": f"{plain(last[-1].ns[-1], 3)} ns",
        "most_of": last[-1].name,
        "fairness": plain(unfair.fairness[-1], 2),
        "fairness_of": unfair.name,
        "each": "; ".join(
            f"{name} with {count(number)} threads costs each of them {plain(ratio.value, 3)} times what it costs alone"
            for name, number, ratio in steps
            if ratio.n
        ),
    }


def _table(found: Sequence[Crowd], caption: str, metrics: Mapping[str, str]) -> Table:
    cells = [
        (
            item.name.replace("_", " "),
            count(item.threads[i]) + (" on fewer CPUs" if row.relation == OVERSUBSCRIBED else ""),
            row.time_text(),
            plain(item.fairness[i], 3),
            row.xraw_text(),
            *(row.metric(metric).text() for metric in metrics),
        )
        for item in found
        for i, row in enumerate(item.rows)
    ]
    return table(caption, ("", "threads", "time", "fairness", "÷ raw round trip", *metrics.values()), cells)


def _shade(found: Sequence[Crowd], threads: Sequence[float]) -> list[Shade]:
    own = max((float(item.threads[i]) for item in found for i in on_own_cpus(item)), default=math.nan)
    if not threads[-1] > own:
        return []
    first = math.sqrt(own * min(number for number in threads if number > own))
    return [Shade(first, threads[-1] * 1.1, "more threads than CPUs")]
