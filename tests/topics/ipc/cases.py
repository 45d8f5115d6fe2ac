"""Cases of the topic ipc with a known truth."""

from __future__ import annotations

from runs.write import TICK_HZ, Case, pair_case

CALLS = {
    "pipe": (3200.0, 1300.0),
    "eventfd": (3100.0, 1000.0),
    "futex": (3300.0, 1200.0),
    "semaphore": (3800.0, 20.0),
    "condition": (4200.0, 40.0),
    "unix_stream": (3500.0, 3400.0),
    "unix_seqpacket": (3500.0, 3500.0),
    "yield": (1500.0, 800.0),
    "signal": (3300.0, 1900.0),
}
"""A switch, and the calls alone, in ns."""


def _metrics(switch_ns: float, calls_ns: float) -> dict[str, float]:
    ticks = TICK_HZ / 1e9
    return {
        "switches_per_message": 1.0,
        "involuntary_pct": 50.0,
        "refused_pct": 0.0,
        "operation_ticks": (switch_ns + calls_ns) * ticks,
        "control_ticks": calls_ns * ticks,
    }


def _case(kernel: str, parameters: dict[str, str | int], switch_ns: float, calls_ns: float) -> Case:
    loaded = {"loaded_pct": 100.0} if parameters["awake"] == "yes" else {}
    return pair_case(
        kernel,
        parameters,
        switch_ns,
        unit="message",
        kind="events",
        metrics=_metrics(switch_ns, calls_ns) | loaded,
        metric_noise=0.0,
    )


def switch_cases(process: float = 1.05) -> list[Case]:
    """ipc/switch; ``process``: how many times as dear a switch between processes is."""
    return [
        _case("ipc/switch", {"by": by, "partner": partner, "touched": 0, "awake": "no"}, switch * factor, calls)
        for by, (switch, calls) in CALLS.items()
        for partner, factor in (("thread", 1.0), ("process", process))
    ]


def across_cases(found: float = 5.0, awake: float = 3.0) -> list[Case]:
    """ipc/across, so many times as dear as on one CPU, without and with loads."""
    return [
        _case(
            "ipc/across",
            {"by": by, "partner": "process", "touched": 0, "awake": kept},
            (switch + calls) * factor - calls,
            calls,
        )
        for by, (switch, calls) in CALLS.items()
        if by != "yield"
        for kept, factor in (("no", found), ("yes", awake))
    ]


def working_set_cases() -> list[Case]:
    """ipc/working_set: nothing is left, once it is less than nothing."""
    truth = {0: (3200.0, 1300.0), 65536: (3160.0, 2700.0), 262144: (3900.0, 6800.0), 1048576: (2100.0, 23000.0)}
    return [
        _case("ipc/working_set", {"by": "pipe", "partner": "process", "touched": touched, "awake": "no"}, *figures)
        for touched, figures in truth.items()
    ]


def throughput_cases() -> list[Case]:
    """ipc/throughput: a pipe and a socket."""
    return [
        pair_case(
            "ipc/throughput",
            {"by": by, "block": block, "room": room},
            block / gib_s / 1.073741824,
            unit="block",
            metrics={"gib_s": gib_s, "room_bytes": float(room)},
            metric_noise=0.0,
        )
        for by, gib_s in (("pipe", 3.0), ("unix_stream", 2.0))
        for block in (4096, 65536)
        for room in (4096, 65536)
    ]


def zero_copy_cases(small: float = 1.0) -> list[Case]:
    """ipc/zero_copy: nothing is won at 4 KiB, and more with each size."""
    sizes = (4096, 16384, 65536, 262144, 1048576)
    ratios = (small, 2.4, 3.3, 3.4, 3.4)
    metrics: dict[str, float] = {}
    for size, ratio in zip(sizes, ratios, strict=True):
        metrics |= {f"c{size}_ns": size / 4 * ratio, f"z{size}_ns": size / 4, f"r{size}": ratio}
    return [
        Case(
            "ipc/zero_copy",
            {"by": by},
            ns=6e3,
            unit="transfer of 64 KiB",
            kind="events",
            metrics={**metrics, "pays_from_bytes": 16384.0},
            metric_noise=0.0,
        )
        for by in ("vmsplice", "vmsplice_huge", "splice", "sendfile")
    ]


def many_cases() -> list[Case]:
    """ipc/many on two CPUs: two threads, and four."""
    return [
        Case("ipc/many", ns=5e3, unit="message", kind="events", cpus=(1, 0), relation="same_l3"),
        Case("ipc/many", ns=1.3e4, unit="message", kind="events", cpus=(1, 1, 0, 0), relation="oversubscribed"),
    ]
