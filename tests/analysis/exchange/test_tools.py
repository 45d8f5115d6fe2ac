"""The tools of the formats read what is exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs.exchange import imported, stored
from runs.measure import fencepost_inside
from runs.write import Case, plain_cases, write_run

from fencepost.analysis.exchange.export import export
from fencepost.analysis.runs.estimate import analyse

TOOL = Path("/usr/share/benchmark/compare.py")


def tool(*arguments: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needs_pyperf() -> None:
    """A development dependency: CI has it, or fails where it is imported."""
    if not os.environ.get("CI"):
        pytest.importorskip("pyperf")


def twice(folder: Path, tmp_path: Path, wanted: str) -> tuple[Path, Path]:
    slower = write_run(tmp_path / "slower", [Case("plain/loop", {"i": i}, ns=2 * (1 + i / 10)) for i in range(3)])
    faster = write_run(tmp_path / "faster", plain_cases(3))
    return (
        stored(tmp_path, export(faster, wanted).text, "old.json"),
        stored(tmp_path, export(slower, wanted).text, "new.json"),
    )


@pytest.mark.slow
def test_pytest_benchmark_compares_our_files(run: Path, tmp_path: Path) -> None:
    old, new = twice(run, tmp_path, "pytest-benchmark")
    out = tool(Path(sys.executable).with_name("pytest-benchmark"), "compare", old, new, cwd=tmp_path)
    assert out.count("plain/loop[i=2]@cpu1") == 2
    assert "(2.0" in out or "(1.9" in out


@pytest.mark.slow
def test_pyperf_compares_our_files(run: Path, tmp_path: Path) -> None:
    needs_pyperf()
    old, new = twice(run, tmp_path, "pyperf")
    out = tool(sys.executable, "-m", "pyperf", "compare_to", old, new, cwd=tmp_path)
    assert out.count("slower") >= 3
    assert "plain/loop[i=2]@cpu1" in out
    tool(sys.executable, "-m", "pyperf", "stats", old, cwd=tmp_path)
    tool(sys.executable, "-m", "pyperf", "check", old, cwd=tmp_path)


def test_pyperf_files_are_read(tmp_path: Path) -> None:
    needs_pyperf()
    import pyperf

    runs = [pyperf.Run([1e-6 * (i + 1), 2e-6 * (i + 1)], collect_metadata=False) for i in range(6)]
    runs = [pyperf.Run(run.values, metadata={"name": "mine"}, collect_metadata=False) for run in runs]
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(tmp_path / "p.json"))
    row = analyse(imported(tmp_path, tmp_path / "p.json")).rows[0]
    assert (row.case, row.rounds, row.batches) == ("mine", 6, 12)
    assert row.time.value == pytest.approx(5250)


def test_a_row_that_reads_zero_stays_out_of_googles_format(tmp_path: Path) -> None:
    """compare.py would take its logarithm, and call the mean of all rows no number."""
    cases = [Case("own/some", ns=5.0), Case("own/none", ns=0.0, noise=0.0, process_noise=0.0)]
    found = export(write_run(tmp_path / "run", cases, rounds=7, unmeasurable=[]), "google-benchmark")
    assert {item["run_name"] for item in json.loads(found.text)["benchmarks"]} == {"own/some@cpu1"}
    (left_out,) = found.left_out
    assert left_out.startswith("own/none@cpu1: left out") and "above zero" in left_out
    told = fencepost_inside("export", "run", "--format", "google-benchmark", cwd=tmp_path)
    assert told.returncode == 0 and left_out in told.stderr and "own/none" not in told.stdout


@pytest.mark.slow
def test_googles_compare_reads_our_files(run: Path, tmp_path: Path) -> None:
    if not TOOL.exists():
        if os.environ.get("CI"):
            pytest.fail("Google's compare.py is missing: install libbenchmark-tools")
        pytest.skip("Google's compare.py is not installed (Debian: libbenchmark-tools)")
    old, new = twice(run, tmp_path, "google-benchmark")
    out = tool(sys.executable, TOOL, "--no-color", "benchmarks", old, new, cwd=tmp_path)
    lines = [line.split() for line in out.splitlines() if line.startswith("plain/loop[i=2]@cpu1 ")]
    assert len(lines) == 6
    assert all(float(line[1]) == pytest.approx(1.0, abs=0.1) for line in lines)
