"""Cases of several topics, as a whole run has them, in kind and in magnitude."""

from __future__ import annotations

from runs.write import Case
from topics.clock.cases import clock_cases
from topics.counter.cases import counter_cases
from topics.line.cases import line_cases
from topics.lock.cases import lock_cases
from topics.memory.cases import chase_cases
from topics.noise.cases import gap_cases
from topics.pipeline.cases import pipeline_cases


def suite_cases() -> list[Case]:
    """What one thread measures, with two twins."""
    cases = [*clock_cases(), *pipeline_cases(), *chase_cases(), *gap_cases()]
    twins = [
        case.twin() for case in cases if case.id in ("pipeline/imul100@cpu1", "pipeline/chain[op=imul,chains=1]@cpu1")
    ]
    return cases + twins


def sharing_cases() -> list[Case]:
    """The topics line, lock and counter."""
    return [*line_cases(), *lock_cases(), *counter_cases()]
