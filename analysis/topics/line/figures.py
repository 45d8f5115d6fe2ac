"""One cache line wanted by several CPUs."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group, Series
from fencepost.analysis.draw.grids import heat
from fencepost.analysis.draw.lines import lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.stats.interval import columns_of
from fencepost.analysis.text.numbers import count, nanoseconds, ns_with_bounds, plain, powers, thousands
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics import crowds as sharing
from fencepost.analysis.topics.crowds import crowd_figure, on_own_cpus, step
from fencepost.analysis.topics.line.measures import matrix, relations, staircases
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import Topic

BY_DEFINITION = "One way is half a round trip, by definition here."


VARIANTS = ("load_store", "cas", "two_lines")


def words(name: str) -> str:
    """A relation's name in words."""
    return name.replace("_", " ").replace("l2", "L2").replace("l3", "L3").replace("numa", "NUMA")


def matrix_figure(analysis: Analysis) -> Figure | None:
    """One-way costs between CPUs in colours, and a row a relation as its table."""
    found = matrix(analysis)
    if found is None:
        return None
    cells = []
    for variant in VARIANTS:
        for item in relations(analysis, variant):
            cells.append(
                (
                    words(item.name),
                    variant.replace("_", " "),
                    count(item.pairs),
                    item.ns.ns_text(),
                    nanoseconds(item.nearest, 3),
                    nanoseconds(item.farthest, 3),
                )
            )
    known = found.ns[np.isfinite(found.ns)]
    sampled = (
        f" Of {count(found.all_pairs)} pairs {count(found.pairs)} were measured, some of each relation; the others are "
        "left blank, not guessed."
        if found.pairs < found.all_pairs
        else ""
    )
    return heat(
        "line-matrix",
        "From CPU to CPU: how long a cache line is on its way",
        f"{BY_DEFINITION} Between {nanoseconds(float(known.min()), 3)} and {nanoseconds(float(known.max()), 3)}, "
        "one line "
        f"polled with loads.{sampled}",
        table(
            "One way by relation of the two CPUs: the median of its pairs, over processes",
            ("relation", "how", "pairs", "one way", "nearest pair", "farthest pair"),
            cells,
        ),
        [str(cpu) for cpu in found.cpus],
        found.ns,
        unit="ns one way",
    )


def stride_figure(analysis: Analysis) -> Figure | None:
    """Cost of an access by the distance to the other CPU's word."""
    found = [item for item in staircases(analysis) if len(item.stride) > 1]
    if not found:
        return None
    strides = sorted({float(stride) for item in found for stride in item.stride})
    main = found[0]
    said = (
        f"{main.op.replace('_', ' ')} costs {plain(main.factor.value, 3)} times as much at {count(main.stride[0])} "
        "bytes "
        f"as at {count(main.stride[-1])}; from {count(main.ends.value)} bytes on nothing is shared."
        if main.ends.n
        else f"{main.op.replace('_', ' ')} shows no sharing."
    )
    cells = [
        (
            item.op.replace("_", " "),
            f"×{item.factor.text()}",
            f"{count(item.last_shared)} to {count(item.ends.value)}" if item.ends.n else DASH,
            f"×{item.against_alone.text()}" if item.against_alone.n else DASH,
            *(
                next(
                    (ns_with_bounds(item.ns[i], item.low[i], item.high[i]) for i in np.flatnonzero(item.stride == s)),
                    DASH,
                )
                for s in strides
            ),
        )
        for item in found
    ]
    return lines(
        "line-stride",
        "Two words, two CPUs: how far apart they must lie",
        said,
        table(
            "An access by the distance of the two words, in bytes",
            (
                "access",
                "nearest ÷ farthest",
                "sharing ends between",
                "farthest ÷ alone",
                *(f"{count(stride)} bytes" for stride in strides),
            ),
            cells,
        ),
        [Series(item.op.replace("_", " "), item.stride, item.ns, item.low, item.high) for item in found],
        x_label="bytes between the two words (log)",
        y_label="ns per access (log)",
        x_scale="log",
        y_scale="log",
        x_format=powers,
        x_ticks=[stride for stride in strides if math.log2(stride).is_integer()],
        marks=[(main.ends.value, f"{count(main.ends.value)} bytes")] if main.ends.n else [],
        stairs=True,
    )


def contended_figure(analysis: Analysis) -> Figure | None:
    """Atomic operations on one line by the number of threads."""
    found = grid(analysis, "line/contended")
    crowds = sharing.crowds(found, "op", between=0)
    steps = [(item.name, *step(found, item)) for item in crowds]
    return crowd_figure(
        "line-contended",
        "One line, and more and more threads that want it",
        "; ".join(
            f"{name} with {count(number)} threads costs each of them {plain(ratio.value, 3)} times what it costs alone"
            for name, number, ratio in steps
            if ratio.n
        )
        + ". Fairness is the share of the slowest thread over that of the fastest.",
        "An atomic operation on one line, by the number of threads that want it",
        crowds,
        "operation of a thread",
        "failed_per_operation=failed tries per operation",
    )


