"""`fencepost compare` of whole runs: headlines and bars, sentences by topic, and everything else on request."""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs.measure import fencepost_inside
from runs.write import Case, write_run
from topics.branch.cases import branch_cases
from topics.line.cases import pingpong_cases
from topics.lock.cases import lock_cases
from topics.pipeline.cases import pipeline_cases

from fencepost.analysis.compare.comparison import RunComparison
from fencepost.analysis.compare.machines import compare_machines
from fencepost.analysis.compare.runs import compare_runs, read_runs
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.stats.verdict import ChangeVerdict, Decision
from fencepost.analysis.topics.topic import headline_rungs
from fencepost.bench import schema
from fencepost.cli.compared import BAR_CELLS, FEW_ROWS, bar, bar_header, headline_tables, row_table

pytestmark = pytest.mark.usefixtures("undrawn")


def decision(ratio: float, low: float, high: float) -> Decision:
    return Decision(ratio, low, high, ChangeVerdict.UNDECIDED, 20, 0.01)


@given(st.floats(0.01, 100), st.floats(1, 4), st.floats(1, 4), st.floats(1.1, 4))
def test_a_bar_shows_on_which_side_a_ratio_is(ratio: float, below: float, above: float, reach: float) -> None:
    text = bar(decision(ratio, ratio / below, ratio * above), reach)
    assert len(text) == BAR_CELLS
    middle = BAR_CELLS // 2
    if "●" in text:
        side = text.index("●") - middle
        assert side == 0 or (side > 0) == (ratio > 1)
    else:
        assert abs(math.log(ratio)) >= math.log(reach) * 0.99
        assert ("▸" if ratio > 1 else "◂") in text


def test_a_bar_ends_in_an_arrow_beyond_its_reach() -> None:
    assert bar(decision(1.0, 0.1, 10.0), 2.0) == "◂─────────●─────────▸"
    assert bar(decision(1.0, 0.99, 1.01), 4.0).strip() == "●"
    assert bar(decision(2.0, 1.99, 2.01), 4.0) == f"{' ' * 10}│{' ' * 4}●{' ' * 5}"
    assert bar(decision(1.5, 0.9, 2.4), 4.0)[BAR_CELLS // 2] == "┼", "an interval that holds 1"


def test_a_ratio_without_bounds_has_a_point_alone() -> None:
    assert bar(decision(1.0, math.nan, math.nan), 2.0).strip() == "●"
    assert bar(decision(1.0, 0.0, math.inf), 2.0).strip() == "●"
    assert len(bar_header(4.0)) == BAR_CELLS


CASES = [case for case in (*pipeline_cases(), *lock_cases()) if len(case.cpus) == 1]


def steady(case: Case, factor: float) -> Case:
    return replace(case, ns=case.ns * factor, noise=0.0005, process_noise=0.0005, neighbour=None, places=(), modes=())


def written(folder: Path, factor: dict[str, float], seed: int, **edit: Any) -> Path:
    """A run of two topics in which the kernels of some topics cost so much more."""
    cases = [steady(case, factor.get(case.kernel.partition("/")[0], 1.0)) for case in CASES]
    path = write_run(folder, cases, rounds=12, seed=seed, unmeasurable=[])
    for name in (schema.RUN_FILE, schema.MACHINE_FILE):
        document = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps(document | edit.get(name, {})))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one machine. In the second locks take 1.5 times as long."""
    folder = tmp_path_factory.mktemp("runs")
    return written(folder / "old", {}, 1), written(folder / "new", {"lock": 1.5}, 2)


def both(runs: tuple[Path, Path]) -> RunComparison:
    old, new = read_runs(runs)
    return compare_runs(old, new, 0.01)


def test_headlines_come_first_and_the_rest_on_request(runs: tuple[Path, Path], tmp_path: Path) -> None:
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    found = both(runs)
    assert len(found.rows) > FEW_ROWS and found.labels
    for label in found.labels.values():
        assert label in said.stdout
    hidden = [row.case for row in found.rows if row.case not in found.labels and "lock/" not in row.case]
    assert hidden and not any(case in said.stdout for case in hidden)
    assert "add --all" in said.stdout
    every = fencepost_inside("compare", *map(str, runs), "--all", cwd=tmp_path).stdout
    assert all(row.case in every for row in found.rows) and "add --all" not in every


def test_what_changed_is_said_by_topic(runs: tuple[Path, Path], tmp_path: Path) -> None:
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path).stdout
    locks = [row for row in both(runs).rows if row.case.startswith("lock/")]
    assert f"Slower: Locks ({len(locks)} rows, by up to +50" in said
    assert "Faster:" not in said
    document = json.loads(fencepost_inside("compare", *map(str, runs), "--json", cwd=tmp_path).stdout)
    assert len(document["sentences"]) == 1 and set(document["headlines"]) <= {
        row["case"] for row in (*document["rows"], *document["controls"])
    }


def test_of_two_machines_it_is_said_which_is_faster_in_what(tmp_path: Path) -> None:
    other = {schema.RUN_FILE: {"machine_key": "other-2"}, schema.MACHINE_FILE: {"memory_bytes": 8_000_000_000}}
    first = written(tmp_path / "first", {}, 1, **{schema.MACHINE_FILE: {"memory_bytes": 8_000_100_000}})
    second = written(tmp_path / "second", {"lock": 2.0, "pipeline": 0.5}, 2, **other)
    found = compare_machines(read_runs([first, second]))
    assert found.sentences[0] == "other-2 is faster in 1 of 1 headline and slower in 0."
    assert any(sentence.startswith("Faster: Instruction latency and out-of-order") for sentence in found.sentences)
    assert any(sentence.startswith("Slower: Locks (0.5") for sentence in found.sentences)
    assert "memory_bytes" not in found.differences, "some pages more are no difference"
    said = fencepost_inside("compare", str(first), str(second), cwd=tmp_path).stdout
    assert all(sentence in said for sentence in found.sentences) and "add --all" in said
    every = fencepost_inside("compare", str(first), str(second), "--all", cwd=tmp_path).stdout
    assert all(row.case in every for row in found.rows)


def test_a_ratio_without_an_interval_has_no_brackets(tmp_path: Path) -> None:
    other = {schema.RUN_FILE: {"machine_key": "other-2"}}
    found = compare_machines(read_runs([written(tmp_path / "a", {}, 1), written(tmp_path / "b", {}, 2, **other)]))
    assert any("[" in cell for line in row_table(found)[2] for cell in line)
    open_ended = [
        replace(row, ratios=tuple(replace(ratio, low=math.nan, high=math.nan) for ratio in row.ratios))
        for row in found.rows
    ]
    none = replace(found, rows=tuple(open_ended))
    (headlines,) = headline_tables(none)
    assert [line[4] for line in headlines[2]] == ["–"] * len(none.headlines) != []
    assert all(re.fullmatch(r"x [\d.]+", line[1]) for line in row_table(none)[2])


def test_a_row_that_reads_zero_is_left_out_of_machines(tmp_path: Path) -> None:
    cases = [Case("own/some", ns=5.0), Case("own/none", ns=0.0, noise=0.0, process_noise=0.0)]
    folders = [write_run(tmp_path / name, cases, rounds=12, seed=1, unmeasurable=[]) for name in ("a", "b")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old, new = read_runs(folders)
        found = compare_machines([old, new])
        two = compare_runs(old, new, 0.01)
    assert [row.case for row in found.rows] == ["own/some"]
    assert "own/none: left out, the time is zero on one of the machines" in found.notes
    assert [row.case for row in two.rows] == ["own/some@cpu1"]


def test_a_headline_has_the_time_that_its_label_speaks_of(tmp_path: Path) -> None:
    trips = pingpong_cases({(0, 1): ("same_l3", 40.0), (1, 0): ("same_l3", 40.0)})
    cases = [*trips, *branch_cases(), Case("clock/null_syscall", ns=160.0, unit="call")]
    runs = [write_run(tmp_path / name, cases, rounds=12, seed=n, unmeasurable=[]) for n, name in enumerate("ab")]
    rungs = {rung.label: rung.ns.value for rung in headline_rungs(analyse(runs[0]))}
    assert any("mispredict" in label for label in rungs)
    old, new = read_runs(runs)
    shown = {label: row.old_ns for label, row in compare_runs(old, new, 0.01).headlines}
    shown_apart = {label: row.ns for label, row in compare_machines([old, new]).headlines}
    for times in (shown, shown_apart):
        assert any("one way" in label for label in times) and not any("mispredict" in label for label in times)
        for label, ns in times.items():
            assert ns == pytest.approx(rungs[label], rel=0.05)
