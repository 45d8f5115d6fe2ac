"""Cases of the topic noise with a known truth."""

from __future__ import annotations

from runs.write import Case


def gap_cases() -> list[Case]:
    """noise/gaps on two CPUs."""
    cases = []
    for cpu in (0, 1):
        metrics = {"gaps_per_s": 410.0, "lost_pct": 1.8, "longest_us": 900.0}
        cases.append(
            Case("noise/gaps", cpus=(cpu,), ns=3000, unit="gap", kind="events", metrics=metrics, process_noise=0.1)
        )
    return cases
