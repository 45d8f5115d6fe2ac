"""Figures: complete for readers who see and who do not, and safe against what names may hold."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import write as synthetic
from runs.analysed import analysed
from runs.pages import SVG, pictures
from runs.write import Case
from topics.branch.cases import branch_cases
from topics.fence.cases import fence_cases
from topics.memory.cases import cow_cases, fault_cases
from topics.process.cases import process_cases
from topics.stored import Stored
from topics.suite import sharing_cases, suite_cases
from undrawn import without_drawing

from fencepost.analysis.draw.bars import forest
from fencepost.analysis.draw.figure import INK, READABLE, SHOWN, Figure, Point, Series
from fencepost.analysis.draw.grids import heat
from fencepost.analysis.draw.ladder import ladder
from fencepost.analysis.draw.lines import Axis, ecdf, lines
from fencepost.analysis.draw.paths import compact, shortened, stroke_from
from fencepost.analysis.draw.svg import INERT, named, tidy
from fencepost.analysis.report.html import TEMPLATES
from fencepost.analysis.report.sections import sections
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.text.numbers import nanoseconds, ns_with_bounds, plain, short, size, size_bytes
from fencepost.analysis.text.table import table
from fencepost.analysis.topics.topic import Topic
from fencepost.bench.caches import caches

EVIL = '<script>alert(1)</script> $\\frac{1}{2}$ & "x"'
TABLE = table("caption", ("x", "y"), [("1", "2")])


@pytest.fixture(scope="module", params=["few", pytest.param("many", marks=pytest.mark.slow)])
def measured(request: pytest.FixtureRequest) -> Analysis:
    """Of each kind of picture at least one, and nearly all of them."""
    cases = suite_cases()
    if request.param == "many":
        cases += [*branch_cases(), *fence_cases(), *sharing_cases(), *process_cases(), *fault_cases(), *cow_cases()]
    return analysed(cases, rounds=6, quantum=26)


@pytest.fixture(scope="module")
def by_topic(measured: Analysis) -> list[tuple[Topic, list[Figure]]]:
    return [(section.topic, list(section.figures)) for section in sections(measured)]


@pytest.fixture(scope="module")
def drawn(by_topic: list[tuple[Topic, list[Figure]]]) -> list[Figure]:
    return [figure for _, figures in by_topic for figure in figures if figure.svg]


def test_every_figure_of_what_was_measured_is_drawn(
    measured: Analysis, by_topic: list[tuple[Topic, list[Figure]]]
) -> None:
    kernels = {row.kernel for row in measured.measured()}
    for topic, figures in by_topic:
        wanted = [picture for picture in topic.figures if kernels & set(picture.kernels)]
        assert len(figures) == len(wanted) > 0, topic.name
        assert all(figure.name.startswith(f"{topic.slug}-") for figure in figures)


@pytest.mark.slow
def test_pictures_of_rows_that_claims_ask_for_are_drawn() -> None:
    """Tests of topics look at descriptions and tables, and do without shapes."""
    drawn = [figure for section in sections(Stored().analysis()) for figure in section.figures]
    assert len(drawn) > 40
    for figure in drawn:
        assert "<path" in figure.svg
        ElementTree.fromstring(figure.svg)


def test_figures_have_title_description_and_table(drawn: list[Figure]) -> None:
    for figure in drawn:
        root = ElementTree.fromstring(figure.svg)
        assert root.attrib["role"] == "img"
        labels = root.attrib["aria-labelledby"].split()
        assert [root.find(f"*[@id='{label}']").text for label in labels] == [figure.title, figure.description]  # type: ignore[union-attr]
        assert figure.table.rows and figure.table.caption
        assert all(len(row) == len(figure.table.header) for row in figure.table.rows)


def test_ids_are_unique_over_all_figures_and_references_resolve(drawn: list[Figure]) -> None:
    text = "".join(figure.svg for figure in drawn)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def colours_of(svg: str) -> set[str]:
    """All colours that a picture names."""
    return set(re.findall(r'\b(?:fill|stroke)="([^"]+)"', svg)) - {"none"}


def test_looks_are_attributes_with_colours_that_every_program_knows(drawn: list[Figure]) -> None:
    for figure in drawn:
        for text in (figure.svg, figure.standalone()):
            assert not re.search(r"style=|<style|var\(|currentColor|#010203|#000000", text)
            assert colours_of(text) and all(re.fullmatch("#[0-9a-f]{3}|#[0-9a-f]{6}", it) for it in colours_of(text))


def test_the_page_has_a_rule_for_each_colour_of_its_pictures(drawn: list[Figure]) -> None:
    """On a dark page its style sheet puts another colour in the place of each."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    for place, colour in enumerate(READABLE):
        assert f'[fill="{colour}"] {{ fill: var(--c{place}); }}' in css
        assert f'[stroke="{colour}"] {{ stroke: var(--c{place}); }}' in css
    assert set().union(*(colours_of(figure.svg) for figure in drawn)) <= {SHOWN[INK], *READABLE}


