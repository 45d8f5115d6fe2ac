"""Cases of the topic order with a known truth."""

from __future__ import annotations

from runs.write import Case


def locked(order: str, lost: float = 0, algorithm: str = "peterson", ns: float = 200) -> Case:
    """Sections under an algorithm: so many of 50 000 additions lost."""
    metrics = {"lost": lost, "lost_per_million": lost / 50_000 * 1e6, "sections": 50_000}
    return Case(f"order/{algorithm}", {"order": order}, ns, cpus=(0, 1), metrics=metrics, metric_noise=0)


def sides(fast: float, fenced: float, slow: float) -> list[Case]:
    """order/membarrier, with the ticks of a turn of each side."""
    return [
        Case("order/membarrier", {"side": side}, 10, cpus=(0, 1), metrics={"turn_ticks": ticks}, metric_noise=0)
        for side, ticks in {"fast": fast, "fenced": fenced, "slow": slow}.items()
    ]
