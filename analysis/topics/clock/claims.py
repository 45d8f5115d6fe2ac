"""What the notes say of clocks."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.clock import tick_hz
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN, Interval
from fencepost.analysis.stats.limit import Side, side, within
from fencepost.analysis.text.numbers import nanoseconds, plain, with_bounds
from fencepost.analysis.topics.claim import (
    SAME,
    NotMeasurableError,
    Outcome,
    Verdict,
    claim,
    known,
    measure,
    noise_of,
    time_of,
)
from fencepost.analysis.topics.clock.measures import core_clocks, core_series
from fencepost.analysis.topics.control import Control, time_of_row

AGREE_PPM = 100.0


def _ticks_apart(analysis: Analysis) -> Interval:
    """How far the ends of the interval of the tick rate lie apart, in ppm."""
    rate = tick_hz(analysis)
    apart = (rate.high / rate.low - 1) * 1e6
    return rate._replace(value=apart, low=apart, high=apart)


def _awake_apart(analysis: Analysis) -> Interval:
    """The tick rate beside a busy loop against that of the whole run, in ppm."""
    row = next((row for row in analysis.kernel("clock/rate") if row.has(during="spin")), None)
    rate = row.metric("tick_hz") if row else UNKNOWN
    of_run = tick_hz(analysis).value
    value, low, high = ((number / of_run - 1) * 1e6 for number in rate[:3])
    return rate._replace(value=value, low=low, high=high)


@claim(
    "clock/turbo",
    "intel turbo mode 會讓運算速度浮動",
    "Intel's turbo mode makes the speed of computation fluctuate",
    ["clock/core"],
    "the core clock of this run moves by more than 2 %, over states and within a process",
    control=Control(
        "the tick counter keeps one rate in all processes, within 1000 ppm", _ticks_apart, "ppm", below=1000.0
    ),
)
def turbo(analysis: Analysis) -> Verdict:
    """The core clock against the tick counter's constant rate, and its spread over states and time."""
    clocks = known(
        [item for item in core_clocks(analysis) if item.ghz.n],
        "The core clock could not be measured beside clock/core.",
    )
    ticks = tick_hz(analysis).value / 1e9
    usual = next((item for item in clocks if item.label == "warm"), clocks[0])
    value, low, high = (number / ticks for number in usual.ghz[:3])
    figure = f"core clock / tick rate = {with_bounds(value, low, high)}"
    said = ", ".join(f"{item.label} {plain(item.ghz.value, 3)} GHz" for item in clocks)
    # Every figure that the sentence below names is in this range, so none lies outside of "within".
    bounds = [(item.ghz.value, *(item.ghz[1:3] if item.ghz.bounded else item.ghz[:1] * 2)) for item in clocks]
    for series in core_series(analysis):
        low, high = (float(end) for end in np.quantile(series.ghz, [0.01, 0.99]))
        bounds += [(low,) * 3, (high,) * 3]
        said += (
            f", {plain(low, 3)} to {plain(high, 3)} GHz within "
            f"{plain(float(series.seconds[-1]), 2)} s (1st to 99th percentile)"
        )
    noise = noise_of(analysis, "clock/core")
    slowest, fastest = min(bounds), max(bounds)
    moves = Interval(
        fastest[0] / slowest[0], max(1.0, fastest[1] / slowest[2]), fastest[2] / slowest[1], 0.95, clocks[0].ghz.n
    )
    figure = f"fastest / slowest core clock = {with_bounds(*moves[:3])}, {figure}"
    number = measure(moves, "1", 1 + 2 * SAME)
    spread = moves.value - 1
    moved = side(moves, 1 + 2 * SAME, noise)
    if moved is Side.ABOVE:
        because = (
            f"The core's clock moves: {said}. So a tick is not a cycle, and ns and cycles are both given everywhere."
        )
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if moved is Side.TOUCHES:
        because = f"Within the noise of this run it is open whether the clock moves by 2 %: {said}."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if not within(usual.ghz.over(ticks), 1 - SAME, 1 + SAME):
        because = (
            f"The core's clock is not the counter's ({plain(ticks, 4)} GHz), but it stayed within "
            f"{plain(spread * 100, 2)} % during this run: {said}. "
            "Fluctuation needs a load or a temperature that this run did not meet."
        )
        return Verdict(Outcome.DEPENDS, figure, because, number)
    because = f"On this machine, in this run, the core ran at the counter's own rate, steadily: {said}."
    return Verdict(Outcome.REFUTED, figure, because, number)


