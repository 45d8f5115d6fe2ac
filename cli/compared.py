"""How runs that were compared are shown: headlines first, each with a bar around 1, then what differs, in sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fencepost.analysis.compare.comparison import FASTEST, TIED, marks_of_times, reach_of, span_of
from fencepost.cli import display, verdicts

if TYPE_CHECKING:
    from fencepost.analysis.compare.comparison import ComparedRow, MachineComparison, RunComparison
    from fencepost.analysis.stats.verdict import Decision
    from fencepost.cli.tables import PlainTable

FEW_ROWS = 24
"""With so many rows at most all are shown: they fit on a screen."""
MOST_CHANGED = 10
"""Changed rows that are shown beside the headlines, those with the largest change."""
BAR_CELLS = 21
"""Characters of a bar. Odd, so that 1 has a character of its own."""
WIDE = 120
"""On a terminal of so many columns names and bounds have columns of their own."""


def bar(decision: Decision, reach: float) -> str:
    """A ratio and its bounds on a logarithmic axis around 1: ``│`` is 1, ``●`` the ratio, ``─`` its interval."""
    middle = BAR_CELLS // 2
    cells = [" "] * BAR_CELLS
    low, ratio, high = (_cell(value, reach) for value in (decision.low, decision.ratio, decision.high))
    for place in range(max(low, 0), min(high, BAR_CELLS - 1) + 1) if decision.low > 0 else ():
        cells[place] = "─"
    cells[middle] = "┼" if cells[middle] == "─" else "│"
    if low < 0 and decision.low > 0:
        cells[0] = "◂"
    if high >= BAR_CELLS and math.isfinite(decision.high):
        cells[-1] = "▸"
    if 0 <= ratio < BAR_CELLS:
        cells[ratio] = "●"
    return "".join(cells)


def _cell(value: float, reach: float) -> int:
    """The character of a ratio; outside of the bar where it is beyond the reach, or no number."""
    if not (math.isfinite(value) and value > 0):
        return BAR_CELLS
    return math.floor(BAR_CELLS * (math.log(value) / math.log(reach) + 1) / 2)


def bar_header(reach: float) -> str:
    """What a bar's ends are."""
    left, right = f"x{1 / reach:.2f}", f"x{reach:.2f}"
    return f"{left}{'1'.center(BAR_CELLS - len(left) - len(right))}{right}"


def show_runs(comparison: RunComparison, title: str, *, every: bool) -> None:
    """Print a comparison of two runs of one machine: all rows where they are few or asked for, else the headlines."""
    if every or len(comparison.rows) <= FEW_ROWS:
        verdicts.show(comparison, title)
        return
    out = display.console()
    shown = _telling(comparison)
    if shown:
        out.print(_table(title, shown, out.width))
    else:
        out.print(title)
    sentences = [*comparison.sentences, verdicts.verdict_sentence(comparison), *comparison.notes]
    left = len(comparison.rows) + len(comparison.controls) - len(shown)
    display.say(out, (*sentences, f"{left} more rows: add --all."))


def _telling(comparison: RunComparison) -> list[tuple[str, ComparedRow]]:
    """The headlines by their labels, then the rows that changed most by their cases."""
    changed = [row for row in comparison.rows if _changed(row) and row.case not in comparison.labels]
    changed.sort(key=lambda row: -abs(math.log(row.decision.ratio)))
    return comparison.headlines + [(row.case, row) for row in changed[:MOST_CHANGED]]


def _changed(row: ComparedRow) -> bool:
    from fencepost.analysis.stats.verdict import ChangeVerdict

    return row.decision.verdict is ChangeVerdict.CHANGED


def _table(title: str, shown: Sequence[tuple[str, ComparedRow]], width: int) -> PlainTable:
    reach = reach_of(span_of(row.decision) for _, row in shown)
    lines = []
    for label, row in shown:
        _, old, new, ratio, interval, basis, words = verdicts.cells(row)
        lines.append((label, old, new, ratio, interval, bar(row.decision, reach), f"{basis}: {words}"))
    header = ("what", "old", "new", "ratio", "interval", bar_header(reach), "figure and verdict")
    return _fitting(title, header, lines, width)


