"""Topics of the report, one folder each: which figures to draw, and what the topic gives to the ladder at the top.

A topic is the part of a kernel's name before the slash. Folders of this package are found by looking: one whose
``figures`` module has a `TOPIC` is a topic. Its words are on its page (`fencepost.analysis.topics.words`).
"""

from __future__ import annotations

import functools
import re
import shlex
from dataclasses import dataclass, replace

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics import modules, words
from fencepost.analysis.topics.pictures import Picture
from fencepost.analysis.topics.rungs import Rung, Step


@dataclass(frozen=True)
class Topic:
    """What a section of the report draws, and the rungs that the topic gives to the ladder. `tables_only` are kernels
    (names may hold ``*``) that stand in the tables alone. Each other kernel without a figure gets a default picture.
    """

    name: str
    figures: tuple[Picture, ...] = ()
    tables_only: tuple[str, ...] = ()
    rungs: tuple[Step, ...] = ()

    @property
    def slug(self) -> str:
        """The name for ids and file names: a run folder edited by hand may hold anything as a kernel's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "topic"

    @property
    def command(self) -> str:
        """The command that repeats just this section."""
        return f"fencepost run {shlex.quote(self.name + '/*')}"


@functools.cache
def known_topics() -> tuple[Topic, ...]:
    """The topic of each folder of this package, in the order of the report."""
    found = [module.TOPIC for module in modules("figures") if hasattr(module, "TOPIC")]
    return tuple(sorted(found, key=lambda topic: words.place(topic.name)))


def rungs(analysis: Analysis) -> list[tuple[Topic, Rung]]:
    """Every rung that a run has, by topic in the order of the report, cheapest first within a topic. A row with regimes
    gives one for each.
    """
    found = []
    for topic in known_topics():
        mine = [each for rung in _rungs_of(analysis, topic) for each in rung.each()]
        found += [(topic, rung) for rung in sorted(mine, key=lambda rung: rung.ns.value)]
    return found


def _rungs_of(analysis: Analysis, topic: Topic) -> list[Rung]:
    """A topic's rungs as its steps give them: one for a row, whatever regimes it has."""
    if not analysis.rounds:
        return []
    found = [rung for step in topic.rungs if (rung := step(analysis)) is not None]
    return [replace(rung, basis=_basis_of(analysis, rung)) for rung in found]


def _basis_of(analysis: Analysis, rung: Rung) -> str | None:
    row = analysis.by_case.get(rung.measured_as)
    return row.basis if row is not None and row.witnessed else None


def headlines(analysis: Analysis) -> list[tuple[Topic, Rung]]:
    """The rungs that are headlines, cheapest first."""
    found = [pair for pair in rungs(analysis) if pair[1].headline]
    return sorted(found, key=lambda pair: pair[1].ns.value)


def headline_rungs(analysis: Analysis) -> list[Rung]:
    """The headlines, cheapest first: one for a row, whatever regimes it has."""
    found = [rung for topic in known_topics() for rung in _rungs_of(analysis, topic) if rung.headline]
    return sorted(found, key=lambda rung: rung.ns.value)
