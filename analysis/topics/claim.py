"""Sentences of a lecture made testable: what was said, what this run says to it.

A claim is a function with the decorator `claim` in a module of this package, one module a topic; modules are found by
looking. Each verdict carries its figure with an interval, the condition where it depends on one, or the need where this
machine cannot tell.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeVar

from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.in_regime import in_regime, regimes_met
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Interval
from fencepost.analysis.stats.limit import Side, reach
from fencepost.analysis.text.numbers import case_label
from fencepost.analysis.topics import modules
from fencepost.analysis.topics.control import Control, Shown
from fencepost.analysis.topics.crowds import OVERSUBSCRIBED

SAME = 0.01
"""Margin within which two figures count as equal."""


class Outcome(StrEnum):
    """The five verdicts. `UNDECIDED`: measured, but the figure touches its limit within the noise of the run."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    DEPENDS = "depends"
    UNDECIDED = "undecided here"
    NOT_MEASURABLE = "not measurable here"


class Measure(NamedTuple):
    """The figure that decides, as numbers, with the limits that it is held against, lowest first.

    `low` and `high` are NaN where there is no interval.
    """

    value: float
    low: float
    high: float
    unit: str
    limits: tuple[float, ...]


def measure(interval: Interval, unit: str, *limits: float) -> Measure:
    """A measure of an interval; `unit` is 1 for a ratio."""
    return Measure(interval.value, interval.low, interval.high, unit, limits)


@dataclass(frozen=True)
class Verdict:
    """What this run says to a claim. `figure` is the number with its interval as text, `because` one or two
    sentences. `measure` is the number that decides. `control` is the claim's control in this run.
    """

    outcome: Outcome
    figure: str
    because: str
    measure: Measure | None = None
    control: Shown | None = None


Test = Callable[[Analysis], Verdict]
Failure = Callable[[Row], Outcome | None]
"""What it says to a claim that the check of a row failed; None where it says nothing."""


CHECK_FAILED = "check failed: "
"""How the engine begins the reason where the check of a kernel failed, and not its setup, its memory or its process."""


def refuted(_: Row) -> Outcome:
    """The `Failure` of a claim that the check of its kernel puts to the test itself."""
    return Outcome.REFUTED


@dataclass(frozen=True)
class Claim:
    """The sentence as it stands in the notes, in English, and the kernels that test it. `tested_as` says what exactly
    is put to the test. `control` shows that the run can tell. `failure` says what a failed check means for it.
    """

    id: str
    topic: str
    quote: str
    english: str
    kernels: tuple[str, ...]
    test: Test
    tested_as: str
    control: Control
    failure: Failure | None = None

    @property
    def language(self) -> str:
        """Language of the quote as HTML names it: the notes are in Chinese and quote English sources."""
        return "zh-Hant" if any("\u2e80" <= letter <= "\u9fff" for letter in self.quote) else "en"


class NotMeasurableError(Exception):
    """What a claim needs is not in the run. Its text says what; `figure` is what can be said all the same."""

    def __init__(self, because: str, figure: str = "") -> None:
        super().__init__(because)
        self.figure = figure


Found = TypeVar("Found")


def needs(kernel: str, *, cpus: int = 0, because: str = "", **values: object) -> Callable[[Test], Test]:
    """Let a claim be tested only where a kernel has the rows that it needs.

    Parameters
    ----------
    kernel
        the kernel whose rows are looked at: those with a time, or with counts.
    cpus
        a row must have at least so many threads, each on a separate CPU.
    because
        what a run without them is told; without it, the parameters that are missing.
    values
        parameters and their values; of a tuple each value is needed.
    """
    every = [value if isinstance(value, tuple) else (value,) for value in values.values()]
    wanted = [dict(zip(values, combination, strict=True)) for combination in itertools.product(*every)]

    def guard(test: Test) -> Test:
        @functools.wraps(test)
        def guarded(analysis: Analysis) -> Verdict:
            rows = analysis.decided(kernel)
            own = [row for row in rows if not cpus or (row.relation != OVERSUBSCRIBED and len(row.cpus) >= cpus)]
            for parameters in wanted:
                if not any(row.has(**parameters) for row in own):
                    on = f" with {cpus} threads, each on a separate CPU" if cpus else ""
                    label = case_label(parameters)
                    raise NotMeasurableError(because or f"needs {f'{label} of ' if label else ''}{kernel}{on}.")
            return test(analysis)

        return guarded

    return guard


