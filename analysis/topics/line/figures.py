"""One cache line wanted by several CPUs."""

from __future__ import annotations

import math

from fencepost.analysis.draw.figure import Figure, Series
from fencepost.analysis.draw.lines import Axis, lines
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.text.numbers import count, plain, powers, thousands
from fencepost.analysis.text.table import DASH, table
from fencepost.analysis.topics.chosen import largest_team, number
from fencepost.analysis.topics.crowds import crowds, crowds_by, on_own_cpus
from fencepost.analysis.topics.line.measures import ONE_WAY, PINGPONG, relations, staircases
from fencepost.analysis.topics.pairs import relation_of, words
from fencepost.analysis.topics.pictures import bars_by, heat_by, lines_by, shows
from fencepost.analysis.topics.rungs import Rung, row_rung
from fencepost.analysis.topics.topic import Topic

BY_DEFINITION = "One way is half a round trip, by definition here."


VARIANTS = ("load_store", "cas", "two_lines")


MATRIX = heat_by(
    PINGPONG,
    "variant",
    VARIANTS,
    share=ONE_WAY,
    name="line-matrix",
    title="From CPU to CPU: how long a cache line is on its way",
    says=f"{BY_DEFINITION} Between {{least}} and {{most}}, one line polled with loads.",
    unit="one way",
    caption="One way by relation of the two CPUs: the median of its pairs, over processes",
    heading="how",
    where={"pause": "no"},
)


@shows("line/false_sharing", "line/alone")
def stride_figure(analysis: Analysis) -> Figure | None:
    """Cost of an access by the distance to the other CPU's word."""
    found = [item for item in staircases(analysis) if len(item.stride) > 1]
    if not found:
        return None
    strides = sorted({float(stride) for item in found for stride in item.stride})
    main = found[0]
    said = (
        f"{main.op.replace('_', ' ')} costs {plain(main.factor.value, 3)} times as much "
        f"at {count(main.stride[0])} bytes as at {count(main.stride[-1])}; "
        f"from {count(main.ends.value)} bytes on nothing is shared."
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
                    (row.time_text() for row in item.rows if row.number("stride") == s),
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
        x=Axis(
            "bytes between the two words",
            log=True,
            write=powers,
            ticks=[stride for stride in strides if math.log2(stride).is_integer()],
        ),
        y=Axis("ns per access", log=True),
        marks=[(main.ends.value, f"{count(main.ends.value)} bytes")] if main.ends.n else [],
        stairs=True,
    )


CONTENDED = crowds_by(
    "line/contended",
    "op",
    name="line-contended",
    title="One line, and more and more threads that want it",
    says="{each}. Fairness is the share of the slowest thread over that of the fastest.",
    unit="operation of a thread",
    caption="An atomic operation on one line, by the number of threads that want it",
    where={"between": 0},
    metrics={"failed_per_operation": "failed tries per operation"},
)


STATE = bars_by(
    "line/state",
    "state",
    title="The first access to a line, by what another CPU did to it before",
    says="From {least} ({least_of}) to {most} ({most_of}). Loads and compare-and-swaps wait for the line. Stores go "
    "into the store buffer and overlap. `own` is the control: nobody else has touched the line.",
    unit="access",
    caption="First access by the line's state",
    groups="op",
    group_heading="access",
    metrics={"xraw": "÷ raw round trip"},
)


def _written(reads: str) -> str:
    return f"a write every {count(number(reads))} reads" if number(reads) else "no writes"


READ_MOSTLY = lines_by(
    "line/read_mostly",
    "reads_per_write",
    title="Price of one writer for its readers",
    says="{threads} threads, of which the last writes once after this number of reads. {each}.",
    unit="read",
    caption="A read by how seldom is written",
    heading="writes",
    labels=_written,
    groups="guard",
    where=largest_team,
    metrics={"reads_per_write_seen": "reads to a write, seen"},
    x_label="reads of the writer between two writes",
    x_format=thousands,
)


def hand_over(analysis: Analysis) -> Rung | None:
    """The rung of a line's way to the nearest CPU."""
    found = [item for item in relations(analysis, "load_store") if item.ns.n]
    if not found:
        return None
    item = found[0]
    row = next(row for row in grid(analysis, PINGPONG).rows if relation_of(row) == item.name)
    label = f"a cache line to another CPU, one way ({words(item.name)})"
    return Rung(label, row.case, item.ns, modes=item.modes, headline=True, regimes=item.regimes)


def contended(analysis: Analysis) -> Rung | None:
    """The rung of an atomic addition that all CPUs want."""
    found = grid(analysis, "line/contended")
    for item in crowds(found, "op", op="fetch_add", between=0):
        own = on_own_cpus(item)
        if own and item.threads[own[-1]] > 1:
            i = own[-1]
            label = f"atomic addition to a line that {count(item.threads[i])} threads want"
            return row_rung(label, item.rows[i], cycles=False)
    return None


TOPIC = Topic(
    "line",
    figures=(MATRIX, stride_figure, CONTENDED, STATE, READ_MOSTLY),
    rungs=(hand_over, contended),
)
