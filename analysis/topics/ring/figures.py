"""Rings between threads."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.draw.figure import Bar, Figure, Group, Series
from fencepost.analysis.draw.lines import ecdf
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count, nanoseconds, plain
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.pictures import bars_by, lines_by, shows
from fencepost.analysis.topics.ring.overwriting import burst_figure, steady_figure
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

CAPACITY = lines_by(
    "ring/spsc",
    "capacity",
    name="ring-capacity",
    title="The library's SPSC ring: 8-byte items, by capacity",
    says="From {least} ({least_of}) to {most} ({most_of}). Lower is faster.",
    unit="item",
    caption="An item by capacity and batch",
    groups="batch",
    group_labels=lambda batch: f"batch {batch}",
    where={"bytes": 8, "pause": "yes"},
    metrics={"xraw": "÷ raw round trip"},
    x_label="items that fit into the ring",
    x_word="places",
)


LOCKLESS = ("spsc", "cached", "batched", "naive", "shared_line", "seq_cst")


LOCKED = ("spin_lock", "mutex_spin")


SLEEPING = ("eventfd", "mutex_condvar", "pipe")


KINDS = {"no lock": LOCKLESS, "a lock, retried": LOCKED, "asleep while refused": SLEEPING}


ONE_SIDED = 0.5
"""Three of four refusals are of one kind from here on."""


def regime_word(row: Row) -> str:
    """Which side waited, from the refusals that each met."""
    full, empty, regime = (row.metric(name).value for name in ("full_per_item", "empty_per_item", "regime"))
    if not math.isfinite(regime):
        return DASH
    if full + empty == 0:
        return "no refusals"
    return "mostly empty" if regime < -ONE_SIDED else "mostly full" if regime > ONE_SIDED else "balanced"


def _design(row: Row) -> str:
    return row.kernel.removeprefix("ring/").removesuffix("_round_trip")


def _kind(row: Row) -> str:
    name = _design(row)
    return next(kind for kind, names in KINDS.items() if name in names)


DESIGNS = bars_by(
    tuple(f"ring/{name}" for names in KINDS.values() for name in names),
    "kernel",
    name="ring-designs",
    title="An item, by how the ring is made",
    says="8-byte items one at a time through 1024 places, from {least} ({least_of}) to {most} ({most_of}). That there "
    "is no lock does not make a ring fast. That the two sides seldom touch each other's lines does.",
    unit="item",
    caption="8-byte items, one at a time, 1024 places, a spin hint after a refusal",
    heading="ring",
    groups=_kind,
    group_heading="refused",
    group_labels={kind: kind for kind in KINDS},
    where={"capacity": 1024, "bytes": 8, "batch": 1, "pause": "yes"},
    metrics={"xraw": "÷ raw round trip", "full_per_item": "full / item", "empty_per_item": "empty / item"},
    columns={"regime": regime_word},
    order="cheapest",
)


ROUND_TRIP = bars_by(
    tuple(f"ring/{name}_round_trip" for names in KINDS.values() for name in names),
    _design,
    name="ring-round-trip",
    title="There and back: how many round trips of a line it takes",
    says="An 8-byte item to the other thread and back over two rings, in raw round trips of a line: from {least} "
    "({least_of}) to {most} ({most_of}). One is a single line that both sides write. Two is a line for each way, "
    "which its writer takes back each time. Less is possible where this overlaps the wait for the answer.",
    unit="raw round trips of a line",
    caption="An 8-byte item there and back over two rings, no spin hint",
    heading="ring",
    groups=_kind,
    group_heading="refused",
    group_labels={kind: kind for kind in KINDS},
    where={"capacity": 1024, "bytes": 8, "pause": "no"},
    value="xraw",
    value_heading="÷ raw round trip",
    columns={"a round trip": Row.time_text},
    order="cheapest",
    beside=Group("the hardware", [Bar("1 raw round trip", 1.0, colour=3), Bar("2 raw round trips", 2.0, colour=3)]),
)


@shows("ring/latency")
def latency_figure(analysis: Analysis) -> Figure | None:
    """How long items took at a fixed rate, by design."""
    rows = [row for row in analysis.kernel("ring/latency") if row.case in analysis.reduced.histograms]
    rows = sorted((row for row in rows if math.isfinite(row.time.value)), key=lambda row: row.time.value)
    gaps = sorted({row.number("gap_ns") for row in rows})
    if not gaps:
        return None
    series = []
    for row in rows:
        if row.number("gap_ns") == gaps[0]:
            histogram = analysis.reduced.histograms[row.case]
            # What the two counters are apart can make an event negative, which has no place on a logarithmic axis.
            x = np.maximum(np.asarray(histogram.ns, float), 1.0)
            share = np.cumsum(histogram.count) / histogram.count.sum()
            series.append(Series(str(row.parameter("design")), x, share))
    first = rows[0]
    return ecdf(
        "ring-latency",
        "How long an item takes that nobody keeps waiting",
        f"An item every {count(gaps[0])} ns, from when it was due to be sent to when it has come. Fastest is "
        f"{first.parameter('design')}: half of its items take at most {nanoseconds(first.quantiles['p50'], 3)}, "
        f"99.9 % at most {nanoseconds(first.quantiles['p99_9'], 3)}. Items that were sent late count from when they "
        f"were due: {plain(first.metric('late_pct').value, 2)} % here, whose sender had lost its CPU. "
        f"{_offset_remark(analysis)}",
        table(
            "Latency at a fixed rate",
            ("ring", "an item every", "p50", "p99", "p99.9", "p50 ÷ raw round trip", "sent late"),
            [
                (
                    str(row.parameter("design")),
                    nanoseconds(row.number("gap_ns"), 3),
                    *(nanoseconds(row.quantiles[name], 3) for name in ("p50", "p99", "p99_9")),
                    row.xraw_text(),
                    f"{plain(row.metric('late_pct').value, 2)} %",
                )
                for row in rows
            ],
        ),
        series,
        x_label="ns from due to received",
    )


def _offset_remark(analysis: Analysis) -> str:
    for row in analysis.kernel("clock/offset"):
        low, high = (row.ns_of(name) for name in ("offset_low_ticks", "offset_high_ticks"))
        if low.known and high.known and row.cpus == (1, 0):
            return (
                "The counters of the two CPUs are apart by something between "
                f"{plain(-high.value, 3)} and {plain(-low.value, 3)} ns, which is in every event alike."
            )
    return "The distance of the two CPUs' counters is in every event alike. clock/offset bounds it."


SLOWED = {
    "producer": "the producer works: ring mostly empty",
    "both": "both work: ring half full",
    "consumer": "the consumer works: ring mostly full",
}


REGIME = bars_by(
    "ring/regime",
    "design",
    title="Cost of an item beside work, when it is known which side waits",
    says="Time of an item less the work beside it, from {least} ({least_of}) to {most} ({most_of}). Near zero, the "
    "hand-over hides behind the work. Where the ring is empty each item is waited for. Where there are items and "
    "room, only a ring whose sides look at each other's lines for every item still shows it.",
    unit="item, less the work",
    caption="An item less the work beside it",
    heading="ring",
    groups="slowed",
    group_heading="who works",
    group_labels=SLOWED,
    value="beyond_ticks",
    value_heading="beyond the work",
    metrics={"work_ticks": "the work"},
    columns={"regime": regime_word},
    order="cheapest",
)


TOPIC = Topic(
    "ring",
    figures=(
        DESIGNS,
        CAPACITY,
        ROUND_TRIP,
        latency_figure,
        REGIME,
        burst_figure,
        steady_figure,
    ),
    tables_only=("ring/mpmc*", "ring/mpsc*", "ring/one_cpu*", "ring/overwrite_cost", "ring/printk", "ring/spsc_lazy*"),
    rungs=(
        step(
            "an item to another thread and back, over rings",
            "ring/spsc_round_trip",
            with_values(pause="no"),
            cycles=False,
            headline=True,
        ),
    ),
)
