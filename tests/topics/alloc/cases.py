"""Cases of the topic alloc with a known truth."""

from __future__ import annotations

from runs.write import Case

SIZES = (16, 1032, 1040, 140000)


def size_cases() -> list[Case]:
    """alloc/size: blocks that are kept, blocks that are mapped anew, and their pages."""
    return [
        Case(
            "alloc/size",
            {"size": size, "touch": touch, "threshold": threshold},
            ns=1000 * pair,
            unit="1000 pairs",
            kind="events",
            metrics={"pair_ns": pair, "faults_per_pair": faults, "grown_kib": 0.0},
            metric_noise=0.0,
        )
        for threshold in ("fixed", "dynamic")
        for touch in ("untouched", "touched")
        for size in SIZES
        for faults in [(35.0 if touch == "touched" else 1.0) if size > 131072 and threshold == "fixed" else 0.0]
        for pair in [11e3 + 2e3 * faults if faults else 16.0 if size < 1040 else 36.0]
    ]


def steps_cases() -> list[Case]:
    """alloc/steps of glibc."""
    return [
        Case(
            "alloc/steps",
            {"threshold": threshold},
            unit="block",
            kind="counts",
            metrics={"cached_to": 1032.0, "heap_to": to, "small_in_heap_pct": 100.0, "large_in_heap_pct": large},
            counts={"below": 64, "above": 0},
            metric_noise=0.0,
        )
        for threshold, to, large in (("fixed", 131048.0, 0.0), ("dynamic", 33550312.0, 100.0))
    ]


def freeze_cases(libc_stalls: float = 9.0, mimalloc_stalls: float = 0.0) -> list[Case]:
    """alloc/freeze: stalls of 25 freezes in each process."""
    return [
        Case(
            "alloc/freeze",
            {"library": library, "size": 1000, "freezes": 25},
            unit="freeze",
            kind="counts",
            metrics={
                "freezes": 25.0,
                "stalls": stalls,
                "stalled_pct": 4 * stalls,
                "control_stalls": 0.0,
                "left_out": 0.0,
            },
            metric_noise=0.0,
        )
        for library, stalls in (("libc", libc_stalls), ("mimalloc", mimalloc_stalls))
    ]


def pattern_cases() -> list[Case]:
    """alloc/pattern: two orders under three allocators, microseconds for 1000 blocks."""
    truth = {"libc": (19.0, 30.0), "mimalloc": (14.0, 12.0), "pool": (4.0, 9.0)}
    return [
        Case(
            "alloc/pattern",
            {"pattern": pattern, "size": 64, "live": 1000, "library": library},
            ns=1e3 * both[place],
            unit="1000 blocks",
            kind="events",
            metrics={"resident_kib": 2000.0},
            metric_noise=0.0,
        )
        for place, pattern in enumerate(("at_once", "random"))
        for library, both in truth.items()
    ]


def slab_case(filled: float = 98.0) -> Case:
    """alloc/slab: objects of 192 bytes on pages of 4 KiB."""
    metrics = {
        "objects_per_slab": 21.0,
        "pages_per_slab": 1.0,
        "objects_grown": 16380.0,
        "slabs_grown": 780.0,
        "filled_pct": filled,
    }
    return Case("alloc/slab", unit="object", kind="counts", metrics=metrics, metric_noise=0.0)
