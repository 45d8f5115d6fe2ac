"""The topic alloc in the report: lines by size, and where blocks come from."""

from __future__ import annotations

import pytest
from topics.alloc.cases import SIZES, freeze_cases, pattern_cases, size_cases, slab_case, steps_cases
from topics.analysed import analysed, verdict_of

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.alloc.measures import exact_share
from fencepost.analysis.topics.claim import Outcome

pytestmark = pytest.mark.usefixtures("undrawn")


def test_pictures_show_the_price_of_one_pair() -> None:
    (section,) = build_document(analysed([*size_cases(), *steps_cases()], rounds=6)).sections
    lines, bars = section.figures
    assert (lines.name, bars.name) == ("alloc-size", "alloc-steps")
    assert len(lines.table.rows) == 4 * len(SIZES)
    assert "touched, as found" in {row[1] for row in lines.table.rows}
    assert any("16.00 ns" in cell.replace("\N{NO-BREAK SPACE}", " ") for cell in lines.table.rows[0])
    assert "33" in bars.description


def test_small_blocks_come_by_brk() -> None:
    said = verdict_of(analysed(steps_cases(), rounds=6), "alloc/sbrk_mmap")
    assert said.outcome is Outcome.CONFIRMED
    assert "Where blocks were freed before" in said.because


def test_without_the_fixed_threshold_it_is_not_measurable() -> None:
    found = analysed(steps_cases()[1:], rounds=6)
    assert verdict_of(found, "alloc/sbrk_mmap").outcome is Outcome.NOT_MEASURABLE


def test_freezes_of_all_processes_are_added_up() -> None:
    found = analysed(freeze_cases(), rounds=20)
    said = verdict_of(found, "alloc/lock_free")
    assert said.outcome is Outcome.CONFIRMED
    assert "0 of 500 with 1000 bytes (at most 0.74 %)" in said.figure.replace("\N{NO-BREAK SPACE}", " ")
    (section,) = build_document(found).sections
    assert [figure.name for figure in section.figures] == ["alloc-freeze"]


def test_a_library_with_locks_that_is_not_seen_to_stall_decides_nothing() -> None:
    said = verdict_of(analysed(freeze_cases(libc_stalls=0.0), rounds=6), "alloc/lock_free")
    assert said.outcome is Outcome.UNDECIDED
    assert "The control fails: a stop in libc, which has locks" in said.because


def test_without_mimalloc_the_package_is_named() -> None:
    said = verdict_of(analysed(freeze_cases()[:1], rounds=6), "alloc/lock_free")
    assert said.outcome is Outcome.NOT_MEASURABLE
    assert "libmimalloc2.0" in said.because


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [(0, 500, 0.0, 0.735), (1, 20, 0.1265, 24.873), (20, 20, 83.157, 100.0), (7, 25, 12.072, 49.388)],
)
def test_bounds_of_shares_are_exact(events: int, trials: int, low: float, high: float) -> None:
    """Against the tables of Clopper and Pearson."""
    found = exact_share(events, trials)
    assert found.low == pytest.approx(low, rel=1e-3)
    assert found.high == pytest.approx(high, rel=1e-3)
    assert not exact_share(0, 0).known


def test_libraries_stand_beside_each_other_in_each_order() -> None:
    (section,) = build_document(analysed(pattern_cases(), rounds=6)).sections
    (figure,) = section.figures
    assert figure.name == "alloc-pattern"
    assert [row[0] for row in figure.table.rows] == ["libc", "mimalloc", "a pool of equal blocks"] * 2
    assert figure.table.rows[0][1] == "freed at once, 64 bytes, 1000 live"


def test_slabs_are_drawn_with_their_objects() -> None:
    found = analysed([slab_case()], rounds=6)
    assert verdict_of(found, "alloc/slab").outcome is Outcome.CONFIRMED
    (section,) = build_document(found).sections
    (figure,) = section.figures
    assert figure.name == "alloc-slab"
    assert [row[0] for row in figure.table.rows] == ["slabs that came", "objects for which they have room"]
