"""The plugin for pytest: what it hands to pytest-benchmark, read back from what pytest-benchmark stored."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import strategies as st
from inner_pytest import run_pytest
from kernels.own import write
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import NameWrapper
from runs import measure as runtime
from runs.measure import tiny_plan

from fencepost.analysis.runs.estimate import analyse
from fencepost.bench import plan as plans
from fencepost.bench import schema
from fencepost.cli.pytest_plugin.fixture import WINDOW_NS, WINDOWS, FencepostBenchmark, time_callable
from fencepost.cli.pytest_plugin.replay import SampleClock
from fencepost.cli.pytest_plugin.rows import BenchmarkRow, part_of

# Sessions of pytest within pytest: a minute in all.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def run_suite(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pytest bench/` from another folder, so that nothing is left in the checkout."""
    return run_pytest(cwd, "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench"), *arguments)


def run_tests(cwd: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest over one file of a user's."""
    (cwd / "test_mine.py").write_text(text, encoding="utf-8")
    return run_pytest(cwd, "test_mine.py", *arguments)


class Saved(NamedTuple):
    """Two sessions in one folder, and what they printed."""

    cwd: Path
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The suite, autosaved twice: the second time compared to the first, with everything written that can be."""
    cwd = tmp_path_factory.mktemp("saved")
    first = run_suite(cwd, "-k", "good", "--benchmark-autosave", "--benchmark-save-data", "--fencepost-out", "runs")
    assert first.returncode == 0, first.stdout + first.stderr
    second = run_suite(
        cwd,
        *("-k", "good", "--benchmark-autosave", "--benchmark-compare", "--benchmark-compare-fail", "median:900000%"),
        *("--benchmark-histogram", "pictures/h", "--benchmark-json", "all.json"),
    )
    return Saved(cwd, first, second)


def stored(cwd: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((cwd / ".benchmarks").glob("*/*.json"))]


def test_stored_data_are_the_samples_to_the_last_bit(saved: Saved) -> None:
    cwd = saved.cwd
    (folder,) = (cwd / "runs").iterdir()
    analysis = analyse(folder)
    frame = analysis.processes
    document = stored(cwd)[0]
    assert {bench["extra_info"]["kernel"] for bench in document["benchmarks"]} >= {"good/steady", "good/events"}
    for bench in document["benchmarks"]:
        # A row alone has no figure of a process whose core was never free.
        rows = frame[(frame["case"] == bench["extra_info"]["case"])].dropna(subset="ns").sort_values("round")
        assert bench["stats"]["data"] == (rows["ns"] / 1e9).tolist()
        assert bench["stats"]["rounds"] == len(rows)
        assert bench["stats"]["iterations"] == 1


def test_interval_cycles_rate_and_machine_are_stored_beside(saved: Saved) -> None:
    cwd = saved.cwd
    (folder,) = (cwd / "runs").iterdir()
    analysis = analyse(folder)
    document = stored(cwd)[0]
    estimates = {row.case: row.as_dict() for row in analysis.rows}
    for bench in document["benchmarks"]:
        info = bench["extra_info"]
        row = estimates[info["case"]]
        for name in ("ns", "ns_low", "ns_high", "cycles"):
            assert info[name] == (None if row[name] != row[name] else row[name])
        assert info["tick_hz"] == pytest.approx(analysis.reduced.workers["tick_hz"].median())
        assert info["engine_sha256"] == analysis.run["engine"]["sha256"]
        assert bench["group"] == info["kernel"].partition("/")[0]
    machine = document["machine_info"]["fencepost"]
    assert machine["key"] == schema.read_machine(folder)["key"]
    assert machine["compiler"]
    # What pytest-benchmark itself finds out is as it was.
    assert {"node", "cpu", "python_version"} <= document["machine_info"].keys()
    assert {"id", "dirty", "branch"} <= document["commit_info"].keys()


def test_compare_and_histogram_work_on_the_rows(saved: Saved) -> None:
    cwd, second = saved.cwd, saved.second
    assert second.returncode == 0, second.stdout + second.stderr
    assert "(NOW)" in second.stdout
    assert "(0001_" in second.stdout
    # pytest-benchmark says when machines differ. It asks for the clock of the moment; what we add stays the same.
    before, after = (document["machine_info"]["fencepost"] for document in stored(cwd))
    assert before == after and "unknown" not in before
    assert [path.name for path in (cwd / "pictures").iterdir()] == ["h-good.svg"]


def test_pytest_benchmarks_own_command_compares_them_and_writes_csv(saved: Saved) -> None:
    cwd = saved.cwd
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--sort=name", "--csv=table.csv"]
    command += ["--histogram=command/h", "--group-by=name"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=runtime.PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test_row[good/events") >= 2
    with (cwd / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    medians = sorted(bench["stats"]["median"] for document in stored(cwd) for bench in document["benchmarks"])
    assert sorted(float(row["median"]) for row in rows) == medians
    assert len(list((cwd / "command").iterdir())) == len(medians) / 2


def test_a_regression_fails_the_session(saved: Saved, tmp_path: Path) -> None:
    cwd = saved.cwd
    document = stored(cwd)[0]
    for bench in document["benchmarks"]:
        for name in ("min", "max", "mean", "median"):
            bench["stats"][name] /= 1e6
    (folder,) = (cwd / ".benchmarks").iterdir()
    (tmp_path / ".benchmarks" / folder.name).mkdir(parents=True)
    (tmp_path / ".benchmarks" / folder.name / "0001_faster.json").write_text(json.dumps(document))
    done = run_suite(tmp_path, "-k", "good/events", "--benchmark-compare", "--benchmark-compare-fail", "median:5%")
    assert done.returncode == 1
    assert "Performance has regressed" in done.stdout + done.stderr
    assert "good/events" in done.stdout.split("Performance has regressed")[-1] + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "fencepost: " in done.stdout and "see above" in done.stderr


def test_a_histogram_that_cannot_be_drawn_is_refused_first(tmp_path: Path) -> None:
    # A plugin is imported before anything is collected; what hides the libraries from it hides them from all.
    (tmp_path / "hide.py").write_text("import sys\nsys.modules['pygal'] = sys.modules['pygaljs'] = None\n")
    suite = ("-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench"), "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", "-p", "hide", *suite, "--benchmark-histogram"]
    env = runtime.environment(PYTEST_ADDOPTS=None, PYTEST_XDIST_WORKER=None)
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=runtime.PATIENCE_S, check=False
    )
    assert done.returncode == 2 and "pytest_rows.py" not in done.stdout + done.stderr
    assert "--benchmark-histogram: pygal and pygaljs missing; pip install pygal pygaljs" in done.stdout + done.stderr
    assert "measuring" not in done.stdout


REFUSED = {
    "absent": ([], "fail: nothing to compare with: add --benchmark-compare"),
    "none": (["--benchmark-compare"], "nothing to compare with: .*[.]benchmarks has no saved session; save one"),
    "number": (["--benchmark-compare=0007"], "has no saved session that is 0007; save one first with --benchmark-au"),
    "path": (["--benchmark-compare=.benchmarks/Linux/0007_x.json"], "0007_x.json: no such file; give one that is th"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_gate_without_anything_to_compare_with_is_refused_first(tmp_path: Path, case: str) -> None:
    arguments, said = REFUSED[case]
    done = run_suite(tmp_path, "-k", "good/events", "--benchmark-compare-fail", "median:5%", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(f"fencepost: --benchmark-compare.*{said}", done.stdout + done.stderr)
    assert not re.search("Traceback|INTERNALERROR|measuring", done.stdout + done.stderr)


def test_a_gate_that_is_never_reached_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(CALLABLE, encoding="utf-8")
    gate = ("test_mine.py", "--benchmark-compare-fail", "median:5%")
    assert run_pytest(tmp_path, *gate, "--benchmark-disable").returncode == 0  # no rows
    assert run_pytest(tmp_path, *gate, "-k", "plain", "--benchmark-skip").returncode == 0
    refused = run_pytest(tmp_path, *gate)
    assert refused.returncode == 2 and "nothing to compare with" in refused.stdout, refused.stdout


def test_only_what_is_selected_is_measured(saved: Saved) -> None:
    (folder,) = (saved.cwd / "runs").iterdir()
    run = schema.read_run(folder)
    planned = run["plan"]
    assert {case["kernel"].partition("/")[0] for case in planned["cases"]} == {"good"}  # not bad/*, not many/*
    assert planned["profile"] == "quick"
    assert len(schema.round_files(folder)) == planned["rounds"] == 8
    assert run["command"][:4] == ["pytest", "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench")]
    assert str(folder.name) in saved.first.stdout


def test_what_cannot_be_measured_is_skipped_with_its_reason(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "-k", "lacking or foreign or wrong")
    assert "not measurable here: needs" in done.stdout
    # A kernel whose check fails is a failure, not a skip.
    assert "bad/wrong" in done.stdout
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "Traceback" not in done.stdout


CALLABLE = """
import pytest

@pytest.mark.benchmark(group="sums")
def test_sum(fencepost_benchmark):
    fencepost_benchmark.extra_info["note"] = "mine"
    assert fencepost_benchmark(sum, range(100)) == 4950

def test_fault(fencepost_benchmark):
    with pytest.raises(ZeroDivisionError):
        fencepost_benchmark(lambda: 1 / 0)

def test_plain(benchmark):
    assert benchmark(sum, [1]) == 1
"""
KERNEL = """
def test_kernel(fencepost_benchmark):
    fencepost_benchmark.kernel("mine.c")
"""
BRIEFLY = ("--benchmark-max-time=0.01", "--benchmark-min-rounds=1")


def test_a_python_callable_is_timed_by_the_tick_counter(tmp_path: Path) -> None:
    done = run_tests(tmp_path, CALLABLE, "--benchmark-json", "all.json", *BRIEFLY)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {bench["name"]: bench for bench in json.loads((tmp_path / "all.json").read_text())["benchmarks"]}
    ours = rows["test_sum"]
    assert ours["group"] == "sums"
    assert ours["options"]["timer"].endswith("fencepost")
    assert ours["extra_info"]["note"] == "mine"
    assert ours["extra_info"]["tick_hz"] > 0
    assert ours["extra_info"]["calls_per_window"] >= 1
    assert ours["extra_info"]["overhead_ticks"] > 0
    assert 0 < ours["stats"]["median"] < 1
    assert "fencepost" not in rows["test_plain"]["options"]["timer"]


@pytest.mark.parametrize("option", ["--benchmark-disable", "-n1"])
def test_disabled_everything_runs_once_and_stores_nothing(tmp_path: Path, option: str) -> None:
    (tmp_path / "test_mine.py").write_text(CALLABLE + KERNEL, encoding="utf-8")
    write(tmp_path)
    files = ("test_mine.py", "--fencepost-out", "runs", "--benchmark-json", "none.json")
    done = run_suite(tmp_path, *files, "-k", "good/steady or wrong or test_mine", option)
    assert not (tmp_path / "none.json").exists() or not (tmp_path / "none.json").stat().st_size
    assert not (tmp_path / "runs").exists()
    assert "bad/wrong" in done.stdout  # the check still counts
    assert "1 failed, 6 passed" in done.stdout, done.stdout + done.stderr  # two rows of good/steady


def test_skipped_rows_are_not_measured(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(CALLABLE + KERNEL, encoding="utf-8")  # and no mine.c: it is not asked for
    done = run_suite(tmp_path, "test_mine.py", "--benchmark-skip", "--fencepost-out", "runs")
    assert done.returncode == 0, done.stdout
    assert "passed" not in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_callable_survives_a_profiler(tmp_path: Path) -> None:
    done = run_tests(tmp_path, CALLABLE, "--benchmark-cprofile=tottime", *BRIEFLY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_an_unused_plugin_imports_nothing(tmp_path: Path) -> None:
    text = """
import sys

def test_nothing_of_ours_is_loaded():
    ours = {name for name in sys.modules if name.startswith("fencepost.")}
    assert ours <= {"fencepost.cli", "fencepost.cli.pytest_plugin", "fencepost.cli.pytest_plugin.plugin"}
    assert not {"pandas", "numpy", "cffi", "_cffi_backend"} & sys.modules.keys()
"""
    (tmp_path / "test_mine.py").write_text(text, encoding="utf-8")
    for option in ("-q", "-pno:benchmark"):
        # Not forked from a process that has all of it.
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_mine.py", option]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=runtime.PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_overhead_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that advances 7 ticks a reading and 100 ticks a call: the readings must not show."""
    now = 0

    class Library:
        @staticmethod
        def read_ticks() -> int:
            nonlocal now
            now += 7
            return now

    class Engine:
        lib = Library
        tick = staticmethod(lambda: {"hz": 1e9, "quantum_ticks": 1, "source": "fake"})

    def call() -> str:
        nonlocal now
        now += 100
        return "done"

    monkeypatch.setattr("fencepost.bench.engine.load", Engine)
    samples, result, facts = time_callable(call, (), {})
    assert result == "done"
    assert samples == [100 / 1e9] * WINDOWS
    assert facts["overhead_ticks"] == 7
    calls = facts["calls_per_window"]
    assert isinstance(calls, int) and calls * 100 >= WINDOW_NS


@hypothesis.given(st.lists(st.floats(min_value=5e-324, max_value=1e9), min_size=1, max_size=50))
def test_any_sample_passes_pytest_benchmark_unchanged(samples: list[float]) -> None:
    clock = SampleClock()
    seen: list[Any] = []

    class Node:
        name = nodeid = "test"

    options: dict[str, Any] = dict.fromkeys(inspect.signature(BenchmarkFixture).parameters)
    options |= {"node": Node(), "timer": NameWrapper(clock), "add_stats": seen.append}  # type: ignore[no-untyped-call]
    options |= {"min_time": 0, "max_time": 0, "disable_gc": False, "disabled": False}
    fixture = BenchmarkFixture(**options)  # type: ignore[no-untyped-call]
    FencepostBenchmark(fixture, clock).row(BenchmarkRow("case", tuple(samples)))
    assert seen[0].stats.data == samples
    assert seen[0].stats.min == min(samples)


def test_a_short_part_of_a_long_suite_has_every_case_in_every_round() -> None:
    plan = tiny_plan(["good"], rounds=20)
    long_ns = plans.LONG_RUN_NS // len(plan.cases)
    cases = tuple(dataclasses.replace(case, expected_ns=long_ns) for case in plan.cases)
    suite = dataclasses.replace(plan, cases=cases).sparing()
    assert {case.every for case in suite.cases if not case.once} == {plans.DEAR_EVERY}
    chosen = next(case for case in suite.cases if case.twin_of).twin_of
    assert chosen is not None
    shorter = tuple(dataclasses.replace(case, expected_ns=plans.DEAR_NS) for case in suite.cases)
    part = part_of(dataclasses.replace(suite, cases=shorter), {chosen}, suite.rounds)
    assert [(case.twin_of or case.case, case.every) for case in part.cases] == [(chosen, 1)] * 2
    assert part.again_ns == plans.AGAIN_LEAST_NS + int(plans.AGAIN_SHARE * part.expected_ns / part.rounds)
