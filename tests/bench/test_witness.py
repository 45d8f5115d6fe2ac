"""The floor of the witnesses: what a free core gives, from a run that may never have had one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencepost.bench.witness import (
    FEWEST_FLOORS,
    FEWEST_FOR_FLOOR,
    KNOWN_FLOOR,
    WIDTH_SLACK,
    clock_held,
    relative_clock,
    relative_width,
    round_floor,
    run_floor,
)

TICK_HZ, CORE_HZ = 2.5e9, 3.7e9
MULTIPLICATIONS = 3000 * TICK_HZ / CORE_HZ
"""Ticks of 1000 dependent multiplications."""


def width(per_cycle: float, count: int = 1) -> np.ndarray:
    """Ticks of 1000 additions, so many of which are made in a cycle."""
    return np.full(count, 1000 / per_cycle * TICK_HZ / CORE_HZ)


def test_a_width_is_told_in_multiplications() -> None:
    assert relative_width(width(4), TICK_HZ, CORE_HZ) == pytest.approx(1 / 12)


@given(st.floats(0.5, 2))
def test_a_change_of_clock_cancels(factor: float) -> None:
    """The clock beside the case is that of its batches: a core at half its clock is no narrower."""
    assert relative_width(width(4) / factor, TICK_HZ, CORE_HZ * factor) == pytest.approx(1 / 12)


def test_a_clock_that_moved_beside_a_batch_is_not_held() -> None:
    clocks = MULTIPLICATIONS * np.array([1.0, 1.02, 1.1, 0.8, math.nan])
    assert clock_held(relative_clock(clocks, TICK_HZ, CORE_HZ)).tolist() == [True, True, False, False, False]


def test_a_floor_is_that_of_the_quiet_batches() -> None:
    widths = np.concatenate([width(4, 10), width(2, 190)])
    clocks = np.full(200, MULTIPLICATIONS)
    assert round_floor(widths, clocks, TICK_HZ, np.full(200, CORE_HZ)) == pytest.approx(1 / 12)


def test_a_single_reading_makes_no_floor() -> None:
    """A fault of the counter gives one that is too short."""
    widths = np.concatenate([width(400, 1), width(4, 999)])
    clocks = np.full(1000, MULTIPLICATIONS)
    assert round_floor(widths, clocks, TICK_HZ, np.full(1000, CORE_HZ)) == pytest.approx(1 / 12)


def test_batches_at_another_clock_make_no_floor() -> None:
    widths = np.concatenate([width(8, 50), width(4, 150)])
    clocks = np.concatenate([np.full(50, MULTIPLICATIONS / 2), np.full(150, MULTIPLICATIONS)])
    assert round_floor(widths, clocks, TICK_HZ, np.full(200, CORE_HZ)) == pytest.approx(1 / 12)


def test_few_batches_have_no_floor() -> None:
    few = FEWEST_FOR_FLOOR - 1
    assert round_floor(width(4, few), np.full(few, MULTIPLICATIONS), TICK_HZ, np.full(few, CORE_HZ)) is None


def test_one_quiet_round_makes_no_floor_of_a_run() -> None:
    assert run_floor([0.2, None, 1 / 12, 0.19, 0.21], "other") == 0.19
    assert run_floor([0.2, 0.19], "other") == 0.19
    assert run_floor([None], "x86_64") is None


def test_a_run_that_was_never_quiet_has_no_quiet_batch() -> None:
    """Its own floor is the neighbour's, by which everything would be quiet."""
    floor = run_floor([1 / 6] * FEWEST_FLOORS, "x86_64")
    assert floor == KNOWN_FLOOR["x86_64"]
    assert floor * WIDTH_SLACK < 1 / 6


def test_a_floor_that_drifts_upwards_makes_no_later_batch_quiet() -> None:
    floors = np.linspace(1 / 12, 1 / 10, 20)
    early = run_floor(floors, "other")
    assert early is not None and early == floors[1] == run_floor(floors[::-1], "other")
    assert floors[0] < early * WIDTH_SLACK < floors[5]


@pytest.mark.parametrize("per_cycle", [4, 5, 6])
def test_a_known_floor_is_no_lower_than_that_of_a_free_core(per_cycle: int) -> None:
    # One instruction more in 64, for the witness's loop.
    free = 65 / 64 / (3 * per_cycle)
    assert run_floor([free] * FEWEST_FLOORS, "x86_64") == free
