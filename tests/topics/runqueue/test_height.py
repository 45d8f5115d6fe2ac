"""runqueue/height: heights that the theory knows, bounds, colours, and trees that break their rules."""

from __future__ import annotations

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, built_engine, measure
from kernels.plant import compile_broken

HEIGHT = "runqueue/height"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize(
    ("tree", "order", "levels"),
    [
        ("rb", "ascending", {1: 1, 2: 2, 10: 5, 100: 11, 1000: 17}),
        ("avl", "ascending", {1: 1, 2: 2, 10: 4, 100: 7, 1000: 10}),
        # A Fibonacci tree of h levels has F(h + 2) - 1 nodes: 1, 2, 4, 7, 12 ... 88, 143 ... 986, 1596.
        ("avl", "fibonacci", {1: 1, 2: 2, 4: 3, 12: 5, 87: 8, 88: 9, 100: 9, 986: 14, 1000: 14, 1595: 14, 1596: 15}),
    ],
)
def test_heights_are_exact(engine: Engine, tree: str, order: str, levels: dict[int, int]) -> None:
    found = {
        tasks: measure(engine, HEIGHT, {"tree": tree, "order": order, "tasks": tasks}).metrics["height"]
        for tasks in levels
    }
    assert found == levels


@pytest.mark.parametrize("tree", ["rb", "avl"])
@pytest.mark.parametrize("tasks", [1, 2, 300])
def test_random_histories_keep_rules_and_bound(engine: Engine, tree: str, tasks: int) -> None:
    measured = measure(engine, HEIGHT, {"tree": tree, "tasks": tasks, "operations": 3000})
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 97  # one look in 31 operations, and one at the beginning
    assert measured.metrics["least"] <= measured.metrics["height"] <= measured.metrics["bound"]
    assert (measured.metrics["coloured_pct"] == 100) == (tree == "avl")


def test_without_operations_the_tree_is_looked_at_once(engine: Engine) -> None:
    measured = measure(engine, HEIGHT, {"operations": 0})
    assert measured.status == 0 and measured.outcome.count[0].found == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [({"tasks": 0}, "tasks=0 is not 1 to"), ({"operations": 10**9}, "operations=1000000000 is not 0 to")],
)
def test_impossible_values_are_refused(engine: Engine, values: dict[str, int], said: str) -> None:
    measured = measure(engine, HEIGHT, values)
    assert measured.status == EINVAL
    assert said in measured.reason


FAULTS = {
    "runqueue/height.c": [
        # A bound that is too narrow, and a tree that loses its colours.
        ("? 2 * log2", "? 1.5 * log2"),
        ("avl_colour(&queue->tree);", "avl_colour(&queue->tree), queue->tree.root->mark = 1;"),
    ],
    # Trees without their repair.
    "runqueue/queue.h": [
        ("return avl_add(&queue->tree, &task->tree, counts);",
         "return (queue->count == 77 ? tree_hang : avl_add)(&queue->tree, &task->tree, counts);"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_broken(tmp_path_factory.mktemp("faulty"), FAULTS, only="runqueue/height.c")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tree": "rb", "order": "ascending"}, "17 levels are more than the bound, 14.95"),
        ({"tree": "avl", "order": "ascending", "tasks": 77}, "a balance is not that of the heights"),
    ],
)
def test_a_tree_that_is_wrong_fails(faulty: Engine, values: dict[str, str | int], said: str) -> None:
    measured = measure(faulty, HEIGHT, values)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


def test_a_tree_that_cannot_be_coloured_is_counted(faulty: Engine) -> None:
    measured = measure(faulty, HEIGHT, {"tree": "avl", "tasks": 50})
    assert measured.status == 0, measured.reason
    assert measured.metrics["coloured_pct"] == 0
