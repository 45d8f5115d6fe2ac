"""memory/tlb: a line on each page, on pages of the kind that the row names, and knees with their intervals."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program
from topics.analysed import analysed, told_of, verdict_of
from topics.memory.cases import tlb_cases

from fencepost.analysis.topics.claim import Outcome
from fencepost.analysis.topics.memory.measures import knees

TLB = "memory/tlb.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("control", ["huge", "packed"])
@pytest.mark.parametrize("pages", [2, 37, 1024, 2500])
def test_both_sides_are_walked(engine: Engine, pages: int, control: str) -> None:
    measured = measure(engine, "memory/tlb", {"pages": pages, "control": control})
    if measured.status == ENOTSUP and control == "huge":
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events > 0
    assert measured.metrics["small_ns"] > 0 and measured.metrics["control_ns"] > 0
    # A median of differences lies among them: no more than all of one side.
    assert abs(measured.metrics["added_ns"]) <= max(measured.metrics["small_ns"], measured.metrics["control_ns"]) * 100


@pytest.mark.parametrize("pages", [-1, 0, 1, (1 << 20) + 1])
def test_numbers_of_pages_that_cannot_be_are_refused(engine: Engine, pages: int) -> None:
    measured = measure(engine, "memory/tlb", {"pages": pages})
    assert measured.status == EINVAL
    assert f"pages={pages} is not from 2" in measured.reason


@pytest.mark.parametrize(
    ("control", "whole", "broken", "said"),
    [
        # All lines on one page, a page that is left out, and a walk that stops short.
        ("packed", "page * cycle->apart + place", "page % 8 * LINE_BYTES + place * 0", "is on line"),
        ("packed", "next_random(&state) % i;", "i - i % 2;", "lines"),
        (
            "packed",
            "cycle->loads += loads / UNROLLED * UNROLLED;",
            "cycle->loads += loads + 1;",
            "is not where they lead",
        ),
        # Small pages that are huge would be a row under a false label.
        ("packed", "private_pages(tlb->pages * tlb->page_bytes, 0)", "private_pages(4 << 20, 1)", "are on huge ones"),
    ],
)
def test_a_walk_over_other_pages_fails(tmp_path: Path, control: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {TLB: [(whole, broken)]})
    measured = measure(faulty, "memory/tlb", {"pages": 1024, "control": control})
    if "huge" in said and measured.status == 0:
        pytest.skip("needs transparent huge pages")
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_huge_pages_that_are_not_given_are_a_need(tmp_path: Path) -> None:
    """As where they are forbidden, or where base pages are larger."""
    faulty = compile_broken(
        tmp_path, {TLB: [("trial_alloc_pages(trial, bytes, !packed)", "trial_alloc_pages(trial, bytes, 0)")]}
    )
    measured = measure(faulty, "memory/tlb", {"pages": 64, "control": "huge"})
    assert (measured.status, measured.reason) == (ENOTSUP, "needs transparent huge pages, and enough of them free")
    assert measure(faulty, "memory/tlb", {"pages": 64, "control": "packed"}).status == 0


def test_entries_of_intel_are_those_for_data_and_small_pages(tmp_path: Path) -> None:
    """Leaf 0x18 as a Golden Cove states it: instructions, data for loads and stores, and a level that all share."""
    before = """
#include "kernel.h"
#if HAS_X86_64
#include <cpuid.h>
static const unsigned leaves[][4] = {
    {5, 0, 0, 0}, {0, 8 << 16 | 1, 32, 1 << 5 | 2}, {0, 6 << 16 | 1, 16, 1 << 5 | 4},
    {0, 16 << 16 | 1, 1, 1 << 5 | 5}, {0, 8 << 16 | 3, 256, 2 << 5 | 3}, {0, 8 << 16 | 8, 128, 2 << 5 | 3},
};
static int fake(unsigned leaf, unsigned i, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    if (leaf != 0x18) return 0;
    *a = leaves[i][0], *b = leaves[i][1], *c = leaves[i][2], *d = leaves[i][3];
    return 1;
}
#define __get_cpuid_count fake
#endif
"""
    body = """
#if HAS_X86_64
    double entries[2];
    stated(entries);
    printf("%.0f\\n%.0f\\n", entries[0], entries[1]);
#endif
"""
    assert program(tmp_path, TLB, body, before) in (["96", "2048"], [])


def test_knees_lie_between_sizes() -> None:
    found = knees(analysed(tlb_cases(), rounds=6))
    assert [(knee.low, knee.high) for knee in found] == [(32, 64), (1024, 2048)]


def test_no_knee_where_translations_cost_nothing() -> None:
    assert knees(analysed(tlb_cases(level_ns=0.0, walk_ns=0.0), rounds=6)) == []


def test_the_picture_names_knees_and_what_is_stated() -> None:
    figure = told_of(analysed(tlb_cases(), rounds=6))["memory-tlb"]
    assert "between 32 and 64 pages" in figure.description
    assert "between 1\N{NARROW NO-BREAK SPACE}024 and 2\N{NARROW NO-BREAK SPACE}048 pages" in figure.description
    assert "L1 64" in figure.description


@pytest.mark.parametrize(
    ("level_ns", "huge_share", "outcome"),
    [
        (2.4, 0.0, Outcome.CONFIRMED),  # a guest's huge page saves nothing: there is a second translation
        (2.4, 1.0, Outcome.DEPENDS),  # it saves all: one translation is seen
        (0.0, 0.0, Outcome.REFUTED),  # no translation costs anything
        (2.4, 0.5, Outcome.UNDECIDED),
    ],
)
def test_translations_have_a_second_stage(level_ns: float, huge_share: float, outcome: Outcome) -> None:
    said = verdict_of(analysed(tlb_cases(level_ns, huge_share=huge_share), rounds=6), "memory/translation")
    assert said.outcome is outcome
    assert math.isfinite(said.measure.value) if said.measure else False
