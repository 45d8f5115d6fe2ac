"""Machines, or runs of one machine, beside each other as one HTML file: offline, and readable without its script."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fencepost.analysis.compare.comparison import (
    FASTEST,
    MOST_REACH,
    NO_SPAN,
    TIED,
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
SLOWER, FASTER, SAME = "▲", "▼", "="
"""Marks of a run's times: the verdict on them and those of the first run. Undecided ones have none."""


class Machine(NamedTuple):
    """One of the machines, or of the runs: a short name, all that is known of it in a line, a word for addresses, and
    its report.
    """

    name: str
    title: str
    word: str
    href: str = ""


@dataclass(frozen=True)
class ComparedLine:
    """A row: a time for each machine, and the ratio of the second to the first.

    Of runs of one machine, `verdicts` and `ratios` say how each compares with the first: empty and unknown for itself.
    """

    name: str
    times: tuple[Span, ...]
    ratio: Span
    verdicts: tuple[str, ...] = ()
    ratios: tuple[Span, ...] = ()

    @property
    def verdict(self) -> str:
        """In words, on the second run; empty for machines."""
        return self.verdicts[1] if self.verdicts else ""

    @property
    def shortest(self) -> float:
        """The first time that is known; infinite without one."""
        return next((time.value for time in self.times if time.known), math.inf)

    @property
    def empty(self) -> bool:
        """Whether neither of the first two machines has it."""
        return not any(math.isfinite(time.value) for time in self.times[:2])

    @property
    def marks(self) -> tuple[str, ...]:
        """For each machine whether it is the fastest, see `marks_of_times`; for each run, its verdict."""
        return tuple(map(_mark_of, self.verdicts)) if self.verdicts else marks_of_times(self.times)


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
    noun: str = "machines"
    """What is beside each other: these, or ``runs`` of one machine, each compared with the first."""

    @property
    def legend(self) -> str:
        """What the marks of times mean."""
        if len(self.machines) == 1:
            return ""
        if self.noun == "runs":
            return f"{SLOWER} is slower than in the first run, {FASTER} is faster, {SAME} is the same."
        return f"{FASTEST} is the fastest of a row. {TIED} cannot be told from it by their intervals."

    @property
    def all_rows(self) -> bool:
        """Whether there is a table with all rows of all machines."""
        return 2 < len(self.machines) <= MOST_ACROSS

    @property
    def verdicts(self) -> bool:
        """Whether rows have verdicts."""
        return self.noun == "runs"


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


def runs_page(pairs: Sequence[RunComparison], ids: Sequence[str], words: Callable[[ComparedRow], str]) -> Page:
    """Runs of one machine, each further one compared with the first.

    Parameters
    ----------
    pairs
        a comparison for each further run.
    ids
        of all runs, the first before the further ones.
    words
        the verdict of a row, as readers shall see it.
    """
    every = [{row.case: row for row in (*pair.controls, *pair.rows)} for pair in pairs]
    named = [dict(pair.headlines) for pair in pairs]
    lines, headlines = _lines_of_runs(every, words), _lines_of_runs(named, words)
    two = len(pairs) == 1
    machines = [Machine(run, run, run) for run in ids]
    told = [pair.sentences or ("Nothing changed.",) for pair in pairs]
    return Page(
        title=f"{'Two' if two else len(ids)} runs of one machine",
        machines=(Machine("old", ids[0], ids[0]), Machine("new", ids[1], ids[1])) if two else tuple(machines),
        headlines=tuple(sorted(headlines, key=lambda line: line.shortest)),
        rows=in_order(lines),
        sentences=told[0],
        fastest=() if two else tuple(f"{run}: {' '.join(one)}" for run, one in zip(ids[1:], told, strict=True)),
        said=None if two else {f"0,{place}": one for place, one in enumerate(told, 1)},
        notes=_notes_of(pairs, ids),
        facts=None,
        bounds="interval",
        reach=reach_of(ratio for line in headlines or lines for ratio in line.ratios),
        noun="runs",
    )


def _lines_of_runs(
    pairs: Sequence[Mapping[str, ComparedRow]], words: Callable[[ComparedRow], str]
) -> list[ComparedLine]:
    """A line for each name in any of the comparisons.

    The figures of a line are all of one kind, that of the first comparison that has the row: the others leave it out.
    """
    lines = []
    for name in dict.fromkeys(name for pair in pairs for name in pair):
        first = next(pair[name] for pair in pairs if name in pair)
        found = [row if row and row.basis == first.basis else None for row in (pair.get(name) for pair in pairs)]
        times = [
            NO_SPAN._replace(value=value)
            for value in (first.old_ns, *(row.new_ns if row else math.nan for row in found))
        ]
        ratios = [NO_SPAN, *(span_of(row.decision) if row else NO_SPAN for row in found)]
        verdicts = ["", *(words(row) if row else "" for row in found)]
        lines.append(ComparedLine(name, tuple(times), ratios[1], tuple(verdicts), tuple(ratios)))
    return lines


def _mark_of(verdict: str) -> str:
    """Of a verdict in words."""
    marks = {"changed: slower": SLOWER, "changed: faster": FASTER, "same": SAME}
    return marks.get(verdict, "")


def _notes_of(pairs: Sequence[RunComparison], ids: Sequence[str]) -> tuple[str, ...]:
    """The notes of all comparisons; those of some only are told with their run."""
    notes: dict[str, list[str]] = {}
    for run, pair in zip(ids[1:], pairs, strict=True):
        for note in pair.notes:
            notes.setdefault(note, []).append(run)
    return tuple(note if len(runs) == len(pairs) else f"{', '.join(runs)}: {note}" for note, runs in notes.items())


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
    """What the script chooses from: names once, and for each machine a flat list of value, low and high in ns.

    Of runs it also has their ratios to the first in the same form, and the place of each verdict in a list of all.
    """
    words = list(dict.fromkeys(word for line in (*page.headlines, *page.rows) for word in line.verdicts))
    places = {word: place for place, word in enumerate(words)}

    def flat(spans: Iterable[Span]) -> list[float | None]:
        values = [value for span in spans for value in span]
        return [float(f"{value:.{EMBEDDED_DIGITS}g}") if math.isfinite(value) else None for value in values]

    def compared(place: int) -> dict[str, object]:
        either = {"headlines": page.headlines, "cases": page.rows}
        found: dict[str, object] = {name: flat(line.times[place] for line in lines) for name, lines in either.items()}
        if page.verdicts:
            found["ratios"] = {name: flat(line.ratios[place] for line in lines) for name, lines in either.items()}
            found["verdicts"] = {
                name: [places[line.verdicts[place]] for line in lines] for name, lines in either.items()
            }
        return found

    return {
        "headlines": [line.name for line in page.headlines],
        "cases": [line.name for line in page.rows],
        "machines": [
            {"name": machine.word, "title": machine.title, "heading": machine.name, **compared(place)}
            for place, machine in enumerate(page.machines)
        ],
        "said": page.said or {},
        "words": words,
    }
