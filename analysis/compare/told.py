"""What a comparison says in a few words: its headlines, and a sentence for each side that topics fall on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from fencepost.analysis.compare.comparison import FASTEST, ComparedRow, Span, marks_of_times, side_of
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.verdict import ChangeVerdict
from fencepost.analysis.text.numbers import short
from fencepost.analysis.topics.headlines import told_headlines
from fencepost.analysis.topics.words import page_words

MOST_MIXED = 6
"""Topics that are named where neither side is mostly faster. A list of all of them answers nothing."""
MOSTLY = 0.75
"""A topic is called faster or slower where so many of its rows are, each by its own interval. With fewer the topic is
mixed, and one figure for it would hide that."""


class Headlines(NamedTuple):
    """The headlines among compared rows, by the name of the row and cheapest first: their labels, and by what the row's
    times are to be multiplied. One way is half of a round trip.
    """

    labels: dict[str, str]
    scales: dict[str, float]


SCALES = (1.0, 0.5)
"""What a headline may be of its row: the row itself, or one way of a round trip."""
SCALE_SLACK = 0.05
"""A headline may be the median over several pairs of CPUs, of which its row is one."""


def headlines_of(runs: Sequence[Analysis], cases: Mapping[str, str]) -> Headlines:
    """The headlines that are a row's time, or half of it.

    Others, such as a difference of two rows, are left out: the ratio of the row is not theirs.

    Parameters
    ----------
    runs
        those compared. Labels are those of the first.
    cases
        the name of a compared row, by its case in the first run.
    """
    found = Headlines({}, {})
    for told in told_headlines(runs[0]):
        row = runs[0].by_case.get(told.case)
        if row is None or told.case not in cases:
            continue
        share = told.ns / row.time.value if row.time.value > 0 else math.nan
        scale = next((one for one in SCALES if abs(share / one - 1) <= SCALE_SLACK), None)
        if scale is not None:
            name = cases[told.case]
            found.labels[name], found.scales[name] = told.label, scale
    return found


def fastest_sentences(names: Sequence[str], rows: Iterable[Sequence[Span]], of: str) -> list[str]:
    """How often each of many machines is the fastest, the most often first. `of`: what the rows are called."""
    marks = [marks_of_times(times) for times in rows]
    counts = [(sum(row[place] == FASTEST for row in marks), name) for place, name in enumerate(names)]
    ordered = sorted(counts, key=lambda item: -item[0])
    return [f"{name} is the fastest in {count} of {len(marks)} {of}." for count, name in ordered if count]


def machine_sentences(machine: str, headlines: Sequence[Span], ratios: Mapping[str, Span]) -> list[str]:
    """How one machine compares with the first: how many headlines are faster, and by topic.

    Parameters
    ----------
    machine
        how the sentences call it.
    headlines
        ratios of its times to those of the first machine. All rows are counted where there are none.
    ratios
        of all rows, by case.
    """
    asked = list(headlines) or list(ratios.values())
    sides = [side_of(ratio) for ratio in asked]
    of = ("headline" if headlines else "row") + ("s" if len(asked) != 1 else "")
    faster, slower, open_ = (sides.count(side) for side in ("faster", "slower", "open"))
    sentence = f"{machine} is faster in {faster} of {len(asked)} {of} and slower in {slower}"
    if open_ == len(asked):
        sentences = [f"{machine}: none of {len(asked)} {of} is decided."]
    else:
        sentences = [f"{sentence}. {open_} {'is' if open_ == 1 else 'are'} not decided." if open_ else f"{sentence}."]
    topics: dict[str, list[Span]] = {}
    for case, ratio in ratios.items():
        topics.setdefault(_topic(case), []).append(ratio)
    return sentences + _by_topic(topics)


def _by_topic(topics: Mapping[str, Sequence[Span]]) -> list[str]:
    """Up to three sentences: topics of which most rows are faster, slower, or neither."""
    found: dict[str, list[tuple[float, str]]] = {"Faster": [], "Slower": []}
    open_: list[str] = []
    for topic, ratios in topics.items():
        sides = [side_of(ratio) for ratio in ratios]
        speed = 1 / median(ratio.value for ratio in ratios)
        if sides.count("faster") >= MOSTLY * len(sides):
            found["Faster"].append((-speed, f"{_title(topic)} ({short(speed)} times as fast)"))
        elif sides.count("slower") >= MOSTLY * len(sides):
            found["Slower"].append((speed, f"{_title(topic)} ({short(speed, 2)} times as fast)"))
        else:
            open_.append(_title(topic))
    told = [f"{side}: {', '.join(text for _, text in sorted(texts))}." for side, texts in found.items() if texts]
    return [*told, _mixed(open_, all_=not told)] if open_ else told


def _mixed(topics: Sequence[str], *, all_: bool) -> str:
    if len(topics) <= MOST_MIXED:
        return f"Mixed or not decided: {', '.join(sorted(topics))}."
    return f"Mixed or not decided: {'all' if all_ else 'the other'} {len(topics)} topics."


def run_sentences(rows: Iterable[ComparedRow]) -> list[str]:
    """What changed between two runs of one machine, by topic."""
    topics: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.decision.verdict is ChangeVerdict.CHANGED:
            side = "Slower" if row.decision.ratio > 1 else "Faster"
            topics.setdefault((side, _topic(row.case)), []).append(row.decision.ratio)
    sentences = []
    for wanted in ("Slower", "Faster"):
        parts = []
        for (side, topic), ratios in topics.items():
            if side == wanted:
                most = max(ratios, key=lambda ratio: abs(math.log(ratio)))
                number = "1 row" if len(ratios) == 1 else f"{len(ratios)} rows"
                parts.append(f"{_title(topic)} ({number}, by up to {(most - 1) * 100:+.3g} %)")
        if parts:
            sentences.append(f"{wanted}: {', '.join(parts)}.")
    return sentences


def _topic(case: str) -> str:
    return case.partition("/")[0]


def _title(topic: str) -> str:
    """The heading of a topic's page; the topic's name for kernels of somebody's own."""
    words = page_words(topic)
    return topic if words is None else words.title