def test_a_picture_of_its_own_has_a_size_and_paper(drawn: list[Figure]) -> None:
    for figure in drawn:
        root = ElementTree.fromstring(figure.standalone())
        width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
        assert float(root.attrib["width"]) == pytest.approx(width * 4 / 3, abs=1)
        assert float(root.attrib["height"]) == pytest.approx(height * 4 / 3, abs=1)
        assert [child.tag.rpartition("}")[2] for child in root][:3] == ["title", "desc", "rect"]
        assert len(pictures(figure.standalone())) == 1


def test_a_picture_that_is_copied_out_of_a_page_is_whole(drawn: list[Figure]) -> None:
    """Inkscape shows no dot whose shape is named as HTML names it."""
    placed = "".join(named(figure.svg) for figure in drawn)
    found = pictures(placed)
    assert len(found) == len(drawn) and any(root.iter(f"{SVG}use") for root in found)
    assert all("DejaVu Sans" in root.attrib["font-family"] for root in found)
    assert all(INERT.fullmatch(named(figure.svg)) for figure in drawn)


def test_an_axis_says_that_it_is_logarithmic_where_it_is_and_only_there() -> None:
    series = [Series("", np.array([1.0, 10.0, 1000.0]), np.array([1.0, 2.0, 3.0]))]
    for log_x, log_y in itertools.product([False, True], repeat=2):
        figure = lines("x", "t", "d", TABLE, series, x=Axis("size", log=log_x), y=Axis("time", log=log_y))
        texts = [element.text for element in ElementTree.fromstring(figure.svg).iter("text")]
        assert ("size (log)" in texts, "time (log)" in texts) == (log_x, log_y)
        assert ("size" in texts, "time" in texts) == (not log_x, not log_y)


def test_a_matrix_of_two_has_no_picture_and_keeps_its_table() -> None:
    values = np.array([[np.nan, 40.0, 41.0], [42.0, np.nan, 43.0], [44.0, 45.0, np.nan]])
    assert heat("m", "t", "d", TABLE, ["0", "1", "2"], values, unit="ns").svg
    two = heat("m", "t", "d", TABLE, ["0", "1"], values[:2, :2], unit="ns")
    assert two.svg == "" and two.table == TABLE and two.description == "d"


def test_figures_ask_nothing_of_the_network(drawn: list[Figure]) -> None:
    for figure in drawn:
        assert "http" not in figure.svg
        names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert set(re.findall(r"https?://[^\"]+", figure.standalone())) == names
        ElementTree.fromstring(figure.standalone())


def test_text_is_text(drawn: list[Figure]) -> None:
    for figure in drawn:
        texts = [element.text or "" for element in ElementTree.fromstring(figure.svg).iter("text")]
        assert len(texts) >= 5
        assert not any("mathdefault" in text or "e+" in text for text in texts)


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    forest("x", "t", "d", TABLE, [Point("a", 1.0)], x_label="x")
    assert dict(matplotlib.rcParams) == before


def test_names_from_outside_are_escaped_and_never_formulas() -> None:
    series = [
        Series(EVIL, np.array([1.0, 2.0]), np.array([1.0, 2.0])),
        Series("b", np.array([1.0, 2.0]), np.array([2.0, 3.0])),
    ]
    for figure in (
        lines("lines", EVIL, EVIL, TABLE, series, x=Axis(EVIL), y=Axis("y")),
        forest("forest", EVIL, EVIL, TABLE, [Point(EVIL, 1.0, 0.5, 2.0)], x_label="x"),
        ecdf("ecdf", EVIL, EVIL, TABLE, [Series(EVIL, np.array([1.0, 2.0]), np.array([0.5, 1.0]))], x_label="x"),
    ):
        assert "<script" not in figure.svg
        texts = [element.text for element in ElementTree.fromstring(figure.svg).iter()]
        assert EVIL in texts


def test_bounds_that_are_missing_are_not_drawn() -> None:
    nothing = np.array([np.nan, np.nan])
    series = Series("a", np.array([1.0, 2.0]), np.array([1.0, 2.0]), nothing, nothing)
    figure = lines("x", "t", "d", TABLE, [series], x=Axis("x"), y=Axis("y"))
    assert "nan" not in figure.svg.lower().replace("nano", "")


def letter_size(root: ElementTree.Element, text: ElementTree.Element) -> float:
    """Size of the letters of a text: its own, or that of the picture."""
    return float(text.attrib.get("font-size", root.attrib["font-size"]))


@pytest.mark.parametrize("letters", [10, 56, 60, 90])
def test_a_long_name_of_the_ladder_stays_in_its_picture(letters: int) -> None:
    name = "a cache line to another CPU, one way (same L3): middle (58%)"[:letters].ljust(letters, "n")
    rungs = [Point(name, 0.27), Point("a process", 4e5)]
    figure = ladder("ladder", "t", "d", TABLE, rungs, ["0.27 ns", "400 µs"], ["a", "b"], axis=nanoseconds)
    root = ElementTree.fromstring(figure.svg)
    (text,) = (text for text in root.iter("text") if str(text.text).startswith(name[:10]))
    assert text.text is not None
    # Letters of prose are half an em wide.
    assert 0.5 * letter_size(root, text) * len(text.text) < float(root.attrib["viewBox"].split()[2]) * 0.9


def test_the_numbers_of_the_ladder_are_whole_in_a_wide_font() -> None:
    rungs = [Point("an addition", 0.27), Point("a process", 4e5)]
    figure = ladder("ladder", "t", "d", TABLE, rungs, ["0.27 ns", "400 µs"], ["a", "b"], axis=nanoseconds)
    root = ElementTree.fromstring(figure.svg)
    width = float(root.attrib["viewBox"].split()[2])
    numbers = [text for text in root.iter("text") if text.attrib.get("text-anchor") == "middle"]
    assert {nanoseconds(0.1), nanoseconds(1e6)} <= {text.text for text in numbers}
    for text in numbers:
        assert text.text is not None
        # Letters of Verdana, which is wide, are some 0.64 em.
        half = 0.64 * letter_size(root, text) * len(text.text) / 2
        assert half <= float(text.attrib["x"]) <= width - half, text.text


@pytest.mark.slow  # nearly all pictures; test_incomplete.py has a report of one round
def test_figures_of_a_run_with_one_round(tmp_path: Path) -> None:
    """Without intervals: words have nothing where a bound would be."""
    cases = [*suite_cases(), *branch_cases(), *sharing_cases()]
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=1)
    with without_drawing():
        figures = [figure for section in sections(analyse(folder)) for figure in section.figures]
    assert len(figures) == 9 + 7 + 12
    assert not [figure.name for figure in figures if "nan" in figure.svg.lower().replace("nano", "")]


def test_a_run_of_one_row_has_its_pictures(tmp_path: Path) -> None:
    """Of a line with one point matplotlib writes a path without a shape."""
    run = synthetic.write_run(tmp_path / "run", [Case("pipeline/chain", {"op": "add"})], unmeasurable=())
    (section,) = sections(analyse(run))
    assert [figure.svg[:5] for figure in section.figures] == ["<svg "]


def test_an_unknown_topic_has_a_section(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("mine/loop", ns=3)], rounds=6)
    (section,) = [item for item in sections(analyse(folder)) if item.topic.name == "mine"]
    assert section.words.title == "Mine"
    assert section.topic.command == "fencepost run 'mine/*'"
    assert section.tables[0].rows[0][0] == "mine/loop@cpu1"
    assert not section.figures


def test_a_topic_without_figures_of_its_own_shows_its_rows() -> None:
    cases = [Case(f"mine/loop{n}", ns=3.0**n) for n in (2, 1, 4)]
    (section,) = sections(analysed(cases, rounds=6, unmeasurable=[]))
    (figure,) = section.figures
    assert [row[0] for row in figure.table.rows] == ["loop1", "loop2", "loop4"]


