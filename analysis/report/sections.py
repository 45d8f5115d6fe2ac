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
from fencepost.analysis.report.beside import beside_tables
from fencepost.analysis.report.tables import rows_figure, topic_tables
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.table import Table, table
from fencepost.analysis.topics.default import default_pictures
from fencepost.analysis.topics.topic import Topic, known_topics
from fencepost.analysis.topics.words import Words, page_words, place


@dataclass(frozen=True)
class Section:
    """A topic with its words, and with the figures and tables that a run has for it. `beside` are those of
    figures beside time, one a kernel. `kernels` says what those kernels
    measure that no page describes.
    """

    topic: Topic
    words: Words
    kernels: Table | None = None
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    beside: tuple[Table, ...] = ()


def sections(analysis: Analysis) -> list[Section]:
    """One section for each topic with a case in the run, in the order of the pages; topics without a page come last."""
    with sections_begun(analysis) as complete:
        return complete()


@contextlib.contextmanager
def sections_begun(analysis: Analysis) -> Iterator[Callable[[], list[Section]]]:
    """The same, its figures begun in a second process; what is yielded draws the rest and returns the sections."""
    cases = Counter(row.topic for row in analysis.rows)
    known = [topic for topic in known_topics() if topic.name in cases]
    every = [*known, *(Topic(name) for name in cases.keys() - {topic.name for topic in known})]
    every.sort(key=lambda topic: place(topic.name))
    # The largest last, where the other process begins: the figure at which the two meet is drawn twice.
    draws = {
        topic.name: _draws(analysis, topic)
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
                    topic_words(topic.name),
                    kernels_table(analysis, topic.name),
                    tuple(figure for figure in drawn.get(topic.name, ()) if figure is not None),
                    tuple(topic_tables(analysis, topic.name)),
                    tuple(beside_tables(analysis, topic.name)),
                )
                for topic in every
            ]

        yield finished


def _draws(analysis: Analysis, topic: Topic) -> list[Callable[[Analysis], Figure | None]]:
    """The topic's own figures, and one of each kernel that it does not know. A topic without figures of its own shows
    its kernels beside each other too.
    """
    declared = [*topic.tables_only, *(kernel for picture in topic.figures for kernel in picture.kernels)]
    own: list[Callable[[Analysis], Figure | None]] = [*topic.figures]
    if not own and len({row.kernel for row in analysis.topic(topic.name)}) > 1:
        own = [functools.partial(rows_figure, topic=topic.name, slug=topic.slug)]
    return [*own, *default_pictures(analysis, topic.name, declared)]


def topic_words(name: str) -> Words:
    """The words of a topic: those of its page, or for a topic without a page general ones."""
    return page_words(name) or Words(
        title=name.capitalize(),
        question="What do these kernels cost on this machine?",
        how_to_read=(
            "Each row is a median over processes. The value of one process is the median of its batches.",
            "The brackets are the 95 % confidence interval of the median. The floor is the fastest batch of all.",
        ),
        not_shown=(
            "`fencepost show KERNEL` prints a kernel's file. Its first comment says what the kernel leaves out.",
        ),
    )


def kernels_table(analysis: Analysis, topic: str) -> Table | None:
    """What those kernels of a topic measure that its page does not describe, in the words of their files; None where
    the page describes all.
    """
    page = page_words(topic)
    described = page.kernels if page else frozenset()
    found = {
        case["kernel"]: (case["kernel"], case["summary"], case["unit"])
        for case in analysis.run["plan"]["cases"]
        if case["kernel"].partition("/")[0] == topic and case["kernel"] not in described
    }
    header = ("kernel", "what it measures", "one operation is one")
    return table("Kernels and their questions", header, list(found.values())) if found else None
