"""memory/overcommit: what is promised follows the policy, is never in memory, and other limits are needs."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

OVERCOMMIT = "memory/overcommit.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("ask", ["pieces", "block", "noreserve"])
def test_what_is_accepted_is_what_the_policy_promises(engine: Engine, ask: str) -> None:
    measured = measure(engine, "memory/overcommit", {"ask": ask})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["resident_kib"] < 1024
    policy = int(Path("/proc/sys/vm/overcommit_memory").read_text(encoding="utf-8"))
    assert measured.metrics["policy"] == policy
    if policy == 0:
        assert measured.outcome.count[0].found == {"pieces": 16, "block": 0, "noreserve": 1}[ask]


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        (
            "given[requests->accepted++] = piece;",
            "given[requests->accepted++] = piece; *(char *)piece = 1;",
            "in memory",
        ),
        ("given[requests->accepted++] = piece;", "given[requests->accepted++] = piece; break;", "1 requests instead"),
        (
            "given[requests->accepted++] = piece;",
            "given[requests->accepted++] = piece; memset(private_pages(4 << 20, 0), 1, 4 << 20);",
            "in memory",
        ),
    ],
)
def test_memory_that_comes_and_requests_that_do_not_fail(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {OVERCOMMIT: [(whole, broken)]}), "memory/overcommit")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_limit_of_address_space_is_a_need(engine: Engine) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 46, before[1]))
    try:
        measured = measure(engine, "memory/overcommit")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert (measured.status, measured.reason) == (ENOTSUP, "needs no limit of address space (ulimit -v)")


@pytest.mark.parametrize(
    ("policy", "ask", "room", "accepted", "expected"),
    [
        ("GUESS", "PIECES", 0, 16, 16),
        ("GUESS", "BLOCK", 1 << 40, 0, 0),
        ("GUESS", "NORESERVE", 0, 1, 1),
        ("ALWAYS", "BLOCK", 0, 1, 1),
        # Half of 1 MiB fits three times into the room of 1.6 MiB. One of them was somebody else's.
        ("NEVER", "PIECES", 1600 << 10, 3, 3),
        ("NEVER", "PIECES", 1600 << 10, 2, 2),
        ("NEVER", "PIECES", 1600 << 10, 16, 3),
        ("NEVER", "PIECES", -5, 0, 0),
        ("NEVER", "NORESERVE", 1600 << 10, 1, 0),
    ],
)
def test_each_policy_has_its_promise(
    tmp_path: Path, policy: str, ask: str, room: int, accepted: int, expected: int
) -> None:
    body = f"""
    struct requests r = {{.total = 1 << 20, .policy = {policy}, .accepted = {accepted}, .room = {room}}};
    printf("%d\\n", (int)expected_of(&r, {ask}));
"""
    assert program(tmp_path, OVERCOMMIT, body) == [str(expected)]
