"""One entry a topic: its question, how to read its figures, what they do not show, and which figures to draw.

A topic is the part of a kernel's name before the slash. A topic without an entry here, a user's own, gets a section in
general terms.
"""

from __future__ import annotations

import functools
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fencepost.analysis import derive, figures
from fencepost.analysis.estimate import Analysis, records
from fencepost.analysis.figures import Figure, Point, Series
from fencepost.analysis.tables import (
    DASH,
    Table,
    bounds,
    case_label,
    count,
    nanoseconds,
    ns_bounds,
    ns_with_bounds,
    plain,
    size,
    size_bytes,
    table,
    with_bounds,
)


@dataclass(frozen=True)
class Topic:
    """What a section of the report says about a topic."""

    name: str
    title: str
    question: str
    how_to_read: str
    not_shown: str
    figures: tuple[Callable[[Analysis], Figure | None], ...] = ()

    @property
    def slug(self) -> str:
        """The name for ids and file names: a run folder edited by hand may hold anything as a kernel's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "topic"

    @property
    def command(self) -> str:
        """The command that repeats just this section."""
        return f"fencepost run {shlex.quote(self.name + '/*')}"


@dataclass(frozen=True)
class Section:
    """A topic with the figures and tables that a run has for it."""

    topic: Topic
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = field(default=())


def sections(analysis: Analysis) -> list[Section]:
    """One section for each topic with a case in the run: known topics in their order, others after them by name."""
    names = set(analysis.rows["kernel"].str.partition("/")[0]) if len(analysis.rows) else set()
    known = [topic for topic in TOPICS if topic.name in names]
    strange = [generic_topic(name) for name in sorted(names - {topic.name for topic in TOPICS})]
    result = []
    for topic in [*known, *strange]:
        draws = topic.figures or (functools.partial(rows_figure, topic=topic),)
        drawn = [draw(analysis) for draw in draws] if analysis.rounds else []
        result.append(
            Section(topic, tuple(item for item in drawn if item is not None), tuple(topic_tables(analysis, topic.name)))
        )
    return result


def generic_topic(name: str) -> Topic:
    """The entry of a topic that this file does not know."""
    return Topic(
        name,
        name.capitalize(),
        f"What do the kernels of the topic {name} cost on this machine?",
        "Each row is the median over processes, each process's value being the median of its batches; the brackets "
        "hold the true median with "
        "95 % confidence. The floor is the smallest batch of all.",
        "What these kernels leave out is said in the comment at the top of each kernel's file: `fencepost show "
        "KERNEL` prints it.",
    )


# ---- tables that every topic has ----


def topic_tables(analysis: Analysis, topic: str) -> list[Table]:
    """All rows of a topic: estimates; quantiles of single events; figures beside time."""
    rows = analysis.rows[analysis.rows["kernel"].str.partition("/")[0] == topic]
    measured = rows[rows["ns"].notna()]
    found = []
    if len(measured):
        found.append(
            estimates_table(f"Estimates of the topic {topic}: median over processes with its 95 % interval", measured)
        )
    events = [row for row in records(measured) if row["quantiles"]]
    if events:
        found.append(
            table(
                "Single events, those of all processes together: how they are distributed (no interval: these are "
                "not estimates)",
                ("case", "min", "p50", "p90", "p99", "p99.9", "max", "distinct values", "events"),
                [
                    (
                        row["case"],
                        *(
                            nanoseconds(row["quantiles"].get(name), 3)
                            for name in ("min", "p50", "p90", "p99", "p99_9", "max")
                        ),
                        count(row["quantiles"].get("distinct")),
                        count(row["quantiles"].get("events")),
                    )
                    for row in events
                ],
            )
        )
    metrics = [
        (row["case"], item["summary"] or name, _metric(item))
        for row in records(measured)
        for name, item in row["metrics"].items()
        if not derive.is_distance(name)
    ]
    if metrics:
        found.append(
            table(
                "Figures beside time, one a process: median over processes with its 95 % interval",
                ("case", "what", "value"),
                metrics,
            )
        )
    return found


MOST_ROWS = 40


def rows_figure(analysis: Analysis, topic: Topic) -> Figure | None:
    """Forest plot of all rows of a topic that has no figures of its own; None for a single row, or for too many to
    be read.
    """
    rows = analysis.rows[
        (analysis.rows["kernel"].str.partition("/")[0] == topic.name) & analysis.rows["twin_of"].isna()
    ]
    rows = rows[rows["ns"].notna() & (rows["ns"] > 0)].sort_values("ns")
    if not 2 <= len(rows) <= MOST_ROWS:
        return None
    variants = sorted({str(kernel) for kernel in rows["kernel"]})
    places = len({tuple(cpus) for cpus in rows["cpus"]})
    points, groups, cells = [], [], []
    for row in records(rows):
        words = [row["kernel"].partition("/")[2], *(f"{name}={value}" for name, value in row["parameters"].items())]
        words += ["cpu" + ",".join(map(str, row["cpus"]))] if places > 1 else []
        label = " ".join(words)
        points.append(Point(label, row["ns"], row["ns_low"], row["ns_high"]))
        groups.append(variants.index(row["kernel"]))
        cells.append((label, ns_with_bounds(row["ns"], row["ns_low"], row["ns_high"]), remarks(row)))
    wide = points[-1].value > 20 * points[0].value
    return figures.forest(
        f"{topic.slug}-rows",
        "All rows, cheapest first",
        f"From {points[0].label} at {nanoseconds(points[0].value, 3)} to {points[-1].label} at "
        f"{nanoseconds(points[-1].value, 3)}, with 95 % intervals.",
        table("All rows, cheapest first", ("row", "time per operation", "remarks"), cells),
        points,
        x_label="ns per operation" + (" (log)" if wide else ""),
        x_scale="log" if wide else "linear",
        from_zero=not wide,
        groups=groups,
    )


def estimates_table(caption: str, rows: pd.DataFrame) -> Table:
    """Rows of `estimate_cases` as a table of texts."""
    return table(
        caption,
        ("case", "time per operation", "interval", "cycles", "interval", "floor", "rounds", "remarks"),
        [
            (
                row["case"],
                nanoseconds(row["ns"]),
                ns_bounds(row["ns"], row["ns_low"], row["ns_high"]),
                plain(row["cycles"]),
                bounds(row["cycles_low"], row["cycles_high"]),
                nanoseconds(row["floor_ns"]),
                str(row["rounds"]),
                remarks(row),
            )
            for row in records(rows)
        ],
    )


def remarks(row: Mapping[str, Any]) -> str:
    """Flags of a row in words; modes with their shares."""
    words = [name.replace("_", " ") for name in row["flags"] if name != "modes"]
    if row["modes"]:
        words.append("modes " + ", ".join(f"{nanoseconds(mode.ns, 3)} ({mode.share:.0%})" for mode in row["modes"]))
    if row["twin_of"]:
        words.append("A/A twin")
    return "; ".join(words)


def _metric(item: Mapping[str, Any]) -> str:
    unit = str(item["unit"])
    text = with_bounds(item["value"], item["low"], item["high"])
    if unit == "Hz":
        text, unit = with_bounds(*(item[name] / 1e9 for name in ("value", "low", "high"))), "GHz"
        if abs(item["value"]) < 1e9:
            text, unit = with_bounds(*(item[name] / 1e6 for name in ("value", "low", "high"))), "MHz"
    text = f"{text} {'' if unit == '1' else unit}".strip()
    return f"{text} = {ns_with_bounds(item['ns'], item['ns_low'], item['ns_high'])}" if "ns" in item else text


# ---- clock ----


def delta_figure(analysis: Analysis) -> Figure | None:
    """ECDF of differences of two readings in a row, one curve a way of reading."""
    rows = [row for row in records(analysis.kernel("clock/delta")) if row["case"] in analysis.reduced.histograms]
    series, cells = [], []
    for row in sorted(rows, key=lambda row: row["ns"]):
        histogram = analysis.reduced.histograms[row["case"]]
        total = histogram.count.sum()
        # Zero has no place on a logarithmic axis: what is below half a step of the counter is drawn there.
        least = 0.5 * max(row["resolution_ns"], 0.1)
        x = np.maximum(histogram.ns, least)
        label = (
            case_label(row["parameters"])
            if len(row["parameters"]) != 1
            else str(next(iter(row["parameters"].values())))
        )
        series.append(Series(label, x, np.cumsum(histogram.count) / total))
        quantiles = row["quantiles"]
        cells.append(
            (
                label,
                *(nanoseconds(quantiles[name], 3) for name in ("min", "p50", "p99", "p99_9", "max")),
                count(quantiles["distinct"]),
            )
        )
    if not series:
        return None
    return figures.ecdf(
        "clock-delta",
        "How far apart two readings of the clock in a row are",
        f"Share of differences at or below a time, for {len(series)} ways of reading; the further to the right, "
        "the dearer the way. " + _steps_remark(analysis) + "The long tails are gaps in which something else ran.",
        table(
            "Differences of two readings in a row",
            ("reading", "min", "p50", "p99", "p99.9", "max", "distinct values"),
            cells,
        ),
        series,
        x_label="time between two readings, ns (log)",
    )


def _steps_remark(analysis: Analysis) -> str:
    quantum = float(analysis.reduced.workers["quantum_ticks"].median())
    step = quantum / derive.tick_hz(analysis).value * 1e9
    return (
        f"The counter moves in steps of {count(quantum)} ticks ({plain(step, 3)} ns), so the curves are stairs. "
        if quantum > 4
        else ""
    )


def core_figure(analysis: Analysis) -> Figure | None:
    """GHz in the course of time."""
    found = derive.core_series(analysis)
    if not found:
        return None
    item = found[0]
    low, middle, high = (float(value) for value in np.quantile(item.ghz, [0.01, 0.5, 0.99]))
    ticks = derive.tick_hz(analysis).value / 1e9
    cells = [
        ("median", f"{plain(middle)} GHz"),
        ("1st percentile", f"{plain(low)} GHz"),
        ("99th percentile", f"{plain(high)} GHz"),
        ("tick counter", f"{plain(ticks)} GHz"),
        ("length", f"{plain(float(item.seconds[-1]), 3)} s, {len(item.ghz)} samples"),
    ]
    return figures.lines(
        "clock-core",
        "The core's clock in the course of time",
        f"Clock of the busy core every few milliseconds during {plain(float(item.seconds[-1]), 2)} s: median "
        f"{plain(middle)} GHz, between {plain(low)} "
        f"(1st percentile) and {plain(high)} GHz (99th). The tick counter runs at {plain(ticks)} GHz throughout.",
        table("The core's clock in the course of time", ("what", "value"), cells),
        [Series("", item.seconds, item.ghz)],
        x_label="seconds",
        y_label="core clock, GHz",
        markers=False,
    )


def states_figure(analysis: Analysis) -> Figure | None:
    """The core clock by state."""
    found = [item for item in derive.core_clocks(analysis) if item.ghz.n]
    if not found:
        return None
    ticks = derive.tick_hz(analysis)
    points = [Point(item.label, item.ghz.value, item.ghz.low, item.ghz.high) for item in found]
    points.append(Point("tick counter", ticks.value / 1e9, ticks.low / 1e9, ticks.high / 1e9))
    return figures.forest(
        "clock-states",
        "The core's clock by what it did before, and the tick counter",
        "Median over processes and 95 % interval: "
        + ", ".join(f"{point.label} {plain(point.value, 3)} GHz" for point in points)
        + ".",
        table(
            "The core's clock by state",
            ("state", "GHz", "interval"),
            [(p.label, plain(p.value), bounds(p.low, p.high)) for p in points],
        ),
        points,
        x_label="GHz",
        groups=[*(0 for _ in found), 1],
    )


def cost_figure(analysis: Analysis) -> Figure | None:
    """Forest plot of what each clock costs."""
    rows = analysis.kernel("clock/call", "clock/read", "clock/python", "clock/null_syscall")
    rows = rows[rows["ns"].notna() & (rows["ns"] > 0)].sort_values("ns")
    if not len(rows):
        return None
    kinds = {"clock/read": 0, "clock/call": 1, "clock/python": 2, "clock/null_syscall": 4}
    points, groups, cells = [], [], []
    for row in records(rows):
        values = [str(value) for value in row["parameters"].values()]
        name = {"clock/python": "perf_counter_ns (Python)", "clock/null_syscall": "getppid (no clock at all)"}.get(
            row["kernel"]
        ) or " · ".join(values)
        group = 3 if "syscall" in values else kinds[row["kernel"]]
        points.append(Point(name, row["ns"], row["ns_low"], row["ns_high"]))
        groups.append(group)
        cells.append(
            (
                name,
                row["kernel"],
                ns_with_bounds(row["ns"], row["ns_low"], row["ns_high"]),
                with_bounds(row["cycles"], row["cycles_low"], row["cycles_high"]),
            )
        )
    return figures.forest(
        "clock-cost",
        "What it costs to ask for the time",
        f"From {points[0].label} at {nanoseconds(points[0].value, 3)} to {points[-1].label} at "
        f"{nanoseconds(points[-1].value, 3)}, cheapest first. "
        "Clocks through libc are answered without entering the kernel where they cost less than the same clock "
        "through syscall.",
        table("What it costs to ask for the time", ("clock", "kernel", "time", "cycles"), cells),
        points,
        x_label="ns per call (log)",
        x_scale="log",
        groups=groups,
    )


def bias_figure(analysis: Analysis) -> Figure | None:
    """Windows around k multiplications, one line a pair of readings."""
    found = derive.bias(analysis)
    if not found:
        return None
    # By what they end at, so that names and lines come in the same order.
    found.sort(key=lambda item: float(item.ns[-1]))
    steepest = max(item.slope_ns.value for item in found)
    cells = [
        (
            item.pair,
            "yes" if item.slope_ns.value >= 0.95 * steepest else "no",
            with_bounds(*item.slope_cycles[:3]),
            with_bounds(*item.slope_ns[:3]),
            with_bounds(*item.intercept_ns[:3]),
            with_bounds(*item.intercept_ticks[:3]),
        )
        for item in found
    ]
    slopes = [item.slope_cycles.value for item in found if math.isfinite(item.slope_cycles.value)]
    said = (
        f"Slopes lie between {plain(min(slopes), 3)} and {plain(max(slopes), 3)} cycles per multiplication. "
        if slopes
        else ""
    )
    return figures.lines(
        "clock-bias",
        "How a window grows with the work in it, by the way its ends are read",
        f"Mean window around 0 to {int(found[0].k[-1])} dependent multiplications for {len(found)} pairs of "
        f"readings. {said}"
        "Parallel lines differ by a bias only; a line that starts flat, and so has a smaller slope, lets work "
        "float out of the window.",
        table(
            "Slope and intercept of each pair of readings",
            (
                "pair",
                "keeps work inside",
                "cycles per multiplication",
                "ns per multiplication",
                "intercept, ns",
                ("intercept, ticks"),
            ),
            cells,
        ),
        [Series(item.pair.replace("_to_", " → "), item.k, item.ns) for item in found],
        x_label="dependent multiplications in the window",
        y_label="window, ns",
    )


# ---- pipeline ----


def chain_figure(analysis: Analysis) -> Figure | None:
    """Cycles per instruction against the number of independent chains."""
    rows = analysis.kernel("pipeline/chain")
    rows = rows[rows["ns"].notna()]
    in_cycles = bool(len(rows)) and bool(rows["cycles"].notna().all())
    value = "cycles" if in_cycles else "ns"
    series, cells = [], []
    for op, group in rows.groupby([str(parameters.get("op")) for parameters in rows["parameters"]], sort=False):
        order = group.iloc[np.argsort([int(parameters.get("chains", 0)) for parameters in group["parameters"]])]
        chains = np.array([int(parameters.get("chains", 0)) for parameters in order["parameters"]], float)
        numbers = [order[name].to_numpy(float) for name in (value, f"{value}_low", f"{value}_high")]
        series.append(Series(str(op), chains, *numbers))
        ordered = records(order)
        first, best = ordered[0], min(ordered, key=lambda row: float(row["ns"]))
        cells.append(
            (
                str(op),
                with_bounds(first[value], first[f"{value}_low"], first[f"{value}_high"]) if chains[0] == 1 else DASH,
                with_bounds(best[value], best[f"{value}_low"], best[f"{value}_high"]),
                count(float(best["parameters"].get("chains", 0))),
                plain(1 / best[value] if best[value] else math.nan, 3),
            )
        )
    if not series:
        return None
    said = "; ".join(
        f"{cell[0]} {plain(item.y[0], 3)} alone, {plain(float(np.nanmin(item.y)), 3)} at best"
        for cell, item in zip(cells, series, strict=True)
    )
    return figures.lines(
        "pipeline-chain",
        "Latency and throughput: the same instruction in one to eight independent chains",
        f"{value.capitalize()} per instruction: {said}. One chain shows the latency; where the line stops falling, "
        "the units are full.",
        table(
            f"Latency (one chain) and throughput (the best number of chains), {value} per instruction",
            (
                "instruction",
                "latency",
                "throughput",
                "at chains",
                f"instructions per {value.removesuffix('s') if in_cycles else 'ns'}",
            ),
            cells,
        ),
        series,
        x_label="independent chains",
        y_label=f"{value} per instruction",
        y_from_zero=True,
    )


def window_figure(analysis: Analysis) -> Figure | None:
    """Time of two misses against their distance."""
    found = derive.windows(analysis)
    if not found:
        return None
    cells = []
    said = []
    for item in found:
        knee = with_bounds(item.knee.value, item.knee.low, item.knee.high) if item.knee.n else DASH
        between = (
            f"{count(item.last_fit)} to {count(item.first_miss)}"
            if math.isfinite(item.first_miss)
            else f"beyond {count(item.k[-1])}, or none"
        )
        cells.append((item.fill, knee, between, nanoseconds(item.ns[0]), nanoseconds(item.ns[-1])))
        said.append(
            f"with {item.fill} the second miss shows at {plain(item.knee.value, 3)} (measured distances {between})"
        )
    return figures.lines(
        "pipeline-window",
        "How far ahead the core looks: two loads that miss, k instructions apart",
        "Time of two cache misses against the number of fillers between them: "
        + "; ".join(said)
        + ". Below, the misses overlap.",
        table(
            "Where the second miss shows: interpolated k at 1.5 times the nearest loads, median over processes",
            ("filler", "k", "between measured k", "nearest", "farthest"),
            cells,
        ),
        [Series(item.fill, item.k, item.ns, item.low, item.high) for item in found],
        x_label="fillers between the loads",
        y_label="ns per iteration",
        y_from_zero=True,
    )


# ---- memory ----


def chase_figure(analysis: Analysis) -> Figure | None:
    """Time of a dependent load against the size of what it walks through."""
    rows = analysis.kernel("memory/chase")
    rows = rows[rows["ns"].notna()]
    groups: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for row in records(rows):
        parameters = row["parameters"]
        label = f"{parameters.get('pages', '')} pages" + (
            f", {parameters['order']}" if parameters.get("order", "random") != "random" else ""
        )
        groups.setdefault(label.strip(), []).append((size_bytes(parameters.get("size")), row))
    series, cells = [], []
    for label, items in groups.items():
        items.sort(key=lambda item: item[0])
        x = np.array([item[0] for item in items])
        series.append(
            Series(
                label, x, *(np.array([item[1][name] for item in items], float) for name in ("ns", "ns_low", "ns_high"))
            )
        )
        for bytes_, row in items:
            cells.append(
                (
                    size(bytes_),
                    label,
                    ns_with_bounds(row["ns"], row["ns_low"], row["ns_high"]),
                    with_bounds(row["cycles"], row["cycles_low"], row["cycles_high"]),
                    remarks(row),
                )
            )
    if not series:
        return None
    sizes = np.concatenate([item.x for item in series])
    marks = [(float(value), name) for name, value in caches(analysis.machine) if sizes.min() <= value <= sizes.max()]
    powers = np.arange(math.floor(math.log2(sizes.min())), math.ceil(math.log2(sizes.max())) + 1)
    ticks = [float(2.0**power) for power in powers[:: max(1, math.ceil(len(powers) / 6))]]
    first, last = series[0], max(series, key=lambda item: item.x[-1])
    return figures.lines(
        "memory-chase",
        "A dependent load, by the size of what it walks through",
        f"From {nanoseconds(float(first.y[0]), 3)} at {size(float(first.x[0]))} to "
        f"{nanoseconds(float(last.y[-1]), 3)} at {size(float(last.x[-1]))}; "
        "each step up is a level of the hierarchy left behind. "
        + (
            "Dashed: cache sizes that the machine states, "
            + ", ".join(f"{word} {size(value)}" for value, word in marks)
            + "."
            if marks
            else ""
        ),
        table("A dependent load by size", ("size", "pages", "time", "cycles", "remarks"), cells),
        series,
        x_label="size of the ring",
        y_label="ns per load (log)",
        x_scale="log",
        y_scale="log",
        x_format=size,
        x_ticks=ticks,
        marks=marks,
    )


def caches(machine: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Data and unified caches that machine.json states, as (``L1d``, bytes), smallest level first; nothing where it
    states none.
    """
    found: dict[str, float] = {}
    entries = machine.get("caches")
    for entry in entries if isinstance(entries, Sequence) else ():
        if not isinstance(entry, Mapping):
            continue
        kind, bytes_, level = (
            str(entry.get("kind", entry.get("type", ""))).lower(),
            entry.get("size_bytes"),
            entry.get("level"),
        )
        if kind in ("data", "unified") and isinstance(bytes_, int | float) and bytes_ > 0:
            found.setdefault(f"L{level}{'d' if kind == 'data' else ''}", float(bytes_))
    return sorted(found.items())


