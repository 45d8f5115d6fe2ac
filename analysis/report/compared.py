"""Machines beside each other as one HTML file: offline, and readable without its script."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fencepost.analysis.compare.comparison import (
    MOST_REACH,
    NO_SPAN,
    ComparedRow,
    MachineComparison,
    RunComparison,
    Span,
    marks_of_times,
    ratio_of,
    reach_of,
    side_of,
    span_of,
)
from fencepost.analysis.compare.told import fastest_sentences, machine_sentences
from fencepost.analysis.report.html import TEMPLATES, environment
from fencepost.analysis.runs.machine import fact_word
from fencepost.analysis.text.escape import json_in_html
from fencepost.analysis.text.numbers import nanoseconds, natural, ns_bounds, plain
from fencepost.analysis.text.table import DASH, Table, table
from fencepost.analysis.topics.words import place

MOST_ACROSS = 12
"""Machines of which all rows are in one table. With more no screen shows a row."""
MOST_TOLD = 20
"""Machines of which each pair has its sentences on the page: 380 pairs. Of more, the page would hold little else."""
EMBEDDED_DIGITS = 4


class Machine(NamedTuple):
    """One of the machines: a short name, all that is known of it in a line, a word for addresses, and its report."""

    name: str
    title: str
    word: str
    href: str = ""


@dataclass(frozen=True)
class ComparedLine:
    """A row: a time for each machine, and the ratio of the second to the first. `verdict`: of two runs of a machine."""

    name: str
    times: tuple[Span, ...]
    ratio: Span
    verdict: str = ""

    @property
    def empty(self) -> bool:
        """Whether neither of the first two machines has it."""
        return not any(math.isfinite(time.value) for time in self.times[:2])

    @property
    def marks(self) -> tuple[str, ...]:
        """For each machine whether it is the fastest, see `marks_of_times`."""
        return marks_of_times(self.times)


@dataclass(frozen=True)
class Page:
    """All that the page says. `bounds` names the intervals of ratios. `reach`: how far bars go to either side of 1."""

    title: str
    machines: tuple[Machine, ...]
    headlines: tuple[ComparedLine, ...]
    rows: tuple[ComparedLine, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Table | None
    bounds: str
    fastest: tuple[str, ...] = ()
    """Sentences on all machines, where there are more than two."""
    reach: float = MOST_REACH
    home: str = ""
    """A page that this one belongs to."""
    said: Mapping[str, Sequence[str]] | None = None
    """The sentences of each pair of machines, by their places as ``0,1``."""

    @property
    def all_rows(self) -> bool:
        """Whether there is a table with all rows of all machines."""
        return 2 < len(self.machines) <= MOST_ACROSS

    @property
    def verdicts(self) -> bool:
        """Whether rows have verdicts."""
        return any(line.verdict for line in self.rows)


def machines_page(found: MachineComparison) -> Page:
    """Runs of several machines."""
    lines = [ComparedLine(row.case, row.times, span_of(row.ratios[0])) for row in found.rows]
    headlines = tuple(ComparedLine(label, row.times, span_of(row.ratios[0])) for label, row in found.headlines)
    facts = [("run", *found.runs), *((fact_word(name), *texts) for name, texts in found.differences.items())]
    every = zip(found.names, found.titles, found.runs, strict=True)
    rows = in_order(lines)
    said = pair_sentences(found.names, headlines, rows) if len(found.names) > 2 else None
    return Page(
        title=" and ".join(found.names) if len(found.names) == 2 else f"{len(found.names)} machines beside each other",
        machines=tuple(Machine(*one) for one in every),
        headlines=headlines,
        rows=rows,
        sentences=found.sentences if said is None else tuple(said.get("0,1", ())),
        fastest=fastest_of(found.names, headlines),
        said=said,
        notes=found.notes,
        facts=table("Differences between the machines", ("fact", *found.names), facts),
        bounds="98 % interval",
        reach=reach_of(line.ratio for line in headlines or lines),
    )


def runs_page(found: RunComparison, ids: Sequence[str], verdict: Mapping[str, str]) -> Page:
    """Two runs of one machine; `verdict` in words, by case."""

    def line(name: str, row: ComparedRow) -> ComparedLine:
        times = (NO_SPAN._replace(value=row.old_ns), NO_SPAN._replace(value=row.new_ns))
        return ComparedLine(name, times, span_of(row.decision), verdict[row.case])

    lines = [line(row.case, row) for row in (*found.controls, *found.rows)]
    headlines = tuple(line(label, row) for label, row in found.headlines)
    return Page(
        title="Two runs of one machine",
        machines=(Machine("old", ids[0], ids[0]), Machine("new", ids[1], ids[1])),
        headlines=headlines,
        rows=in_order(lines),
        sentences=found.sentences or ("Nothing changed.",),
        notes=found.notes,
        facts=None,
        bounds="interval",
        reach=reach_of(line.ratio for line in headlines or lines),
    )


def in_order(lines: Iterable[ComparedLine]) -> tuple[ComparedLine, ...]:
    """Rows by topic, in the order of the report, and by name with sizes in their natural order."""
    return tuple(sorted(lines, key=lambda line: (place(line.name.partition("/")[0]), natural(line.name))))


def pair_sentences(
    names: Sequence[str], headlines: Sequence[ComparedLine], rows: Sequence[ComparedLine]
) -> dict[str, list[str]]:
    """What `machine_sentences` says of each pair of machines, by their places; nothing of too many machines."""
    found: dict[str, list[str]] = {}
    if len(names) > MOST_TOLD:
        return found
    for first, second in itertools.permutations(range(len(names)), 2):
        asked, every = (_ratios(lines, first, second) for lines in (headlines, rows))
        if every:
            found[f"{first},{second}"] = machine_sentences(names[second], list(asked.values()), every)
    return found


def _ratios(lines: Sequence[ComparedLine], first: int, second: int) -> dict[str, Span]:
    """Those of two machines, by the name of the row."""
    every = ((line.name, ratio_of(line.times[first], line.times[second])) for line in lines)
    return {name: ratio for name, ratio in every if ratio.known}


def fastest_of(names: Sequence[str], headlines: Sequence[ComparedLine]) -> tuple[str, ...]:
    """How many headlines each of three machines or more is the fastest in; nothing of two."""
    return tuple(fastest_sentences(names, [line.times for line in headlines], "headlines")) if len(names) > 2 else ()


# ---- pictures ----


class RatioBar(NamedTuple):
    """A ratio on a logarithmic axis around 1, in per cent of its width; `side` as `side_of` says."""

    left: float
    width: float
    point: float
    side: str


def bar_of(ratio: Span, reach: float) -> RatioBar | None:
    """Where a bar begins, how wide its interval is, and where its point is; None without a ratio."""
    if not (math.isfinite(ratio.value) and ratio.value > 0):
        return None

    def across(value: float) -> float:
        if not value > 0:
            return 0.0
        return min(max(50 * (1 + math.log(value) / math.log(reach)), 0.0), 100.0) if math.isfinite(value) else 100.0

    point = across(ratio.value)
    known = math.isfinite(ratio.low) and math.isfinite(ratio.high)
    left, right = (across(ratio.low), across(ratio.high)) if known else (point, point)
    return RatioBar(round(left, 1), round(right - left, 1), round(point, 1), side_of(ratio))


@dataclass(frozen=True)
class Ladder:
    """The picture of both ladders: the decade of ns at which its scale begins, and how many decades it has. The rest is
    in units of the picture: its left edge and width, the first line's place, and from line to line.
    """

    low: int
    decades: int
    left: int = 12
    width: int = 396
    first: int = 40
    step: int = 36

    def x(self, ns: float) -> float:
        """Where a time stands."""
        return round(self.left + self.width * (math.log10(ns) - self.low) / self.decades, 1)

    def ticks(self) -> list[tuple[float, str]]:
        """The lines of the scale, each with its word."""
        every = [10.0 ** (self.low + step) for step in range(self.decades + 1)]
        return [(self.x(value), nanoseconds(value, 1)) for value in every]


def ladder_of(page: Page) -> Ladder | None:
    """The scale on which all headlines of all machines have room; None where none has a time."""
    known = [time.value for line in page.headlines for time in line.times if time.value > 0]
    if not known:
        return None
    low = math.floor(math.log10(min(known)))
    return Ladder(low, max(math.ceil(math.log10(max(known))) - low, 1))


# ---- the page ----


def as_page(page: Page) -> str:
    """The page as one HTML file."""
    script = (TEMPLATES / "compare.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("compare.html.j2")
        .render(
            page=page,
            ladder=ladder_of(page),
            data=json_in_html(json.dumps(_data(page))) if len(page.machines) > 2 else "",
            script=script,
            script_hash=digest,
            bar_of=bar_of,
            time=nanoseconds,
            bounds=_bounds,
            factor=factor,
        )
    )


def factor(value: float) -> str:
    """A ratio with three digits."""
    return f"× {plain(value, 3)}" if math.isfinite(value) else DASH


def _bounds(span: Span, *, of_time: bool) -> str:
    text = ns_bounds(*span) if of_time else f"[{plain(span.low, 3)}, {plain(span.high, 3)}]"
    return text if math.isfinite(span.low) and math.isfinite(span.high) else ""


def _data(page: Page) -> dict[str, object]:
    """What the script chooses from: names once, and for each machine a flat list of value, low and high in ns."""

    def flat(lines: Sequence[ComparedLine], machine: int) -> list[float | None]:
        values = [value for line in lines for value in line.times[machine]]
        return [float(f"{value:.{EMBEDDED_DIGITS}g}") if math.isfinite(value) else None for value in values]

    return {
        "headlines": [line.name for line in page.headlines],
        "cases": [line.name for line in page.rows],
        "machines": [
            {
                "name": machine.word,
                "title": machine.title,
                "heading": machine.name,
                "headlines": flat(page.headlines, place),
                "cases": flat(page.rows, place),
            }
            for place, machine in enumerate(page.machines)
        ],
        "said": page.said or {},
    }
