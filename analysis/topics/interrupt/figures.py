"""What interrupts a thread, and how often."""

from __future__ import annotations

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.interrupt.measures import lines
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.topic import Topic

RATES = {
    "timer_per_s": "the CPU's own timer",
    "all_per_s": "all sources",
    "softirqs_per_s": "softirqs",
    "gaps_per_s": "gaps of more than 1 µs",
    "added_by_calls": "more with system calls",
    "added_by_timer": "more with a timer of 1 kHz",
}


@shows("interrupt/rate")
def rates(analysis: Analysis) -> Figure | None:
    """How often, while a thread spins, and how much more often for a reason of its own."""
    row = next(iter(analysis.decided("interrupt/rate")), None)
    found = {word: rate for name, word in RATES.items() if row and (rate := row.metric(name)).known}
    if row is None or len(found) < 2:
        return None
    explained = row.metric("explained_pct")
    said = f" At most {explained.text('%')} of the gaps can be interrupts." if explained.known else ""
    return forest(
        "interrupt-rate",
        "Interrupts of the CPU on which a thread spins",
        f"System calls add {row.metric('added_by_calls').text()} a second to them, and a timer of 1 kHz adds "
        f"{row.metric('added_by_timer').text()}.{said}",
        table(
            "Interrupts a second while a thread spins, and those that are added",
            ("counted", "a second"),
            [(word, rate.text()) for word, rate in found.items()],
        ),
        [Point(word, *rate[:3]) for word, rate in found.items()],
        x_label="a second",
        from_zero=all(rate.low >= 0 for rate in found.values()),
    )


CAUSES = {
    "switch_pct": "another thread ran",
    "timer_pct": "the CPU's own timer",
    "interrupt_pct": "another interrupt",
    "softirq_pct": "a softirq alone",
}


@shows("interrupt/cause")
def causes(analysis: Analysis) -> Figure | None:
    """Who took the time in which a thread stood still."""
    row = next(iter(analysis.decided("interrupt/cause")), None)
    if row is None or not row.metric("named_pct").known:
        return None
    shares = {word: row.metric(name) for name, word in CAUSES.items()}
    return forest(
        "interrupt-cause",
        "Causes of the gaps of a thread that spins",
        f"Of the gaps of more than 1 µs {row.metric('named_pct').text('%')} have a cause that Linux knows, and of the "
        f"time in gaps {row.metric('named_time_pct').text('%')}. By chance {row.metric('chance_pct').text('%')} would "
        f"have one. {row.metric('found_pct').text('%')} of the interrupts lie in a gap.",
        table(
            "Gaps by their cause",
            ("cause", "of the gaps, %"),
            [(word, share.text()) for word, share in shares.items()],
        ),
        [Point(word, *share[:3]) for word, share in shares.items()],
        x_label="of the gaps, %",
        from_zero=True,
    )


MOST_LINES = 20


@shows("interrupt/rate")
def by_line(analysis: Analysis) -> Figure | None:
    """All interrupts and softirqs of the run, by line."""
    found = lines(analysis)
    if len(found) < 2:
        return None
    most = found[0]
    return forest(
        "interrupt-lines",
        "Interrupts and softirqs of the run's CPUs over the whole run, by line",
        f"Most are those of the {most.kind} {most.name}: {count(most.sum)}, which is {plain(most.per_s)} a second.",
        table(
            "Interrupts and softirqs over the run: sums of /proc/interrupts and /proc/softirqs by line",
            ("line", "of", "in all", "a second"),
            [(line.name, line.kind, count(line.sum), plain(line.per_s)) for line in found],
        ),
        [Point(line.name, line.per_s) for line in found[:MOST_LINES]],
        x_label="a second",
        x_scale="log",
        groups=[int(line.kind != most.kind) for line in found[:MOST_LINES]],
    )


TOPIC = Topic("interrupt", figures=(rates, causes, by_line))