def known(found: Found | None, because: str, figure: str = "") -> Found:
    """What a measure found. Raises `NotMeasurableError` where that is None, empty, False, or an interval of nothing."""
    if not found or (isinstance(found, Interval) and not found.n):
        raise NotMeasurableError(because, figure)
    return found


def row_of(analysis: Analysis, kernel: str, **wanted: object) -> Row:
    """The first row of a kernel with these parameters. There is one where `needs` asked for it."""
    return next(row for row in analysis.decided(kernel) if row.has(**wanted))


def first_true(figure: str, number: Measure | None, said: str, *ways: tuple[bool, Outcome, str]) -> Verdict:
    """The verdict of the first of several ways that is true: an outcome, and a sentence that `said` follows.

    Raises `ValueError` where none is true, so the last way is usually ``True``.
    """
    for true, outcome, because in ways:
        if true:
            return Verdict(outcome, figure, f"{because} {said}".strip(), number)
    raise ValueError(f"no way is true of: {figure}")


def by_side(where: Side, figure: str, number: Measure, said: str, words: Mapping[Side, tuple[Outcome, str]]) -> Verdict:
    """The verdict of a figure that is held against one limit: `words` has the outcome and a sentence for each side of
    it, and `said` follows the sentence.
    """
    outcome, because = words[where]
    return Verdict(outcome, figure, f"{because} {said}".strip(), number)


_CLAIMS: list[Claim] = []


def noise_of(analysis: Analysis, *kernels: str) -> float:
    """Share by which the same code differs from itself, for a figure of these kernels.

    It is taken from the A/A rows of these kernels; where they have none, from those of their topics, and else from all
    A/A rows of the run. Without any it is 0: the noise is not known, and intervals alone decide.
    """
    topics = {kernel.partition("/")[0] for kernel in kernels}
    bounded = [(analysis.by_case[twin.original], twin.effect_pct) for twin in analysis.twins if twin.effect_pct.bounded]
    own = [effect for row, effect in bounded if row.kernel in kernels]
    near = [effect for row, effect in bounded if row.topic in topics]
    return reach(own or near or [effect for _, effect in bounded])


def time_of(row: Row) -> Interval:
    """The time of a row. Several modes bound it by the least and the largest: a claim has to hold in all of them."""
    if not row.modes:
        return row.time
    every = [mode.ns for mode in row.modes]
    return row.time._replace(low=min(every), high=max(every))


def claim(
    name: str,
    quote: str,
    english: str,
    kernels: Sequence[str],
    tested_as: str,
    failure: Failure | None = None,
    *,
    control: Control,
) -> Callable[[Test], Test]:
    """Register the function under it as the test of one sentence. Its topic is the first part of `name`, before the
    slash.
    """
    topic = name.partition("/")[0]

    def register(test: Test) -> Test:
        if any(other.id == name for other in _CLAIMS):
            raise ValueError(f"claim {name} is there twice")
        _CLAIMS.append(Claim(name, topic, quote, english, tuple(kernels), test, tested_as, control, failure))
        return test

    return register


def claims() -> tuple[Claim, ...]:
    """All claims: by module, and in a module in the order of the file."""
    modules("claims")
    return tuple(_CLAIMS)


def verdicts(analysis: Analysis) -> list[tuple[Claim, Verdict]]:
    """Each claim with what this run says to it; a claim whose kernels are not in the run is not measurable here, and
    says why.
    """
    return [(item, _verdict(analysis, item)) for item in claims()]


def _failed(analysis: Analysis, item: Claim) -> Verdict | None:
    """The verdict that a failed check gives: refuted, where there are several; None where no failure speaks."""
    said: dict[Outcome, Row] = {}
    for row in analysis.kernel(*item.kernels):
        checked = "failed" in row.flags and CHECK_FAILED in (row.reason or "")
        outcome = item.failure(row) if item.failure and checked else None
        if outcome is not None:
            said.setdefault(outcome, row)
    if not said:
        return None
    outcome = Outcome.REFUTED if Outcome.REFUTED in said else next(iter(said))
    row = said[outcome]
    because = "The kernel's own check failed. It compares what was done."
    return Verdict(outcome, f"{row.case}: {row.reason}", because, control=item.control.shown(analysis))


