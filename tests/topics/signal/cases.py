"""Cases of the topic signal with a known truth."""

from __future__ import annotations

from runs.write import Case


def signal_cases() -> list[Case]:
    """signal/send by what is done, and signal/install."""
    truth = {
        "check": 250.0,
        "ignored": 1100.0,
        "sigwaitinfo": 1700.0,
        "signalfd": 2200.0,
        "handler": 3200.0,
        "fault": 3100.0,
    }
    found = [Case("signal/send", {"then": then}, ns=ns, unit="signal") for then, ns in truth.items()]
    return [*found, Case("signal/install", ns=240.0, unit="call")]
