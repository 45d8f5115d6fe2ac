"""Two cases whose batches take turns: the sides of a row meet the same neighbours."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from engine.build import Engine, Measured, compile_files
from runs.measure import any_cpu

CPU = any_cpu()
MARKED = ("test/marked", "test/marked")
WELL, NO_SETUP, WRONG, LOADED = range(4)
WARMUPS, TURN = 1, 2
DECLARED = "extern int turns_log[4096], turns_logged, turns_set_up, turns_deepest;"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    source = Path(__file__).with_name("turns.c")
    return compile_files(tmp_path_factory.mktemp("turns"), [source], DECLARED)


@pytest.fixture
def engine(built: Engine) -> Engine:
    lib = built.lib
    lib.turns_logged = lib.turns_set_up = lib.turns_deepest = 0
    return built


def log_of(engine: Engine) -> list[tuple[int, int]]:
    """Marks of the sides in the order of their windows, each with how many followed each other; negative: torn down."""
    marks = [engine.lib.turns_log[i] for i in range(engine.lib.turns_logged)]
    return [(mark, len(list(group))) for mark, group in itertools.groupby(marks)]


def both(engine: Engine, first: tuple[int, ...], second: tuple[int, ...], **others: int) -> list[Measured]:
    return engine.trial_in_turns(MARKED, (first, second), cpus=[CPU], **others)


def test_batches_of_two_sides_take_turns(engine: Engine) -> None:
    sides = both(engine, (1, 64, WELL), (2, 64, WELL), batches=6)
    assert [side.status for side in sides] == [0, 0]
    assert [side.outcome.turn_batches for side in sides] == [TURN, TURN]
    assert [[sample.batch for sample in side.samples] for side in sides] == [list(range(6))] * 2
    log = log_of(engine)
    # Calibrated and warmed up one after the other, then three turns each.
    assert [mark for mark, _ in log[:2]] == [1, 2]
    assert log[2:8] == [(1, WARMUPS + TURN), (2, WARMUPS + TURN)] * 3
    # The second is put away first.
    assert log[8:] == [(-2, 1), (-1, 1)]
    assert engine.lib.turns_deepest == 2
    assert engine.lib.turns_set_up == 0


def test_the_last_turn_may_be_short(engine: Engine) -> None:
    sides = both(engine, (1, 64, WELL), (2, 64, WELL), batches=3)
    assert [len(side.samples) for side in sides] == [3, 3]


def test_sides_with_a_check_that_fails_do_not_spoil_each_other(engine: Engine) -> None:
    well, wrong = both(engine, (1, 64, WELL), (2, 64, WRONG))
    assert well.status == 0
    assert len(well.samples) == 4
    assert wrong.status < 0
    assert wrong.reason == "check failed: two and two are five"
    assert wrong.samples == []
    assert engine.lib.turns_set_up == 0


@pytest.mark.parametrize(
    ("second", "reason"),
    [((2, 64, NO_SETUP), "needs a unicorn"), ((2, 0, WELL), "setup failed: Cannot allocate memory")],
    ids=["a need", "no memory"],
)
def test_a_side_that_cannot_be_set_up_leaves_the_other_alone(
    engine: Engine, second: tuple[int, ...], reason: str
) -> None:
    well, other = both(engine, (1, 64, WELL), second)
    assert (well.status, well.outcome.turn_batches, len(well.samples)) == (0, 0, 4)
    assert other.status < 0
    assert other.reason == reason
    assert engine.lib.turns_set_up == 0


def one_after_the_other(engine: Engine, sides: list[Measured]) -> bool:
    assert [side.outcome.turn_batches for side in sides] == [0, 0]
    first, second = (abs(mark) for mark, _ in log_of(engine)[-4::2])
    return (first, second) == (1, 2)


def by_itself(engine: Engine, sides: list[Measured]) -> bool:
    """Whether both were measured, and one after the other."""
    assert [len(side.samples) for side in sides] == [4, 4]
    return one_after_the_other(engine, sides)


def test_background_loads_take_no_turns(engine: Engine) -> None:
    """A load of one side would disturb the other. On a busy CPU it gets no turn, and its side has no figures."""
    sides = both(engine, (1, 64, WELL), (2, 64, LOADED), batch_ns=200_000)
    assert one_after_the_other(engine, sides)
    assert len(sides[0].samples) == 4
    assert len(sides[1].samples) == 4 or "lowest priority" in sides[1].reason


def test_memory_that_the_core_cannot_keep_takes_no_turns(engine: Engine) -> None:
    assert [side.outcome.turn_batches for side in both(engine, (1, 1 << 15, WELL), (2, 1 << 15, WELL))] == [TURN] * 2
    assert by_itself(engine, both(engine, (1, 1 << 15, WELL), (2, (1 << 15) + 1, WELL)))


def test_threads_that_share_a_cpu_take_no_turns(engine: Engine) -> None:
    sides = engine.trial_in_turns(MARKED, ((1, 64, WELL), (2, 64, WELL)), cpus=[CPU, CPU])
    assert [side.status for side in sides] == [0, 0]
    assert [side.outcome.turn_batches for side in sides] == [0, 0]


def test_teams_take_turns(engine: Engine) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    sides = engine.trial_in_turns(MARKED, ((1, 64, WELL), (2, 64, WELL)), cpus=cpus[:2], batches=6)
    assert [side.status for side in sides] == [0, 0]
    assert [len(side.samples) for side in sides] == [12, 12]
    # Not in every batch: a host may take one of the two CPUs for the whole of it.
    assert all(any(sample.overlap > 0 for sample in side.samples) for side in sides)
    assert all(side.outcome.raw_before_ticks > 0 and side.outcome.raw_after_ticks > 0 for side in sides)
    assert log_of(engine)[2:8] == [(1, WARMUPS + TURN), (2, WARMUPS + TURN)] * 3


def test_kernels_say_whether_they_take_turns(engine: Engine) -> None:
    takes = [bool(engine.lib.trial_takes_turns(engine.kernel(name))) for name in ("test/marked", "test/sole")]
    assert takes == [True, False]
