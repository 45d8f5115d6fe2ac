"""One section a topic, with its figures and tables."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.draw.parallel import begun
from fencepost.analysis.report.tables import rows_figure, topic_tables
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.table import Table
from fencepost.analysis.topics.topic import Topic, known_topics


@dataclass(frozen=True)
class Section:
    """A topic with the figures and tables that a run has for it."""

    topic: Topic
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


def sections(analysis: Analysis) -> list[Section]:
    """One section for each topic with a case in the run: known topics in their order, others after them by name."""
    with sections_begun(analysis) as complete:
        return complete()


@contextlib.contextmanager
def sections_begun(analysis: Analysis) -> Iterator[Callable[[], list[Section]]]:
    """The same, its figures begun in a second process; what is yielded draws the rest and returns the sections."""
    cases = Counter(str(kernel).partition("/")[0] for kernel in (analysis.rows["kernel"] if len(analysis.rows) else ()))
    known = [topic for topic in known_topics() if topic.name in cases]
    every = [*known, *(generic_topic(name) for name in sorted(cases.keys() - {topic.name for topic in known}))]
    # The largest last, where the other process begins: the figure at which the two meet is drawn twice.
    draws = {
        topic.name: topic.figures or (functools.partial(rows_figure, topic=topic.name, slug=topic.slug),)
        for topic in sorted(every, key=lambda topic: cases[topic.name])
        if analysis.rounds
    }
    with begun([functools.partial(draw, analysis) for several in draws.values() for draw in several]) as complete:

        def finished() -> list[Section]:
            figures = iter(complete())
            drawn = {name: tuple(itertools.islice(figures, len(several))) for name, several in draws.items()}
            return [
                Section(
                    topic,
                    tuple(figure for figure in drawn.get(topic.name, ()) if figure is not None),
                    tuple(topic_tables(analysis, topic.name)),
                )
                for topic in every
            ]

        yield finished


def generic_topic(name: str) -> Topic:
    """The entry of a topic that has no module here."""
    return Topic(
        name,
        name.capitalize(),
        f"What do the kernels of the topic {name} cost on this machine?",
        "Each row is the median over processes, each process's value being the median of its batches; the brackets "
        "hold the true median with "
        "95 % confidence. The floor is the smallest batch of all.",
        "What these kernels leave out is said in the comment at the top of each kernel's file: `fencepost show "
        "KERNEL` prints it.",
    )
