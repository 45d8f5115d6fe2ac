"""What of another tool's file becomes a figure, what is left out, and what is not pooled."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from runs.exchange import imported as imported_run
from runs.measure import fencepost_inside

from fencepost.analysis.compare.imported import CAVEAT, UNNAMED
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.formats import Parsed
from fencepost.analysis.exchange.importing import import_files, parse, read_bytes
from fencepost.analysis.report.warnings import MOST_NOTES, Kind, collect
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.rows_file import encode_rows
from fencepost.bench import runfolder, schema
from fencepost.bench.documents import RunFactsJson


def read(document: Any) -> Parsed:
    return parse("file.json", (document if isinstance(document, str) else json.dumps(document)).encode())


def figures(parsed: Parsed) -> dict[str, list[list[float]]]:
    return {item.name: item.processes for item in parsed.benchmarks}


def google(*rows: dict[str, Any], **context: Any) -> dict[str, Any]:
    return {"context": {"date": "2026-01-01", **context}, "benchmarks": list(rows)}


def row(name: str, time: float, **more: Any) -> dict[str, Any]:
    return {"name": name, "iterations": 100, "real_time": time, "time_unit": "ns", **more}


def marked(name: str, time: float, **more: Any) -> dict[str, Any]:
    """A row of a version that marks its rows."""
    return row(name, time, run_name=name, run_type="iteration", **more)


def pyperf(
    values: list[list[float]], cpu: str | None = "CPU A", python: str = "3.12.1", name: str = "work"
) -> dict[str, Any]:
    runs = [{"values": [value * 1e-9 for value in inside]} for inside in values]
    facts = {"python_version": python, "unit": "second"} | ({"cpu_model_name": cpu} if cpu else {})
    return {"version": "1.0", "metadata": facts, "benchmarks": [{"metadata": {"name": name}, "runs": runs}]}


def stored(folder: Path, *documents: Any) -> list[Path]:
    paths = [folder / f"{place}.json" for place in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document))
    return paths


def notes_of(run: RunFactsJson) -> list[str]:
    return run["imported"]["notes"]


# ---- what is no measurement ----

NO_MEASUREMENT = {
    "skipped": {"skipped": True, "skip_message": "no such device"},
    "failed": {"error_occurred": True, "error_message": "no such device"},
}


@pytest.mark.parametrize("kind", NO_MEASUREMENT)
def test_a_row_that_measured_nothing_has_its_message_and_no_figure(kind: str) -> None:
    found = read(google(marked("BM_a", 5), marked("BM_gpu", 0.0, **NO_MEASUREMENT[kind])))
    by_name = {item.name: item for item in found.benchmarks}
    assert by_name["BM_a"].processes == [[5.0]]
    assert (by_name["BM_gpu"].processes, by_name["BM_gpu"].failures) == ([], "no such device")
    assert found.left_out == ("file.json: BM_gpu: no such device",)


def test_a_row_without_iterations_or_of_zero_nanoseconds_is_no_figure() -> None:
    found = read(google(marked("BM_a", 5), marked("BM_b", 7) | {"iterations": 0}, marked("BM_c", 0.0)))
    assert figures(found) == {"BM_a": [[5.0]], "BM_b": []}
    assert any("0 ns is not a duration" in sentence for sentence in found.left_out)


def test_a_row_says_how_many_of_its_repetitions_failed(tmp_path: Path) -> None:
    failed = marked("BM_a", 0, error_occurred=True, error_message="queue full")
    document = google(marked("BM_a", 5), failed, marked("BM_a", 6), failed, failed)
    run, _, _ = import_files(stored(tmp_path, document))
    assert run["plan"]["cases"][0]["summary"].endswith("3 of 5 repetitions gave no value (queue full)")


def aggregate(name: str, suffix: str, time: float, **more: Any) -> dict[str, Any]:
    return row(f"{name}_{suffix}", time, **more)


MARKED = {"run_name": "BM_a", "run_type": "aggregate"}
AGGREGATES: dict[str, list[dict[str, Any]]] = {
    "unmarked": [aggregate("BM_a", suffix, 9) for suffix in ("mean", "median", "stddev", "99th_percentile")],
    "marked": [
        aggregate("BM_a", suffix, 9, aggregate_name=suffix, **MARKED) for suffix in ("mean", "median", "cv", "max")
    ],
    "marked without a name": [aggregate("BM_a", suffix, 9, **MARKED) for suffix in ("mean", "stddev")],
    "fit": [
        {"name": "BM_a_BigO", "cpu_coefficient": 1.2, "real_coefficient": 1.2, "big_o": "N", "time_unit": "ns"},
        {"name": "BM_a_RMS", "rms": 0.02},
    ],
    "marked fit": [{"name": "BM_a_BigO", **MARKED, "aggregate_name": "BigO", "real_coefficient": 1.2, "big_o": "N"}],
}


@pytest.mark.parametrize("kind", AGGREGATES)
def test_aggregates_and_fits_of_any_version_are_no_benchmarks(kind: str) -> None:
    make = marked if kind.startswith("marked") else row
    found = read(google(make("BM_a", 5), make("BM_a", 6), *AGGREGATES[kind], make("BM_a_mean_of_all", 3)))
    if kind == "unmarked":  # nothing tells this name from a statistic of the user
        assert figures(found) == {"BM_a": [[5.0, 6.0]]}
    else:
        assert figures(found)["BM_a"] == [[5.0, 6.0]]
        assert len(found.benchmarks) == (1 if kind == "fit" else 2)
    assert found.left_out == ()


def test_where_there_are_aggregates_only_the_median_is_taken() -> None:
    rows = [row(f"BM_a_{suffix}", time) for suffix, time in (("mean", 9), ("median", 7), ("stddev", 1), ("p99", 30))]
    assert figures(read(google(*rows))) == {"BM_a": [[7.0]]}


def test_benchmarks_that_are_called_like_statistics_stay() -> None:
    rows = [row("calc_mean", 9), row("calc_variance", 7), row("calc_median", 8), row("calc", 3)]
    assert figures(read(google(*rows))) == {
        "calc_mean": [[9.0]],
        "calc_variance": [[7.0]],
        "calc_median": [[8.0]],
        "calc": [[3.0]],
    }


def test_one_name_in_two_families_is_two_rows() -> None:
    found = read(google(marked("BM_a", 5, family_index=0), marked("BM_a", 50, family_index=1)))
    assert figures(found) == {"BM_a": [[5.0]], "BM_a (2)": [[50.0]]}
    assert "is there more than once" in found.left_out[0]
    old = read(google(row("BM_a", 5), row("BM_b", 1), row("BM_a", 50)))
    assert figures(old) == {"BM_a": [[5.0]], "BM_b": [[1.0]], "BM_a (2)": [[50.0]]}


def test_a_bad_row_costs_itself() -> None:
    good = {"fullname": "good", "stats": {"data": [2e-9]}}
    bad = [
        {"fullname": "x" * 5000, "stats": {"data": [1e-9]}},
        {"fullname": "nan", "stats": {"data": [float("nan")]}},
        {"fullname": "null", "stats": None},
        "no object",
    ]
    found = read({"machine_info": {}, "benchmarks": [*bad, good]})
    assert figures(found) == {"good": [[2.0]]}
    assert len(found.left_out) == len(bad)
    assert all(sentence.endswith("this row is left out") for sentence in found.left_out)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("bad", [1, 12])
def test_a_report_says_what_the_import_left_out(bad: int, tmp_path: Path) -> None:
    rows = [{"fullname": f"bad {i}", "stats": None} for i in range(bad)]
    good = {"fullname": "good", "stats": {"data": [2e-9]}}
    path = stored(tmp_path, {"machine_info": {}, "benchmarks": [*rows, good]})
    found = {item.kind: item for item in collect(analyse(imported_run(tmp_path, *path)))}
    said = found[Kind.IMPORT_NOTES].seen
    assert said.startswith(f"The import says: {path[0]}: ")
    assert said.count("this row is left out") == min(bad, MOST_NOTES)
    assert ("run.json has 2 more such sentences." in said) == (bad > MOST_NOTES)


# ---- files that do not belong together ----


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    one, other = stored(tmp_path, pyperf([[5.0, 5.1]]), pyperf([[5.0, 5.1]]))
    other.write_text(other.read_text() + "\n")
    run, _, _ = import_files([one, other])
    assert run["plan"]["rounds"] == 1
    assert notes_of(run) == [f"{other}: it has the same values as {one}, and is left out"]


def test_a_process_that_two_files_hold_is_one(tmp_path: Path) -> None:
    first = [5.0, 5.1, 5.2]
    run, _, _ = import_files(stored(tmp_path, pyperf([first]), pyperf([first, [6.0, 6.1, 6.2]])))
    assert run["plan"]["rounds"] == 2
    assert "1 of its processes are in another" in notes_of(run)[0]


@pytest.mark.parametrize(
    ("other", "fact"),
    [
        (pyperf([[6.0]], cpu="CPU B"), "CPU is CPU B, and CPU A"),
        (pyperf([[6.0]], python="3.13.0"), "Python is 3.13.0, and 3.12.1"),
    ],
    ids=["processor", "interpreter"],
)
def test_different_populations_are_not_pooled_in_silence(other: dict[str, Any], fact: str, tmp_path: Path) -> None:
    paths = stored(tmp_path, pyperf([[5.0]]), other)
    with pytest.raises(ExchangeError, match=fact):
        import_files(paths)
    run, _, _ = import_files(paths, anyway=True)
    assert fact in notes_of(run)[0]


def test_a_file_that_two_processors_wrote_is_not_pooled_either(tmp_path: Path) -> None:
    document = pyperf([[5.0], [6.0]])
    document["benchmarks"][0]["runs"][1]["metadata"] = {"cpu_model_name": "CPU B"}
    with pytest.raises(ExchangeError, match="CPU is CPU B, and CPU A in the same file"):
        import_files(stored(tmp_path, document))


def test_a_benchmark_that_failed_in_one_file_keeps_the_figures_of_the_others(tmp_path: Path) -> None:
    failed = google(marked("BM_a", 0, error_occurred=True, error_message="busy"))
    paths = stored(tmp_path, failed, google(marked("BM_a", 5)), google(marked("BM_a", 6)))
    run, machine, rows = import_files(paths)
    with runfolder.create(tmp_path / "runs", machine, run, rows=rows) as folder:
        pass
    assert "1 of 3 repetitions" in run["plan"]["cases"][0]["summary"]
    done = fencepost_inside("export", str(folder.path), "--format", "csv", cwd=tmp_path)
    assert done.returncode == 0 and "5.5" in done.stdout


# ---- names ----


def test_half_a_character_is_shown_as_a_replacement(tmp_path: Path) -> None:
    document = json.dumps({"machine_info": {}, "benchmarks": [{"fullname": "x?", "stats": {"data": [1e-9]}}]})
    path = tmp_path / "half.json"
    path.write_text(document.replace("?", "\\ud83d"))
    done = fencepost_inside("import", "half.json", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert schema.read_run(tmp_path / json.loads(done.stdout)["folder"])["plan"]["cases"][0]["case"] == "x\ufffd"


def test_a_file_whose_name_is_not_utf8_is_imported(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultat.json"))
    path.write_text(json.dumps(pyperf([[5.0]])))
    done = fencepost_inside("import", str(path), "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert schema.read_run(folder)["imported"]["files"][0]["name"] == "r\ufffdsultat.json"


def test_utf16_and_gzip_are_read(tmp_path: Path) -> None:
    text = json.dumps(pyperf([[5.0]]))
    for name, data in (("a.json", text.encode("utf-16")), ("b.json.gz", gzip.compress(text.encode()))):
        (tmp_path / name).write_bytes(data)
        assert figures(parse(name, read_bytes(tmp_path / name))) == {"work": [[5.0]]}


def test_a_file_that_unfolds_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fencepost.analysis.exchange.importing.LARGEST_BYTES", 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b" " * 5000))
    with pytest.raises(ExchangeError, match="larger than"):
        read_bytes(tmp_path / "bomb.gz")


# ---- nothing is left behind ----


def test_a_failed_import_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fencepost.analysis.exchange.importing.encode_rows", full)
    (path,) = stored(tmp_path, pyperf([[5.0]]))
    done = fencepost_inside("import", str(path), "--out", "deep/out", cwd=tmp_path)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
    assert [place.name for place in tmp_path.iterdir()] == [path.name]
    assert encode_rows is not full


# ---- other formats ----


def test_each_time_of_hyperfine_is_a_process() -> None:
    document = {
        "results": [
            {"command": "sleep 0", "times": [0.5, 0.25], "exit_codes": [0, 0]},
            {"command": "false", "times": [0.5, 0.25], "exit_codes": [0, 1], "parameters": {"n": "3"}},
            {"command": "old", "mean": 1.0, "median": 2.0, "min": 0.5},
        ]
    }
    found = read(document)
    assert figures(found) == {"sleep 0": [[5e8], [2.5e8]], "false[n=3]": [[5e8]], "old": [[2e9]]}
    assert found.left_out == ("file.json: false[n=3]: 1 of 2 repetitions gave no value (exit status 1)",)


def test_a_difference_below_zero_is_read_from_bmf_and_from_no_other_file() -> None:
    """A row of ours may be an operation less its control. A time of another tool is not below zero."""
    document = json.dumps({"mine": {"latency": {"value": -1.25}}, "other": {"latency": {"value": 2.5}}})
    found = parse("bmf.json", document.encode())
    assert {item.name: item.processes for item in found.benchmarks} == {"mine": [[-1.25]], "other": [[2.5]]}
    assert found.left_out == ()
    entry = {"command": "x", "median": -1.0, "min": -1.0, "times": [-1.0], "exit_codes": [0]}
    with pytest.raises(ExchangeError, match="below zero"):
        parse("hyperfine.json", json.dumps({"results": [entry]}).encode())


def test_bmf_is_read_as_latency() -> None:
    found = read({"a": {"latency": {"value": 5.0, "lower_value": 4.0}}, "b": {"throughput": {"value": 1}}})
    assert figures(found) == {"a": [[5.0]]}
    assert "latency is missing" in found.left_out[0]


def test_words_before_a_matrix_are_passed_over() -> None:
    found = read("CPU: Some CPU, 2 cores\nNum cores: 2\n\n,\n10.5,\n")
    assert found.cpu == "Some CPU, 2 cores"
    assert list(figures(found).values()) == [[[21.0]]]


def test_a_bad_cell_of_a_matrix_costs_itself() -> None:
    found = read(",,\n10,,\nnan,12,\n")
    assert list(figures(found).values()) == [[[20.0]], [[24.0]]]
    assert found.left_out == ("file.json: line 3, cell 1: nan is not a time in ns; this cell is left out",)


# ---- comparison ----


def imported(folder: Path, document: Any, *more: str) -> str:
    (path,) = stored(folder, document)
    done = fencepost_inside("import", str(path), "--out", str(folder / "runs"), "--json", *more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["folder"])


def spread(middle: float) -> list[list[float]]:
    return [[middle + i / 1000] for i in range(12)]


def test_imports_of_one_processor_get_verdicts_with_a_caveat(tmp_path: Path) -> None:
    fast, slow = (imported(tmp_path, pyperf(spread(value), python=f"3.1{value:.0f}")) for value in (5.0, 6.0))
    done = fencepost_inside("compare", fast, slow, "--fail-on", "slower", cwd=tmp_path)
    assert (done.returncode, "changed: slower" in done.stdout) == (1, True)
    words = " ".join(done.stdout.split())
    assert CAVEAT in words and "the files differ in Python (3.15, then 3.16)" in words


def test_imports_without_a_processor_are_compared_by_their_label(tmp_path: Path) -> None:
    documents = [pyperf(spread(value), cpu=None) for value in (5.0, 6.0)]
    runs = [imported(tmp_path, document) for document in documents]
    assert UNNAMED in " ".join(fencepost_inside("compare", *runs, cwd=tmp_path).stdout.split())
    assert "--label" in fencepost_inside("compare", *runs, "--fail-on", "slower", cwd=tmp_path).stderr
    named = [imported(tmp_path, document, "--label", "lab") for document in documents]
    assert fencepost_inside("compare", *named, "--fail-on", "slower", cwd=tmp_path).returncode == 1


def test_the_advice_for_too_few_processes_can_be_followed(tmp_path: Path) -> None:
    runs = [imported(tmp_path, pyperf([[value]])) for value in (5.0, 6.0)]
    done = fencepost_inside("compare", *runs, cwd=tmp_path)
    assert "import the files together" in done.stderr and "--profile" not in done.stderr
