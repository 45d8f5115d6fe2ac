"""The closed set of warnings: each says what was seen, with the number, what the likely cause is, and what to do next.

A warning never changes a figure. Its ``kind`` is also the flag of the rows that it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fencepost.analysis.runs.clock import core_clock_of_rounds
from fencepost.analysis.runs.estimate import NOISY_SHARE, Analysis
from fencepost.analysis.stats.interval import FEWEST_PROCESSES
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics.noise.measures import lost_pct

NOISE_FLOOR_PCT = 1.0


LOST_PCT = 1.0


CLOCK_SPREAD_PCT = 3.0


TICK_SPREAD_PPM = 100.0


class Kind(StrEnum):
    """Every warning there is. The first ones are flags of rows, the others are about the whole run."""

    FAILED = "failed"
    MODES = "modes"
    NOISY = "noisy"
    MIGRATED = "migrated"
    LOW_OVERLAP = "low_overlap"
    HAND_OVER_DRIFT = "hand_over_drift"
    SHORT = "short"
    NO_CYCLES = "no_cycles"
    FEW_CYCLES = "few_cycles"
    FEW_ROUNDS = "few_rounds"
    INCOMPLETE = "incomplete"
    ONCE = "once"
    NOT_MEASURABLE = "not_measurable"
    NOT_MEASURED = "not_measured"
    INCOMPLETE_RUN = "incomplete_run"
    NO_TWIN = "no_twin"
    NOISE_FLOOR = "noise_floor"
    GAPS = "gaps"
    CLOCK_WANDERS = "clock_wanders"
    TICKS_WANDER = "ticks_wander"
    COARSE_TICKS = "coarse_ticks"
    NO_TICK_COUNTER = "no_tick_counter"


@dataclass(frozen=True)
class RunWarning:
    """What was seen, the likely cause, the next step, and the cases concerned (none: the whole run)."""

    kind: Kind
    seen: str
    cause: str
    next_step: str
    cases: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """All three in one line."""
        return f"{self.seen} {self.cause} {self.next_step}"


def collect(analysis: Analysis) -> list[RunWarning]:
    """All warnings about a run, in the order of `Kind`; one of a kind, which names all its cases."""
    found = [*_of_rows(analysis), *_of_run(analysis)]
    order = list(Kind)
    return sorted(found, key=lambda warning: order.index(warning.kind))


_Worded = Callable[[Analysis, int], tuple[str, str, str]]


def _rows_word(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


_ROW_WARNINGS: dict[Kind, _Worded] = {
    Kind.FAILED: lambda _, n: (
        f"{_rows_word(n)} failed their check: the work that was timed was not done right.",
        "A fault in the kernel, in the compiler or in this machine; none of its figures is shown.",
        "Run `fencepost show KERNEL` for what the check looks at, and report it with the run folder.",
    ),
    Kind.MODES: lambda _, n: (
        f"{_rows_word(n)} with more than one mode among the medians of processes: no common interval is given.",
        (
            "Something differs from process to process: address-space layout, page colouring, which thread keeps a "
            "lock, the core clock."
        ),
        "Read the modes as separate figures; more rounds (`--profile rigorous`) show their shares better.",
    ),
    Kind.NOISY: lambda analysis, n: (
        (
            f"{_rows_word(n)} with more than {NOISY_SHARE:.0%} of batches disturbed (at most "
            f"{_most(analysis, 'noisy'):.0f} %)."
        ),
        "Other work on these CPUs, interrupts, or a hypervisor that takes the CPU away.",
        (
            "Run `fencepost doctor`, stop what else runs, and repeat these cases; medians stand up to less than half "
            "of disturbed batches."
        ),
    ),
    Kind.MIGRATED: lambda _, n: (
        (
            f"{_rows_word(n)} with batches that began on one CPU and ended on another, or ran on one that was not "
            "asked for."
        ),
        "The CPU was taken offline or the process's mask was changed while it ran.",
        "Look at cpusets and at tools that move threads; repeat the run.",
    ),
    Kind.LOW_OVERLAP: lambda _, n: (
        (
            f"{_rows_word(n)} whose threads ran together for less than half of the window in more than "
            f"{NOISY_SHARE:.0%} of batches."
        ),
        "More threads than free CPUs, or a hypervisor that does not run the virtual CPUs together.",
        "Read these rows as a mixture of contended and uncontended; run on CPUs with nothing else to do.",
    ),
    Kind.HAND_OVER_DRIFT: lambda _, n: (
        (
            f"{_rows_word(n)} beside which the round trip of one line changed by more than 1.35 × between before and "
            f"after, in more than {NOISY_SHARE:.0%} of processes."
        ),
        "The host moved the virtual CPUs, or something else wanted their caches.",
        "Compare such rows by their xraw over several runs, not by their time in one.",
    ),
    Kind.SHORT: lambda _, n: (
        (
            f"{_rows_word(n)} whose window was shorter than 1000 steps of the counter in more than {NOISY_SHARE:.0%} "
            "of batches."
        ),
        "The kernel could not be given more operations, or the counter moves in large steps.",
        "Do not trust digits beyond one step of the counter divided by the number of operations.",
    ),
    Kind.NO_CYCLES: lambda _, n: (
        f"{_rows_word(n)} without cycles: imul and add chains did not read 3.0 ± 5 % beside them in most processes.",
        (
            "The clock changed during the case, the CPU was shared with a busy sibling, or this core's multiply is not "
            "3 cycles long."
        ),
        "Use the ns, which are not affected; repeat on a quiet machine with the governor fixed.",
    ),
    Kind.FEW_CYCLES: lambda _, n: (
        (
            f"{_rows_word(n)} whose cycles have no interval: the chains beside them were believable in fewer than"
            f" {FEWEST_PROCESSES} processes."
        ),
        "The clock changed, or the CPU was shared, while they were measured.",
        "Use the ns; repeat with more rounds on a quiet machine.",
    ),
    Kind.FEW_ROUNDS: lambda _, n: (
        f"{_rows_word(n)} measured in fewer than {FEWEST_PROCESSES} processes: no interval of the median reaches 95 %.",
        "The run was cut short, or the case failed to run in some rounds.",
        "Complete it with `fencepost run --resume`.",
    ),
    Kind.INCOMPLETE: lambda _, n: (
        f"{_rows_word(n)} not measured in every round.",
        "A need of the case was missing in some processes (memory, a permission, a CPU).",
        "Its reasons are in the records of the rounds; the figure is over the processes that had it.",
    ),
    Kind.ONCE: lambda _, n: (
        f"{_rows_word(n)} measured in one process only.",
        "They are pictures of time, not estimates, so they have no interval.",
        "Nothing to do.",
    ),
    Kind.NOT_MEASURABLE: lambda _, n: (
        f"{_rows_word(n)} not measurable here.",
        "This machine or this account lacks what they need; each row says what.",
        "Where it is a permission, run with it; otherwise take another machine. Nothing is extrapolated.",
    ),
    Kind.NOT_MEASURED: lambda _, n: (
        f"{_rows_word(n)} of the plan not measured yet.",
        "The run has no complete round that holds them.",
        "Complete it with `fencepost run --resume`.",
    ),
}


def _of_rows(analysis: Analysis) -> Iterator[RunWarning]:
    for kind, words in _ROW_WARNINGS.items():
        cases = tuple(row.case for row in analysis.rows if kind in row.flags)
        if cases:
            yield RunWarning(kind, *words(analysis, len(cases)), cases)


def _most(analysis: Analysis, kind: str) -> float:
    return max(row.disturbed_pct for row in analysis.rows if kind in row.flags)


def _of_run(analysis: Analysis) -> Iterator[RunWarning]:
    if analysis.rounds < analysis.planned_rounds:
        yield RunWarning(
            Kind.INCOMPLETE_RUN,
            f"{analysis.rounds} of {analysis.planned_rounds} rounds are complete.",
            "The run was stopped or is still under way.",
            "Complete it with `fencepost run --resume`.",
        )
    if not analysis.rounds:
        return
    floor = analysis.noise_floor_pct
    if math.isnan(floor):
        yield RunWarning(
            Kind.NO_TWIN,
            "No A/A row was measured, so this run has no noise floor.",
            "None of the chosen kernels has a twin.",
            "Add one that has: `fencepost run 'pipeline/imul100' ...`.",
        )
    elif floor > NOISE_FLOOR_PCT:
        yield RunWarning(
            Kind.NOISE_FLOOR,
            f"The same code run twice under two names differs by {plain(floor, 2)} %.",
            "Noise or regimes of this machine that medians over rounds do not remove.",
            f"Believe no difference below {plain(floor, 2)} % between rows of this run; repeat on a quieter machine.",
        )
    lost = [item.value for _, item in lost_pct(analysis)]
    if lost and max(lost) > LOST_PCT:
        yield RunWarning(
            Kind.GAPS,
            f"A spinning thread loses up to {plain(max(lost), 2)} % of its time in pieces of more than 1 µs.",
            "Timer interrupts, other work, or a hypervisor that takes the CPU away.",
            "Compare medians and floors; look at tails (p99 and beyond) as properties of this machine, not of the "
            "code.",
        )
    middle, low, high = core_clock_of_rounds(analysis)
    if middle.n > 1 and (high / low - 1) * 100 > CLOCK_SPREAD_PCT:
        yield RunWarning(
            Kind.CLOCK_WANDERS,
            f"The core clock went from {plain(low, 3)} to {plain(high, 3)} GHz between rounds.",
            "Turbo, heat, power limits, or neighbours on the same package.",
            "Compare cycles rather than ns, or fix the clock: `fencepost doctor` names the knobs.",
        )
    workers = analysis.reduced.workers
    rates = workers["tick_hz"].to_numpy(float)
    spread = (rates.max() / rates.min() - 1) * 1e6
    if spread > TICK_SPREAD_PPM:
        yield RunWarning(
            Kind.TICKS_WANDER,
            f"Processes disagree by {plain(float(spread), 3)} ppm on the rate of the tick counter.",
            "The counter is not constant, or the clock it is calibrated against was adjusted.",
            "Each process's ticks are converted by its own rate; see the row clock/rate.",
        )
    quantum = float(workers["quantum_ticks"].max())
    step_ns = quantum / float(rates.min()) * 1e9
    if step_ns > 5:
        yield RunWarning(
            Kind.COARSE_TICKS,
            f"The tick counter moves in steps of {count(quantum)} ticks ({plain(step_ns, 3)} ns).",
            "A property of this CPU or hypervisor.",
            "Single events (clock/delta and other event rows) are whole numbers of steps; rows of loops are not "
            "affected.",
        )
    source = str(workers["tick_source"].iloc[0])
    if source == "clock_monotonic_raw":
        yield RunWarning(
            Kind.NO_TICK_COUNTER,
            "There is no tick counter that user code can read; time is CLOCK_MONOTONIC_RAW.",
            "This architecture has none, or the kernel does not let user code read it.",
            "Windows are as long as elsewhere, but each reading costs more.",
        )
