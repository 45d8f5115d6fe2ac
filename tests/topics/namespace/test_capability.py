"""namespace/capability: what is refused goes with the capability, and this process keeps its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

CAPABILITY, OTHER = "namespace/capability.c", "other_process.h"
CALLS = ["nice", "hostname", "chroot"]


def held() -> list[str]:
    """This process's capabilities and priority."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return [*(line for line in lines if line.startswith("Cap")), str(os.getpriority(os.PRIO_PROCESS, 0)), os.uname()[1]]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_changes() -> Iterator[None]:
    before = held()
    with nothing_more():
        yield
    assert held() == before


@pytest.mark.parametrize("call", CALLS)
def test_as_many_are_refused_as_were_made(engine: Engine, call: str) -> None:
    measured = measure(engine, "namespace/capability", {"call": call})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert [count.found for count in measured.outcome.count[0:2]] == [100, 0]
    assert measured.metrics == {"refused_with_pct": 0, "refused_without_pct": 100, "refused_alone_pct": 0}


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("if (set_effective(held, ~low, ~high))", "if (0)", "count refused: 0 calls instead of 100"),
        ("if (set_effective(held, low, high))", "if (0)", "count refused_else: 100 calls instead of 0"),
        ("setpriority(PRIO_PROCESS, 0, -1)", "setpriority(9, 0, -1)", "failed otherwise"),
    ],
)
def test_a_capability_that_is_not_given_up_fails(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {CAPABILITY: [(whole, broken)]}), "namespace/capability")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


@pytest.mark.parametrize(
    ("file", "whole", "broken", "need"),
    [
        (CAPABILITY, "if (!(held[0].effective & low)", "if (!(0 & low)", "this capability"),
        (OTHER, "other = fork();", "other = (errno = EAGAIN, -1);", "permission for one more"),
        (CAPABILITY, "case NICE:", "case NICE:\n errno = EPERM; return 1;", "a system that lets root"),
    ],
)
def test_what_is_missing_is_a_need(tmp_path: Path, file: str, whole: str, broken: str, need: str) -> None:
    faulty = compile_broken(tmp_path, {CAPABILITY: [], file: [(whole, broken)]})
    measured = measure(faulty, "namespace/capability")
    if need.startswith("a system") and measured.reason.startswith("needs this capability"):
        pytest.skip(measured.reason)
    assert measured.status == ENOTSUP, measured.reason
    assert measured.reason.startswith(f"needs {need}")
