"""memory/numa: one node is nothing to compare, and pages lie where they were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from topics.analysed import analysed, told_of
from topics.memory.cases import numa_cases

NUMA = "memory/numa.c"
ONE_WILL_DO = ("nodes_with_memory() < 2)\n        return", "nodes_with_memory() < 1)\n        return")


def on_one_node(tmp_path: Path, *faults: tuple[str, str]) -> Engine:
    """The kernel as it would measure a single node."""
    return compile_broken(tmp_path, {NUMA: [ONE_WILL_DO, *faults]})


def test_a_single_node_is_not_measurable() -> None:
    if Path("/sys/devices/system/node/node1").exists():
        pytest.skip("needs a machine with one node")
    measured = measure(built_engine(), "memory/numa", {"thread": 0, "memory": 0})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs more than one node of memory")


@pytest.mark.parametrize("values", [{"thread": -1}, {"memory": -1}, {"memory": 64}])
def test_nodes_that_cannot_be_are_refused(values: dict[str, int]) -> None:
    measured = measure(built_engine(), "memory/numa", values)
    assert measured.status == EINVAL
    assert "is not a node from 0 to 63" in measured.reason


def test_pages_lie_on_their_node(tmp_path: Path) -> None:
    measured = measure(on_one_node(tmp_path), "memory/numa", {"thread": 0, "memory": 0})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.metrics["load_ns"] > 0


@pytest.mark.parametrize(
    ("name", "said"), [("thread", "needs a CPU on node 63"), ("memory", "needs memory on node 63")]
)
def test_a_node_that_is_not_there_is_a_need(tmp_path: Path, name: str, said: str) -> None:
    measured = measure(on_one_node(tmp_path), "memory/numa", {"thread": 0, "memory": 0, name: 63})
    assert (measured.status, measured.reason) == (ENOTSUP, said)


def test_pages_on_another_node_fail(tmp_path: Path) -> None:
    faulty = on_one_node(tmp_path, ("node != (int)trial->value[MEMORY]", "node != (int)trial->value[MEMORY] + 1"))
    measured = measure(faulty, "memory/numa", {"thread": 0, "memory": 0})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "lies on node 0" in measured.reason


def test_the_picture_shows_nodes_of_threads_and_of_memory() -> None:
    figure = told_of(analysed(numa_cases(), rounds=6))["memory-numa"]
    assert len(figure.table.rows) == 4
    assert "from memory of node 1" in figure.description
