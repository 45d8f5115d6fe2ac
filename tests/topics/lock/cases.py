"""Cases of the topic lock with a known truth."""

from __future__ import annotations

from runs.write import Case, crowd_cases


def owner_cases(semaphore: bool = True, mutex: bool = False) -> list[Case]:
    """Whether a semaphore and a mutex may be given back by another thread."""
    allowed = {"semaphore_own": True, "semaphore_other": semaphore, "mutex_own": True, "mutex_other": mutex}
    return [
        Case(
            "lock/owner",
            {"unlock": name},
            ns=5,
            kind="events",
            metrics={"allowed": float(may), "refused": float(not may)},
            metric_noise=0.0,
        )
        for name, may in allowed.items()
    ]


def wait_cases(spin: float = 99.0, semaphore: float = 0.15) -> list[Case]:
    """lock/wait: processor time, in % of a wait of 20 ms."""
    used = {"semaphore": semaphore, "mutex": 0.16, "spin": spin, "yield": 99.0}
    return [
        Case(
            "lock/wait",
            {"by": by, "held_ms": 20},
            ns=share / 100 * 20e6,
            unit="wait",
            kind="events",
            cpus=(1, 0),
            metrics={"used_pct": share, "waited_ms": 20.2},
        )
        for by, share in used.items()
    ]


def brief_cases(sleep_ns: float = 12_000.0) -> list[Case]:
    """lock/brief_wait: who spins spends the wait, and who sleeps always the same."""
    return [
        Case(
            "lock/brief_wait",
            {"by": by, "held_us": held},
            ns=held * 1000.0 if by == "spin" else sleep_ns,
            unit="wait",
            kind="events",
            cpus=(1, 0),
            metrics={"spent_ns": held * 1000.0 if by == "spin" else sleep_ns, "waited_ns": held * 1000.0 + 300},
        )
        for by in ("semaphore", "mutex", "spin")
        for held in (1, 10, 100)
    ]


def lock_cases() -> list[Case]:
    """All kernels of the topic lock."""
    cases = []
    for lock, (both, share) in {"ticket": (110.0, 0.98), "ttas": (40.0, 0.3)}.items():
        empty: dict[str, str | int] = {"lock": lock, "section_ns": 0}
        cases += crowd_cases("lock/hold", empty, {1: 2, 2: both}, fairness=share)
        cases += crowd_cases("lock/oversubscribed", empty, {1: 2, 4: 10 * both}, fairness=share)
    return [*cases, *owner_cases(), *wait_cases()]
