"""Maps of core-to-core-latency in the gallery: marked, checked, and never mixed with machines that were measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from runs.measure import fencepost_inside
from runs.publish import measured, published

from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.gallery import imported
from fencepost.analysis.gallery.check import check_gallery
from fencepost.analysis.gallery.imported import encode, imported_entries, read_export, read_imported
from fencepost.analysis.gallery.pages import COMPARE, INDEX, build
from fencepost.bench.machine import machine_key

LOWER = ",,\n51.25,,\n98.5,49.75,\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Maker <b>X-1</b> @ 2.0GHz.csv"[:40].replace("/", "")
    path.write_text(LOWER)
    return path


def add(file: Path, results: Path, *more: str) -> tuple[int, str]:
    done = fencepost_inside("publish", "--imported", str(file), "--results", str(results), *more, cwd=file.parent)
    return done.returncode, done.stderr


@pytest.fixture
def results(file: Path, tmp_path: Path) -> Path:
    assert add(file, tmp_path / "results", "--microarchitecture", "Core Z") == (0, "")
    return tmp_path / "results"


def test_an_entry_is_what_the_file_says(results: Path) -> None:
    (entry,), faults = imported_entries(results)
    assert faults == []
    assert (entry.cpu, entry.microarchitecture) == ("Maker <b>X-1<b> @ 2.0GHz", "Core Z")
    assert entry.name == "maker-b-x-1-b-2-0ghz"
    nan = np.nan
    assert np.array_equal(entry.matrix, [[nan, nan, nan], [51.25, nan, nan], [98.5, 49.75, nan]], equal_nan=True)
    assert entry.pair_range == (49.75, 51.25, 98.5)


def test_it_is_beside_ours_and_marked(results: Path) -> None:
    published(results, measured(results.parent / "run"))
    pages, left_out = build(results)
    assert left_out == []
    text = pages[INDEX].decode()
    assert "From core to core, imported" in text
    assert "Maker &lt;b&gt;X-1&lt;b&gt; @ 2.0GHz<span>Core Z, imported</span>" in text
    assert "51 ns (50–98)" in text
    assert b"Core Z" not in pages[COMPARE]
    assert check_gallery(results, machine_key) == []


def test_it_is_not_replaced_by_chance(results: Path, file: Path) -> None:
    code, said = add(file, results, "--microarchitecture", "Other")
    assert (code, "is there already; add --replace" in said) == (2, True)
    assert add(file, results, "--microarchitecture", "Other", "--replace") == (0, "")
    assert add(file, results, "--microarchitecture", "Other", "--label", "second") == (0, "")
    assert [entry.cpu for entry in imported_entries(results)[0]] == ["Maker <b>X-1<b> @ 2.0GHz", "second"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text(path.read_text().replace("51.25", "51.250")), "it was edited"),
        (lambda path: path.write_text("x"), "import the file again"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), "import the file again", marks=pytest.mark.slow),
        pytest.param(lambda path: path.rename(path.with_name("other.csv")), "it was edited", marks=pytest.mark.slow),
        (lambda path: path.with_name("page.html").write_text("<script>"), "not an entry of another tool; remove it"),
    ],
)
def test_a_fault_is_named_and_shown_nowhere(results: Path, change: object, said: str) -> None:
    assert callable(change)
    # So long a path leaves the advice whole.
    results = results.rename(results.with_name("results" + "x" * 120))
    (path,) = (results / imported.FOLDER).iterdir()
    change(path)
    published(results, measured(results.parent / "run"))
    (fault,) = check_gallery(results, machine_key)
    assert said in fault
    assert "\n" not in fault


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for text in ("", "a,b\nc,d\n", ",\n,\n", "1,2,3\n4,5,6\n"):
        path.write_text(text)
        with pytest.raises(ExchangeError):
            read_export(path, "Core Z")
    path.write_text(LOWER)
    for name in (" ", "a\x1bb", "x" * 81):
        with pytest.raises(ExchangeError, match="microarchitecture"):
            read_export(path, name)
    code, said = add(path, tmp_path / "results")
    assert (code, "go together" in said) == (2, True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nosuch.csv", "no such file; give a CSV file of core-to-core-latency"),
        (".", "a folder, where a file is needed"),
    ],
)
def test_a_file_that_is_not_there_is_told_of_as_a_file(name: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / name
    code, said = add(path, tmp_path / "results", "--microarchitecture", "Core Z")
    assert (code, said) == (2, f"fencepost: {path}: {sentence}\n")


def test_what_is_written_is_read(tmp_path: Path, file: Path) -> None:
    entry = read_export(file, "Core Z", "A, B")
    path = tmp_path / f"{entry.name}.csv"
    path.write_bytes(encode(entry))
    assert read_imported(path).cpu == "A, B"
