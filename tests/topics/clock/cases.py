"""Cases of the topic clock with a known truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runs.write import CORE_HZ, TICK_HZ, Case


def core_case(kernel: str, factor: float, **changes: Any) -> Case:
    """A chain of 16384 multiplications at `factor` times the usual clock."""
    hz = CORE_HZ * factor
    usual = Case(kernel, ns=3 * 16384e9 / hz, unit="chain", kind="events", core_hz=hz, metrics={"core_hz": hz})
    return replace(usual, **changes)


def clock_cases() -> list[Case]:
    """All kernels of the topic clock."""
    cases = [Case("clock/empty", ns=0.0005, unit="window", noise=2.0, process_noise=1.0)]
    reads = {
        "rdtsc": 6,
        "rdtscp": 9,
        "lfence_rdtsc": 9,
        "lfence_rdtsc_lfence": 12,
        "rdtscp_lfence": 12,
        "cpuid_rdtsc": 1500,
    }
    cases += [Case("clock/read", {"read": name}, ns=ns, unit="read") for name, ns in reads.items()]
    cases += [Case("clock/delta", {"read": name}, ns=ns, unit="delta", kind="events") for name, ns in reads.items()]
    for pair, intercept in {
        "lfence_rdtsc_lfence_to_rdtscp_lfence": 0,
        "rdtsc_to_rdtsc": -12,
        "rdtscp_to_rdtscp": 3,
    }.items():
        metrics = {
            f"k{k}_mean_ticks": max(0.0, 3 * k * TICK_HZ / CORE_HZ + intercept)
            for k in (0, 1, 2, 4, 8, 16, 24, 32, 48, 64)
        }
        cases.append(Case("clock/bias", {"pair": pair}, ns=12, unit="window", kind="events", metrics=metrics))
    return [*cases, *_clocks_and_waits()]


def _clocks_and_waits() -> list[Case]:
    cases = [
        core_case("clock/core", 1 / factor, parameters={"state": state})
        for state, factor in {"cold": 1.08, "warm": 1}.items()
    ]
    cases.append(core_case("clock/core_loaded", 0.94, cpus=(0, 1)))
    cases.append(
        core_case("clock/core_series", 1.0, parameters={"duration_ms": 300}, once=True, batches=300, noise=0.02)
    )
    for during in ("sleep", "spin"):
        cases.append(
            Case("clock/rate", {"during": during}, ns=1e6, kind="events", metrics={"tick_hz": TICK_HZ, "ppm": 1.5})
        )
    cases.append(
        Case(
            "clock/offset",
            ns=90,
            cpus=(0, 1),
            unit="one-way trip",
            kind="events",
            metrics={"offset_low_ticks": -150, "offset_high_ticks": 210},
        )
    )
    for clock, ns in {"monotonic": 21.7, "monotonic_raw": 22.1, "monotonic_coarse": 5.0}.items():
        cases.append(Case("clock/call", {"clock": clock, "via": "libc"}, ns=ns, unit="call"))
        cases.append(Case("clock/call", {"clock": clock, "via": "syscall"}, ns=ns + 140, unit="call"))
    cases.append(Case("clock/python", ns=60, unit="call"))
    cases.append(
        Case("clock/resolution", {"clock": "monotonic"}, ns=22, unit="step", kind="events", metrics={"getres_ns": 1.0})
    )
    for policy, ns in {"other": 102e3, "slack1": 56e3, "fifo": 55e3}.items():
        cases.append(
            Case(
                "clock/wakeup",
                {"policy": policy, "period_us": 1000},
                ns=ns,
                unit="wake-up",
                kind="events",
                process_noise=0.05,
            )
        )
    return cases