def _fitting(title: str, header: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> PlainTable:
    """Names and bounds in columns of their own where there is room; else names above the rows, and bounds by bars."""
    if width >= WIDE:
        return display.table(title, header, lines, right=header[1:5], whole=header[1:6])
    narrow = [(*line[1:4], *line[5:]) for line in lines]
    columns = (*header[1:4], *header[5:])
    names = [line[0] for line in lines]
    return display.table(title, columns, narrow, right=columns[:3], whole=columns[:4], heads=names)


MANY_MACHINES = 5
"""From here on one table has all machines: of so many, nobody wants to read each against the first."""

Titled = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Title, header and rows of a table."""


def headline_tables(found: MachineComparison) -> list[Titled]:
    """Of each further machine, its headlines beside those of the first."""
    from fencepost.analysis.text.numbers import nanoseconds

    headlines = found.headlines
    tables: list[Titled] = []
    for other, name in enumerate(found.names[1:]) if headlines else ():
        reach = reach_of(span_of(row.ratios[other]) for _, row in headlines)
        lines: list[tuple[str, ...]] = []
        for label, row in headlines:
            decision = row.ratios[other]
            times = (nanoseconds(row.ns), nanoseconds(row.ns * decision.ratio))
            interval = _between(decision, _factor) or "–"
            lines.append((label, *times, f"x {_factor(decision.ratio)}", interval, bar(decision, reach)))
        header = ("what", "first", "second", "ratio", "98 % interval", bar_header(reach))
        tables.append((f"{name} (second) against {found.names[0]} (first)", header, lines))
    return tables


def _factor(value: float) -> str:
    from fencepost.analysis.text.numbers import short

    return f"{value:.2f}" if value < 100 else short(value)


def _between(decision: Decision, written: Callable[[float], str]) -> str:
    """The interval of a ratio, empty where too few rounds give none."""
    if not (math.isfinite(decision.low) and math.isfinite(decision.high)):
        return ""
    return f"[{written(decision.low)}, {written(decision.high)}]"


def best_table(found: MachineComparison, *, every: bool) -> Titled:
    """The headlines, or all rows, with the time of each machine; the fastest of each row is marked."""
    from fencepost.analysis.text.numbers import nanoseconds

    named = found.headlines if not every and found.labels else [(row.case, row) for row in found.rows]
    lines = []
    for label, row in named:
        cells = zip(row.times, marks_of_times(row.times), strict=True)
        lines.append((label, *(f"{nanoseconds(time.value, 3)} {mark or ' '}" for time, mark in cells)))
    title = f"{FASTEST} is the fastest of a row, {TIED} cannot be told from it by their intervals"
    return title, ("what", *found.names), lines


def _many_sentences(found: MachineComparison) -> list[str]:
    from fencepost.analysis.compare.told import fastest_sentences

    rows = [row for _, row in found.headlines] or found.rows
    return fastest_sentences(found.names, [row.times for row in rows], "headlines" if found.labels else "rows")


def row_table(found: MachineComparison) -> Titled:
    """All rows, with the ratio of each further run."""
    from fencepost.analysis.text.numbers import short

    header = ("case", *(f"{name} / {found.names[0]}" for name in found.names[1:]))
    lines = [
        (row.case, *(f"x {short(item.ratio)} {_between(item, short)}".strip() for item in row.ratios))
        for row in found.rows
    ]
    return "ratios of medians, with 98 % intervals; no verdicts between machines", header, lines


def fact_table(found: MachineComparison) -> Titled:
    """What differs between the machines."""
    from fencepost.analysis.runs.machine import fact_word

    facts = [(fact_word(name), *texts) for name, texts in found.differences.items()]
    return "what differs between the machines", ("fact", *found.names), [("run", *found.runs), *facts]


def show_machines(found: MachineComparison, *, every: bool) -> None:
    """Print a comparison of several machines: headlines, what is faster in what, and what differs."""
    out = display.console()
    many = len(found.names) >= MANY_MACHINES
    headlines = [] if many else headline_tables(found)
    if many:
        title, header, lines = best_table(found, every=every)
        out.print(display.table(title, header, lines, right=header[1:], whole=header[1:]))
    for title, header, lines in headlines:
        out.print(_fitting(title, header, lines, out.width))
    if (every or not headlines) and not many:
        out.print(display.table(*row_table(found)))
    display.say(out, _many_sentences(found) if many else found.sentences)
    out.print()
    out.print(display.table(*fact_table(found)))
    left = [] if every or not found.labels else [f"{len(found.rows)} rows in all: add --all."]
    display.say(out, (*found.notes, *left))
