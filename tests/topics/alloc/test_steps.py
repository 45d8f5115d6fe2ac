"""alloc/steps: sizes are found and not typed in, and what was found holds in another process."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

STEPS = "alloc/steps.c"
pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the steps of glibc")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize(("threshold", "least", "most"), [("fixed", 120000, 131072), ("dynamic", 2**24, 2**25)])
def test_the_steps_of_glibc_are_found(engine: Engine, threshold: str, least: int, most: int) -> None:
    measured = measure(engine, "alloc/steps", {"threshold": threshold})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert least < measured.metrics["heap_to"] < most
    assert 512 < measured.metrics["cached_to"] < 4096
    assert [(count.found, count.expected) for count in measured.outcome.count[0:2]] == [(64, 64), (0, 0)]
    assert measured.metrics["large_in_heap_pct"] == (100 if threshold == "dynamic" else 0)


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("free(block);\n    }", "free(block), free(malloc(0));\n    }", ""),
        # The search stops one step too early, the heap is somewhere else, and the fork dies.
        ("while (high - low > 1)", "while (high - low > 64)", "count above: 64 blocks instead of 0"),
        ("*largest = low < LEAST ? 0 : low;", "*largest = low < LEAST ? 0 : low + 1;", "count below: 0 blocks instead"),
        ("        _exit(0);\n    }\n    while (child", "        raise(SIGKILL);\n    }\n    while (child", "died"),
        ("*answer = (struct answer){0};\n    child", "_exit(9);\n    child", "the small process left with status 9"),
    ],
)
def test_what_is_found_wrongly_fails(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(
        tmp_path, {STEPS: [(whole, broken), ("#include <sys/wait.h>", "#include <sys/wait.h>\n#include <signal.h>")]}
    )
    measured = measure(faulty, "alloc/steps", {"threshold": "fixed"})
    assert measured.status == (EILSEQ if said else 0)
    assert said in measured.reason


def test_a_library_without_a_heap_has_no_step(tmp_path: Path) -> None:
    none = [("return begin && (uintptr_t)block >= begin", "return 0 && begin && (uintptr_t)block >= begin")]
    measured = measure(compile_broken(tmp_path, {STEPS: none}), "alloc/steps", {"threshold": "dynamic"})
    assert measured.status == 0, measured.reason
    assert measured.metrics["heap_to"] != measured.metrics["heap_to"]
    assert measured.metrics["small_in_heap_pct"] == 0
