"""Topics of the report, one module each: the question, how to read the figures, what they do not show, which figures to
draw, and what the topic gives to the ladder at the report's top.

A topic is the part of a kernel's name before the slash. Modules of this package are found by looking: one with a
`TOPIC` is a topic. A topic without a module here, a user's own, gets a section in general terms.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.topics import modules
from fencepost.analysis.topics.rungs import Step


@dataclass(frozen=True)
class Topic:
    """What a section of the report says about a topic. Sections stand by `order`, then by name."""

    name: str
    title: str
    question: str
    how_to_read: str
    not_shown: str
    figures: tuple[Callable[[Analysis], Figure | None], ...] = ()
    ladder: tuple[Step, ...] = ()
    order: int = 1000

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
    """The topic of each module of this package, in the order of the report."""
    found = [module.TOPIC for module in modules("figures") if hasattr(module, "TOPIC")]
    return tuple(sorted(found, key=lambda topic: (topic.order, topic.name)))
