"""What a comparison says in a few words: its headlines, and a sentence for each side that topics fall on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from fencepost.analysis.compare.comparison import ComparedRow, MachineRow
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision
from fencepost.analysis.topics.topic import headline_rungs
from fencepost.analysis.topics.words import page_words

MOSTLY = 0.75
"""A topic is called faster or slower where so many of its rows are, each by its own interval. With fewer the topic is
mixed, and one figure for it would hide that."""


def labels_of(run: Analysis, cases: Mapping[str, str]) -> dict[str, str]:
    """The headline that each of the compared rows is, cheapest first.

    Parameters
    ----------
    run
        the first of the compared runs.
    cases
        the name of a compared row, by its case in that run.
    """
    return {cases[rung.measured_as]: rung.label for rung in headline_rungs(run) if rung.measured_as in cases}


def machine_sentences(machine: str, rows: Sequence[MachineRow], labels: Mapping[str, str], other: int) -> list[str]:
    """How one machine compares with the first: how many headlines are faster, and by topic.

    Parameters
    ----------
    machine
        how the sentences call it.
    other
        its place in `MachineRow.ratios`.
    """
    asked = [row for row in rows if row.case in labels] or list(rows)
    sides = [_side(row.ratios[other]) for row in asked]
    of = ("headline" if labels else "row") + ("s" if len(asked) != 1 else "")
    sentence = f"{machine} is faster in {sides.count(-1)} of {len(asked)} {of} and slower in {sides.count(1)}"
    open_ = sides.count(0)
    sentences = [f"{sentence}. {open_} {'is' if open_ == 1 else 'are'} not decided." if open_ else f"{sentence}."]
    topics: dict[str, list[Decision]] = {}
    for row in rows:
        topics.setdefault(_topic(row.case), []).append(row.ratios[other])
    return sentences + _by_topic(topics)


def _by_topic(topics: Mapping[str, Sequence[Decision]]) -> list[str]:
    """Up to three sentences: topics of which most rows are faster, slower, or neither."""
    found: dict[str, list[tuple[float, str]]] = {"Faster": [], "Slower": [], "Mixed or not decided": []}
    for topic, decisions in topics.items():
        sides = [_side(decision) for decision in decisions]
        speed = 1 / median(decision.ratio for decision in decisions)
        if sides.count(-1) >= MOSTLY * len(sides):
            found["Faster"].append((-speed, f"{_title(topic)} ({speed:.3g} times as fast)"))
        elif sides.count(1) >= MOSTLY * len(sides):
            found["Slower"].append((speed, f"{_title(topic)} ({speed:.2g} times as fast)"))
        else:
            found["Mixed or not decided"].append((0, _title(topic)))
    return [f"{side}: {', '.join(text for _, text in sorted(texts))}." for side, texts in found.items() if texts]


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


def _side(decision: Decision) -> int:
    """-1 where the second is faster by its interval, 1 where it is slower, 0 where that is not decided."""
    if decision.high < 1:
        return -1
    return int(decision.low > 1)


def _topic(case: str) -> str:
    return case.partition("/")[0]


def _title(topic: str) -> str:
    """The heading of a topic's page; the topic's name for kernels of somebody's own."""
    words = page_words(topic)
    return topic if words is None else words.title
