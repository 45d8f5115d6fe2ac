"""alloc/freeze: a lock is seen, its absence is seen, and the library is the one that was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, first_that, measure
from kernels.plant import compile_broken

FREEZE, LIBRARIES = "alloc/freeze.c", "alloc/libraries.h"
FEW = {"freezes": 4}

LOCKED = [
    (
        "static void *allocate_and_hand_over",
        """static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *locked_malloc(size_t size) { pthread_mutex_lock(&lock); void *p = malloc(size);
    for (volatile int i = 0; i < 2000; i++) { } pthread_mutex_unlock(&lock); return p; }
static void *allocate_and_hand_over""",
    ),
    (
        "unsigned char *block = malloc(block_bytes), *none = NULL;",
        "unsigned char *block = locked_malloc(block_bytes), *none = NULL;",
    ),
    ("        block = malloc(block_bytes);", "        block = locked_malloc(block_bytes);"),
]
"""A lock of our own round malloc, in which A spends nearly all of its time."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("library", ["libc", "mimalloc", "jemalloc", "tcmalloc"])
def test_the_other_thread_goes_on_after_each_freeze(engine: Engine, library: str) -> None:
    # On a busy machine a window without a freeze may stall, and of four one is too many.
    measured = first_that(
        lambda found: found.status in (0, ENOTSUP),
        lambda: measure(engine, "alloc/freeze", {"library": library, **FEW}),
        tries=5,
    )
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 4
    assert 0 <= measured.metrics["stalls"] <= measured.metrics["freezes"] <= 4
    if library == "mimalloc":
        assert measured.metrics["stalls"] == 0


def test_a_lock_is_seen(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {FREEZE: LOCKED})
    measured = first_that(
        lambda found: found.status == 0 and found.metrics["stalls"] > 0,
        lambda: measure(faulty, "alloc/freeze", {"size": 64, "freezes": 8}),
        tries=5,
    )
    assert measured.metrics["stalls"] > 0, measured.reason


@pytest.mark.parametrize(
    "values", [{"size": 0}, {"size": -8}, {"size": 65537}, {"freezes": 0}, {"freezes": -1}, {"freezes": 100001}]
)
def test_other_amounts_are_refused(engine: Engine, values: dict[str, str | int]) -> None:
    measured = measure(engine, "alloc/freeze", values)
    assert measured.status == EINVAL
    assert "is not from 1 to" in measured.reason


def test_a_library_that_did_not_come_fails(tmp_path: Path) -> None:
    """The loader is told nothing, or the name of a library that is none."""
    faulty = compile_broken(tmp_path, {LIBRARIES: [("*path ? path : NULL", "NULL")]})
    measured = measure(faulty, "alloc/freeze", {"library": "mimalloc", **FEW})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "malloc comes from libc" in measured.reason


def test_a_library_that_is_not_installed_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {LIBRARIES: [("if (access(path, R_OK) == 0)", "if (!room)")]})
    measured = measure(faulty, "alloc/freeze", {"library": "jemalloc", **FEW})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs jemalloc (the package libjemalloc2)")


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        # A does not stop, does not go on, and B stops by itself.
        ("    atomic_store(&stopped, 1);", "    return;", "did not stop, or did not go on, within 2 s"),
        ("while (atomic_load(&thaws) == before)", "while (1)", "did not stop, or did not go on, within 2 s"),
        ("answer->went_on += goes_on();", "answer->went_on += !goes_on();", "count went_on: 0 freezes"),
        (
            "answer->control_stalls += control == STALLED;",
            "answer->control_stalls += 1;",
            "without a freeze the thread",
        ),
        ("answer->frozen += outcome == GOES_ON || outcome == STALLED;", "", "freezes 0 say something"),
    ],
)
def test_threads_that_do_otherwise_fail(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {FREEZE: [(whole, broken)]}), "alloc/freeze", FEW)
    assert measured.status == EILSEQ
    assert said in measured.reason
