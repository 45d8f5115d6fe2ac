"""The tables at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fencepost.analysis.report.counts import counts_table
from fencepost.analysis.report.marks import marks_of
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.shares import share
from fencepost.analysis.text.numbers import nanoseconds, ns_bounds, plain

if TYPE_CHECKING:
    from rich.table import Table as RichTable


def summary_table(analysis: Analysis) -> RichTable:
    """One row a measured case as a rich table; texts from the run folder are shown as they are, without markup."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(f"{analysis.run['id']}: {analysis.rounds} of {analysis.planned_rounds} rounds"), title_justify="left"
    )
    table.add_column("case", overflow="fold")
    for name in ("time", "95 % interval", "cycles", "as found", "free"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("trust")
    table.add_column("remarks")
    rows = analysis.measured()
    marks = marks_of(analysis, rows)
    for row in rows:
        cells = (
            nanoseconds(row.time.value),
            ns_bounds(*row.time[:3]),
            plain(row.cycles.value),
            nanoseconds(row.found.value),
            share(row.free_pct),
            marks[row.case].text,
            row.remarks(),
        )
        table.add_row(Text(row.case), *(Text(cell) for cell in cells))
    return table


def counts_summary(analysis: Analysis) -> RichTable | None:
    """What was counted, and what it must be, as a rich table; None where nothing was counted."""
    from rich.table import Table
    from rich.text import Text

    found = counts_table("counts", analysis.rows)
    if found is None:
        return None
    table = Table(title=Text(found.caption), title_justify="left")
    for name in found.header:
        right = name in ("counted", "expected", "rounds")
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in found.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
