"""The table of counts: whole numbers that cases found, beside what each must be."""

from __future__ import annotations

from collections.abc import Sequence

from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import count
from fencepost.analysis.text.table import Table, table


def counts_table(caption: str, rows: Sequence[Row]) -> Table | None:
    """The counts of these rows; None where none of them counts anything."""
    cells = [
        (
            row.case,
            item.summary or name,
            f"{count(item.found)} {item.unit}" + (" (varies)" if item.varies else ""),
            count(item.expected),
            "equal" if item.equal else "not equal",
            str(item.processes),
        )
        for row in rows
        for name, item in row.counts.items()
    ]
    return table(caption, ("case", "what", "counted", "expected", "verdict", "rounds"), cells) if cells else None
