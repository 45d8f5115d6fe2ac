"""The report of the published run stays, word by word and number by number, what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published import compare as published
from published.compare import GOLDENS, Rendered
from undrawn import without_drawing


def needs_the_run() -> None:
    if not published.RUN.parent.exists():
        pytest.skip("the source distribution comes without results")


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """The report with empty pictures: neither its data nor its Markdown holds one."""
    needs_the_run()
    with without_drawing():
        return published.render()


def compare_with_kept(name: str, text: str) -> None:
    if published.updating():
        published.update({name: text})
    difference = published.difference(GOLDENS / name, text)
    if difference:
        pytest.fail(difference, pytrace=False)


@pytest.mark.slow  # all of a whole report: tests/analysis/report looks at its parts
@pytest.mark.parametrize("name", ["report.json.gz", "report.md"])
def test_the_report_is_as_kept(name: str, rendered: Rendered) -> None:
    compare_with_kept(name, rendered.texts()[name])


@pytest.mark.slow
def test_the_page_is_as_kept_with_all_its_pictures() -> None:
    needs_the_run()
    rendered = published.render()
    compare_with_kept("report.html.gz", rendered.texts()["report.html.gz"])
    # The page of the whole suite, which has 1346 cases, may take 3 MiB.
    assert len(rendered.html.encode()) / len(json.loads(rendered.download)["rows"]) < (3 << 20) / 1346


# ---- the comparison itself ----


PAGE = (
    '<p>5 ns</p><svg class="figure"><title id="a">Costs</title><desc>From 1 &amp; up</desc><path d="M1"/>'
    '<text>tick</text><use><title>load: 5 ns</title></use></svg><a href="data:application/gzip;base64,H4s"></a>'
)


def test_words_of_a_picture_stay_and_its_paths_do_not() -> None:
    kept = published.skeleton(PAGE)
    assert kept == published.skeleton(PAGE.replace("M1", "M2").replace("H4s", "H5s"))
    assert "title: Costs\ndesc: From 1 & up\ntitle: load: 5 ns\n" in kept
    for word in ("5 ns</p>", "Costs", "1 &amp; up", "load: 5"):
        assert published.skeleton(PAGE.replace(word, word.replace("1", "2").replace("5", "6").upper())) != kept


@pytest.mark.parametrize("name", ["report.md", "report.html.gz"])
def test_a_changed_line_is_shown(name: str, tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1000)]
    published.update({name: "\n".join(lines)}, tmp_path)
    assert published.difference(tmp_path / name, "\n".join(lines)) == ""
    lines[500] = "another line"
    said = published.difference(tmp_path / name, "\n".join(lines)).splitlines()
    assert said[0] == f"{name}: line 501 is the first of 1000 that is not as kept (1000 lines)"
    assert said[1:3] == ["-line 500", "+another line"]
    assert said[-1].startswith("where this is meant: FENCEPOST_UPDATE_GOLDENS=1")


def test_lines_missing_at_the_end_and_a_missing_file_are_shown(tmp_path: Path) -> None:
    published.update({"report.md": "a\nb\n"}, tmp_path)
    assert "line 2 is the first" in published.difference(tmp_path / "report.md", "a\n")
    assert "-b" in published.difference(tmp_path / "report.md", "a\n").splitlines()
    assert published.difference(tmp_path / "report.md", "a\nb") != ""
    assert "+a" in published.difference(tmp_path / "none.md", "a\n").splitlines()


def test_what_is_kept_already_is_not_written_again(tmp_path: Path) -> None:
    published.update({"report.html.gz": "a\n"}, tmp_path)
    before = (tmp_path / "report.html.gz").stat().st_mtime_ns
    published.update({"report.html.gz": "a\n"}, tmp_path)
    assert (tmp_path / "report.html.gz").stat().st_mtime_ns == before
