"""namespace/unshare: each child has its namespace, and nobody stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken

UNSHARE = "namespace/unshare.c"
KINDS = ["none", "uts", "ipc", "cgroup", "pid", "user", "mount", "net"]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    namespaces = {path.name: str(path.readlink()) for path in Path("/proc/self/ns").iterdir()}
    with nothing_more():
        yield
    assert {path.name: str(path.readlink()) for path in Path("/proc/self/ns").iterdir()} == namespaces


@pytest.mark.parametrize("kind", KINDS)
def test_each_child_has_its_own(engine: Engine, kind: str) -> None:
    measured = measure(engine, "namespace/unshare", {"kind": kind})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 11
    assert measured.metrics["end_ns"] > 0


@pytest.mark.parametrize(
    ("kind", "whole", "broken"),
    [
        ("none", '{0, "/proc/self/ns/uts"}', '{CLONE_NEWUTS, "/proc/self/ns/uts"}'),
        ("uts", '{CLONE_NEWUTS, "/proc/self/ns/uts"}', '{0, "/proc/self/ns/uts"}'),
    ],
)
def test_a_child_in_another_namespace_fails(tmp_path: Path, kind: str, whole: str, broken: str) -> None:
    measured = measure(compile_broken(tmp_path, {UNSHARE: [(whole, broken)]}), "namespace/unshare", {"kind": kind})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "not in the namespace" in measured.reason


def test_a_missing_permission_is_a_need(tmp_path: Path) -> None:
    refused = [("if (unshare(kind->flag) &&", "if ((errno = EPERM, 1) &&")]
    measured = measure(compile_broken(tmp_path, {UNSHARE: refused}), "namespace/unshare")
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission to make such a namespace")
