"""Having a child do something: processes and threads, and the memory that they take along."""

from __future__ import annotations

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.text.numbers import nanoseconds, plain, size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

SIGNS = {"fork": "fork, wait", "vfork": "vfork, wait", "thread": "thread, join"}


def spawn_figure(analysis: Analysis) -> Figure | None:
    """A child by the call that makes it, and by the memory that its parent has."""
    rows = sorted(grid(analysis, "process/spawn").rows, key=lambda row: size_bytes(row.parameter("touched")))
    if not rows:
        return None
    groups: dict[str, list[Bar]] = {}
    cells = []
    for row in rows:
        touched = size_bytes(row.parameter("touched"))
        heading = f"{size(touched)} more in memory" if touched else "as the process is"
        how = str(row.parameter("how"))
        groups.setdefault(heading, []).append(
            Bar(
                SIGNS.get(how, how),
                row.time.value / 1e3,
                row.time.low / 1e3,
                row.time.high / 1e3,
                said=nanoseconds(row.time.value, 3),
            )
        )
        cells.append(
            (
                how,
                size(touched) if touched else "nothing",
                row.metric("resident_mib").text("MiB"),
                row.time.ns_text(),
                row.metric("returned_ns").ns_text(),
                row.metric("waited_pct").text("%"),
            )
        )
    values = [bar.value for bars in groups.values() for bar in bars]
    dearest = max(rows, key=lambda row: row.time.value)
    cheapest = min(rows, key=lambda row: row.time.value)
    return figures.bars(
        "process-spawn",
        "A child that does nothing, waited for",
        f"From {nanoseconds(cheapest.time.value, 3)} ({cheapest.parameter('how')}) to "
        f"{nanoseconds(dearest.time.value, 3)} ({dearest.parameter('how')}, "
        f"{plain(dearest.metric('resident_mib').value, 3)} MiB in memory): a fork copies the tables of all pages that "
        "are there.",
        table(
            "A child by the call that makes it: until it was waited for, until the call returned, and how often the "
            "child had ended by then",
            ("made by", "touched before", "process in memory", "time", "call returned after", "child ended before"),
            cells,
        ),
        [Group(heading, bars) for heading, bars in groups.items()],
        x_label="µs per child (log)",
        x_scale="log",
        least=min(values) / 3,
    )


TOPIC = Topic(
    "process",
    figures=(spawn_figure,),
    rungs=(
        step("start a thread and wait for it", "process/spawn", with_values(how="thread", touched=0), cycles=False),
        step("fork a process and wait for it", "process/spawn", with_values(how="fork", touched=0), cycles=False),
    ),
)
