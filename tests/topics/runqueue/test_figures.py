"""The topic runqueue in the report, and what is computed from its rows."""

from __future__ import annotations

import pytest
from topics.analysed import analysed, verdict_of
from topics.runqueue.cases import IN_CACHE, TASKS, change_cases, height_cases, tick_cases, turn_ns

from fencepost.analysis.report.document import build_document
from fencepost.analysis.runs.paired import Grid, grid
from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.runqueue.measures import cached, crossing, slope

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def found() -> Grid:
    return grid(analysed(tick_cases(), rounds=12), "runqueue/tick")


def test_the_picture_has_a_line_for_each_structure() -> None:
    document = build_document(analysed(tick_cases(), rounds=6))
    (section,) = document.sections
    (figure,) = section.figures
    assert figure.name == "runqueue-tick"
    assert len(figure.table.rows) == len(TASKS)
    assert figure.table.header[1:3] == ("no queue, any task", "bitmap of lists, O(1)")
    assert document.ladder is not None and len(document.ladder.rows) == 1


def test_the_control_tells_what_the_cache_holds(found: Grid) -> None:
    assert cached(found) == [tasks for tasks in TASKS if tasks <= IN_CACHE]


def test_a_slope_is_that_of_the_logarithms(found: Grid) -> None:
    assert slope(found, "bitmap", 10, 1000).value == pytest.approx(0.0, abs=0.005)
    assert slope(found, "rb", 10, 1000).value == pytest.approx(0.2386, abs=0.005)  # ln 3 / ln 100
    assert not slope(found, "rb", 10, 7).known


def test_list_and_tree_cost_the_same_where_their_lines_cross(found: Grid) -> None:
    assert turn_ns("list", 10) < turn_ns("rb", 10) and turn_ns("list", 100) > turn_ns("rb", 100)
    at = crossing(found, "list", "rb")
    assert 10 < at.low <= at.value <= at.high < 100
    assert at.value == pytest.approx(27.6, abs=0.5)
    assert not crossing(found, "bitmap", "touch").known


def test_claims_name_where_tasks_leave_the_cache_and_who_is_passed_over() -> None:
    run = analysed(tick_cases(), rounds=12)
    constant, neediest = (verdict_of(run, f"runqueue/{name}") for name in ("constant", "neediest"))
    assert constant.outcome is Outcome.CONFIRMED
    assert "from 10 to 1\u202f000 tasks" in constant.because.replace("\u00a0", "\u202f")
    assert "leave the cache" in constant.because
    assert "passes over one in up to 80.0 % of its turns" in neediest.because


def test_without_a_second_size_in_the_cache_the_slope_is_not_known() -> None:
    cases = [case for case in tick_cases() if case.parameters["tasks"] in (1000, 10000)]
    said = verdict_of(analysed(cases, rounds=12), "runqueue/constant")
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "No two numbers of tasks" in said.because


def test_each_kernel_has_its_picture() -> None:
    (section,) = build_document(analysed([*change_cases(), *height_cases()], rounds=6)).sections
    pick, remove, enqueue, fill, height = section.figures
    assert pick.table.header[1:] == ("bitmap of lists, O(1)", "red-black tree", "scan of a list")
    assert [row[0] for row in remove.table.rows] == ["10", "1\u202f000"]
    assert enqueue.table.rows[0][:2] == ("red-black tree", "random keys, up to 1\u202f000 tasks")
    assert [row[:2] for row in fill.table.rows] == [
        (by, "random keys, up to 100\u202f000 tasks") for by in ("no queue, any task", "red-black tree")
    ]
    assert "300.0" in fill.table.rows[1][2]
    heights = [row[2].partition(" ")[0] for row in height.table.rows]
    assert heights == ["13.00", "17.00", "14.00", "12.00", "10.00", "14.00"]


@pytest.mark.parametrize("name", ["blocked", "query", "rb_height", "worst_case", "avl_is_rb"])
def test_what_the_notes_say_of_trees_and_changes_is_confirmed(name: str) -> None:
    said = verdict_of(analysed([*change_cases(), *height_cases()], rounds=12), f"runqueue/{name}")
    assert said.outcome is Outcome.CONFIRMED, said


def test_the_highest_avl_tree_is_told_beside_a_full_one() -> None:
    said = verdict_of(analysed(height_cases(), rounds=12), "runqueue/avl_height")
    assert said.outcome is Outcome.REFUTED
    assert "That is 14 levels. A full tree has 10" in said.because and "up to 44 % more" in said.because
