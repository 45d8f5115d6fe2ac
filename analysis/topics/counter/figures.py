"""Shared counts: what they cost, and how wrong they may be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, front, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count, plain, powers
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.counter.measures import counter_points, sloppy
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED
from fencepost.analysis.topics.pictures import bars_by, lines_by, shows
from fencepost.analysis.topics.rungs import alone, step
from fencepost.analysis.topics.topic import Topic


@shows("counter/error")
def front_figure(analysis: Analysis) -> Figure | None:
    """Cost of an increment against the error of a quick reading."""
    points = counter_points(analysis)
    if len(points) < 2:
        return None
    best = [point for point in points if point.front]
    return front(
        "counter-front",
        "The price of exactness: an increment against the error of a quick reading",
        f"Counters that one load reads, all threads counting. Nothing is cheaper and as exact as those joined: from "
        f"{best[0].name} ({plain(best[0].ns.value, 3)} ns, off by up to {count(best[0].error.value)}) to "
        f"{best[-1].name} ({plain(best[-1].ns.value, 3)} ns, off by {count(best[-1].error.value)}). Counters that are "
        "read by summing up slots are exact and as cheap as a private one; their price is the reading.",
        table(
            "Counters that one load reads: cost with all threads counting, error of a reading beside the exact sum",
            ("counter", "increment", "largest error seen", "99 % of readings", "bound", "on the front"),
            [
                (
                    point.name,
                    point.ns.ns_text(),
                    point.error.text(),
                    count(point.p99),
                    count(point.bound),
                    "yes" if point.front else "no",
                )
                for point in points
            ],
        ),
        [(point.name, point.ns.value, point.error.value, point.front) for point in points],
        x_label="ns per increment",
        y_label="largest error of a reading",
    )


def _alone_and_all(rows: Sequence[Row]) -> list[Row]:
    """Rows of the smallest and of the largest team whose threads have a CPU each."""
    own = [row for row in rows if row.relation != OVERSUBSCRIBED]
    sizes = {choose((len(row.cpus) for row in own), default=0) for choose in (min, max)}
    return [row for row in own if len(row.cpus) in sizes]


def _wrong(row: Row) -> str:
    lost = row.metric("lost_pct").value
    return f"{plain(row.time.value, 3)} ns, loses {plain(lost, 2)} %" if lost > 0 else ""


INCREMENT = bars_by(
    "counter/increment",
    "kind",
    title="Cost of an increment, by the way in which threads share the counter",
    says="From {least} ({least_of}) to {most} ({most_of}). `racy` is the control that is wrong.",
    unit="increment",
    caption="An increment by the way of sharing",
    heading="counter",
    groups="threads",
    group_labels=lambda threads: "one thread" if threads == "1" else f"{threads} threads",
    where=_alone_and_all,
    metrics={"lost_pct": "lost", "xraw": "÷ raw round trip"},
    order="cheapest",
    said=_wrong,
)


@shows("counter/sloppy")
def sloppy_figure(analysis: Analysis) -> Figure | None:
    """Cost by threshold, one line a number of threads."""
    found = sloppy(analysis)
    if not found:
        return None
    thresholds = found[0].threshold
    cells = [
        (
            f"{item.threads} thread{'s' * (item.threads > 1)}",
            f"×{item.gain.text()}",
            item.knee.text() if item.knee.n else DASH,
            *(
                next((plain(item.ns[i], 3) for i in np.flatnonzero(item.threshold == number)), DASH)
                for number in thresholds
            ),
        )
        for item in found
    ]
    most = found[-1]
    knee = f" From a threshold of {most.knee.text()} on it is less than twice that." if most.knee.n else ""
    return lines(
        "counter-sloppy",
        "Counting alone, and telling the others only now and then",
        f"With {most.threads} threads an increment falls from {plain(most.ns[0], 3)} ns, each told at once, to "
        f"{plain(most.ns[-1], 3)} ns.{knee}",
        table(
            "ns an increment by threshold, and where it is less than twice the least",
            ("threads", "first ÷ last", "knee", *(count(number) for number in thresholds)),
            cells,
        ),
        [Series(f"{i.threads} thread{'s' * (i.threads > 1)}", i.threshold, i.ns, i.low, i.high) for i in found],
        x=Axis(
            "threshold, increments",
            log=True,
            write=powers,
            ticks=[float(16**power) for power in range(5) if thresholds[0] <= 16**power <= thresholds[-1]],
        ),
        y=Axis("ns per increment", log=True),
        marks=[(most.knee.value, f"knee at {count(round(most.knee.value))}")] if most.knee.n else [],
    )


READ = lines_by(
    "counter/read",
    "slots",
    title="Cost of the exact reading of a counter that is spread over slots",
    says="{each}. Slots that have been written since the last reading come from the other CPU.",
    unit="reading",
    caption="An exact reading by the number of slots",
    groups="state",
    metrics={"writes_per_operation": "writes met"},
    x_word="slots",
)


TOPIC = Topic(
    "counter",
    figures=(front_figure, INCREMENT, sloppy_figure, READ),
    tables_only=("counter/refcount", "counter/staleness"),
    rungs=(
        step(
            "atomic addition to a counter that nobody else wants",
            "counter/increment",
            alone(kind="atomic"),
            headline=True,
        ),
    ),
)
