"""What has to be planted in stored rows for each verdict on allocators."""

from __future__ import annotations

from topics.stored import Change, Plant, Planted, Stored, as_stored, in_turn

from fencepost.analysis.topics.claim import Outcome


def in_heap(small: Change, large: Change) -> Plant:
    """So many per cent of small and of large blocks lie in the heap."""
    return lambda run: run.put("small_in_heap_pct", small, "alloc/steps", threshold="fixed").put(
        "large_in_heap_pct", large, "alloc/steps", threshold="fixed"
    )


def frozen(metric: str, value: Change, *sizes: int) -> Plant:
    """So many freezes, or stalls, in each process of mimalloc with these sizes."""

    def plant(run: Stored) -> Stored:
        for size in sizes:
            run = run.put(metric, value, "alloc/freeze", library="mimalloc", size=size)
        return run

    return plant


PLANTED: Planted = {
    "alloc/sbrk_mmap": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: in_heap(100.0, 100.0),
        Outcome.UNDECIDED: in_heap(in_turn(100.0, 0.0), 0.0),
        Outcome.REFUTED: in_heap(0.0, 0.0),
    },
    "alloc/lock_free": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: frozen("stalls", 5.0, 1000),
        Outcome.UNDECIDED: frozen("freezes", 5.0, 64, 1000),
        Outcome.REFUTED: frozen("stalls", 5.0, 64, 1000),
    },
    "alloc/slab": {
        Outcome.CONFIRMED: as_stored,
        Outcome.DEPENDS: lambda run: run.put("filled_pct", 50.0, "alloc/slab"),
        Outcome.UNDECIDED: lambda run: run.put("filled_pct", in_turn(70.0, 95.0), "alloc/slab"),
        Outcome.REFUTED: lambda run: run.put("objects_per_slab", 1.0, "alloc/slab"),
    },
}
