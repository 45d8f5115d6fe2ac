"""Visits of a round: which rows were planned, and which only look for quiet batches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from fencepost.analysis.runs.rounds import Round
from fencepost.analysis.runs.visits import visits_in
from fencepost.bench.documents import RoundRecord
from fencepost.bench.schema import RunFolderError

NAMES = ["a", "b"]
CODES = np.array([0, 0, 0, 0, 0, 1, 1], np.int32)


def round_of(order: list[str], **case: Any) -> Round:
    cases = {"a": {"core_hz": 3e9, **case}, "b": {"core_hz": None}}
    record = cast(RoundRecord, {"order": order, "cases": cases})
    return Round(Path("round.parquet"), 1, record, pa.table({}))


def test_one_visit_is_planned() -> None:
    visits = visits_in(round_of(["a", "b"]), NAMES, CODES)
    assert visits.planned.all()
    assert not visits.number.any()
    assert visits.core_hz[:5].tolist() == [3e9] * 5
    assert np.isnan(visits.core_hz[5:]).all()


def test_later_visits_have_their_own_clock_and_were_not_planned() -> None:
    item = round_of(["b", "a"], visits=[2, 0, 3], visits_hz=[3e9, 1e9, None])
    visits = visits_in(item, NAMES, CODES)
    assert visits.number.tolist() == [0, 0, 2, 2, 2, 0, 0]
    assert visits.planned.tolist() == [True, True, False, False, False, True, True]
    assert visits.core_hz[:2].tolist() == [3e9, 3e9]
    assert np.isnan(visits.core_hz[2:]).all()
    assert visits.follows[:5].tolist() == [False, True, False, True, True]


def test_both_visits_to_a_side_are_planned() -> None:
    visits = visits_in(round_of(["a", "b", "b", "a"], visits=[2, 3]), NAMES, CODES)
    assert visits.planned.all()
    assert visits.core_hz[:5].tolist() == [3e9] * 5


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ({"visits": [2, 2]}, "cases.a.visits: 4 rows, the file has 5"),
        ({"visits": [6, -1]}, "cases.a.visits"),
        ({"visits": [2, 3], "visits_hz": [math.inf]}, "cases.a.visits_hz: 1 clocks of 2 visits"),
    ],
)
def test_visits_that_do_not_fit_the_rows_are_damage(case: dict[str, Any], field: str) -> None:
    with pytest.raises(RunFolderError, match=field):
        visits_in(round_of(["a", "b"], **case), NAMES, CODES)
