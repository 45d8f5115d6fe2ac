"""Machines for the doctor, and one of its findings."""

from __future__ import annotations

from pathlib import Path

from machines import cpuinfo

from fencepost.bench.doctor.finding import Diagnosis, Finding

X86 = cpuinfo([0, 1])
SYSTEM = "sys/devices/system"
CPU = f"{SYSTEM}/cpu"
CLOCK = f"{SYSTEM}/clocksource/clocksource0"
DEEP = {f"{CPU}/cpu0/cpuidle/state3/{name}": value for name, value in (("latency", 890), ("disable", 0))}


def finding(diagnosis: Diagnosis, knob: str) -> Finding:
    (found,) = (found for found in diagnosis.findings if found.knob == knob)
    return found


def register(root: Path, cpu: int, number: int, value: int) -> None:
    """A file that reads like the device of a CPU's registers."""
    path = root / "dev" / "cpu" / str(cpu) / "msr"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.seek(number)
        file.write(value.to_bytes(8, "little"))
