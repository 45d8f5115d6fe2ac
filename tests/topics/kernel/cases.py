"""Cases of the topic kernel with a known truth."""

from __future__ import annotations

from runs.write import Case

SIZES = (1, 64, 1024, 4096, 16384, 65536, 262144, 1048576)


def call_cases() -> list[Case]:
    """kernel/call: what stays in the program, and what enters Linux."""
    truth = {
        "empty": (2.5, 0.0),
        "vdso": (9.0, 0.0),
        "bad_raw": (97.0, 100.0),
        "bad_libc": (115.0, 100.0),
        "getppid_raw": (175.0, 100.0),
        "getppid_libc": (192.0, 100.0),
        "exit": (4500.0, 0.0),
    }
    return [
        Case(
            "kernel/call",
            {"call": call},
            ns=ns,
            unit="call",
            metrics={"entering_pct": entering, "filters": 0.0},
            metric_noise=0.0,
        )
        for call, (ns, entering) in truth.items()
    ]


def copy_cases(null_kib_ns: float = 0.0, pipe_kib_ns: float = 200.0) -> list[Case]:
    """kernel/copy: straight lines, of which the control's is flat."""
    truth = {
        "pipe": (800.0, pipe_kib_ns),
        "file": (540.0, 80.0),
        "vm": (1320.0, 92.0),
        "zero": (250.0, 28.0),
        "null": (230.0, null_kib_ns),
        "memcpy": (6.0, 35.0),
    }
    found = []
    for by, (call_ns, kib_ns) in truth.items():
        ns = [call_ns + kib_ns * size / 1024 for size in SIZES]
        metrics = {f"b{size}_ns": value for size, value in zip(SIZES, ns, strict=True)}
        metrics |= {"call_ns": call_ns, "kib_ns": kib_ns, "fit": 1.0, "spread": ns[-1] / ns[0]}
        found.append(
            Case(
                "kernel/copy",
                {"by": by},
                ns=ns[3],
                unit="transfer of 4 KiB",
                kind="events",
                metrics=metrics,
                metric_noise=0.0,
            )
        )
    return found
