"""Places told apart by the round trip of a line, and each with a figure of its own."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs.write import Case, write_run

from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.in_regime import in_regime
from fencepost.analysis.runs.regimes import TeamBatches, in_places, main_places, moved_pairs, places_of


def spread(centre: float, count: int, seed: int = 1, width: float = 0.03) -> np.ndarray:
    """So many values around a centre."""
    return centre * np.exp(np.random.default_rng(seed).normal(0, width, count))


def batches(case: str, number: int, pieces: list[tuple[float, float, int]]) -> TeamBatches:
    """A process: pieces of (round trip, value, batches)."""
    distance = np.concatenate([spread(trip, count, number) for trip, _, count in pieces])
    value = np.concatenate([spread(ns, count, number, 0.01) for _, ns, count in pieces])
    return TeamBatches(case, number, (0, 1), value, distance)


def test_two_places_are_told_apart() -> None:
    found = places_of(np.concatenate([spread(105, 300), spread(385, 100, 2)]))
    assert found == pytest.approx([105, 385], rel=0.02)


def test_a_place_that_hardly_held_is_none() -> None:
    assert len(places_of(np.concatenate([spread(105, 300), spread(385, 5, 2)]))) == 1


def test_a_wide_spread_is_one_place() -> None:
    assert len(places_of(np.exp(np.random.default_rng(3).uniform(math.log(100), math.log(500), 500)))) == 1


@given(st.floats(10, 1e4), st.floats(0.0, 0.06), st.integers(1, 400))
def test_one_cloud_is_one_place(centre: float, width: float, count: int) -> None:
    assert len(places_of(spread(centre, count, 5, width))) == 1


def test_unknown_round_trips_make_no_place() -> None:
    assert places_of(np.full(10, math.nan)) == []


def test_each_place_has_a_figure_of_its_own_batches() -> None:
    runs = [
        batches("a", 1, [(105, 50, 20)]),
        batches("a", 2, [(385, 200, 20)]),
        batches("a", 3, [(105, 50, 10), (385, 200, 10)]),
    ]
    found = in_places(runs)
    assert [len(found["a", number]) for number in (1, 2, 3)] == [1, 1, 2]
    near, far = found["a", 3]
    assert near.ns == pytest.approx(50, rel=0.05) and far.ns == pytest.approx(200, rel=0.05)
    assert near.distance_ns == pytest.approx(105, rel=0.05)
    assert (near.batches, far.batches) == (10, 10)


def test_the_choice_does_not_look_at_the_value() -> None:
    # Values that differ by a factor of ten at one distance stay one place.
    one = TeamBatches("a", 1, (0, 1), np.r_[np.full(20, 10.0), np.full(20, 100.0)], spread(105, 40))
    assert len(in_places([one])["a", 1]) == 1


def test_a_batch_during_which_the_place_changed_is_left_out() -> None:
    run = batches("a", 1, [(105, 50, 30), (385, 200, 30), (200, 120, 1)])
    assert sum(place.batches for place in in_places([run])["a", 1]) == 60


def test_who_has_few_batches_in_each_process_is_in_no_place() -> None:
    """It would lose all its figures where CPUs moved."""
    once = [batches("once", number, [(trip, 7, 1)]) for number, trip in enumerate((105, 385, 105), 1)]
    found = in_places([*once, batches("a", 1, [(105, 50, 30), (385, 200, 30)])])
    assert set(found) == {("a", 1)}


def test_the_main_place_is_the_one_that_held_longest() -> None:
    found = in_places([batches("a", 1, [(105, 50, 30), (385, 200, 10)]), batches("b", 1, [(105, 9, 5), (385, 8, 9)])])
    main = main_places({"a": (0, 1), "b": (0, 1)}, found)
    assert main[0, 1] == pytest.approx(105, rel=0.05)


def test_pairs_of_cpus_have_places_of_their_own() -> None:
    far = TeamBatches("b", 1, (0, 2), spread(200, 20), spread(385, 20))
    near = TeamBatches("a", 1, (0, 1), spread(50, 20), spread(105, 20))
    pairs = {"a": (0, 1), "b": (0, 2)}
    assert moved_pairs(pairs, in_places([near, far])) == set()
    both = TeamBatches("a", 2, (0, 1), spread(200, 20), spread(385, 20))
    assert moved_pairs(pairs, in_places([near, far, both])) == {(0, 1)}


def test_a_place_has_one_name_in_all_rows_of_a_pair(tmp_path: Path) -> None:
    """A row that met two of three places is not named as if there were two."""
    near, middle, far = (75.0, 0.34, 1.0), (120.0, 0.33, 2.0), (480.0, 0.33, 6.0)
    whole = Case("test/pair", {"form": "whole"}, ns=50.0, cpus=(0, 1), places=(near, middle, far))
    outer = replace(whole, parameters={"form": "outer"}, places=((120.0, 0.5, 2.0), (480.0, 0.5, 6.0)))
    other = replace(whole, parameters={"form": "other"}, cpus=(0, 2), places=((75.0, 0.5, 1.0), (480.0, 0.5, 6.0)))
    analysis = analyse(write_run(tmp_path / "run", [whole, outer, other]))
    named = [[regime.name for regime in analysis.by_case[case.id].regimes] for case in (whole, outer, other)]
    assert named == [["near", "middle", "far"], ["middle", "far"], ["near", "far"]]
    ns = analysis.by_case[outer.id].regimes[0].time.value
    assert in_regime(analysis, "middle").by_case[outer.id].time.value == ns
    assert in_regime(analysis, "middle") is in_regime(analysis, "middle"), "each claim asks for it"
    assert not in_regime(analysis, "near").by_case[outer.id].time.known
