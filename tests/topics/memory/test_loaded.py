"""memory/loaded: the loads go to memory, and the others move memory beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, EILSEQ, ENOTSUP, SHARING, built_engine, measure
from kernels.plant import compile_broken
from topics.analysed import analysed, told_of
from topics.memory.cases import loaded_cases

LOADED, COLD, BLOCKS = "memory/loaded.c", "memory/cold.h", "memory/blocks.h"
pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("load", ["read", "stream"])
def test_memory_is_moved_beside_the_loads(engine: Engine, load: str) -> None:
    measured = measure(engine, "memory/loaded", {"load": load})
    assert measured.status == 0, measured.reason
    assert measured.metrics["load_gb_per_s"] > 0
    assert measured.metrics["loaded_ns"] > 0 and measured.metrics["idle_ns"] > 0


def test_threads_that_share_a_cpu_are_a_need(engine: Engine) -> None:
    measured = measure(engine, "memory/loaded", cpus=SHARING)
    assert (measured.status, measured.reason) == (ENOTSUP, "needs a CPU for each thread")


@pytest.mark.parametrize(
    ("load", "file", "whole", "broken", "said"),
    [
        ("read", COLD, "cold->loads += COLD_LOADS;", "cold->loads += COLD_LOADS - 8;", "is not where they lead"),
        ("read", COLD, "cold->loads += COLD_LOADS;", "cold->loads += COLD_LINES / 4;", "met twice"),
        ("read", LOADED, "desk->blocks += blocks_of_all(trial) - blocks;", "(void)blocks;", "nobody moved memory"),
        ("stream", BLOCKS, "{3.0, 3.0}", "{2.0, 2.0}", "what was streamed is not there"),
    ],
)
def test_a_load_that_is_none_fails(tmp_path: Path, load: str, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)], LOADED: [] if file != LOADED else [(whole, broken)]})
    measured = measure(faulty, "memory/loaded", {"load": load})
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_the_picture_shows_loads_with_and_without() -> None:
    figure = told_of(analysed(loaded_cases(), rounds=6))["memory-loaded"]
    assert [row[:2] for row in figure.table.rows] == [
        ("1 other thread", "while they read memory"),
        ("1 other thread", "while they write around the caches"),
    ]
    assert "110.0" in figure.description and "100.0" in figure.description


def test_one_row_has_a_picture_too() -> None:
    """On two CPUs the standard profile has no more."""
    assert "memory-loaded" in told_of(analysed(loaded_cases()[:1], rounds=6))
