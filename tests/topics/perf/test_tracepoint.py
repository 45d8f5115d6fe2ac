"""perf/tracepoint: allocations of Linux, counted where they are made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

TRACEPOINT = "perf/tracepoint.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


@pytest.mark.parametrize(("files", "expected"), [("made", 100), ("none", 0)])
def test_each_file_takes_a_block(engine: Engine, files: str, expected: int) -> None:
    measured = measure(engine, "perf/tracepoint", {"files": files})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == expected


@pytest.mark.parametrize(
    ("files", "whole", "broken", "said"),
    [
        ("made", "== MADE ? eventfd(0, EFD_CLOEXEC)", "== MADE ? dup(0)", "0 files instead of 100"),
        ("none", ": (int)syscall(SYS_getppid)", ": close(eventfd(0, EFD_CLOEXEC))", "instead of 0"),
    ],
)
def test_a_count_of_something_else_fails(tmp_path: Path, files: str, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {TRACEPOINT: [(whole, broken)]}), "perf/tracepoint", {"files": files})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


def test_a_linux_without_it_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {TRACEPOINT: [('"kmem/kmem_cache_alloc"', '"kmem/none"')]})
    assert measure(faulty, "perf/tracepoint").status == ENOTSUP
