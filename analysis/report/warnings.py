"""The closed set of warnings: each says what was seen, with the number, what the likely cause is, and what to do next.

A warning never changes a figure. Its ``kind`` is also the flag of the rows that it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from fencepost.analysis.report.causes import largest_loss_pct, traced_rounds
from fencepost.analysis.runs.clock import core_clock_of_rounds
from fencepost.analysis.runs.estimate import NOISY_SHARE, Analysis
from fencepost.analysis.runs.shares import share, shares_of
from fencepost.analysis.stats.interval import FEWEST_PROCESSES
from fencepost.analysis.text.numbers import count, plain

NOISE_FLOOR_PCT = 1.0


LOST_PCT = 1.0


CLOCK_SPREAD_PCT = 3.0


NEIGHBOUR_PCT = 10.0
"""From here on a median over all batches may be that of the neighbour's hours as well as of the quiet ones."""


TICK_SPREAD_PPM = 100.0


COARSE_STEP_NS = 5.0
"""A longer step of the tick counter shows in single events, of which the shortest take some nanoseconds."""


MOST_NOTES = 10
"""Of an import. A file may have thousands of rows that are left out."""


class Kind(StrEnum):
    """Every warning there is. The first ones are flags of rows, the others are about the whole run."""

    FAILED = "failed"
    MODES = "modes"
    REGIMES = "regimes"
    NEVER_QUIET = "never_quiet"
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
    NEIGHBOUR = "neighbour"
    GAPS = "gaps"
    CLOCK_WANDERS = "clock_wanders"
    TICKS_WANDER = "ticks_wander"
    COARSE_TICKS = "coarse_ticks"
    NO_TICK_COUNTER = "no_tick_counter"
    TRACED = "traced"
    IMPORT_NOTES = "import_notes"


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


class _Words(NamedTuple):
    """What a warning says. Names in braces stand for the numbers of a run."""

    seen: str
    cause: str
    next_step: str


def _warning(kind: Kind, words: _Words, numbers: Mapping[str, object], cases: tuple[str, ...] = ()) -> RunWarning:
    seen, cause, next_step = (part.format_map(numbers) for part in words)
    return RunWarning(kind, seen, cause, next_step, cases)


_ROW_WORDS: dict[Kind, _Words] = {
    Kind.FAILED: _Words(
        "{rows} failed the check: the timed work gave a wrong result.",
        "The kernel, the compiler or the machine is at fault. The figures are not shown.",
        "Run `fencepost show KERNEL` to see what the check tests, and report the fault with the run folder.",
    ),
    Kind.MODES: _Words(
        "{rows} with several modes: the processes fall into groups, so there is no common interval.",
        "Something differs between processes: the address-space layout, page colours, which thread keeps a lock, "
        "or the core clock.",
        "Read the modes as separate figures. More rounds (`--profile rigorous`) show their shares better.",
    ),
    Kind.REGIMES: _Words(
        "{rows} whose CPUs were at several distances during the run: each distance has a separate figure.",
        "The host ran the virtual CPUs now on cores that share a cache, now on cores that do not.",
        "Read the figures by their distance. The time of the row is the one at the distance that held longest.",
    ),
    Kind.NEVER_QUIET: _Words(
        "{rows} with too few quiet batches: they have no figure alone.",
        "A neighbour shared the core, or the core clock moved, beside nearly every batch.",
        "Read them as found. Repeat at another hour, or with `--profile rigorous`, which waits longer.",
    ),
    Kind.NOISY: _Words(
        "{rows} with more than {share:.0%} of batches disturbed (up to {most:.0f} %).",
        "Other work, interrupts or a hypervisor used these CPUs.",
        "Run `fencepost doctor`, stop other work, and repeat these cases. A median is right while less than half "
        "of the batches are disturbed.",
    ),
    Kind.MIGRATED: _Words(
        "{rows} with batches that moved to another CPU, or ran on a CPU that was not requested.",
        "The CPU went offline, or another program changed the CPUs of the process.",
        "Check cpusets and tools that move threads, then repeat the run.",
    ),
    Kind.LOW_OVERLAP: _Words(
        "{rows} whose threads overlapped for less than half of the window, in more than {share:.0%} of batches.",
        "There were more threads than free CPUs, or the hypervisor did not run the virtual CPUs together.",
        "Read these rows as a mixture of contended and uncontended. Use CPUs without other work.",
    ),
    Kind.HAND_OVER_DRIFT: _Words(
        "{rows} during which the round trip of a cache line changed by more than 1.35 ×, in more than {share:.0%} of "
        "processes.",
        "The host moved the virtual CPUs, or other work used their caches.",
        "Compare these rows by xraw over several runs, not by their time in one run.",
    ),
    Kind.SHORT: _Words(
        "{rows} with windows shorter than 1000 steps of the counter, in more than {share:.0%} of batches.",
        "The kernel cannot do more operations, or the counter moves in large steps.",
        "Ignore digits beyond one step of the counter divided by the number of operations.",
    ),
    Kind.UNLOADED: _Words(
        "{rows} whose background load did not run in more than {share:.0%} of windows.",
        "The measured thread kept its CPU, or other work or a hypervisor kept the load from it.",
        "Read these rows as measured without that load.",
    ),
    Kind.NO_CYCLES: _Words(
        "{rows} without cycles: in most processes imul did not take 3.0 (± 5 %) times as long as add.",
        "The clock changed during the case, a sibling was busy, or a multiplication does not take 3 cycles on this "
        "core.",
        "Use the times, which are not affected, or repeat on a quiet machine with a fixed governor.",
    ),
    Kind.FEW_CYCLES: _Words(
        "{rows} whose cycles have no interval: the chains agreed in fewer than {fewest} processes.",
        "The clock changed or the CPU was shared during the measurement.",
        "Use the times, or repeat with more rounds on a quiet machine.",
    ),
    Kind.FEW_ROUNDS: _Words(
        "{rows} measured in fewer than {fewest} processes: too few for a 95 % interval.",
        "The run was interrupted, or the case did not run in some rounds.",
        "Complete it with `fencepost run --resume`.",
    ),
    Kind.INCOMPLETE: _Words(
        "{rows} not measured in every round.",
        "Some processes lacked something that the case needs: memory, a permission or a CPU.",
        "The records of the rounds give the reasons. The figure comes from the other processes.",
    ),
    Kind.ONCE: _Words(
        "{rows} measured in one process only.",
        "They record how a value changes over time, so they have no interval.",
        "Nothing to do.",
    ),
    Kind.NOT_MEASURABLE: _Words(
        "{rows} cannot be measured on this machine.",
        "The machine or the account lacks what they need. Each row says what.",
        "Get the permission, or use another machine. Nothing is estimated in their place.",
    ),
    Kind.NOT_MEASURED: _Words(
        "{rows} not measured yet.",
        "No complete round contains them.",
        "Complete it with `fencepost run --resume`.",
    ),
}
"""Warnings about rows. Their numbers: how many `rows`, and the `most` of them that was disturbed, in per cent; the
limits `share` and `fewest`."""


