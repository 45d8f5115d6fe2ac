"""Cases of the topic memory with a known truth."""

from __future__ import annotations

from runs.write import Case, pair_case


def _page(kernel: str, parameters: dict[str, str], ns: float, faults: float) -> Case:
    metrics = {"faults_per_page": faults}
    return Case(kernel, parameters, ns=ns, unit="page", kind="events", metrics=metrics, metric_noise=0.0)


def fault_cases(write_ns: float = 500.0, write_faults: float = 1.0, again_faults: float = 0.0) -> list[Case]:
    """memory/fault: the first write, the first read, all pages at once, and a second write as the control."""
    truth = {
        "write": (write_ns, write_faults),
        "read": (300.0, 1.0),
        "populate": (250.0, 1.0),
        "again": (5.0, again_faults),
    }
    return [_page("memory/fault", {"access": access}, *figures) for access, figures in truth.items()]


def cow_cases() -> list[Case]:
    """memory/cow on small and on huge pages; the page of zeros is small."""
    truth = {
        ("copy", "small"): (900.0, 1.0),
        ("reuse", "small"): (350.0, 1.0),
        ("zero", "small"): (800.0, 1.0),
        ("resident", "small"): (5.0, 0.0),
        ("copy", "huge"): (950.0, 1.0),
        ("reuse", "huge"): (6.0, 0.002),
        ("resident", "huge"): (5.0, 0.0),
    }
    return [
        _page("memory/cow", {"write": write, "pages": pages}, *figures) for (write, pages), figures in truth.items()
    ]


def map_cases() -> list[Case]:
    """memory/map: addresses alone, and calls with one page, in a small and in a large mapping."""
    truth = {
        "untouched": (5000.0, 0.0),
        "touched": (10000.0, 1.0),
        "mprotect": (4000.0, 0.0),
        "dontneed": (4400.0, 1.0),
    }
    return [
        Case(
            "memory/map",
            {"call": call, "size": bytes_},
            ns=ns * (1.5 if bytes_ > 4096 else 1.0),
            unit="turn",
            metrics={"faults_per_turn": faults, "resident_kib": 0.0},
            metric_noise=0.0,
        )
        for bytes_ in (4096, 1 << 30)
        for call, (ns, faults) in truth.items()
    ]


def shootdown_cases() -> list[Case]:
    """memory/shootdown: differences, of which one is negative."""
    truth = {"untouched": (-40.0, 0.0), "touched": (5e3, 1.0), "mprotect": (9.5e3, 2.0), "dontneed": (5e3, 1.0)}
    return [
        pair_case(
            "memory/shootdown",
            {"call": call},
            ns,
            unit="turn",
            kind="events",
            metrics={"shootdowns_per_turn": interrupts, "control_shootdowns": 0.0},
            metric_noise=0.0,
        )
        for call, (ns, interrupts) in truth.items()
    ]


def invalid_cases() -> list[Case]:
    """memory/invalid: signals for all but what is allowed."""
    kinds = ("read_null", "write_null", "call_null", "write_text", "run_data", "read_kernel", "raise", "allowed")
    return [
        Case(
            "memory/invalid",
            {"access": kind},
            ns=20.0 if kind == "allowed" else 2400.0 + place * 10,
            unit="access",
            metrics={"signals_per_access": float(kind != "allowed")},
            metric_noise=0.0,
        )
        for place, kind in enumerate(kinds)
    ]


def layout_case() -> Case:
    """memory/layout: addresses in TiB as x86-64 has them."""
    places = {"text": 85.1, "data": 85.1001, "bss": 85.1002, "heap": 85.3, "mappings": 127.2, "stack": 127.9}
    return Case(
        "memory/layout",
        unit="process",
        kind="counts",
        metrics={**{f"{name}_at": at for name, at in places.items()}, "in_order_pct": 100.0, "places": 20.0},
        metric_noise=0.0,
    )


def overcommit_cases() -> list[Case]:
    """memory/overcommit under policy 0."""
    return [
        Case(
            "memory/overcommit",
            {"ask": ask},
            unit="request",
            kind="counts",
            metrics={"accepted_gib": 24 * times, "times_memory": times, "resident_kib": 0.0, "policy": 0.0},
            metric_noise=0.0,
        )
        for ask, times in (("pieces", 8.0), ("block", 0.0), ("noreserve", 2.0))
    ]