def failures_said(rows: Sequence[Row]) -> str:
    """Which of these rows failed and so have no figures, and why the first did; empty where none failed."""
    failed = [row for row in rows if "failed" in row.flags]
    if not failed:
        return ""
    named, *others = failed
    has = "has 1 more row" if len(others) == 1 else f"have {len(others)} more rows"
    return f"{named.case} has no figures: {named.reason}. {f'So {has} of these kernels.' if others else ''}".strip()


def _verdict(analysis: Analysis, item: Claim) -> Verdict:
    failed = _failed(analysis, item)
    if failed is not None:
        return failed
    found = _tested(analysis, item)
    said = [found.because]
    if found.outcome is Outcome.UNDECIDED and analysis.rounds < FEWEST_PROCESSES:
        said.append(f"{analysis.rounds} of the {FEWEST_PROCESSES} processes that an interval takes were measured.")
    # A row without figures takes no part: that must not look as if the claim had been tested in full.
    said.append(failures_said([row for row in analysis.kernel(*item.kernels) if (row.reason or "") not in said[0]]))
    return replace(found, because=" ".join(filter(None, said)))


def _tested(analysis: Analysis, item: Claim) -> Verdict:
    """What the run says; where its CPUs were at several distances, what it says at each of them, taken together."""
    shares = regimes_met(analysis, *item.kernels)
    if len(shares) < 2:
        return _tested_once(analysis, item)
    said = {name: _tested_once(in_regime(analysis, name), item) for name in shares}
    able = {name: verdict for name, verdict in said.items() if verdict.outcome is not Outcome.NOT_MEASURABLE} or said
    # Too few batches at a distance leave no figure there, which speaks neither for the sentence nor against it.
    able = {name: verdict for name, verdict in able.items() if _has_figure(verdict)} or able
    longest = able[max(able, key=lambda name: shares[name])]
    figures = {name: verdict.figure for name, verdict in able.items() if verdict.figure}
    figure = "; ".join(f"{name} ({shares[name]:.0%}): {each}" for name, each in figures.items())
    if len(figures) > len(set(figures.values())) == 1:
        figure = (
            f"{longest.figure}, all distances together"  # metrics, which no distance beside the batches tells apart
        )
    outcomes = {verdict.outcome for verdict in able.values()}
    if len(outcomes) == 1:
        return replace(longest, figure=figure)
    # A regime that leaves it open contradicts none that decides.
    outcome = Outcome.DEPENDS if len(outcomes - {Outcome.UNDECIDED}) > 1 else Outcome.UNDECIDED
    by_name = ", ".join(f"{verdict.outcome} {name}" for name, verdict in able.items())
    because = f"It depends on how far apart the CPUs were: {by_name}."
    return Verdict(outcome, figure, because, longest.measure, longest.control)


def _has_figure(verdict: Verdict) -> bool:
    return verdict.measure is None or not math.isnan(verdict.measure.value)


def _tested_once(analysis: Analysis, item: Claim) -> Verdict:
    """What the test says. It counts only where the control holds."""
    shown = item.control.shown(analysis)
    found = replace(_said(analysis, item), control=shown)
    open_anyway = found.outcome is Outcome.UNDECIDED and shown.holds is None
    if found.outcome is Outcome.NOT_MEASURABLE or shown.holds or open_anyway:
        return found
    if not shown.measured:
        return replace(found, outcome=Outcome.NOT_MEASURABLE, because=shown.text)
    return replace(found, outcome=Outcome.UNDECIDED, because=f"{shown.text} So the run cannot tell.")


def _said(analysis: Analysis, item: Claim) -> Verdict:
    try:
        for kernel in item.kernels:
            rows = known(
                analysis.kernel(kernel),
                f"This run has no {kernel}; measure it with `fencepost run '{kernel}'`.",
            )
            known(analysis.decided(kernel), f"{kernel}: {rows[0].reason}.")
        return item.test(analysis)
    except NotMeasurableError as error:
        return Verdict(Outcome.NOT_MEASURABLE, error.figure, str(error))
