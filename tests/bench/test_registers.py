"""The doctor: what it reads from registers and devices of a processor."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctored import CPU, DEEP, X86, finding, register
from machines import build, cpuinfo

from fencepost.bench.doctor.examine import examine

AMD = X86.replace("GenuineIntel", "AuthenticAMD")


@pytest.mark.parametrize(
    ("text", "number", "values", "severity", "value", "change"),
    [
        (X86, 0x1A0, (0x850089, 0x850089), "hurts", "on", "wrmsr --all 0x1a0 0x4000850089"),
        (X86, 0x1A0, (0x4000850089, 0x4000850089), "ok", "off", None),
        (X86, 0x1A0, (0x4000850089, 0x850089), "hurts", "mixed", "wrmsr --all 0x1a0 0x4000850089"),
        (AMD, 0xC0010015, (0x1, 0x1), "hurts", "on", "wrmsr --all 0xc0010015 0x2000001"),
        (AMD, 0xC0010015, (0x2000001, 0x2000001), "ok", "off", None),
    ],
)
def test_turbo_from_the_processors_own_register(
    text: str, number: int, values: tuple[int, int], severity: str, value: str, change: str | None, tmp_path: Path
) -> None:
    root = build(tmp_path, [[0], [1]], more={"proc/cpuinfo": text})
    for cpu, bits in enumerate(values):
        register(root, cpu, number, bits)
    found = finding(examine(root), "turbo")
    assert (found.severity, found.value) == (severity, value)
    assert found.change is None if change is None else change in (found.change or "")


def test_a_driver_comes_before_the_register(tmp_path: Path) -> None:
    root = build(tmp_path, [[0]], more={f"{CPU}/cpufreq/boost": 0})
    register(root, 0, 0x1A0, 0)
    assert finding(examine(root), "turbo").value == "off"


def test_registers_of_a_guest_are_not_believed(tmp_path: Path) -> None:
    root = build(tmp_path, [[0]], more={"proc/cpuinfo": cpuinfo([0], flags=" hypervisor")})
    register(root, 0, 0x1A0, 0)
    assert finding(examine(root), "turbo").state == "unreadable"


def test_without_root_the_doctor_says_how_turbo_can_be_read(tmp_path: Path) -> None:
    assert "modprobe msr" in finding(examine(build(tmp_path, [[0]])), "turbo").effect


@pytest.mark.parametrize(
    ("limit", "states", "severity", "value"),
    [
        (2_000_000_000, DEEP, "note", "no limit"),
        (0, DEEP, "ok", "0 us"),
        (100, DEEP, "note", "100 us"),
        (2_000_000_000, {}, "ok", "no limit"),
    ],
)
def test_how_long_a_cpu_may_take_to_wake_up(
    limit: int, states: dict[str, object], severity: str, value: str, tmp_path: Path
) -> None:
    root = build(tmp_path, [[0]], more=states)
    (root / "dev").mkdir()
    (root / "dev" / "cpu_dma_latency").write_bytes(limit.to_bytes(4, "little"))
    found = finding(examine(root), "dma_latency")
    assert (found.severity, found.value) == (severity, value)
    assert (found.change is None) == (severity == "ok")


def test_a_truncated_device_is_unreadable(tmp_path: Path) -> None:
    root = build(tmp_path, [[0]])
    (root / "dev").mkdir()
    (root / "dev" / "cpu_dma_latency").write_bytes(b"\0")
    assert finding(examine(root), "dma_latency").state == "unreadable"