def file_cases() -> list[Case]:
    """memory/file: fault-around, faults of their own, reads from a device, and no fault."""
    truth = {
        "around": (150.0, 0.0625, 0.0),
        "apart": (1e3, 1.0, 0.0),
        "major": (1e5, 0.0, 1.0),
        "again": (8.0, 0.0, 0.0),
    }
    return [
        Case(
            "memory/file",
            {"access": access},
            ns=ns,
            unit="page",
            kind="events",
            metrics={"minor_per_page": minor, "major_per_page": major},
            metric_noise=0.0,
        )
        for access, (ns, minor, major) in truth.items()
    ]


def ksm_cases(merged_pct: float = 100.0) -> list[Case]:
    """memory/ksm: pages that are merged and copied again, and pages that stay."""
    truth = {"equal": (3600.0, merged_pct, 1.0), "different": (24.0, 0.0, 0.0)}
    return [
        Case(
            "memory/ksm",
            {"content": content},
            ns=ns,
            unit="page",
            kind="events",
            metrics={"merged_pct": pct, "faults_per_page": faults, "waited_ms": 400.0},
            metric_noise=0.0,
        )
        for content, (ns, pct, faults) in truth.items()
    ]


def tlb_cases(level_ns: float = 2.4, walk_ns: float = 30.0, huge_share: float = 0.0) -> list[Case]:
    """memory/tlb: knees at 64 and beyond 1024 pages.

    `huge_share` of what translations cost is what huge pages save.
    """

    def added(pages: int) -> float:
        return 0.0 if pages < 64 else level_ns if pages <= 1024 else walk_ns

    return [
        pair_case(
            "memory/tlb",
            {"pages": pages, "control": control},
            1e3 * more,
            unit="1000 loads",
            kind="events",
            metrics={
                "small_ns": 1.4 + more,
                "control_ns": 1.4,
                "added_ns": more,
                "stated_l1": 64.0,
                "stated_l2": 2048.0,
            },
            metric_noise=0.0,
        )
        for control in ("huge", "packed")
        for pages in (16, 32, 64, 128, 256, 1024, 2048, 4096)
        for more in [added(pages) * (huge_share if control == "huge" else 1.0)]
    ]


def bandwidth_cases() -> list[Case]:
    """memory/bandwidth: four ways to move memory, by one and by two threads."""
    rates = {"read": (11.0, 20.0), "copy": (13.0, 21.0), "triad": (14.0, 22.0), "stream": (19.0, 20.5)}
    return [
        Case(
            "memory/bandwidth",
            {"op": op, "size": 64 << 20},
            ns=400.0,
            cpus=(1,) if threads == 0 else (1, 0),
            relation=None if threads == 0 else "same_l3",
            unit="4 KiB of each array",
            metrics={"gb_per_s": rate, "cache_times": 2.0, "huge_pct": 100.0},
            metric_noise=0.0,
        )
        for op, both in rates.items()
        for threads, rate in enumerate(both)
    ]


def loaded_cases() -> list[Case]:
    """memory/loaded beside threads that read and that write."""
    return [
        pair_case(
            "memory/loaded",
            {"load": load},
            more,
            unit="1000 loads",
            kind="events",
            metrics={"loaded_ns": 110.0, "idle_ns": 100.0, "added_pct": 10.0, "load_gb_per_s": 11.0},
            metric_noise=0.0,
        )
        for load, more in (("read", 10e3), ("stream", 20e3))
    ]


def numa_cases() -> list[Case]:
    """memory/numa on two nodes."""
    return [
        Case(
            "memory/numa",
            {"thread": thread, "memory": memory},
            ns=1e5 if thread == memory else 1.8e5,
            unit="1000 loads",
            kind="events",
            metrics={"load_ns": 100.0 if thread == memory else 180.0},
            metric_noise=0.0,
        )
        for thread in (0, 1)
        for memory in (0, 1)
    ]


def chase_cases() -> list[Case]:
    """memory/chase: three levels of cache and the memory, on small and on huge pages."""
    cases = []
    ladder = {4: 1.1, 16: 1.1, 64: 3.8, 256: 3.8, 1024: 4.5, 4096: 13, 16384: 15, 65536: 90, 262144: 110}
    for kib, ns in ladder.items():
        cases.append(Case("memory/chase", {"size": kib << 10, "pages": "small", "order": "random"}, ns=ns, unit="load"))
        cases.append(
            Case("memory/chase", {"size": kib << 10, "pages": "huge", "order": "random"}, ns=ns * 0.9, unit="load")
        )
    return cases
