"""runqueue/tick: turns are given in order, counts are exact, and faults in a queue fail the case."""

from __future__ import annotations

import math

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, built_engine, measure
from kernels.plant import compile_broken

TICK = "runqueue/tick"
STRUCTURES = ("bitmap", "rb", "avl", "heap", "skip", "pairing", "list", "scan")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("keys", ["random", "ascending"])
@pytest.mark.parametrize("by", ["touch", *STRUCTURES])
@pytest.mark.parametrize("tasks", [1, 2, 200])
def test_each_structure_gives_its_turns_in_order(engine: Engine, by: str, keys: str, tasks: int) -> None:
    measured = measure(engine, TICK, {"by": by, "tasks": tasks, "keys": keys})
    assert measured.status == 0, measured.reason
    looks = 0 if by == "touch" else 1000
    assert measured.outcome.count[0].found == measured.outcome.count[0].expected == looks


@pytest.mark.parametrize("by", STRUCTURES)
def test_only_the_two_arrays_pass_over_a_lesser_key(engine: Engine, by: str) -> None:
    share = measure(engine, TICK, {"by": by, "tasks": 100}).metrics["passed_over_pct"]
    assert share > 10 if by == "bitmap" else share == 0


@pytest.mark.parametrize("by", ["rb", "skip"])
def test_counts_are_the_same_in_each_process(engine: Engine, by: str) -> None:
    first, second = (measure(engine, TICK, {"by": by, "tasks": 300}).metrics for _ in range(2))
    for name in ("comparisons", "rotations", "height"):
        assert first[name] == second[name]


def test_counts_are_those_of_the_structure(engine: Engine) -> None:
    def counts(by: str, tasks: int, keys: str = "random") -> dict[str, float]:
        return dict(measure(engine, TICK, {"by": by, "tasks": tasks, "keys": keys}).metrics)

    assert counts("scan", 50)["comparisons"] == 49
    assert counts("list", 50, "ascending")["comparisons"] == 49  # past all others, to the end
    assert counts("list", 50)["comparisons"] == pytest.approx(49 * 2 / 3, rel=0.05)
    assert counts("rb", 200)["comparisons"] == pytest.approx(math.log2(200), rel=0.1)
    assert counts("heap", 127)["height"] == 7 and counts("heap", 128)["height"] == 8
    # In a ring each turn takes the lowest leaf on the left away and adds one on the right.
    assert counts("avl", 127, "ascending")["height"] <= 8
    assert counts("bitmap", 50)["comparisons"] == 0
    assert math.isnan(counts("list", 50)["height"])


@pytest.mark.parametrize(("tasks", "said"), [(0, "tasks=0 is not 1 to"), (2_000_000, "tasks=2000000 is not")])
def test_impossible_numbers_of_tasks_are_refused(engine: Engine, tasks: int, said: str) -> None:
    measured = measure(engine, TICK, {"tasks": tasks})
    assert measured.status == EINVAL
    assert said in measured.reason


FAULTS = {
    "runqueue/tick.c": [
        # A turn is lost.
        ("task->turns++;", "if (by != TOUCH || draw >> 63) task->turns++;"),
        # Somebody else than the first has its turn.
        ("queue_remove(queue, by, task, counts);",
         "if (by == SCAN) task = task_of(list_first(&queue->list));\n queue_remove(queue, by, task, counts);"),
        ("queue_put_back(queue, by, task, counts);",
         "queue_put_back(queue, by, task, counts);\n if (by == HEAP) task->key++;"),
    ],
    "runqueue/queue.h": [
        # The root is taken for the first.
        ("return rb_add(&queue->tree, &task->tree, counts);",
         "rb_add(&queue->tree, &task->tree, counts), queue->tree.first = queue->tree.root;\n return;"),
        # A scheduler without laps: whoever had a turn is in the same array again, and others starve.
        ("arrays_expire(&queue->arrays, &task->arrays);", "arrays_add(&queue->arrays, &task->arrays);"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return compile_broken(tmp_path_factory.mktemp("faulty"), FAULTS, only="runqueue/tick.c")


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("rb", "is not the leftmost"),
        ("touch", "were had"),
        ("scan", "in_order: "),
        ("heap", "a key is not that of its node"),
        ("bitmap", "turns, and another"),
    ],
)
def test_a_queue_that_is_wrong_fails(faulty: Engine, by: str, said: str) -> None:
    measured = measure(faulty, TICK, {"by": by, "tasks": 50}, batches=4)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason
