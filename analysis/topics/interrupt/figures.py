"""What interrupts a thread, and how often."""

from __future__ import annotations

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import Figure, Point
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.table import table
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
            "Interrupts a second while a thread spins, and more of them for a reason of its own",
            ("counted", "a second"),
            [(word, rate.text()) for word, rate in found.items()],
        ),
        [Point(word, *rate[:3]) for word, rate in found.items()],
        x_label="a second",
        from_zero=all(rate.low >= 0 for rate in found.values()),
    )


TOPIC = Topic("interrupt", figures=(rates,))
