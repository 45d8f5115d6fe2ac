"""Files that cannot be imported: each is one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs.exchange import GOOGLE, imported, parsed_file, pytest_file, stored
from runs.measure import fencepost_inside

from fencepost.analysis.exchange.export import export
from fencepost.analysis.exchange.exported import ExchangeError
from fencepost.analysis.exchange.importing import parse
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.text.escape import HIDDEN

pytestmark = pytest.mark.usefixtures("undrawn")


def summary(rounds: int) -> dict[str, Any]:
    """A file without samples."""
    return pytest_file([], median=2e-9, min=1e-9, rounds=rounds)


NOT_OURS = "not a file of pytest-benchmark"
BAD: dict[str, tuple[str | bytes | dict[str, Any], str]] = {
    "empty": ("", "empty"),
    "blank": (" \n", "empty"),
    "binary": (b"\x80\xfe\x00\x01", "not text in UTF-8"),
    "compressed": (b"\x1f\x8b\x08\x00", "not a whole gzip file"),
    "truncated": ('{"benchmarks": [{"full', "not valid JSON"),
    "deep": ("[" * 100_000, "more than 64 lists or objects"),
    "other json": ({"hello": 1}, NOT_OURS),
    "list": ("[1, 2]", NOT_OURS),
    "no benchmarks": ({"machine_info": {}, "benchmarks": []}, "nothing to import"),
    "text": ("hello, world\nhow, are you\n", NOT_OURS),
    "not square": ("1,2\n3,4\n5,6\n", NOT_OURS),
    "matrix of nothing": (",\n,\n", "every cell is empty"),
    "matrix with NaN": (",\nnan,\n", "not a time in ns"),
    "negative matrix": (",\n-5,\n", "not a time in ns"),
    "NaN": (pytest_file([math.nan]), r"benchmarks\[0\]\.stats\.data\[0\]: NaN is not a time"),
    "infinite": (pytest_file([1e-9, math.inf]), r"data\[1\]: an infinite value"),
    "huge": ('{"machine_info": {}, "benchmarks": [{"name": "a", "stats": {"data": [1e999]}}]}', "an infinite value"),
    "a word": (pytest_file(["fast"]), r'data\[0\]: "fast" is not a number'),  # type: ignore[list-item]
    "no stats": ({"machine_info": {}, "benchmarks": [{"name": "a"}]}, r"stats: null is not an object"),
    "no name": ({"machine_info": {}, "benchmarks": [{"stats": {"data": [1]}}]}, r"fullname: null is not a name"),
    "long name": (pytest_file([1e-9], "a" * 5000), "1 to 1000 characters"),
    "unknown unit": (
        {"context": {}, "benchmarks": [{**GOOGLE["benchmarks"][0], "time_unit": "fortnight"}]},
        r'time_unit: "fortnight" is not a unit of time',
    ),
    "bytes": (
        {"benchmarks": [{"metadata": {"name": "a", "unit": "byte"}, "runs": [{"values": [1.0]}]}]},
        "'byte' is not a unit of time",
    ),
    "only calibrated": ({"benchmarks": [{"metadata": {"name": "a"}, "runs": [{"warmups": []}]}]}, "has values"),
    "only means": ({"context": {}, "benchmarks": [GOOGLE["benchmarks"][2]]}, "none of them is a measurement"),
    "too many rounds": (summary(2**63), r"stats\.rounds: 9223372036854775808 is not a number between 1 and"),
    "no rounds": (summary(0), r"stats\.rounds: 0 is not a number between 1 and"),
    "forged": (
        {
            "machine_info": {},
            "benchmarks": [{"name": "a", "extra_info": {"fencepost": {"cpus": [-1]}}, "stats": {"data": [1]}}],
        },
        "cpus: not a list of numbers of CPUs",
    ),
    "negative step": (
        {
            "machine_info": {},
            "benchmarks": [{"name": "a", "extra_info": {"fencepost": {"step_ns": -1}}, "stats": {"data": [1]}}],
        },
        "step_ns: not a time",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_sentence(kind: str, tmp_path: Path) -> None:
    content, words = BAD[kind]
    path = stored(tmp_path, content)
    done = fencepost_inside("import", path.name, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
    assert not (tmp_path / "results").exists()
    with pytest.raises(ExchangeError, match=words):
        parsed_file(path)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    for name, words in (("nothing.json", "no such file"), (".", "a folder")):
        done = fencepost_inside("import", name, cwd=tmp_path)
        assert done.returncode == 2
        assert words in done.stderr


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_one_sentence(data: bytes) -> None:
    try:
        parse("x", data)
    except ExchangeError as error:
        assert "\n" not in str(error)


@pytest.mark.slow  # tests/fuzz and the test above try the same reader
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner)))
@settings(max_examples=50)
def test_any_field_is_a_value_or_one_sentence(value: object) -> None:
    for path in (("stats",), ("stats", "data"), ("fullname",), ("extra_info",)):
        document = pytest_file([1e-9])
        place: Any = document["benchmarks"][0]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        try:
            parse("x", json.dumps(document).encode())
        except ExchangeError as error:
            assert "\n" not in str(error)


def test_hostile_names_are_text_wherever_they_are_shown(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[2J\u202e=cmd"
    document = pytest_file([1e-9, 2e-9], hostile)
    document["machine_info"]["cpu"]["brand_raw"] = hostile
    folder = imported(tmp_path, stored(tmp_path, document))
    page = as_html(build_document(analyse(folder)))
    assert "<script>alert" not in page
    assert not HIDDEN.search(page)
    for wanted in ("pytest-benchmark", "google-benchmark", "csv", "bmf"):
        assert not HIDDEN.search(export(folder, wanted).text)
    assert parsed_file(stored(tmp_path, export(folder, "pytest-benchmark").text)).benchmarks[0].name == hostile
    done = fencepost_inside("import", str(stored(tmp_path, {**document, "machine_info": hostile})), cwd=tmp_path)
    assert not HIDDEN.search(done.stdout + done.stderr)
