"""Text from outside, as a reader meets it: nothing in it is obeyed by a terminal, a browser or a renderer."""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from runs.measure import fencepost_inside
from runs.write import Case, write_run

from fencepost.analysis.report.write import write_report
from fencepost.analysis.text.escape import HIDDEN, cell, finalize, json_in_html, json_text, markdown, visible
from fencepost.cli import display, faults

pytestmark = pytest.mark.usefixtures("undrawn")

HOSTILE = "<script>alert(1)</script>\x1b]0;owned\x07\x1b[2J\u202eevil\u2066 **b** | [x](javascript:alert(1)) $x$"
ANYTHING = st.text(max_size=40)


def test_hidden_are_all_characters_that_are_obeyed_rather_than_seen() -> None:
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    shown = HIDDEN.sub("", "".join(map(chr, range(sys.maxunicode + 1))))
    kinds = zip(shown, map(unicodedata.category, shown), strict=True)
    assert [hex(ord(letter)) for letter, kind in kinds if kind in hidden and letter not in "\t\n"] == []
    for letter in "aé漢🎉\u00a0\u202f\n\t µ×−":
        assert visible(letter) == letter


@given(ANYTHING)
def test_visible_text_has_the_same_length_and_stays(words: str) -> None:
    once = visible(words)
    assert len(once) == len(words)
    assert visible(once) == once
    assert not HIDDEN.search(once)


@given(ANYTHING)
def test_json_stays_the_same_document(words: str) -> None:
    words = words.encode("utf-8", "replace").decode()  # JSON in UTF-8 holds no lone surrogate
    document = json.dumps({words: [words]}, ensure_ascii=False)
    for written in (json_text(document), json_in_html(document)):
        assert json.loads(written) == {words: [words]}
        assert not HIDDEN.search(written)
    assert not set("<>&") & set(json_in_html(document))


@given(ANYTHING)
def test_a_cell_of_csv_begins_no_formula(words: str) -> None:
    sink = io.StringIO()
    csv.writer(sink).writerow([cell(words), "end"])
    read = next(csv.reader(io.StringIO(sink.getvalue())))
    assert read[-1] == "end"
    assert not read[0].startswith(("=", "+", "-", "@"))


def test_markdown_is_shown_as_it_is_written() -> None:
    from markdown_it import MarkdownIt

    for words in (HOSTILE, "a | b", "# head", "![x](http://example.org/x.png)", "http://example.org", "`a`", "a\n\nb"):
        rendered = MarkdownIt("commonmark").render(f"x {markdown(words)}")
        read = _Reader(rendered)
        assert read.tags == {"p"}, rendered
        assert " ".join(read.text.split()) == " ".join(f"x {visible(words)}".split())
        assert "\n" not in markdown(words)
        assert "://" not in markdown(words)


def test_jinja_prints_visible_text_and_leaves_markup_and_numbers() -> None:
    assert finalize("a\x1b[2Jb") == "a\ufffd[2Jb"
    assert finalize(Markup("<b>\x1b</b>")) == Markup("<b>\ufffd</b>")
    assert isinstance(finalize(Markup("<b>\x1b</b>")), Markup)
    assert finalize(3) == 3


def test_a_console_shows_no_hidden_character(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.text import Text

    display.console().print(Text(HOSTILE))
    display.console().print(display.table(None, ["x"], [[HOSTILE]]))
    display.print_json({"name": HOSTILE})
    faults.report(ValueError(HOSTILE))
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err
    assert "<script>alert(1)</script>" in out


class _Reader(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = [Case("memory/chase", {"size": size, "pages": HOSTILE, "order": "random"}, ns=size) for size in (4, 8)]
    folder = tmp_path_factory.mktemp("runs") / "hostile"
    return write_run(folder, cases, machine={"cpu_model": HOSTILE, "kernel": HOSTILE, "governor": HOSTILE})


@pytest.mark.slow  # a whole report: test_what_comes_from_outside_is_text of the report
@pytest.mark.drawn
def test_a_report_shows_hostile_names_as_text(hostile_run: Path, tmp_path: Path) -> None:
    written = write_report(hostile_run, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    page = _Reader((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert visible("<script>alert(1)</script>\x1b]0;owned") in page.text
    assert "alert(1)" not in "".join(value or "" for name, value in page.attributes if name.startswith("on"))
    for path in written:
        if path.suffix == ".png":
            continue  # letters are dots there
        content = path.read_text(encoding="utf-8")
        assert not HIDDEN.search(content), path
        if path.suffix == ".svg":
            ET.fromstring(content)
            assert "<script" not in content
    assert "<script" not in (tmp_path / "r.md").read_text(encoding="utf-8")


def test_the_terminal_shows_hostile_names_as_text(hostile_run: Path, tmp_path: Path) -> None:
    done = fencepost_inside("report", str(hostile_run), "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert not HIDDEN.search(done.stdout + done.stderr)
    assert json.loads(done.stdout)["machine"]["cpu_model"] == HOSTILE