@claim(
    "clock/rdtsc",
    "rdtsc: intel 指令 timestamp counter",
    "rdtsc: an Intel instruction, the time-stamp counter",
    ["clock/read", "clock/rate"],
    "rdtsc can be read, and its rate asleep is its rate awake within 100 ppm",
    control=Control(
        "while the CPU is busy, the counter keeps the rate that the run measured",
        _awake_apart,
        "ppm",
        -AGREE_PPM,
        AGREE_PPM,
    ),
)
def rdtsc(analysis: Analysis) -> Verdict:
    """Does it count time, asleep or not, and what does reading it cost."""
    row = known(
        next((row for row in analysis.measured("clock/read") if row.has(read="rdtsc")), None),
        f"needs an x86-64 processor, this one is {analysis.machine['arch']}.",
    )
    figure = f"{row.time.ns_text()} a reading"
    rates = {}
    for item in analysis.kernel("clock/rate"):
        if "tick_hz" in item.metrics:
            rates[str(item.parameter("during"))] = item.metric("tick_hz")
    if not {"sleep", "spin"} <= set(rates):
        because = (
            "needs clock/rate with during=sleep and during=spin: whether it counts on while the CPU sleeps is unknown."
        )
        raise NotMeasurableError(because, figure)
    asleep, awake = rates["sleep"], rates["spin"]
    apart = Interval(
        (asleep.value / awake.value - 1) * 1e6,
        (asleep.low / awake.high - 1) * 1e6,
        (asleep.high / awake.low - 1) * 1e6,
        min(asleep.coverage, awake.coverage),
        min(asleep.n, awake.n),
    )
    said = (
        f"asleep it runs at {asleep.value / 1e9:.6f} GHz, spinning at {awake.value / 1e9:.6f} GHz "
        f"({plain(apart.value, 2)} ppm apart)"
    )
    number = measure(apart, "ppm", -AGREE_PPM, AGREE_PPM)
    # Both rates are counted over the same clock of the system, so the noise of loops has no part in them.
    sides = side(apart, -AGREE_PPM), side(apart, AGREE_PPM)
    if sides == (Side.ABOVE, Side.BELOW):
        because = f"It stamps time, not work: {said}. It is not a count of cycles of the core."
        return Verdict(Outcome.CONFIRMED, figure, because, number)
    if Side.TOUCHES in sides:
        because = f"Whether it keeps time across sleep is open in this run: {said}."
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    return Verdict(Outcome.REFUTED, figure, f"It does not keep time across sleep: {said}.", number)


@claim(
    "clock/hrtimer",
    "hrt: high resolution timer 是額外的硬體，精準度可以高很多",
    "hrt, the high-resolution timer, is extra hardware and can be much more precise",
    ["clock/wakeup"],
    "a thread wakes within a quarter of the timer's tick after its deadline, whatever the policy",
    control=Control(
        "the coarse clock of Linux moves by a tick, which is at least 0.5 ms",
        time_of_row("clock/resolution", clock="monotonic_coarse"),
        "ns",
        above=5e5,
    ),
)
def hrtimer(analysis: Analysis) -> Verdict:
    """How late a thread wakes, against the scheduler's tick that timers had before."""
    late: dict[str, list[Row]] = {}
    for row in analysis.measured("clock/wakeup"):
        late.setdefault(row.parameter("policy") or row.case, []).append(row)
    best = {policy: min(rows, key=lambda row: row.time.value) for policy, rows in late.items()}
    step = _coarse_step(analysis)
    said = ", ".join(f"{policy} {row.time.ns_text()}" for policy, row in best.items())
    fastest = min(row.time.value for row in best.values())
    latest = max((time_of(row) for row in best.values()), key=lambda time: time.value)
    figure = f"woken {latest.ns_text()} after the deadline{', by the policy that is latest' if len(best) > 1 else ''}"
    if math.isnan(step):
        because = (
            f"By policy: {said}. The tick to compare with (clock/resolution of a coarse clock) is not in this run."
        )
        raise NotMeasurableError(because, figure)
    number = measure(latest, "ns", step / 4)
    noise = noise_of(analysis, "clock/wakeup")
    sides = [side(time_of(row), step / 4, noise) for row in best.values()]
    tail = (
        f"The timer's tick would be {nanoseconds(step, 3)}. Latency is that of waking a thread, not of the "
        "timer: clocks resolve about a ns."
    )
    if set(sides) == {Side.BELOW}:
        return Verdict(
            Outcome.CONFIRMED,
            figure,
            f"By policy: {said}; {plain(step / latest.value, 2)} to {plain(step / fastest, 2)} times finer. {tail}",
            number,
        )
    if Side.TOUCHES in sides:
        because = f"Within the noise of this run it touches a quarter of the tick: {said}. {tail}"
        return Verdict(Outcome.UNDECIDED, figure, because, number)
    if Side.BELOW in sides:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the policy: {said}. {tail}", number)
    return Verdict(Outcome.REFUTED, figure, f"By policy: {said}. {tail}", number)


def _coarse_step(analysis: Analysis) -> float:
    coarse = (row for row in analysis.measured("clock/resolution") if "coarse" in (row.parameter("clock") or ""))
    return next((row.time.value for row in coarse), math.nan)
