"""filter/bloom: no member is missed, and the filter is wrong as often as it must be."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, built_engine, measure
from kernels.plant import compile_broken

BLOOM = "filter/bloom.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("hits", [0, 50, 100])
@pytest.mark.parametrize("by", ["keys", "set", "filter", "two_stages"])
def test_each_question_is_answered_right(engine: Engine, by: str, hits: int) -> None:
    measured = measure(engine, "filter/bloom", {"by": by, "hits_pct": hits})
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == 1000


def test_the_filter_is_wrong_as_often_as_predicted(engine: Engine) -> None:
    measured = measure(engine, "filter/bloom", {"keys": 100_000})
    assert measured.metrics["predicted_pct"] == pytest.approx(0.8194, abs=1e-4)
    # Ten standard deviations of 820 of 100 000: 10 x 28.5.
    assert measured.metrics["wrong_pct"] == pytest.approx(0.8194, abs=0.285)


@pytest.mark.parametrize("keys", [1, 2, 3, 64, 65])
def test_small_sets_hold_all_their_keys(engine: Engine, keys: int) -> None:
    measured = measure(engine, "filter/bloom", {"keys": keys, "hits_pct": 50})
    assert measured.status == 0, measured.reason


@pytest.mark.parametrize(
    ("values", "said"),
    [({"keys": 0}, "keys=0 is not 1 to"), ({"keys": -5}, "keys=-5"), ({"hits_pct": 101}, "hits_pct=101 is not 0 to")],
)
def test_impossible_values_are_refused(engine: Engine, values: dict[str, int], said: str) -> None:
    measured = measure(engine, "filter/bloom", values)
    assert measured.status == EINVAL
    assert said in measured.reason


@pytest.mark.parametrize(
    ("by", "whole", "broken", "said"),
    [
        # A filter that forgets: a bit that is set elsewhere than it is looked for.
        ("filter", "|= (uint64_t)1 << bit % 64", "|= (uint64_t)2 << bit % 64", "were found"),
        # A set that stops at the first key, or finds what is not there.
        ("set", "slots[slot] && stages->slots[slot] != key)", "slots[slot] == 1)", "were found"),
        ("set", "return stages->slots[slot] == key;", "return 1;", "were found"),
        ("two_stages", "n in_filter(stages, key) && in_set(stages, key)", "n in_filter(stages, key)", "were found"),
    ],
)  # fmt: skip
def test_wrong_answers_fail(tmp_path: Path, by: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {BLOOM: [(whole, broken)]})
    measured = measure(faulty, "filter/bloom", {"by": by, "hits_pct": 50}, batches=4)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason
