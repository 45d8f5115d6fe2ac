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
    UNLOADED = "unloaded"
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
        f"{_rows_word(n)} failed the check: the timed work gave a wrong result.",
        "The kernel, the compiler or the machine is at fault. The figures are not shown.",
        "Run `fencepost show KERNEL` to see what the check tests, and report the fault with the run folder.",
    ),
    Kind.MODES: lambda _, n: (
        f"{_rows_word(n)} with several modes: the processes fall into groups, so there is no common interval.",
        (
            "Something differs between processes: the address-space layout, page colours, which thread keeps a lock, "
            "or the core clock."
        ),
        "Read the modes as separate figures. More rounds (`--profile rigorous`) show their shares better.",
    ),
    Kind.NOISY: lambda analysis, n: (
        (
            f"{_rows_word(n)} with more than {NOISY_SHARE:.0%} of batches disturbed (up to "
            f"{_most(analysis, 'noisy'):.0f} %)."
        ),
        "Other work, interrupts or a hypervisor used these CPUs.",
        (
            "Run `fencepost doctor`, stop other work, and repeat these cases. A median holds while less than half of "
            "the batches are disturbed."
        ),
    ),
    Kind.MIGRATED: lambda _, n: (
        (f"{_rows_word(n)} with batches that moved to another CPU, or ran on a CPU that was not requested."),
        "The CPU went offline, or another program changed the CPUs of the process.",
        "Check cpusets and tools that move threads, then repeat the run.",
    ),
    Kind.LOW_OVERLAP: lambda _, n: (
        (
            f"{_rows_word(n)} whose threads overlapped for less than half of the window, in more than "
            f"{NOISY_SHARE:.0%} of batches."
        ),
        "There were more threads than free CPUs, or the hypervisor did not run the virtual CPUs together.",
        "Read these rows as a mixture of contended and uncontended. Use CPUs without other work.",
    ),
    Kind.HAND_OVER_DRIFT: lambda _, n: (
        (
            f"{_rows_word(n)} during which the round trip of a cache line changed by more than 1.35 ×, in more than "
            f"{NOISY_SHARE:.0%} of processes."
        ),
        "The host moved the virtual CPUs, or other work used their caches.",
        "Compare these rows by xraw over several runs, not by their time in one run.",
    ),
    Kind.SHORT: lambda _, n: (
        (
            f"{_rows_word(n)} with windows shorter than 1000 steps of the counter, in more than {NOISY_SHARE:.0%} of "
            "batches."
        ),
        "The kernel cannot do more operations, or the counter moves in large steps.",
        "Ignore digits beyond one step of the counter divided by the number of operations.",
    ),
    Kind.UNLOADED: lambda _, n: (
        f"{_rows_word(n)} whose background load did not run in more than {NOISY_SHARE:.0%} of windows.",
        "The measured thread kept its CPU, or other work or a hypervisor kept the load from it.",
        "Read these rows as measured without that load.",
    ),
    Kind.NO_CYCLES: lambda _, n: (
        f"{_rows_word(n)} without cycles: in most processes imul did not take 3.0 (± 5 %) times as long as add.",
        (
            "The clock changed during the case, a sibling was busy, or a multiplication does not take 3 cycles on this "
            "core."
        ),
        "Use the times, which are not affected, or repeat on a quiet machine with a fixed governor.",
    ),
    Kind.FEW_CYCLES: lambda _, n: (
        (
            f"{_rows_word(n)} whose cycles have no interval: the chains agreed in fewer than {FEWEST_PROCESSES} "
            "processes."
        ),
        "The clock changed or the CPU was shared during the measurement.",
        "Use the times, or repeat with more rounds on a quiet machine.",
    ),
    Kind.FEW_ROUNDS: lambda _, n: (
        f"{_rows_word(n)} measured in fewer than {FEWEST_PROCESSES} processes: too few for a 95 % interval.",
        "The run was interrupted, or the case did not run in some rounds.",
        "Complete it with `fencepost run --resume`.",
    ),
    Kind.INCOMPLETE: lambda _, n: (
        f"{_rows_word(n)} not measured in every round.",
        "Some processes lacked something that the case needs: memory, a permission or a CPU.",
        "The records of the rounds give the reasons. The figure comes from the other processes.",
    ),
    Kind.ONCE: lambda _, n: (
        f"{_rows_word(n)} measured in one process only.",
        "They record how a value changes over time, so they have no interval.",
        "Nothing to do.",
    ),
    Kind.NOT_MEASURABLE: lambda _, n: (
        f"{_rows_word(n)} cannot be measured on this machine.",
        "The machine or the account lacks what they need. Each row says what.",
        "Get the permission, or use another machine. Nothing is estimated in their place.",
    ),
    Kind.NOT_MEASURED: lambda _, n: (
        f"{_rows_word(n)} not measured yet.",
        "No complete round contains them.",
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
            "The run was stopped or is still running.",
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
            "Add one that has a twin: `fencepost run 'pipeline/imul100' ...`.",
        )
    elif floor > NOISE_FLOOR_PCT:
        yield RunWarning(
            Kind.NOISE_FLOOR,
            f"The same code, measured under two names, differs by {plain(floor, 2)} %.",
            "The machine is noisy or has several states, and medians over rounds do not remove this.",
            f"Ignore differences below {plain(floor, 2)} % between rows of this run, or repeat on a quieter machine.",
        )
    lost = [item.value for _, item in lost_pct(analysis)]
    if lost and max(lost) > LOST_PCT:
        yield RunWarning(
            Kind.GAPS,
            f"A spinning thread loses up to {plain(max(lost), 2)} % of its time in gaps of more than 1 µs.",
            "Timer interrupts, other work or a hypervisor take the CPU.",
            "Compare medians and floors. Tails (p99 and beyond) are properties of this machine, not of the code.",
        )
    middle, low, high = core_clock_of_rounds(analysis)
    if middle.n > 1 and (high / low - 1) * 100 > CLOCK_SPREAD_PCT:
        yield RunWarning(
            Kind.CLOCK_WANDERS,
            f"The core clock went from {plain(low, 3)} to {plain(high, 3)} GHz between rounds.",
            "Turbo, heat, power limits or other work on the same package changed it.",
            "Compare cycles instead of times, or fix the clock: `fencepost doctor` names the settings.",
        )
    workers = analysis.reduced.workers
    rates = workers["tick_hz"].to_numpy(float)
    spread = (rates.max() / rates.min() - 1) * 1e6
    if spread > TICK_SPREAD_PPM:
        yield RunWarning(
            Kind.TICKS_WANDER,
            f"Processes disagree by {plain(float(spread), 3)} ppm on the rate of the tick counter.",
            "The counter is not constant, or the clock that calibrates it was adjusted.",
            "The ticks of each process are converted by its own rate. See the row clock/rate.",
        )
    quantum = float(workers["quantum_ticks"].max())
    step_ns = quantum / float(rates.min()) * 1e9
    if step_ns > 5:
        yield RunWarning(
            Kind.COARSE_TICKS,
            f"The tick counter moves in steps of {count(quantum)} ticks ({plain(step_ns, 3)} ns).",
            "This is a property of the CPU or the hypervisor.",
            "Single events, such as those of clock/delta, are whole numbers of steps. Rows of loops are not affected.",
        )
    source = str(workers["tick_source"].iloc[0])
    if source == "clock_monotonic_raw":
        yield RunWarning(
            Kind.NO_TICK_COUNTER,
            "User code cannot read a tick counter, so times come from CLOCK_MONOTONIC_RAW.",
            "The architecture has none, or Linux does not let user code read it.",
            "Windows are as long as usual, but each reading costs more.",
        )
