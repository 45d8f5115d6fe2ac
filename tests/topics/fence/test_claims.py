"""Fences: what each adds is the difference to the same turn without one, round by round."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from runs import write as synthetic
from topics.analysed import verdict_of
from topics.fence.cases import FENCE_NS, fence_cases

from fencepost.analysis.report.sections import sections
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.topics.claim import Outcome, Verdict
from fencepost.analysis.topics.fence.measures import costs
from fencepost.analysis.topics.topic import rungs

pytestmark = pytest.mark.usefixtures("undrawn")


def analysed(tmp_path: Path, added: Mapping[str, tuple[float, float, float]] = FENCE_NS, rounds: int = 12) -> Analysis:
    cases = fence_cases(added)
    return analyse(synthetic.write_run(tmp_path / "run", cases, rounds=rounds, unmeasurable=[]))


def verdict(analysis: Analysis) -> Verdict:
    return verdict_of(analysis, "fence/cost")


def test_what_was_added_is_found(tmp_path: Path) -> None:
    found = costs(analysed(tmp_path))
    for (fence, context), item in found.items.items():
        planted = FENCE_NS[fence][("bare", "load_miss", "chain").index(context)]
        assert item.ns.value == pytest.approx(planted, abs=0.02 + 0.002 * planted)
    assert found.items["mfence", "chain"].hidden_pct.value == pytest.approx(20, abs=1)
    assert found.items["lock_add", "chain"].hidden_pct.value == pytest.approx(100, abs=2)
    assert found.items["compiler", "chain"].hidden_pct.n == 0
    assert found.ratio("mfence", "lock_add", "bare").value == pytest.approx(7.5, rel=0.02)


def test_a_context_without_its_control_is_left_out(tmp_path: Path) -> None:
    cases = [
        case for case in fence_cases() if (case.parameters["fence"], case.parameters["context"]) != ("none", "chain")
    ]
    found = costs(analyse(synthetic.write_run(tmp_path / "run", cases, unmeasurable=[])))
    assert found.contexts == ["bare", "load_miss"]


@pytest.mark.parametrize(
    ("added", "outcome"),
    [
        (FENCE_NS, Outcome.DEPENDS),
        ({"mfence": (12, 13, 12), "lock_add": (9, 10, 9)}, Outcome.CONFIRMED),
        ({"mfence": (12, 13, 12), "lock_add": (9, 10, 0)}, Outcome.DEPENDS),
        ({"mfence": (0, 0, 0), "lock_add": (0, 0, 0)}, Outcome.REFUTED),
        ({"sfence": (3, 3, 3)}, Outcome.NOT_MEASURABLE),
    ],
)
def test_a_fence_costs(tmp_path: Path, added: Mapping[str, tuple[float, float, float]], outcome: Outcome) -> None:
    assert verdict(analysed(tmp_path, added)).outcome is outcome


def test_the_verdict_compares_the_fence_with_a_locked_operation(tmp_path: Path) -> None:
    said = verdict(analysed(tmp_path))
    assert "mfence bare 15.0" in said.figure.replace("14.99", "15.00") and "lock_add bare" in said.figure
    assert "mfence against lock_add: ×7." in said.because
    assert "inside a chain" in said.because


def test_the_ladder_has_the_cheapest_full_barrier(tmp_path: Path) -> None:
    ((topic, rung),) = rungs(analysed(tmp_path))
    assert topic.name == "fence" and "lock_add" in rung.label
    assert rung.measured_as == "fence/cost[fence=lock_add,context=bare]@cpu1"


@pytest.mark.drawn
def test_the_figure_draws_what_costs_and_says_what_hides(tmp_path: Path) -> None:
    (section,) = sections(analysed(tmp_path, rounds=6))
    (figure,) = section.figures
    for word in ("mfence", "lock_add", "all hidden", "with load misses under way"):
        assert word in figure.svg
    assert "compiler" not in figure.svg.partition("</desc>")[2]
    assert "compiler" in figure.description and "lock_add, adds" in figure.description
    cells = {row[0]: row for row in figure.table.rows}
    assert set(cells) == set(FENCE_NS) and cells["lock_add"][-1] in ("100 %", "99 %")


def test_one_round_is_enough_for_a_figure(tmp_path: Path) -> None:
    (section,) = sections(analysed(tmp_path, rounds=1))
    assert len(section.figures) == 1
