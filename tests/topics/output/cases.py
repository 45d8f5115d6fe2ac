"""Cases of the topic output with a known truth."""

from __future__ import annotations

from runs.write import Case


def print_cases() -> list[Case]:
    """output/print to three places, and output/format."""
    truth = {"buffered": 86.0, "unlocked": 80.0, "line": 490.0, "flushed": 450.0, "write": 290.0}
    factors = {"null": 1.0, "file": 2.0, "pipe": 2.5}
    found = [
        Case("output/print", {"how": how, "to": to}, ns=ns * factor, unit="line")
        for to, factor in factors.items()
        for how, ns in truth.items()
    ]
    return [*found, Case("output/format", ns=110.0, unit="line")]


def loss_cases() -> list[Case]:
    """output/loss: a buffer is lost."""
    truth = {"full": 100.0, "line": 0.0, "none": 0.0, "flushed": 0.0}
    return [
        Case(
            "output/loss", {"buffer": buffer}, unit="child", kind="counts", metrics={"lost_pct": pct}, metric_noise=0.0
        )
        for buffer, pct in truth.items()
    ]


def kmsg_cases(kept_ns: float = 2600.0) -> list[Case]:
    """output/kmsg and output/kmsg_dropped."""
    metrics = {"null_ns": 290.0, "console_level": 4.0}
    return [
        Case(name, ns=ns, unit="record", kind="events", metrics=metrics, metric_noise=0.0, once=once, counts=counts)
        for name, ns, once, counts in (
            ("output/kmsg", kept_ns, False, {"kept": 1}),
            ("output/kmsg_dropped", 370.0, True, {}),
        )
    ]