def _of_rows(analysis: Analysis) -> Iterator[RunWarning]:
    for kind, words in _ROW_WORDS.items():
        rows = [row for row in analysis.rows if kind in row.flags]
        if rows:
            numbers = {
                "rows": "1 row" if len(rows) == 1 else f"{len(rows)} rows",
                "most": max(row.disturbed_pct for row in rows),
                "share": NOISY_SHARE,
                "fewest": FEWEST_PROCESSES,
            }
            yield _warning(kind, words, numbers, tuple(row.case for row in rows))


_RunNumbers = Callable[[Analysis], Mapping[str, object] | None]
"""The numbers that the words of a warning about the run need; None where there is nothing to warn of."""


def _incomplete(analysis: Analysis) -> Mapping[str, object] | None:
    if analysis.rounds < analysis.planned_rounds:
        return {"rounds": analysis.rounds, "planned": analysis.planned_rounds}
    return None


def _no_twin(analysis: Analysis) -> Mapping[str, object] | None:
    return {} if math.isnan(analysis.noise_floor_pct) else None


def _noise_floor(analysis: Analysis) -> Mapping[str, object] | None:
    floor = analysis.noise_floor_pct
    return {"floor": plain(floor, 2)} if floor > NOISE_FLOOR_PCT else None


def _neighbour(analysis: Analysis) -> Mapping[str, object] | None:
    found = shares_of(analysis.rows)
    if found is None or found.neighbour_pct <= NEIGHBOUR_PCT:
        return None
    return {"neighbour": share(found.neighbour_pct)}


def _gaps(analysis: Analysis) -> Mapping[str, object] | None:
    lost = largest_loss_pct(analysis)
    return {"lost": plain(lost, 2)} if lost > LOST_PCT else None


def _clock_wanders(analysis: Analysis) -> Mapping[str, object] | None:
    middle, low, high = core_clock_of_rounds(analysis)
    if middle.n > 1 and (high / low - 1) * 100 > CLOCK_SPREAD_PCT:
        return {"low": plain(low, 3), "high": plain(high, 3)}
    return None


def _ticks_wander(analysis: Analysis) -> Mapping[str, object] | None:
    rates = analysis.reduced.workers["tick_hz"].to_numpy(float)
    spread = float(rates.max() / rates.min() - 1) * 1e6
    return {"spread": plain(spread, 3)} if spread > TICK_SPREAD_PPM else None


def _coarse_ticks(analysis: Analysis) -> Mapping[str, object] | None:
    workers = analysis.reduced.workers
    quantum = float(workers["quantum_ticks"].max())
    step_ns = quantum / float(workers["tick_hz"].min()) * 1e9
    return {"quantum": count(quantum), "step": plain(step_ns, 3)} if step_ns > COARSE_STEP_NS else None


