"""alloc/pattern: blocks are memory of their own in each order, under each library, and faults in them are found."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

PATTERN, LIBRARIES = "alloc/pattern.c", "alloc/libraries.h"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("pattern", ["at_once", "lifo", "fifo", "random", "steady", "handed"])
@pytest.mark.parametrize("library", ["libc", "mimalloc", "pool"])
def test_blocks_are_memory_of_their_own(engine: Engine, library: str, pattern: str) -> None:
    measured = measure(engine, "alloc/pattern", {"library": library, "pattern": pattern, "live": 300}, batches=2)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 300
    assert measured.outcome.events == 2
    assert all(ticks > 0 for ticks, _ in measured.buckets)
    assert measured.metrics["resident_kib"] > 0


@pytest.mark.parametrize(
    "values", [{"size": 0}, {"size": -1}, {"size": 65537}, {"live": 0}, {"live": -5}, {"live": 100001}]
)
def test_other_amounts_are_refused(engine: Engine, values: dict[str, str | int]) -> None:
    measured = measure(engine, "alloc/pattern", values)
    assert measured.status == EINVAL
    assert "is not from 1 to" in measured.reason


@pytest.mark.parametrize("size", [1, 7, 8, 64, 4096])
def test_blocks_of_the_pool_do_not_overlap(engine: Engine, size: int) -> None:
    values: dict[str, str | int] = {"library": "pool", "pattern": "random", "size": size, "live": 100}
    measured = measure(engine, "alloc/pattern", values)
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize(
    ("values", "file", "whole", "broken", "said"),
    [
        # Blocks that overlap, blocks that are given twice, and too few of them.
        (
            {"library": "pool"},
            PATTERN,
            "pool_give(mapping + i * bytes);",
            "pool_give(mapping + i * bytes / 2);",
            "instead",
        ),
        (
            {"library": "pool", "pattern": "lifo"},
            PATTERN,
            "pool_begin(order.size, order.live);",
            "pool_begin(order.size, order.live / 2);",
            "needs as much memory",
        ),
        (
            {"pattern": "steady"},
            PATTERN,
            "blocks[drawn[done]] = block;",
            "blocks[drawn[done]] = blocks[0] = block;",
            "the small process was ended by signal",
        ),
        # Blocks that the thread frees which allocated them.
        (
            {"pattern": "handed"},
            PATTERN,
            "answer->end += hand_over(done);",
            "for (uint64_t i = 0; i < done; i++) allocator->give(blocks[i]);",
            "the other thread freed 0 blocks",
        ),
        # Another library than the one that was asked for.
        ({"library": "mimalloc"}, LIBRARIES, "*path ? path : NULL", "NULL", "malloc comes from libc"),
    ],
)
def test_a_process_that_allocates_otherwise_fails(
    tmp_path: Path, values: dict[str, str | int], file: str, whole: str, broken: str, said: str
) -> None:
    measured = measure(compile_broken(tmp_path, {file: [(whole, broken)]}), "alloc/pattern", values)
    assert measured.status in (EILSEQ, ENOTSUP)
    assert said in measured.reason or "libmimalloc2.0" in measured.reason


def test_the_drawn_order_has_each_block_once(tmp_path: Path) -> None:
    body = 'draw(1000); for (int i = 0; i < 1000; i++) printf("%u\\n", (unsigned)drawn[i]);'
    order = [int(line) for line in program(tmp_path, PATTERN, body)]
    assert sorted(order) == list(range(1000))
    assert sum(after == before + 1 for before, after in itertools.pairwise(order)) < 10
