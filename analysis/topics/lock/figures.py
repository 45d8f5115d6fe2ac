"""Mutual exclusion, alone and contended."""

from __future__ import annotations

from fencepost.analysis.draw.figure import Figure
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.paired import grid
from fencepost.analysis.text.numbers import count, plain
from fencepost.analysis.topics import crowds as sharing
from fencepost.analysis.topics.crowds import crowd_figure
from fencepost.analysis.topics.pictures import shows
from fencepost.analysis.topics.rungs import alone, step
from fencepost.analysis.topics.topic import Topic

METRICS = ("changes_per_operation=changes of owner per section", "longest_run=longest run of one owner")


@shows("lock/hold")
def hold_figure(analysis: Analysis) -> Figure | None:
    """Empty sections by the number of threads."""
    return _figure(analysis, "lock/hold", "lock-threads", "A lock, and more and more threads that want it")


@shows("lock/oversubscribed")
def oversubscribed_figure(analysis: Analysis) -> Figure | None:
    """The same beyond the number of CPUs."""
    title = "The same with more threads than CPUs"
    return _figure(analysis, "lock/oversubscribed", "lock-oversubscribed", title)


def _figure(analysis: Analysis, kernel: str, name: str, title: str) -> Figure | None:
    crowds = [item for item in sharing.crowds(grid(analysis, kernel), "lock", section_ns=0) if len(item.threads) > 1]
    if not crowds:
        return None
    threads = max(float(item.threads[-1]) for item in crowds)
    last = sorted((item for item in crowds if item.threads[-1] == threads), key=lambda item: float(item.ns[-1]))
    least = min(last, key=lambda item: float(item.fairness[-1]))
    return crowd_figure(
        name,
        title,
        f"Empty sections with {count(threads)} threads: from {last[0].name} at {plain(last[0].ns[-1], 3)} ns to "
        f"{last[-1].name} at {plain(last[-1].ns[-1], 3)} ns a section. "
        "Beneath, fairness: the share of the slowest thread over that of the fastest, "
        f"lowest for {least.name} ({plain(least.fairness[-1], 2)}). "
        "A lock that is fast because one thread keeps it lies low in both.",
        "An empty section by kind of lock and number of threads",
        crowds,
        "section",
        *METRICS,
    )


TOPIC = Topic(
    "lock",
    figures=(hold_figure, oversubscribed_figure),
    tables_only=("lock/owner",),
    rungs=(step("take a free mutex and give it back", "lock/hold", alone(lock="pthread_mutex", section_ns=0)),),
)
