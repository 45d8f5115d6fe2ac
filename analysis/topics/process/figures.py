"""Having a child do something: processes and threads, and the memory that they take along."""

from __future__ import annotations

from fencepost.analysis.draw import bars as figures
from fencepost.analysis.draw.figure import Bar, Figure, Group
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.runs.row import value_of
from fencepost.analysis.text.numbers import nanoseconds, ns_with_bounds, plain, size, size_bytes, with_bounds
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.rungs import step, with_values
from fencepost.analysis.topics.topic import Topic

SIGNS = {"fork": "fork, wait", "vfork": "vfork, wait", "thread": "thread, join"}


def spawn_figure(analysis: Analysis) -> Figure | None:
    """A child by the call that makes it, and by the memory that its parent has."""
    rows = sorted(grid(analysis, "process/spawn").rows, key=lambda row: size_bytes(row["parameters"].get("touched")))
    if not rows:
        return None
    groups: dict[str, list[Bar]] = {}
    cells = []
    for row in rows:
        touched = size_bytes(row["parameters"].get("touched"))
        heading = f"{size(touched)} more in memory" if touched else "as the process is"
        how = str(row["parameters"].get("how"))
        groups.setdefault(heading, []).append(
            Bar(
                SIGNS.get(how, how),
                row["ns"] / 1e3,
                row["ns_low"] / 1e3,
                row["ns_high"] / 1e3,
                said=nanoseconds(row["ns"], 3),
            )
        )
        cells.append(
            (
                how,
                size(touched) if touched else "nothing",
                with_bounds(*value_of(row, "resident_mib"), "MiB"),
                ns_with_bounds(row["ns"], row["ns_low"], row["ns_high"]),
                ns_with_bounds(*value_of(row, "returned_ns")),
                with_bounds(*value_of(row, "waited_pct"), "%"),
            )
        )
    values = [bar.value for bars in groups.values() for bar in bars]
    dearest = max(rows, key=lambda row: float(row["ns"]))
    cheapest = min(rows, key=lambda row: float(row["ns"]))
    return figures.bars(
        "process-spawn",
        "A child that does nothing, waited for",
        f"From {nanoseconds(cheapest['ns'], 3)} ({cheapest['parameters'].get('how')}) to "
        f"{nanoseconds(dearest['ns'], 3)} ({dearest['parameters'].get('how')}, "
        f"{plain(value_of(dearest, 'resident_mib')[0], 3)} MiB in memory): a fork copies the tables of all pages that "
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