def test_cache_sizes_are_those_that_the_machine_states() -> None:
    machine = synthetic.machine_document()
    assert caches(machine) == [("L1d", 32 << 10), ("L2", 1 << 20), ("L3", 32 << 20)]
    assert caches({}) == caches({"caches": "none"}) == caches({"caches": [{"level": 1}, 3]}) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.27055, "0.2706 ns"),
        (999.9, "999.9 ns"),
        (1503.2, "1.503 µs"),
        (4e6, "4.000 ms"),
        (-10.0, "−10.00 ns"),
        (1e-5, "0 ns"),
    ],
)
def test_times_are_written_in_the_unit_that_suits(value: float, text: str) -> None:
    assert nanoseconds(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_bounds_are_in_the_unit_of_their_value() -> None:
    assert ns_with_bounds(1503, 990, 1600).replace("\N{NO-BREAK SPACE}", " ") == "1.503 µs [0.9900, 1.600]"
    assert "[" not in ns_with_bounds(1503, float("nan"), float("nan"))


def test_numbers_never_have_an_exponent() -> None:
    for value in (1e-8, 0.5, 12345.678, 3.7e9):
        assert "e" not in plain(value)
    assert plain(float("nan")) == plain(None) == "–"


@pytest.mark.parametrize(("text", "value"), [("4KiB", 4096), ("1 MiB", 1 << 20), (4096, 4096), ("2G", 2 << 30)])
def test_sizes(text: object, value: int) -> None:
    assert size_bytes(text) == value
    assert size_bytes(size(value)) == value


# ---- small, and the same to look at ----


def corners(path: str) -> list[tuple[str, float, float]]:
    """Where a path goes: commands with the point that each leads to."""
    found, x, y = [], 0.0, 0.0
    for command, rest in re.findall("([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in rest.split()]
        if command == "H":
            x = numbers[0]
        elif command == "V":
            y = numbers[0]
        elif numbers:
            x, y = numbers[-2:]
        found.append(("L" if command in "HV" else command, x, y))
    return found


def length(points: list[tuple[str, float, float]]) -> float:
    """The way along straight lines."""
    pairs = itertools.pairwise(points)
    return sum(float(np.hypot(b[1] - a[1], b[2] - a[2])) for a, b in pairs if b[0] == "L")


@given(
    st.lists(
        st.tuples(st.sampled_from("LLLLLMz"), st.sampled_from([0, 1.5, -2, 30.25]), st.sampled_from([0, 7.01, -1])),
        max_size=30,
    )
)
def test_a_shortened_path_goes_the_same_way(parts: list[tuple[str, float, float]]) -> None:
    written, after_end = "M 3 4", False
    for command, x, y in parts:
        # As matplotlib writes: after the end of a figure a new one is begun.
        letter = "M" if after_end else command
        written += " z" if letter == "z" else f" {letter} {x} {y}"
        after_end = letter == "z"
    before, after = corners(written), corners(shortened(written))
    rest = iter(before)
    assert all(point in rest for point in after), "no corner is new, and none in another order"
    assert [point for point in before if point[0] != "L"] == [point for point in after if point[0] != "L"]
    # What was left out lay on the way: the way is as long without it.
    assert length(after) == pytest.approx(length(before))


def test_shortened_paths_are_short() -> None:
    assert shortened("M 1 2 L 1 9 L 1 12 L 5 12 L 7 12 L 6 12 L 8 13 z") == "M1 2V12H7H6L8 13z"
    assert (
        shortened("M 0 2.5 C 0.66 2.5 1.3 2.24 1.77 1.77 Q 1 2 3 4 L 9 4")
        == "M0 2.5C0.66 2.5 1.3 2.24 1.77 1.77Q1 2 3 4H9"
    )


def visited(path: str) -> list[tuple[float, float]]:
    """The points of a path whose steps lead from point to point."""
    found: list[tuple[float, float]] = []
    x = y = 0.0
    start = (0.0, 0.0)
    for letter, rest in re.findall("([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", rest)]
        if letter == "z":
            x, y = start
        while numbers:
            if letter in "hv":
                step = numbers.pop(0)
                x, y = (x + step, y) if letter == "h" else (x, y + step)
            else:
                x, y = x + numbers.pop(0), y + numbers.pop(0)
            start = (x, y) if letter in "Mm" else start
            found.append((x, y))
    return found


@given(
    st.lists(st.tuples(st.sampled_from("LLLM"), *[st.floats(-500, 500).map(lambda v: round(v, 1))] * 2), max_size=30)
)
def test_steps_from_point_to_point_lead_where_the_path_leads(parts: list[tuple[str, float, float]]) -> None:
    path = shortened("M 3 4 " + " ".join(f"{letter} {x} {y}" for letter, x, y in parts))
    there = [(x, y) for _, x, y in corners(path)]
    assert visited(compact(path)) == [pytest.approx(point, abs=1e-6) for point in there]


def test_steps_are_short() -> None:
    assert compact("M100 200L100.5 199.5L101 200M7 7H9z") == "M100 200l.5-.5 .5 .5m-94-193h2z"


def test_a_tick_is_a_stroke() -> None:
    assert stroke_from("M0 0V3.5", "10", "20.5") == "M10 20.5V24"
    assert stroke_from("M0 0H-3.5", "10", "20.5") == "M10 20.5H6.5"
    assert stroke_from("M0 0C1 1 2 2 3 3", "10", "20.5") is None


def tidied(body: str) -> str:
    start = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">'
    return tidy(f"{start}{body}</svg>", "name", "title", "description", {"#010203": "#1b1b1b"}, ink="#1b1b1b")


def test_what_all_copies_of_a_shape_say_is_said_once() -> None:
    shape = '<defs><path id="m12ab" d="M 0 0 L 3 3" style="stroke: #010203; stroke-width: 0.8"/></defs>'
    copy = '<use xlink:href="#m12ab" x="1.004" y="2" style="fill: #d55e00; stroke: #ff0000"/>'
    text = tidied(shape + copy + copy)
    assert '<path id="name-0" d="M0 0l3 3" stroke="#1b1b1b" stroke-width=".8" fill="#d55e00"/>' in text
    assert text.count('<use x="1" y="2" href="#name-0"/>') == 2
    other = copy.replace("#d55e00", "#0072b2")
    assert tidied(shape + copy + other).count('stroke="#ff0000"') == 2
    faint = [part.replace('style="', 'style="opacity: 0.5; ') for part in (shape, copy)]
    assert tidied("".join(faint)).count('opacity=".5"') == 2


def test_ticks_and_lines_that_look_alike_are_one_path() -> None:
    shape = '<defs><path id="m12ab" d="M 0 0 L 0 3" style="stroke: #010203; stroke-width: 0.8"/></defs>'
    ticks = '<use xlink:href="#m12ab" x="1" y="2"/><text x="1" y="9">1</text><use xlink:href="#m12ab" x="5" y="2"/>'
    text = tidied(shape + ticks)
    assert "<use" not in text and "<defs" not in text
    assert '<path d="M1 2v3m4-3v3" stroke="#1b1b1b" stroke-width=".8" fill="none"/><text x="1" y="9">1</text>' in text
    line = '<path d="M 0 0 L 9 {}" style="fill: none; stroke: #010203"/>'
    assert tidied(line.format(3) + line.format(6)).count("<path") == 1
    # A filled shape is one of its own, and so is what has words.
    assert tidied((line.format(3) + line.format(6)).replace("none", "#ff0000")).count("<path") == 2


def test_words_say_what_does_not_hold_anyway() -> None:
    body = '<text style="font: 11px sans; text-anchor: start; fill: #010203" x="1">a &gt; b</text>'
    assert '<text x="1">a &gt; b</text>' in tidied(body)
    assert '<text text-anchor="end">' in tidied('<text style="fill: #010203; text-anchor: end">a</text>')
    assert '<text font-size="9" font-weight="700">' in tidied(body * 2 + '<text style="font: 700 9px sans">b</text>')
    assert ' fill="#1b1b1b" font-size="11"' in tidied(body).partition(">")[0]


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2"), (0.12345, "0.123"), (1630.0, "1 630"), (2.4e7, "24 000 000"), (1.6e-5, "0.0000160")]
)
def test_no_number_has_an_exponent(value: float, text: str) -> None:
    assert short(value).replace("\N{NARROW NO-BREAK SPACE}", " ") == text
