"""What a line of output costs, and what is lost of it."""

from __future__ import annotations

from fencepost.analysis.runs.row import Row
from fencepost.analysis.topics.pictures import bars_by
from fencepost.analysis.topics.rungs import first, step, with_values
from fencepost.analysis.topics.topic import Topic

LINES = {
    "buffered": "printed, buffered",
    "unlocked": "printed, buffered, no lock",
    "line": "printed, written line by line",
    "flushed": "printed and flushed",
    "write": "written by a call, not formatted",
}


def _line(row: Row) -> str:
    return LINES.get(str(row.parameter("how")), "") if row.kernel == "output/print" else "formatted only"


PRINT = bars_by(
    ("output/print", "output/format"),
    _line,
    title="A line of 16 bytes, by the stream between the program and its file",
    says="From {least} ({least_of}) to {most} ({most_of}).",
    unit="line",
    caption="A line by its stream",
    heading="line",
    groups=lambda row: row.parameter("to") or "memory",
    group_heading="to",
    group_labels={"memory": "into memory", "null": "to /dev/null", "file": "to a file in memory", "pipe": "to a pipe"},
)


LOSS = bars_by(
    "output/loss",
    "buffer",
    value="lost_pct",
    title="Lost lines of 100 when a program ends without its libc",
    says="{each}. The content of the stream's buffer is lost.",
    unit="lost",
    heading="stream",
    labels={
        "full": "a buffer of 4 KiB",
        "line": "written line by line",
        "none": "no buffer",
        "flushed": "a buffer, flushed before",
    },
)


TOPIC = Topic(
    "output",
    figures=(PRINT, LOSS),
    tables_only=("output/kmsg", "output/kmsg_dropped"),
    rungs=(
        step("print a line into a buffer", "output/print", with_values(how="buffered", to="null")),
        step("print a line to a file in memory and flush it", "output/print", with_values(how="flushed", to="file")),
        step("add a record to the kernel's log", "output/kmsg", first, cycles=False),
    ),
)