def state_figure(analysis: Analysis) -> Figure | None:
    """First access by what was done to the line before."""
    found = grid(analysis, "line/state")
    if len(found.rows) < 2:
        return None
    ops = list(dict.fromkeys(str(row.parameter("op")) for row in found.rows))
    states = list(dict.fromkeys(str(row.parameter("state")) for row in found.rows))
    groups, cells = [], []
    for op in ops:
        bars = []
        for state in states:
            place = found.find(op=op, state=state)
            if place is not None:
                row = found.rows[place]
                bars.append(Bar(state, *row.time[:3], states.index(state)))
                cells.append(
                    (
                        f"{op}, {state}",
                        row.time.ns_text(),
                        row.metric("xraw").text(),
                    )
                )
        groups.append(Group(op, bars))
    values = [bar.value for group in groups for bar in group.bars if bar.value > 0]
    wide = max(values, default=1) > 20 * min(values, default=1)
    return figures.bars(
        "line-state",
        "The first access to a line, by what another CPU did to it before",
        "Loads and compare-and-swaps wait for the line; stores go into the store buffer and overlap. `own` is the "
        "control: "
        "nobody else has touched the line.",
        table("First access by the line's state", ("access", "time", "÷ raw round trip"), cells),
        groups,
        x_label="ns per access" + (" (log)" if wide else ""),
        x_scale="log" if wide else "linear",
        least=min(values, default=1) / 2 if wide else 0.0,
    )


def read_mostly_figure(analysis: Analysis) -> Figure | None:
    """What a reader pays, by how seldom is written."""
    found = grid(analysis, "line/read_mostly")
    teams = {len(row.cpus) for row in found.rows}
    if not teams:
        return None
    size = max(teams)
    series, cells = [], []
    for guard in dict.fromkeys(str(row.parameter("guard")) for row in found.rows):
        rows = [r for r in found.rows if str(r.parameter("guard")) == guard and len(r.cpus) == size]
        rows.sort(key=lambda row: row.number("reads_per_write") or math.inf)
        written = [row for row in rows if row.number("reads_per_write") > 0]
        x = np.array([row.number("reads_per_write") for row in written])
        if len(x) > 1:
            series.append(Series(guard, x, *columns_of(row.time for row in written)))
        for row in rows:
            every = row.number("reads_per_write")
            cells.append(
                (
                    guard,
                    f"a write every {count(every)} reads" if every else "no writes",
                    row.time.ns_text(),
                    row.metric("reads_per_write_seen").text(),
                )
            )
    if not series:
        return None
    return lines(
        "line-read-mostly",
        "What readers pay for one writer",
        f"{count(size)} threads, of which the last writes once after so many reads of its own: "
        + "; ".join(f"{item.label} from {plain(item.y[0], 3)} to {plain(item.y[-1], 3)} ns a read" for item in series)
        + ".",
        table("A read by how seldom is written", ("guard", "writes", "time", "reads to a write, seen"), cells),
        series,
        x_label="reads of the writer between two writes (log)",
        y_label="ns per read (log)",
        x_scale="log",
        y_scale="log",
        x_format=thousands,
        x_ticks=sorted({float(x) for item in series for x in item.x}),
    )


def hand_over(analysis: Analysis) -> Rung | None:
    """The rung of a line's way to the nearest CPU."""
    found = [item for item in relations(analysis, "load_store") if item.ns.n]
    if not found:
        return None
    item = found[0]
    row = next(row for row in grid(analysis, "line/pingpong").rows if str(row.relation) == item.name)
    return Rung(f"a cache line to another CPU, one way ({words(item.name)})", row.case, item.ns)


def contended(analysis: Analysis) -> Rung | None:
    """The rung of an atomic addition that all CPUs want."""
    found = grid(analysis, "line/contended")
    for item in sharing.crowds(found, "op", op="fetch_add", between=0):
        own = on_own_cpus(item)
        if own and item.threads[own[-1]] > 1:
            i = own[-1]
            label = f"atomic addition to a line that {count(item.threads[i])} threads want"
            return Rung(label, item.rows[i].case, item.rows[i].time)
    return None


TOPIC = Topic(
    "line",
    figures=(matrix_figure, stride_figure, contended_figure, state_figure, read_mostly_figure),
    rungs=(hand_over, contended),
)
