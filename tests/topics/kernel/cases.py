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


def file_cases(stated_bytes: float = 0.0) -> list[Case]:
    """kernel/file: three files that Linux makes, and one in memory."""
    truth = {
        "tmpfs": (3700.0, 600.0, 65.0, 65.0),
        "sysfs": (7000.0, 1050.0, 4096.0, 4.0),
        "uptime": (5750.0, 1260.0, stated_bytes, 18.0),
        "stat": (9100.0, 3800.0, 0.0, 317.0),
    }
    return [
        Case(
            "kernel/file",
            {"file": file, "how": how},
            ns=opened if how == "open" else read,
            unit="file",
            metrics={
                "stated_bytes": stated,
                "read_bytes": given,
                **({"followed_pct": 100.0} if file == "sysfs" else {}),
            },
            metric_noise=0.0,
        )
        for file, (opened, read, stated, given) in truth.items()
        for how in ("open", "read")
    ]


def maps_case() -> Case:
    """kernel/maps: a straight line."""
    return Case(
        "kernel/maps",
        {"most": 2000},
        ns=7e5,
        unit="reading",
        kind="events",
        metrics={"mapping_ns": 320.0, "fit": 1.0, "copy_ns": 22.0, "lines": 2075.0},
        metric_noise=0.0,
    )


def name_cases() -> list[Case]:
    """kernel/name: what is missing is dearer in memory and cheaper on a disk."""
    truth = {
        ("present", "memory"): (1300.0, 0.0),
        ("present", "disk"): (1310.0, 1.0),
        ("missing", "memory"): (2050.0, 0.0),
        ("missing", "disk"): (735.0, 1.0),
    }
    return [
        Case(
            "kernel/name",
            {"name": name, "where": where},
            ns=ns,
            unit="name",
            metrics={"negative_per_name": kept},
            metric_noise=0.0,
        )
        for (name, where), (ns, kept) in truth.items()
    ]