def _no_tick_counter(analysis: Analysis) -> Mapping[str, object] | None:
    return {} if analysis.reduced.workers["tick_source"].iloc[0] == "clock_monotonic_raw" else None


def _traced(analysis: Analysis) -> Mapping[str, object] | None:
    traced = traced_rounds(analysis)
    return {"traced": traced, "rounds": analysis.rounds} if traced else None


def _import_notes(analysis: Analysis) -> Mapping[str, object] | None:
    """What the import left out or pooled."""
    notes = analysis.run["imported"].get("notes") if "imported" in analysis.run else None
    if not notes:
        return None
    more = [f"run.json has {len(notes) - MOST_NOTES} more such sentences"] if len(notes) > MOST_NOTES else []
    return {"notes": ". ".join([*notes[:MOST_NOTES], *more])}


_RUN_WORDS: dict[Kind, tuple[_RunNumbers, _Words]] = {
    Kind.INCOMPLETE_RUN: (
        _incomplete,
        _Words(
            "{rounds} of {planned} rounds are complete.",
            "The run was stopped or is still running.",
            "Complete it with `fencepost run --resume`.",
        ),
    ),
    Kind.NO_TWIN: (
        _no_twin,
        _Words(
            "No A/A row was measured, so this run has no noise floor.",
            "None of the chosen kernels has a twin.",
            "Add one that has a twin: `fencepost run 'pipeline/imul100' ...`.",
        ),
    ),
    Kind.NOISE_FLOOR: (
        _noise_floor,
        _Words(
            "The same code, measured under two names, differs by {floor} %.",
            "The machine is noisy or has several states, and medians over rounds do not remove this.",
            "Ignore differences below {floor} % between rows of this run, or repeat on a quieter machine.",
        ),
    ),
    Kind.NEIGHBOUR: (
        _neighbour,
        _Words(
            "A neighbour shared the core in {neighbour} of the batches of one thread.",
            "The host ran other work on the sibling thread of this core. A guest does not see it.",
            "Use the figures alone, which come from the other batches. The figures as found include the neighbour.",
        ),
    ),
    Kind.GAPS: (
        _gaps,
        _Words(
            "A spinning thread loses up to {lost} % of its time in gaps of more than 1 µs.",
            "Timer interrupts, other work or a hypervisor take the CPU.",
            "Compare medians and floors. Tails (p99 and beyond) are properties of this machine, not of the code.",
        ),
    ),
    Kind.CLOCK_WANDERS: (
        _clock_wanders,
        _Words(
            "The core clock went from {low} to {high} GHz between rounds.",
            "Turbo, heat, power limits or other work on the same package changed it.",
            "Compare cycles instead of times, or fix the clock: `fencepost doctor` names the settings.",
        ),
    ),
    Kind.TICKS_WANDER: (
        _ticks_wander,
        _Words(
            "Processes disagree by {spread} ppm on the rate of the tick counter.",
            "The counter is not constant, or the clock that calibrates it was adjusted.",
            "The ticks of each process are converted by its own rate. See the row clock/rate.",
        ),
    ),
    Kind.COARSE_TICKS: (
        _coarse_ticks,
        _Words(
            "The tick counter moves in steps of {quantum} ticks ({step} ns).",
            "This is a property of the CPU or the hypervisor.",
            "Single events, such as those of clock/delta, are whole numbers of steps. Rows of loops are not affected.",
        ),
    ),
    Kind.NO_TICK_COUNTER: (
        _no_tick_counter,
        _Words(
            "User code cannot read a tick counter, so times come from CLOCK_MONOTONIC_RAW.",
            "The architecture has none, or Linux does not let user code read it.",
            "Windows are as long as usual, but each reading costs more.",
        ),
    ),
    Kind.TRACED: (
        _traced,
        _Words(
            "Another process traced the worker in {traced} of {rounds} rounds.",
            "The run was started under strace or a debugger, or one was attached.",
            "Each system call and fault costs more. Measure again without it.",
        ),
    ),
    Kind.IMPORT_NOTES: (
        _import_notes,
        _Words(
            "The import says: {notes}.",
            "Rows without a whole measurement have no figures. Values that are there twice are taken once.",
            "If you miss a row, let the tool write the file again.",
        ),
    ),
}
"""Warnings about the whole run."""


def _of_run(analysis: Analysis) -> Iterator[RunWarning]:
    # Without a round there is nothing else to warn of.
    for kind in _RUN_WORDS if analysis.rounds else (Kind.INCOMPLETE_RUN,):
        numbers_of, words = _RUN_WORDS[kind]
        numbers = numbers_of(analysis)
        if numbers is not None:
            yield _warning(kind, words, numbers)
