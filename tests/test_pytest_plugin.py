"""The plugin for pytest: what it hands to pytest-benchmark, read back from what pytest-benchmark stored."""

from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import runtime
from hypothesis import strategies as st
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.utils import NameWrapper

from fencepost.analysis.estimate import analyse
from fencepost.bench import schema
from fencepost.cli import pytest_rows
from fencepost.cli.pytest_rows import FencepostBenchmark, Row, SampleClock

ROOT = Path(__file__).resolve().parent.parent


def run_pytest(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest in a process of its own, with the kernels of fault_kernels.c as the suite."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    # Whoever runs these tests side by side would otherwise have disabled what they are about.
    env = runtime.environment(PYTEST_ADDOPTS=None, PYTEST_XDIST_WORKER=None, COLUMNS="200")
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)


def run_suite(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pytest bench/` from another folder, so that nothing is left in the checkout."""
    return run_pytest(cwd, "-c", str(ROOT / "pyproject.toml"), str(ROOT / "bench"), *arguments)


def run_tests(cwd: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest over one file of a user's."""
    (cwd / "test_mine.py").write_text(text, encoding="utf-8")
    return run_pytest(cwd, "test_mine.py", *arguments)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The suite, autosaved twice: the second time compared to the first, with everything written that can be."""
    cwd = tmp_path_factory.mktemp("saved")
    first = run_suite(cwd, "-k", "good", "--benchmark-autosave", "--benchmark-save-data", "--fencepost-out", "runs")
    assert first.returncode == 0, first.stdout + first.stderr
    second = run_suite(
        cwd,
        *("-k", "good", "--benchmark-autosave", "--benchmark-compare", "--benchmark-compare-fail", "median:900000%"),
        *("--benchmark-histogram", "pictures/h", "--benchmark-json", "all.json"),
    )
    return cwd, second


def stored(cwd: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((cwd / ".benchmarks").glob("*/*.json"))]


def test_stored_data_are_the_samples_to_the_last_bit(saved: tuple[Path, Any]) -> None:
    cwd, _ = saved
    (folder,) = (cwd / "runs").iterdir()
    analysis = analyse(folder)
    frame = analysis.processes
    document = stored(cwd)[0]
    assert {bench["extra_info"]["kernel"] for bench in document["benchmarks"]} >= {"good/steady", "good/events"}
    for bench in document["benchmarks"]:
        rows = frame[(frame["case"] == bench["extra_info"]["case"])].sort_values("round")
        assert bench["stats"]["data"] == (rows["ns"] / 1e9).tolist()
        assert bench["stats"]["rounds"] == len(rows)
        assert bench["stats"]["iterations"] == 1


def test_interval_cycles_rate_and_machine_are_stored_beside(saved: tuple[Path, Any]) -> None:
    cwd, _ = saved
    (folder,) = (cwd / "runs").iterdir()
    analysis = analyse(folder)
    document = stored(cwd)[0]
    estimates = {row["case"]: row for row in analysis.rows.to_dict("records")}
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


def test_compare_and_histogram_work_on_the_rows(saved: tuple[Path, Any]) -> None:
    cwd, second = saved
    assert second.returncode == 0, second.stdout + second.stderr
    assert "machine_info is different" not in second.stdout + second.stderr
    assert "(NOW)" in second.stdout
    assert "(0001_" in second.stdout
    assert len(stored(cwd)) == 2
    assert [path.name for path in (cwd / "pictures").iterdir()] == ["h-good.svg"]


def test_pytest_benchmarks_own_command_compares_them_and_writes_csv(saved: tuple[Path, Any]) -> None:
    cwd, _ = saved
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--sort=name", "--csv=table.csv"]
    command += ["--histogram=command/h", "--group-by=name"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test_row[good/events") >= 2
    with (cwd / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    medians = sorted(bench["stats"]["median"] for document in stored(cwd) for bench in document["benchmarks"])
    assert sorted(float(row["median"]) for row in rows) == medians
    assert len(list((cwd / "command").iterdir())) == len(medians) / 2


def test_a_regression_fails_the_session(saved: tuple[Path, Any], tmp_path: Path) -> None:
    cwd, _ = saved
    document = stored(cwd)[0]
    for bench in document["benchmarks"]:
        for name in ("min", "max", "mean", "median"):
            bench["stats"][name] /= 1e6
    (folder,) = (cwd / ".benchmarks").iterdir()
    (tmp_path / ".benchmarks" / folder.name).mkdir(parents=True)
    (tmp_path / ".benchmarks" / folder.name / "0001_faster.json").write_text(json.dumps(document))
    done = run_suite(tmp_path, "-k", "good/events", "--benchmark-compare", "--benchmark-compare-fail", "median:5%")
    assert done.returncode != 0
    assert "Performance has regressed" in done.stdout + done.stderr


def test_only_what_is_selected_is_measured(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "-k", "good/events", "--fencepost-out", "runs")
    assert done.returncode == 0, done.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    planned = schema.read_run(folder)["plan"]
    assert {case["kernel"] for case in planned["cases"]} == {"good/events"}
    assert planned["profile"] == "quick"
    assert len(schema.round_files(folder)) == planned["rounds"] == 6
    assert str(folder.name) in done.stdout


def test_what_cannot_be_measured_is_skipped_with_its_reason(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "-k", "lacking or foreign or wrong")
    assert "not measurable here: needs" in done.stdout
    # A kernel whose check fails is a failure, not a skip.
    assert "bad/wrong" in done.stdout
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("option", ["--benchmark-disable", "-n2"])
def test_disabled_rows_run_once_and_store_nothing(tmp_path: Path, option: str) -> None:
    done = run_suite(tmp_path, "-k", "good/steady or wrong", option, "--benchmark-json", "none.json")
    assert not (tmp_path / "none.json").exists() or not (tmp_path / "none.json").stat().st_size
    assert "1 failed" in done.stdout, done.stdout + done.stderr  # the check still counts
    assert "passed" in done.stdout


def test_skipped_rows_are_not_measured(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "--benchmark-skip", "--fencepost-out", "runs")
    assert done.returncode == 0, done.stdout
    assert "passed" not in done.stdout
    assert not (tmp_path / "runs").exists()


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


def test_a_python_callable_is_timed_by_the_tick_counter(tmp_path: Path) -> None:
    done = run_tests(tmp_path, CALLABLE, "--benchmark-json", "all.json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {bench["name"]: bench for bench in json.loads((tmp_path / "all.json").read_text())["benchmarks"]}
    ours = rows["test_sum"]
    assert ours["group"] == "sums"
    assert ours["options"]["timer"].endswith("fencepost")
    assert ours["extra_info"]["note"] == "mine"
    assert ours["extra_info"]["tick_hz"] > 0
    assert ours["extra_info"]["calls_per_window"] > 1
    assert ours["extra_info"]["overhead_ticks"] > 0
    assert 0 < ours["stats"]["median"] < 1
    assert "fencepost" not in rows["test_plain"]["options"]["timer"]


@pytest.mark.parametrize("option", ["--benchmark-disable", "--benchmark-skip", "-n1", "--benchmark-cprofile=tottime"])
def test_a_callable_survives_every_mode(tmp_path: Path, option: str) -> None:
    done = run_tests(tmp_path, CALLABLE, option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("3 skipped" if option == "--benchmark-skip" else "3 passed") in done.stdout


def test_an_unused_plugin_imports_nothing(tmp_path: Path) -> None:
    text = """
import sys

def test_nothing_of_ours_is_loaded():
    ours = {name for name in sys.modules if name.startswith("fencepost.")}
    assert ours <= {"fencepost.cli", "fencepost.cli.pytest_plugin"}
    assert not {"pandas", "numpy", "cffi", "_cffi_backend"} & sys.modules.keys()
"""
    done = run_tests(tmp_path, text)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run_tests(tmp_path, text, "-p", "no:benchmark")
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
    samples, result, facts = pytest_rows.time_callable(call, (), {})
    assert result == "done"
    assert samples == [100 / 1e9] * pytest_rows.WINDOWS
    assert facts["overhead_ticks"] == 7
    assert facts["calls_per_window"] * 100 >= pytest_rows.WINDOW_NS


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
    FencepostBenchmark(fixture, clock).row(Row("case", tuple(samples)))
    assert seen[0].stats.data == samples
    assert seen[0].stats.min == min(samples)
