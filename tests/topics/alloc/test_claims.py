"""The topic alloc in the report: lines by size, and where blocks come from."""

from __future__ import annotations

from pathlib import Path

from topics.alloc.cases import SIZES, size_cases, steps_cases
from topics.analysed import analysed, verdict_of

from fencepost.analysis.report.document import build_document
from fencepost.analysis.topics.claim import Outcome


def test_pictures_show_the_price_of_one_pair(tmp_path: Path) -> None:
    (section,) = build_document(analysed(tmp_path, [*size_cases(), *steps_cases()], rounds=6)).sections
    lines, bars = section.figures
    assert (lines.name, bars.name) == ("alloc-size", "alloc-steps")
    assert len(lines.table.rows) == 4 * len(SIZES)
    assert "touched, as found" in {row[1] for row in lines.table.rows}
    assert any("16.00 ns" in cell.replace("\N{NO-BREAK SPACE}", " ") for cell in lines.table.rows[0])
    assert "33" in bars.description


def test_small_blocks_come_by_brk(tmp_path: Path) -> None:
    said = verdict_of(analysed(tmp_path, steps_cases(), rounds=6), "alloc/sbrk_mmap")
    assert said.outcome is Outcome.CONFIRMED
    assert "Where blocks were freed before" in said.because


def test_without_the_fixed_threshold_it_is_not_measurable(tmp_path: Path) -> None:
    found = analysed(tmp_path, steps_cases()[1:], rounds=6)
    assert verdict_of(found, "alloc/sbrk_mmap").outcome is Outcome.NOT_MEASURABLE
