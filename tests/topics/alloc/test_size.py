"""alloc/size: blocks are memory of their own, are freed, and come from where the threshold says."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

SIZE = "alloc/size.c"
GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.skipif(not GLIBC, reason="the threshold of glibc")
@pytest.mark.parametrize(
    ("size", "touch", "threshold", "faults"),
    [
        (64, "touched", "fixed", 0),
        (140000, "untouched", "fixed", 1),
        (140000, "touched", "fixed", 35),
        (140000, "untouched", "dynamic", 0),
        (140000, "touched", "dynamic", 0),
    ],
)
def test_pages_come_anew_above_a_fixed_threshold(
    engine: Engine, size: int, touch: str, threshold: str, faults: int
) -> None:
    measured = measure(engine, "alloc/size", {"size": size, "touch": touch, "threshold": threshold}, batches=4)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert faults <= measured.metrics["faults_per_pair"] <= faults + 0.5
    assert measured.metrics["pair_ns"] > 0
    assert measured.outcome.events == 4


@pytest.mark.parametrize("size", [0, -1, (1 << 30) + 1, -(1 << 62)])
def test_sizes_that_are_none_are_refused(engine: Engine, size: int) -> None:
    measured = measure(engine, "alloc/size", {"size": size})
    assert measured.status == EINVAL
    assert f"size={size} is not a number of bytes" in measured.reason


THIRD_TIME_FEWER = """
static uint64_t last, times;
if (!answer->done) {
    times = order->count == last ? times + 1 : 0;
    last = order->count;
}
unsigned char *block = times >= 2 && answer->done >= order->count / 2 ? NULL : malloc(order->size);
"""


@pytest.mark.parametrize(
    ("values", "whole", "broken", "said"),
    [
        # Nothing is freed.
        (
            {"size": 65536, "touch": "touched"},
            "USED(block);\n        free(block);",
            "USED(block);",
            "blocks were not freed",
        ),
        # No block in the middle of a batch, and a process that leaves.
        (
            {"size": 64},
            "unsigned char *block = malloc(order->size);",
            # Asked for as many as twice before: the kernel has found the length of its batches, and measures.
            THIRD_TIME_FEWER,
            "blocks were given",
        ),
        ({"size": 64}, "recv(SMALL_SOCKET, &order", "order.count ? -1 : recv(SMALL_SOCKET, &order", "left with"),
    ],
)
def test_a_process_that_allocates_otherwise_fails(
    tmp_path: Path, values: dict[str, str | int], whole: str, broken: str, said: str
) -> None:
    measured = measure(compile_broken(tmp_path, {SIZE: [(whole, broken)]}), "alloc/size", values)
    assert measured.status in (EILSEQ, ENOTSUP)
    assert said in measured.reason or "needs as much memory" in measured.reason


def test_blocks_that_overlap_fail(tmp_path: Path) -> None:
    one = [
        ("(held[count] = malloc(order->size))", "(held[count] = count ? held[0] : malloc(order->size))"),
        ("        free(held[i]);", "        if (i == 0)\n            free(held[i]);"),
    ]
    measured = measure(compile_broken(tmp_path, {SIZE: one}), "alloc/size", {"size": 64})
    assert measured.status == EILSEQ
    assert "of 16 blocks were memory of their own" in measured.reason


def test_no_process_is_left(engine: Engine) -> None:
    before = set(Path("/proc/self/task").glob("*/children"))
    children = [path.read_text(encoding="utf-8") for path in before]
    measure(engine, "alloc/size", {"size": 64})
    assert [path.read_text(encoding="utf-8") for path in before] == children


def test_faults_of_one_batch_decide_nothing(tmp_path: Path) -> None:
    counted = "pairs->timed += answer.done;"
    taken = f"{counted} answer.faults = pairs->kept ? 0 : 100 * (int64_t)pairs->batch;"
    engine = compile_broken(tmp_path, {SIZE: [(counted, taken)]})
    measured = measure(engine, "alloc/size", {"size": 64}, batches=4)
    assert measured.status == 0, measured.reason
    assert measured.metrics["faults_per_pair"] == 0


def test_one_slow_look_does_not_shorten_the_batches(tmp_path: Path) -> None:
    ends = "answer->end = tick_end();"
    slow_once = "static int looks; answer->end = answer->begin + (looks++ == 1 ? 1000000000 : 100 * order->count);"
    block = "unsigned char *block = malloc(order->size);"
    engine = compile_broken(tmp_path, {SIZE: [(ends, slow_once), (block, THIRD_TIME_FEWER)]})
    measured = measure(engine, "alloc/size", {"size": 64})
    found = re.search(r"of (\d+) blocks were given", measured.reason)
    assert found, measured.reason
    assert int(found[1]) > 1


@pytest.mark.skipif(not GLIBC, reason="variables of glibc")
@pytest.mark.parametrize(
    ("name", "value"),
    [("MALLOC_TRIM_THRESHOLD_", "65536"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=131072")],
    ids=["a variable", "a tunable"],
)
def test_the_allocator_is_as_nobody_has_set_it_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Dask sets the first in every process that starts its workers."""
    monkeypatch.setenv(name, value)
    measured = measure(engine, "alloc/size", {"size": 140000, "touch": "untouched"}, batches=4)
    assert measured.status == 0, measured.reason
    assert measured.metrics["faults_per_pair"] == 0
