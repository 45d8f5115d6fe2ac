"""What the notes say of clocks."""

from __future__ import annotations

import math

import numpy as np

from fencepost.analysis.runs.clock import tick_hz
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.numbers import nanoseconds, plain, with_bounds
from fencepost.analysis.topics.claim import SAME, Outcome, Verdict, claim, known
from fencepost.analysis.topics.clock.measures import core_clocks, core_series

AGREE_PPM = 100.0


@claim(
    "clock/turbo",
    "intel turbo mode 會讓運算速度浮動",
    "Intel's turbo mode makes the speed of computation fluctuate",
    ["clock/core"],
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
    values = [item.ghz.value for item in clocks]
    spread = max(values) / min(values) - 1
    for series in core_series(analysis):
        low, high = np.quantile(series.ghz, [0.01, 0.99])
        spread = max(spread, float(high / low - 1))
        said += (
            f", {plain(float(low), 3)} to {plain(float(high), 3)} GHz within "
            f"{plain(float(series.seconds[-1]), 2)} s (1st to 99th percentile)"
        )
    if spread > 2 * SAME:
        because = (
            f"The core's clock moves: {said}. So a tick is not a cycle, and ns and cycles are both given everywhere."
        )
        return Verdict(Outcome.CONFIRMED, figure, because)
    if abs(value - 1) > SAME:
        because = (
            f"The core's clock is not the counter's ({plain(ticks, 4)} GHz), but it stayed within "
            f"{plain(spread * 100, 2)} % during this run: {said}. "
            "Fluctuation needs a load or a temperature that this run did not meet."
        )
        return Verdict(Outcome.DEPENDS, figure, because)
    return Verdict(
        Outcome.REFUTED,
        figure,
        f"On this machine, in this run, the core ran at the counter's own rate, steadily: {said}.",
    )


@claim(
    "clock/rdtsc",
    "rdtsc: intel 指令 timestamp counter",
    "rdtsc: an Intel instruction, the time-stamp counter",
    ["clock/read", "clock/rate"],
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
            rates[str(item.parameter("during"))] = item.metric("tick_hz").value
    if not {"sleep", "spin"} <= set(rates):
        return Verdict(
            Outcome.DEPENDS,
            figure,
            "It is there and can be read; whether it counts on while the CPU sleeps was not measured in this run.",
        )
    apart = (rates["sleep"] / rates["spin"] - 1) * 1e6
    said = (
        f"asleep it runs at {rates['sleep'] / 1e9:.6f} GHz, spinning at {rates['spin'] / 1e9:.6f} GHz "
        f"({plain(apart, 2)} ppm apart)"
    )
    if abs(apart) <= AGREE_PPM:
        return Verdict(
            Outcome.CONFIRMED, figure, f"It stamps time, not work: {said}. It is not a count of cycles of the core."
        )
    return Verdict(Outcome.REFUTED, figure, f"It does not keep time across sleep: {said}.")


@claim(
    "clock/hrtimer",
    "hrt: high resolution timer 是額外的硬體，精準度可以高很多",
    "hrt, the high-resolution timer, is extra hardware and can be much more precise",
    ["clock/wakeup"],
)
def hrtimer(analysis: Analysis) -> Verdict:
    """How late a thread wakes, against the scheduler's tick that timers had before."""
    late: dict[str, list[Row]] = {}
    for row in analysis.measured("clock/wakeup"):
        late.setdefault(row.parameter("policy") or row.case, []).append(row)
    best = {policy: min(rows, key=lambda row: row.time.value) for policy, rows in late.items()}
    step = _coarse_step(analysis)
    said = ", ".join(f"{policy} {row.time.ns_text()}" for policy, row in best.items())
    fastest = min((row.time for row in best.values()), key=lambda time: time.value)
    figure = f"woken {fastest.ns_text()} after the deadline"
    if math.isnan(step):
        return Verdict(
            Outcome.DEPENDS,
            figure,
            f"By policy: {said}. The tick to compare with (clock/resolution of a coarse clock) is not in this run.",
        )
    worst = max(row.time.value for row in best.values())
    tail = (
        f"The timer's tick would be {nanoseconds(step, 3)}. Latency is that of waking a thread, not of the "
        "timer: clocks resolve about a ns."
    )
    if worst < step / 4:
        return Verdict(
            Outcome.CONFIRMED,
            figure,
            f"By policy: {said}; {plain(step / worst, 2)} to {plain(step / fastest.value, 2)} times finer. {tail}",
        )
    if fastest.value < step / 4:
        return Verdict(Outcome.DEPENDS, figure, f"It depends on the policy: {said}. {tail}")
    return Verdict(Outcome.REFUTED, figure, f"By policy: {said}. {tail}")


def _coarse_step(analysis: Analysis) -> float:
    coarse = (row for row in analysis.measured("clock/resolution") if "coarse" in (row.parameter("clock") or ""))
    return next((row.time.value for row in coarse), math.nan)
