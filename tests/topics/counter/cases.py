"""Cases of the topic counter with a known truth."""

from __future__ import annotations

from runs.write import Case, crowd_cases, pair_case


def sloppy_cases(least: float = 0.5, own: float = 30.0, error: float = 1.0) -> list[Case]:
    """Sloppy counters with two threads: ``least + own / T`` ns, and a largest error of `error` times the bound."""
    cases = []
    for threshold in (1, 4, 16, 64, 256, 1024):
        costs = {1: least + own / threshold / 5, 2: least + own / threshold}
        cases += crowd_cases("counter/sloppy", {"threshold": threshold}, costs)
        bound = threshold - 1.0
        metrics = {"max_error": error * bound, "p99_error": 0.9 * error * bound, "bound": bound}
        cases.append(pair_case("counter/error", {"threshold": threshold}, 50, metrics=metrics, metric_noise=0.0))
    return cases


def counter_cases() -> list[Case]:
    """Kernels of the topic counter."""
    cases = []
    for kind, (alone, both) in {"atomic": (2.0, 10.0), "mutex": (5.0, 40.0), "private": (0.3, 0.3)}.items():
        cases += crowd_cases("counter/increment", {"kind": kind}, {1: alone, 2: both})
    cases += crowd_cases("counter/increment", {"kind": "racy"}, {2: 1.5}, lost_pct=50.0)
    for slots in (2, 64):
        cases.append(pair_case("counter/read", {"slots": slots, "state": "idle"}, slots / 4))
    return [*cases, *sloppy_cases()]