# ---- noise ----


def gaps_figure(analysis: Analysis) -> Figure | None:
    """Share of time lost, by CPU."""
    points, cells = [], []
    for row in records(analysis.kernel("noise/gaps")):
        metrics = row["metrics"]
        if "lost_pct" not in metrics:
            continue
        lost = metrics["lost_pct"]
        label = f"CPU {row['cpus'][0]}"
        points.append(Point(label, lost["value"], lost["low"], lost["high"]))
        others = [
            with_bounds(*(metrics[name][part] for part in ("value", "low", "high"))) if name in metrics else DASH
            for name in ("gaps_per_s", "longest_us")
        ]
        cells.append((label, with_bounds(lost["value"], lost["low"], lost["high"]), *others, nanoseconds(row["ns"], 3)))
    if not points:
        return None
    worst = max(points, key=lambda point: point.value)
    return figures.forest(
        "noise-gaps",
        "Share of its time that a busy thread loses, by CPU",
        f"A thread that does nothing but look at the clock loses up to {plain(worst.value, 3)} % of its time "
        f"({worst.label}) in pieces of more than 1 µs.",
        table("Gaps by CPU", ("CPU", "time lost, %", "gaps a second", "longest in a process, µs", "median gap"), cells),
        points,
        x_label="time lost, %",
        from_zero=True,
    )


