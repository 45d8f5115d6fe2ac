"""Rungs of the ladder, and the few of them that are headlines."""

from __future__ import annotations

import re
from typing import Any

import pytest
from published.compare import RUN
from runs.analysed import analysed as in_memory
from runs.write import Case, crowd_cases, pair_case
from topics.analysed import analysed
from topics.suite import sharing_cases
from undrawn import without_drawing

from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.headline import ladder_figures, ladder_table
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.topics.rungs import MOST_HEADLINES
from fencepost.analysis.topics.topic import headlines, rungs

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.slow  # reads a whole run
def test_the_published_run_has_its_headlines_and_no_more() -> None:
    if not RUN.parent.exists():
        pytest.skip("the source distribution comes without results")
    analysis = analyse(RUN)
    found = [rung for _, rung in headlines(analysis)]
    assert MOST_HEADLINES - 2 <= len(found) <= MOST_HEADLINES < len(rungs(analysis))
    assert len({topic.name for topic, _ in headlines(analysis)}) >= 8, "each kind of cost has one"


def test_rungs_of_what_is_shared_are_those_of_a_single_thread() -> None:
    trip = pair_case("ring/spsc_round_trip", {"capacity": 1024, "bytes": 8, "pause": "no"}, 150.0)
    cases = [*sharing_cases(), trip]
    cases += crowd_cases("lock/hold", {"lock": "pthread_mutex", "section_ns": 0}, {2: 90.0, 1: 14.0})
    with without_drawing():
        document = build_document(analysed(cases, rounds=6))
    assert document.ladder is not None
    steps = {row[0]: row for row in document.ladder.rows}
    assert "14" in steps["take a free mutex and give it back"][2]
    assert steps["atomic addition to a counter that nobody else wants"][-1].endswith("[kind=atomic]@cpu0")
    time = steps["an item to another thread and back, over rings"][2].split()[0]
    assert float(time) == pytest.approx(150, rel=0.01)


NEAR_AND_FAR = ((105.0, 0.4, 1.0), (400.0, 0.6, 3.5))


def hand_overs(cpus: tuple[int, int] = (0, 1), **changes: Any) -> Case:
    return pair_case(
        "line/pingpong", {"variant": "load_store", "pause": "no"}, **{"ns": 104.0, "cpus": cpus, **changes}
    )


def test_a_rung_of_several_regimes_is_one_rung_a_regime_with_its_share() -> None:
    cases = [hand_overs(places=NEAR_AND_FAR), hand_overs((1, 0), places=NEAR_AND_FAR)]
    analysis = in_memory(cases, rounds=8, batches=60, unmeasurable=[])
    found = ladder_table(headlines(analysis))
    assert found is not None
    near, far = found.rows
    label = r"a cache line to another CPU, one way \(same L3\): %s \(%s%%\)"
    assert re.fullmatch(label % ("near", r"(3|4)\d"), near[0]) and re.fullmatch(label % ("far", r"(5|6)\d"), far[0])
    for row, value in ((near, 52.0), (far, 182.0)):
        time = re.fullmatch(r"([\d.]+).ns \[([\d.]+),.([\d.]+)\]", row[2])
        assert time is not None, row
        assert [float(number) for number in time.groups()] == pytest.approx([value] * 3, rel=0.03)
    (ladder,) = ladder_figures(headlines(analysis))
    assert [row[0] for row in ladder.table.rows] == [near[0], far[0]]


def test_a_relation_names_modes_that_its_directions_met_and_not_their_mean() -> None:
    # In each process one direction ran near and the other far: the median of the two is 128.
    cases = [hand_overs(), hand_overs((1, 0), ns=408.0)]
    analysis = in_memory(cases, rounds=8, unmeasurable=[])
    found = ladder_table(headlines(analysis))
    assert found is not None
    time = re.fullmatch(r"([\d.]+).ns \(50%\) or ([\d.]+).ns \(50%\)", found.rows[0][2])
    assert time is not None, found.rows
    assert [float(number) for number in time.groups()] == pytest.approx([52, 204], rel=0.03)
    (rung,) = [rung for _, rung in headlines(analysis)]
    assert rung.ns.value == pytest.approx(52, rel=0.03) and not rung.ns.bounded
    (ladder,) = ladder_figures(headlines(analysis))
    assert " or " in ladder.table.rows[0][1]


def test_the_headlines_say_which_figure_they_show() -> None:
    chain = Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27, neighbour=0.3)
    load = Case("memory/chase", {"size": "4KiB", "pages": "small", "order": "random"}, ns=1.1, neighbour=1.0)
    analysis = in_memory([chain, load], batches=40)
    found = ladder_table(headlines(analysis))
    assert found is not None
    place = found.header.index("figure")
    assert {cells[-1]: cells[place] for cells in found.rows} == {chain.id: "alone", load.id: "as found"}
    (ladder, *_) = ladder_figures(headlines(analysis))
    assert [cells[1].endswith(" *") for cells in ladder.table.rows] == [
        cells[place] == "as found" for cells in found.rows
    ]


def test_headlines_of_runs_without_witnesses_have_no_such_column() -> None:
    chain = Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27)
    found = ladder_table(headlines(in_memory([chain])))
    assert found is not None and "figure" not in found.header
