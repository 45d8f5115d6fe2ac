"""memory/fault: pages that were there before are found out, and its own faults are no disturbance."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

FAULT = "memory/fault.c"
FAULTED = 4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize(("access", "faults"), [("write", 1), ("read", 1), ("populate", 1), ("again", 0)])
def test_faults_are_those_of_first_touches(engine: Engine, access: str, faults: int) -> None:
    measured = measure(engine, "memory/fault", {"access": access}, batches=4)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 4
    assert not any(sample.flags & FAULTED for sample in measured.samples)
    # What else this thread does may have a fault or two of its own among 256 pages.
    assert faults <= measured.metrics["faults_per_page"] < faults + 0.1
    assert measured.outcome.count[0].found == 1024 * faults
    if access in ("write", "read"):
        assert all(sample.minor_faults >= 64 for sample in measured.samples)


def test_a_huge_page_has_one_fault(engine: Engine) -> None:
    measured = measure(engine, "memory/fault", {"access": "huge"}, batches=4)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert 1 / 512 <= measured.metrics["faults_per_page"] < 0.1
    assert measured.outcome.count[0].found == 2


def test_huge_pages_that_are_not_given_are_a_need(tmp_path: Path) -> None:
    """As where they are forbidden, or where base pages are larger: never a row of small ones."""
    small = [
        ("private_pages(count * pages->page_bytes, access == HUGE_PAGE)", "private_pages(count * pages->page_bytes, 0)")
    ]
    measured = measure(compile_broken(tmp_path, {FAULT: small}), "memory/fault", {"access": "huge"})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs transparent huge pages, and enough of them free")


@pytest.mark.parametrize(
    ("access", "whole", "broken", "said"),
    [
        # Brought before, in whatever way, they are no first touches.
        (
            "write",
            "error = touch(pages, access);",
            "memset(pages->first, 1, pages->count * pages->page_bytes), error = touch(pages, access);",
            "were there before",
        ),
        (
            "write",
            "*(volatile unsigned char *)page = 1;",
            "*(volatile unsigned char *)page = 3;",
            "holds 3 instead of 1",
        ),
        (
            "read",
            "page += pages->page_bytes)\n            pages->read_sum",
            "page += 2 * pages->page_bytes)\n            pages->read_sum",
            "is not in memory",
        ),
        # Each page faults when it is read, and once more when it is written to.
        (
            "write",
            "*(volatile unsigned char *)page = 1;",
            "(void)*(volatile unsigned char *)page, *(volatile unsigned char *)page = 1;",
            "count faults: 2048 faults instead of 1024",
        ),
        (
            "populate",
            "error = make_pages(&fresh, counted_pages(access), access);",
            "error = make_pages(&fresh, counted_pages(access), AGAIN);",
            "count faults: 0 faults instead of 1024",
        ),
        ("again", "if (access == AGAIN)", "if (access < 0)", "count faults: 1024 faults instead of 0"),
    ],
)
def test_a_kernel_that_touches_otherwise_fails(tmp_path: Path, access: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {FAULT: [(whole, broken)]})
    measured = measure(faulty, "memory/fault", {"access": access})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_kernel_without_the_advice_is_a_need_and_not_a_failure(tmp_path: Path) -> None:
    unknown = [("(size_t)(end - page), MADV_POPULATE_WRITE)", "(size_t)(end - page), 9999)")]
    faulty = compile_broken(tmp_path, {FAULT: unknown})
    measured = measure(faulty, "memory/fault", {"access": "populate"})
    assert measured.status == ENOTSUP
    assert measured.reason == "needs MADV_POPULATE_WRITE (Linux 5.14)"


@pytest.mark.parametrize(("attempts", "status"), [(3, 0), (99, EILSEQ)])
def test_faults_of_something_else_are_counted_again(tmp_path: Path, attempts: int, status: int) -> None:
    """In so many attempts one page more than those that are counted is touched for the first time."""
    more = (
        f"static int attempt; char *more = private_pages(1, 0); if (attempt++ < {attempts}) *more = 1; munmap(more, 1);"
    )
    counted = "faults += thread_counts().minor_faults;"
    faulty = compile_broken(tmp_path, {FAULT: [(counted, more + counted)]})
    measured = measure(faulty, "memory/fault", {"access": "write"})
    assert measured.status == status
    assert measured.outcome.count[0].found == (1024 if status == 0 else 1025)
