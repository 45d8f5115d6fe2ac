"""runqueue/pick, remove and enqueue: what they leave is whole, counts are exact, and faults fail the case."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, built_engine, measure
from kernels.plant import compile_broken

STRUCTURES = ("bitmap", "rb", "avl", "heap", "skip", "pairing")
LISTS = ("list", "scan")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("tasks", [1, 2, 150])
@pytest.mark.parametrize("by", [*STRUCTURES, *LISTS])
def test_each_look_sees_the_least_key(engine: Engine, by: str, tasks: int) -> None:
    measured = measure(engine, "runqueue/pick", {"by": by, "tasks": tasks})
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize("tasks", [1, 2, 150])
@pytest.mark.parametrize("by", ["touch", *STRUCTURES, *LISTS])
def test_tasks_that_come_back_leave_a_whole_queue(engine: Engine, by: str, tasks: int) -> None:
    measured = measure(engine, "runqueue/remove", {"by": by, "tasks": tasks})
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize("keys", ["random", "ascending"])
@pytest.mark.parametrize("tasks", [1, 2, 150])
@pytest.mark.parametrize("by", ["touch", *STRUCTURES])
def test_a_queue_that_fills_up_is_whole(engine: Engine, by: str, tasks: int, keys: str) -> None:
    measured = measure(engine, "runqueue/enqueue", {"by": by, "tasks": tasks, "keys": keys})
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize(
    ("by", "keys"), [("touch", "random"), ("bitmap", "ascending"), ("rb", "random"), ("heap", "random")]
)
def test_a_queue_that_is_filled_by_thousands_is_whole(engine: Engine, by: str, keys: str) -> None:
    measured = measure(engine, "runqueue/fill", {"by": by, "tasks": 3000, "keys": keys})
    assert measured.status == 0, measured.reason
    assert measured.metrics["task_ns"] > 0 and measured.metrics["footprint_bytes"] == 3000 * 128


@pytest.mark.parametrize(("tasks", "said"), [(1500, "is not a multiple of 1000"), (0, "is not 1 to")])
def test_a_queue_that_no_thousands_fill_is_refused(engine: Engine, tasks: int, said: str) -> None:
    measured = measure(engine, "runqueue/fill", {"tasks": tasks})
    assert measured.status == EINVAL and said in measured.reason


@pytest.mark.parametrize(("by", "height"), [("rb", 11), ("avl", 7), ("heap", 7)])
def test_ascending_keys_have_known_heights(engine: Engine, by: str, height: int) -> None:
    metrics = measure(engine, "runqueue/enqueue", {"by": by, "tasks": 100, "keys": "ascending"}).metrics
    assert metrics["height"] == height


def test_comparisons_are_those_of_the_structure(engine: Engine) -> None:
    def comparisons(kernel: str, by: str, **values: str | int) -> float:
        return measure(engine, f"runqueue/{kernel}", {"by": by, "tasks": 128, **values}).metrics["comparisons"]

    assert comparisons("enqueue", "pairing") == 127 / 128
    assert comparisons("enqueue", "heap", keys="ascending") == 127 / 128  # with the parent, and no further
    assert comparisons("enqueue", "bitmap") == comparisons("remove", "bitmap") == 0
    assert comparisons("remove", "list") == pytest.approx(64, rel=0.1)
    assert comparisons("remove", "avl") == pytest.approx(math.log2(128), rel=0.15)


@pytest.mark.parametrize("kernel", ["pick", "remove", "enqueue"])
def test_impossible_numbers_of_tasks_are_refused(engine: Engine, kernel: str) -> None:
    measured = measure(engine, f"runqueue/{kernel}", {"tasks": 0})
    assert measured.status == EINVAL
    assert "tasks=0 is not 1 to" in measured.reason


FAULTS = {
    "runqueue/pick.c": [("seen += key;", "seen += key + (i == 1);")],
    "runqueue/remove.c": [
        ("queue->turns += count;", "queue->turns += count;\n if (by == AVL) queue->tree.first = queue->tree.root;"),
        ("task->turns++;", "task->turns += by != RB;"),
    ],
    "runqueue/fill.c": [
        ("struct task *task = queue->shuffled[i];", "struct task *task = queue->shuffled[i / 2];"),
    ],
    "runqueue/enqueue.c": [
        ("struct task *task = queue->shuffled[i];", "struct task *task = queue->shuffled[i / 2 * (by == TOUCH)];"),
    ],
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Engine]:
    """An engine for each kernel, as one that a run of the tests leaves out need not be compiled."""

    @functools.cache
    def engine_of(kernel: str) -> Engine:
        file = f"runqueue/{kernel}.c"
        return compile_broken(tmp_path_factory.mktemp(kernel), {file: FAULTS[file]})

    return engine_of


@pytest.mark.parametrize(
    ("kernel", "by", "said"),
    [
        ("pick", "scan", "a look saw another key than the least"),
        ("remove", "avl", "is not the leftmost"),
        ("remove", "rb", "were had"),
        ("enqueue", "touch", "turns, and another"),
        ("fill", "touch", "turns, and another"),
    ],
)
def test_what_is_wrong_fails(faulty: Callable[[str], Engine], kernel: str, by: str, said: str) -> None:
    tasks = 1000 if kernel == "fill" else 40
    measured = measure(faulty(kernel), f"runqueue/{kernel}", {"by": by, "tasks": tasks}, batches=4)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason
