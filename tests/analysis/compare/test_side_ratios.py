"""From the batches of two sides to one ratio a round, where they took turns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencepost.analysis.compare.side_ratios import _NONE_QUIET, _costs, _turns, _Value


def value(turns: list[float], ns: float = 7.0) -> _Value:
    return _Value(ns, np.array(turns), _NONE_QUIET, 0.0, 1.0, 2, 0, 0, 0)


def test_a_turn_costs_its_shortest_batch() -> None:
    ns = np.array([3.0, 2.0, 5.0, 6.0, 4.0, 9.0, 8.0])
    visits = np.array([0, 0, 0, 0, 1, 1, 1], np.int32)
    # The last turn of the second visit is not whole.
    assert _turns(ns, visits, 2).tolist() == [2.0, 5.0, 4.0, 8.0]
    assert _turns(ns, visits, 0).tolist() == []


@given(
    factors=st.lists(st.floats(1.0, 3.0), min_size=3, max_size=20),
    effect=st.floats(0.5, 2.0),
)
def test_what_disturbs_both_sides_of_a_turn_cancels(factors: list[float], effect: float) -> None:
    old, new = _costs(value(factors), value([factor * effect for factor in factors]))
    assert new / old == pytest.approx(effect)


@given(data=st.data())
def test_what_disturbs_fewer_than_half_of_the_turns_cancels(data: Any) -> None:
    turns = data.draw(st.integers(3, 20))
    hit = data.draw(st.sets(st.integers(0, turns - 1), max_size=(turns - 1) // 2))
    new = [1.02 * (10.0 if place in hit else 1.0) for place in range(turns)]
    old_ns, new_ns = _costs(value([1.0] * turns), value(new))
    assert new_ns / old_ns == pytest.approx(1.02)


def test_sides_without_turns_are_told_by_their_visits() -> None:
    assert _costs(value([], 2.0), value([], 3.0)) == (2.0, 3.0)
    # A side that made other turns than its partner, as damage may have it, has nothing to be set against.
    assert _costs(value([1.0, 1.0], 2.0), value([1.0], 3.0)) == (2.0, 3.0)


def test_a_side_that_was_not_measured_has_no_cost() -> None:
    old, new = _costs(value([1.0]), None)
    assert old == 7.0
    assert math.isnan(new)


def test_turns_that_read_zero_are_left_out() -> None:
    old, new = _costs(value([1.0, 0.0, 1.0]), value([2.0, 5.0, 2.0]))
    assert new == 2 * old
    assert all(map(math.isnan, _costs(value([0.0]), value([1.0]))))
