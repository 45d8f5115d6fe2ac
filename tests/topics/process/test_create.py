"""process/create and process/zombie: each way ends as it has to, and nothing of it stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import children, nothing_more
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

CREATE, ZOMBIE = "process/create.c", "process/zombie.c"
WAYS = ["fork", "vfork", "clone3", "thread", "fork_exec", "vfork_exec", "posix_spawn", "vfork_static"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


@pytest.mark.parametrize("how", WAYS)
def test_each_way_makes_children(engine: Engine, how: str) -> None:
    measured = measure(engine, "process/create", {"how": how})
    assert measured.status == 0, measured.reason
    metrics = measured.metrics
    assert metrics["call_ns"] > 0 and metrics["rest_ns"] > 0
    assert (metrics["fork_ratio"] > 0) == (how == "clone3")


@pytest.mark.parametrize("pages", ["small", "huge"])
def test_the_parents_memory_is_there(engine: Engine, pages: str) -> None:
    measured = measure(engine, "process/create", {"how": "vfork", "touched": 32 << 20, "pages": pages})
    if measured.status == ENOTSUP and pages == "huge":
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert 32 < measured.metrics["resident_mib"] < 40


@pytest.mark.parametrize("touched", [-1, (1 << 30) + 1])
def test_other_amounts_are_refused(engine: Engine, touched: int) -> None:
    measured = measure(engine, "process/create", {"touched": touched})
    assert measured.status == EINVAL
    assert f"touched={touched}" in measured.reason


@pytest.mark.parametrize(
    ("how", "file", "whole", "broken", "said"),
    [
        (
            "vfork",
            CREATE,
            "_exit(status);\n    }\n    return child;\n}\n\n/* What fork",
            "_exit(0);\n    }\n    return child;\n}\n\n/* What fork",
            "did not end with their own status",
        ),
        (
            "vfork_exec",
            CREATE,
            'status % 2 ? "/bin/false" : "/bin/true"',
            '"/bin/true"',
            "did not end with their own status",
        ),
        ("vfork_static", CREATE, "i < status; i++", "i < 1; i++", "did not end with their own status"),
        ("fork", CREATE, "memory_huge_bytes(pages, wish.touched)", "4096", "were to lie on small ones"),
    ],
    ids=["status", "program", "arguments", "pages"],
)
def test_a_planted_fault_is_found(tmp_path: Path, how: str, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "process/create", {"how": how, "touched": 1 << 20})
    assert measured.status == EILSEQ
    assert said in measured.reason


@pytest.mark.parametrize(
    ("how", "whole", "broken", "need"),
    [
        (
            "fork",
            "child = make_child(how, status);",
            "child = (errno = EAGAIN, -1);",
            "permission for one more process",
        ),
        (
            "clone3",
            "(pid_t)syscall(SYS_clone3, &arguments, sizeof arguments)",
            "(errno = ENOSYS, arguments.flags ? 0 : -1)",
            "the system call clone3",
        ),
        ("vfork_exec", "execv(program_for(status), arguments);", "errno = ENOENT;", "/bin/true, /bin/false"),
    ],
    ids=["pids", "clone3", "true"],
)
def test_a_system_that_refuses_is_a_need(tmp_path: Path, how: str, whole: str, broken: str, need: str) -> None:
    measured = measure(compile_broken(tmp_path, {CREATE: [(whole, broken)]}), "process/create", {"how": how})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith(f"needs {need}")


@pytest.mark.parametrize("count", [1, 20])
def test_zombies_are_there_until_somebody_waits(engine: Engine, count: int) -> None:
    measured = measure(engine, "process/zombie", {"children": count})
    assert measured.status == 0, measured.reason
    assert [item.found for item in measured.outcome.count[0:3]] == [count, 0, 0]


@pytest.mark.parametrize("count", [0, 501])
def test_so_many_zombies_are_refused(engine: Engine, count: int) -> None:
    measured = measure(engine, "process/zombie", {"children": count})
    assert measured.status == EINVAL
    assert f"children={count} is not 1 to 500" in measured.reason


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        ("WEXITED | WNOWAIT", "WEXITED", "count zombies: 0 children instead of 20"),
        ("bytes > 0 || isnan(bytes)", "1", "count with_memory: 20 children instead of 0"),
    ],
    ids=["waited for", "with memory"],
)
def test_a_planted_fault_of_zombies_is_found(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {ZOMBIE: [(whole, broken)]})
    measured = measure(faulty, "process/zombie", {"children": 20})
    assert measured.status not in (0, ENOTSUP)
    assert said in measured.reason or "failed" in measured.reason


def test_a_child_that_stays_is_found(tmp_path: Path) -> None:
    waits = "wait_for_child(zombies->pid[--zombies->made])"
    forgets = "--zombies->made ? wait_for_child(zombies->pid[zombies->made]) : 0"
    before = children()
    measured = measure(compile_broken(tmp_path, {ZOMBIE: [(waits, forgets)]}), "process/zombie", {"children": 20})
    for left in children() - before:
        os.waitpid(int(left), 0)
    assert measured.status == EILSEQ
    assert "count left: 1 children instead of 0" in measured.reason


def test_where_no_more_processes_may_be_made_those_made_are_reaped(tmp_path: Path) -> None:
    faulty = compile_broken(
        tmp_path,
        {
            ZOMBIE: [
                ("child = child_that_ends();", "child = zombies->made == 5 ? (errno = EAGAIN, -1) : child_that_ends();")
            ]
        },
    )
    measured = measure(faulty, "process/zombie", {"children": 20})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission for that many more processes")


@pytest.mark.parametrize(
    ("touched", "huge"), [(1 << 20, "0"), (16 << 20, "0"), (16 << 20, "14 << 20"), (3 << 20, "1 << 20")]
)
def test_memory_that_is_not_on_huge_pages_has_no_such_row(touched: int, huge: str, tmp_path: Path) -> None:
    planted = compile_broken(tmp_path, {CREATE: [("memory_huge_bytes(pages, wish.touched)", huge)]})
    measured = measure(planted, "process/create", {"touched": touched, "pages": "huge"})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs transparent huge pages, and enough of them free")
