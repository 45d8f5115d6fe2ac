"""Cases of the topic litmus with a known truth."""

from __future__ import annotations

from runs.write import Case

TRIALS = 5120.0


def tried(test: str, order: str, weak: float = 0, runner: str = "rendezvous", forbidden: int = 0) -> Case:
    """A litmus test in an order: so many weak outcomes in `TRIALS` of each process."""
    metrics = {
        "weak_per_million": weak / TRIALS * 1e6,
        "weak_per_s": weak * 1000.0,
        "weak": weak,
        "trials": TRIALS,
        "forbidden": forbidden,
        "seen_01": 1400.0,
        "seen_10": 900.0,
    }
    parameters = {"runner": runner, "order": order}
    return Case(f"litmus/{test}", parameters, 200, cpus=(0, 1), metrics=metrics, metric_noise=0)
