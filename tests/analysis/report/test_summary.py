"""A run in short: the report's first block, the pictures to be pasted, and what printing gives."""

from __future__ import annotations

import io
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from runs.write import Case, write_run
from topics.suite import suite_cases
from undrawn import without_drawing

from fencepost.analysis.draw.card import Card, CardRow, card_files
from fencepost.analysis.report.document import Document, build_document
from fencepost.analysis.report.html import TEMPLATES, as_html
from fencepost.analysis.report.summary import Summary, card_of, summary_of
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import Analysis, analyse

EVIL = "<script>alert(1)</script> $x$ & co"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("suite") / "run", suite_cases(), rounds=8, machine={"cpu_model": EVIL})


@pytest.fixture(scope="module")
def analysis(folder: Path) -> Analysis:
    return analyse(folder)


@pytest.fixture(scope="module")
def document(analysis: Analysis) -> Document:
    with without_drawing():
        return build_document(analysis)


def short_of(document: Document) -> Summary:
    assert document.summary is not None
    return document.summary


def test_the_report_opens_with_the_summary(document: Document) -> None:
    main = as_html(document).partition("<main ")[2]
    short = short_of(document)
    block, _, rest = main.partition("</section>")
    assert 'class="summary"' in block and 'id="numbers"' in rest
    assert "<script>alert" not in block and "&lt;script&gt;" in block
    assert len(re.findall("<tr>", block)) == len(short.headlines) <= 12
    for one in short.headlines:
        assert one.label in block and one.time in block and one.sure in block
    for group in short.trust:
        assert f"<strong>{group.word}</strong> {', '.join(group.topics)}" in block
    assert short.word in block and len(re.findall(r'<span style="width:[\d.]+%"', block)) == len(short.headlines)


def test_printing_hides_what_is_for_looking_up() -> None:
    rules = (TEMPLATES / "report.css").read_text(encoding="utf-8").partition("@media print {")[2]
    hidden = next(line for line in rules.splitlines() if line.rstrip().endswith("{ display: none; }"))
    # A page of sentences has its sentences in sections of the same names.
    topics = 'body:not(.claims) main > section[aria-labelledby^="topic-"]'
    for selector in (topics, "#lecture", "main details", ".side"):
        assert selector in hidden
    assert ".summary" not in hidden and "#numbers" not in hidden and "#machine" not in hidden


def test_a_run_without_headlines_has_no_block(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Case("own/a")])
    page = tmp_path / "report.html"
    written = write_report(run, html=page)
    assert written == [page] and 'class="summary"' not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "picture"), [("report.html", "summary"), ("my-report.html", "my-summary"), ("x.html", "x-summary")]
)
def test_pictures_are_written_beside_the_report(name: str, picture: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Case("clock/null_syscall", ns=90)])
    with without_drawing():
        written = write_report(run, html=tmp_path / name)
    shutil.rmtree(run)
    assert {path.name for path in written} == {name, f"{picture}.svg", f"{picture}.png"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}


@pytest.fixture(scope="module")
def files(analysis: Analysis) -> dict[str, bytes]:
    short = summary_of(analysis)
    assert short is not None
    return card_files(card_of(short, "2026-01-02"))


def test_the_picture_says_what_the_screen_says(analysis: Analysis, files: dict[str, bytes]) -> None:
    short: Any = summary_of(analysis)
    svg = files[".svg"].decode()
    root = ElementTree.fromstring(svg)
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")]
    assert short.machine in texts and EVIL in short.machine
    for one in short.headlines:
        assert one.time in texts and any(text and one.label.startswith(text[:10]) for text in texts)
    assert short.word in " ".join(texts) and short.trust[0].topics[0] in " ".join(texts)


def test_the_picture_needs_no_style_sheet(files: dict[str, bytes]) -> None:
    svg = files[".svg"].decode()
    assert "var(" not in svg and "<style" not in svg and "style=" not in svg and "currentColor" not in svg
    assert "<script" not in svg and "http" not in svg.replace("http://www.w3.org/", "")
    assert re.search(r'fill="#(0072b2|a9cfe6)"', svg) and re.search(r' width="\d+" height="\d+"', svg)


def test_the_png_is_the_same_picture_on_white(files: dict[str, bytes]) -> None:
    pixels = imread(io.BytesIO(files[".png"]))
    height, width = pixels.shape[:2]
    size = re.search(r' width="(\d+)" height="(\d+)"', files[".svg"].decode())
    assert size is not None and width / height == pytest.approx(int(size[1]) / int(size[2]), rel=0.01)
    assert width >= 1200, "sharp on a slide"
    assert (pixels[0, :, :3] == 1).all() and (pixels[-1, :, :3] == 1).all(), "nothing at the edge"
    assert ((pixels[..., 2] - pixels[..., 0]) > 0.2).any(), "blue bars"


def test_a_name_beside_a_short_time_has_more_room(analysis: Analysis) -> None:
    short: Any = summary_of(analysis)
    name = "fork a process with up to 2 MiB resident and wait for it"
    times = ("260 µs", "34.4 / 51.9 / 219 ns")
    rows = card_of(
        replace(short, headlines=tuple(short.headlines[0]._replace(label=name, time=t) for t in times)), "d"
    ).rows
    assert rows[0].label == name
    assert rows[1].label == "fork a process with up to 2 MiB resident and …"


def test_bars_grow_with_their_share() -> None:
    rows = [CardRow("a", "1 ns", "", 0.0), CardRow("b", "9 ns", "", 1.0), CardRow("c", "", "", float("nan"))]
    pixels = imread(io.BytesIO(card_files(Card("t", "v", (), rows, "f"))[".png"]))
    blue = (pixels[..., 2] - pixels[..., 0]) > 0.4
    lengths = sorted({int(count) for count in np.count_nonzero(blue, axis=1) if count > 5})
    assert len(lengths) >= 2 and lengths[-1] > 15 * lengths[0]


def test_a_long_name_stays_within_the_picture() -> None:
    pixels = imread(io.BytesIO(card_files(Card("Intel Xeon " * 12, "v", (), (), "f"))[".png"]))
    assert (pixels[:, -20:, :3] == 1).all()


def test_pale_bars_are_said_at_the_foot(analysis: Analysis) -> None:
    short: Any = summary_of(analysis)
    found = replace(short, headlines=tuple(one._replace(basis="found") for one in short.headlines))
    alone = replace(short, headlines=tuple(one._replace(basis="alone") for one in short.headlines))
    assert "Pale bars are as found" in card_of(found, "d").foot and "Pale" not in card_of(alone, "d").foot