TOPICS = (
    Topic(
        "clock",
        "Reading the clock",
        "What does it cost to read the time, how fine is the answer, and how fast does the core really run?",
        "A tick is a step of the counter, a cycle one of the core; they are different clocks, so both ns and "
        "cycles are given. "
        "clock/read is throughput: one reading after another, as a loop would do it. clock/delta is what an empty "
        "interval looks like. "
        "Two ways of reading with the same slope in clock/bias measure the same work; their intercepts are what "
        "has to be subtracted.",
        "How far a reading drifts among loads and stores (only register arithmetic was in the window), and what "
        "the first reading "
        "after a pause costs, with cold code.",
        (cost_figure, delta_figure, bias_figure, states_figure, core_figure),
    ),
    Topic(
        "pipeline",
        "Doing several things at once",
        "How long must an instruction wait for the one before it, how many run at once, and how far does the core "
        "look ahead?",
        "The left end of each line is latency: every instruction waits for the one before. The right end is "
        "throughput: chains that do not "
        "depend on each other share the units. The window is the number of instructions between two misses up to "
        "which they still overlap.",
        "Front-end limits (decoding, code alignment), and what a sibling hardware thread would take away.",
        (chain_figure, window_figure),
    ),
    Topic(
        "memory",
        "How far away data is",
        "What does a load cost that depends on the one before it, by the size of what is walked through?",
        "Each plateau is a level: first cache, second, last, memory. With small pages the steps lie earlier and "
        "higher, because "
        "address translations run out of room too; the difference of the two lines is the price of the page walks.",
        "Bandwidth, loads that do not depend on each other (they overlap), stores, and other nodes' memory.",
        (chase_figure,),
    ),
    Topic(
        "noise",
        "What this machine takes away",
        "How much of its time does a thread lose that never sleeps, and in pieces of what length?",
        "A gap is a stretch of more than 1 µs in which the spinning thread did not run: interrupts, other threads, "
        "the hypervisor. "
        "Short batches dodge most of them; what they hit is kept, counted, and stood up to by medians.",
        "Who took the time: counters of interrupts and of the hypervisor see only part of it.",
        (gaps_figure,),
    ),
    Topic(
        "branch",
        "Guessing where the code goes on",
        "What does a wrongly predicted branch cost, and how much of a pattern can the predictor learn?",
        "Compare each row with its control of the same outcomes that are learnt or need no branch; the difference "
        "is the price of the misses.",
        "Layout effects of other code, and predictors shared with a sibling thread.",
    ),
    Topic(
        "line",
        "Sharing a cache line",
        "What does it cost when two CPUs want the same line?",
        "One-way costs are half a round trip over one line. Rows of pairs are grouped by what the two CPUs share.",
        "More CPUs than were paired: nothing is extrapolated.",
    ),
    Topic(
        "lock",
        "Waiting for each other",
        "What does mutual exclusion cost, alone and contended?",
        "Look at ownership runs beside the time: a lock that one thread keeps looks cheap.",
        "Critical sections of other lengths than those measured.",
    ),
    Topic(
        "counter",
        "Counting together",
        "What does a shared count cost, and how wrong may it be read?",
        "Cost and error belong together: a cheaper counter is one that may be further off.",
        "More threads than this machine has CPUs.",
    ),
    Topic(
        "fence",
        "Ordering memory",
        "What does a fence cost, by what is outstanding when it is met?",
        "A fence has no cost of its own: compare its rows with each other, bare, after a store, with misses under way.",
        "Orders that no trial showed: absence of an outcome in so many trials is a bound, not a proof.",
    ),
    Topic(
        "ring",
        "Passing messages",
        "What does a message through a ring cost, and what changes when the ring is empty or full?",
        "Throughput and latency are different rows; neither can be computed from the other.",
        "Rates between those measured.",
    ),
)
