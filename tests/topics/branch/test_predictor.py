"""Branches under a predictor that can be looked into: that of valgrind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from compile import CSRC, compile_once
from engine.build import build_script, engine_objects
from kernels.measure import ENOTSUP


def require(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            reason = f"needs {tool}, to count what a simulated branch predictor misses"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)


WALK = """
#include <stdio.h>
#include <stdlib.h>
#include "kernels/branch/pattern.c"

int main(int count, char **words)
{
    static struct trial trial = {.kernel = &kernel_pattern, .team_size = 1};
    struct worker worker = {.trial = &trial, .team_size = 1};

    if (count != 4)
        return 2;
    trial.value[PATTERN] = atoi(words[1]);
    trial.value[TAKEN_PCT] = 50;
    trial.value[FORM] = atoi(words[2]);
    if (kernel_pattern.setup(&trial))
        return 95;
    trial.run(&worker, (uint64_t)atoll(words[3]));
    return kernel_pattern.check(&trial) != 0;
}
"""
ELEMENTS = 50_000


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that walks along as many elements as it is told to, however long that takes; with the suite's flags."""
    require("valgrind", "cg_annotate")
    folder = tmp_path_factory.mktemp("walk")
    source, made = folder / "walk.c", folder / "walk"
    source.write_text(WALK, encoding="utf-8")
    compiler = os.environ.get("CC") or "cc"
    objects = [*engine_objects(), "-lm", "-ldl"]
    compile_once(made, [compiler, *build_script().FLAGS, f"-I{CSRC}", source, *objects])
    return made


def simulated(walk: Path, pattern: int, form: int, function: str, folder: Path) -> tuple[int, int]:
    """Conditional jumps that cachegrind saw in a function, and how many of them its predictor missed."""
    counts = folder / "counts"
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--branch-sim=yes", f"--cachegrind-out-file={counts}"]
    done = subprocess.run(
        [*command, str(walk), str(pattern), str(form), str(ELEMENTS)],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode == -ENOTSUP:
        pytest.skip("the loop is not written for this architecture")
    assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(
        ["cg_annotate", "--show=Bc,Bcm", "--threshold=0.01", "--auto=no", str(counts)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    number = r"([\d,]+) *(?:\([^)]*\))?"
    rows = re.findall(rf"^ *{number} +{number} +\S*:{function}(?:\s|$)", listing, re.MULTILINE)
    # A row for each file of which it has lines: the loop itself lies in a header.
    assert rows, f"{function} is not a row of\n{listing}"
    branches, missed = (sum(int(text.replace(",", "")) for text in column) for column in zip(*rows, strict=True))
    return branches, missed


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "low", "high"), [(3, 0.45, 0.55), (0, 0.0, 0.01)], ids=["random", "sorted"])
def test_a_simulated_predictor_misses_half_of_random_and_none_of_sorted(
    walk: Path, pattern: int, low: float, high: float, tmp_path: Path
) -> None:
    branches, missed = simulated(walk, pattern, 0, "walk_branch", tmp_path)
    # Two jumps an element: the loop's own is missed once an array at most; the other is the question.
    assert 2 * ELEMENTS <= branches <= 2 * ELEMENTS + 100
    # Half of so many coins: five hundredths are 22 standard deviations.
    assert low <= missed / ELEMENTS <= high


@pytest.mark.slow
def test_a_simulated_predictor_misses_nothing_in_the_twin(walk: Path, tmp_path: Path) -> None:
    branches, missed = simulated(walk, 3, 1, "walk_branch_free", tmp_path)
    assert ELEMENTS <= branches <= ELEMENTS + 100
    assert missed / ELEMENTS < 0.01
