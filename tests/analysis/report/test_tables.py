"""Tables of the report: which rows of a long one are shown, and what is found beside time."""

from __future__ import annotations

import re

import pytest
from runs import write as synthetic
from runs.analysed import analysed
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.report.beside import beside_tables
from fencepost.analysis.report.code import KernelCode, packed_code
from fencepost.analysis.report.document import Document, build_document
from fencepost.analysis.report.html import MOST_BYTES, as_html, environment, laid_out
from fencepost.analysis.report.markdown import as_markdown
from fencepost.analysis.report.marks import AS_FOUND
from fencepost.analysis.report.telling import telling
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.row import Row
from fencepost.analysis.stats.interval import UNKNOWN
from fencepost.analysis.text.table import DASH, LONG, MOST_TELLING, table


def row(kernel: str, ns: float) -> Row:
    time = UNKNOWN._replace(value=ns)
    return Row(case=f"{kernel}[ns={ns}]", kernel=kernel, parameters={}, cpus=(0,), unit="op", time=time)


def test_a_table_that_fits_a_screen_is_shown_as_a_whole() -> None:
    item = table("c", ("a", "b"), [("x", "y")] * LONG, telling=(3, 4))
    assert item.open == tuple(range(LONG)) and item.folded == ()


def test_a_long_table_shows_the_rows_that_it_names_or_rows_from_end_to_end() -> None:
    rows = [("x", "y")] * (LONG + 1)
    item = table("c", ("a", "b"), rows, telling=(30, 4))
    assert item.open == (4, 30) and len(item.folded) == LONG - 1
    item = table("c", ("a", "b"), rows)
    assert (item.open[0], item.open[-1], len(item.open)) == (0, LONG, MOST_TELLING)
    assert sorted([*item.open, *item.folded]) == list(range(LONG + 1))


def test_the_telling_rows_span_what_a_topic_costs() -> None:
    rows = [row("a/many", 1.0 + n / 100) for n in range(40)]
    rows += [row("a/dear", 900.0), row("a/middle", 30.0), row("a/middle", 31.0), row("a/near", 1.005)]
    chosen = telling(rows)
    assert len(chosen) == MOST_TELLING and list(chosen) == sorted(chosen)
    # The cheapest, the dearest, and one of each other kernel before a second of any.
    assert {0, 40, 43} <= set(chosen)
    assert {41, 42} & set(chosen)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a/b[c=d,e=<f>]@cpu1", "a/b[<wbr>c=d,<wbr>e=&lt;f&gt;]<wbr>@cpu1"),
        ("[11.63,\xa012.74]", "[11.63,<wbr>\xa012.74]"),
        ("[11.63, 12.74]", "[11.63, 12.74]"),  # an interval is no name
        ("measured as a/b[c=d]@cpu1", "measured as a/b[<wbr>c=d]<wbr>@cpu1"),
        ("a, b", "a, b"),
        ("alone", "alone"),
    ],
)
def test_the_name_of_a_case_goes_on_in_the_next_line(cell: str, shown: str) -> None:
    template = environment().from_string("{{ cell|breakable }}")
    assert template.render(cell=cell) == shown


def test_rows_without_a_time_come_last() -> None:
    rows = [row("a/k", value) for value in (float("nan"), -1.0, 3.0)]
    assert telling(rows) == (0, 1, 2)
    assert telling(rows[:2]) == (0, 1)
    assert telling([]) == ()


def test_long_words_of_a_row_have_a_line_of_their_own() -> None:
    rung = laid_out(table("c", ("what", "time", "measured as"), [("add", "1 ns", "a/b[c=d]@cpu1")]))
    assert rung == (("what", "time"), ("", ""), (("add", ("1 ns",), "measured as a/b[c=d]@cpu1"),))
    header = ("case", "time", "free", "trust", "remarks")
    rows = [("a", "1 ns", "3 %", f"Hardly: 2 modes; {AS_FOUND}3 %", "as found: busy"), ("b", "2 ns", "99 %", "Yes", "")]
    found = laid_out(table("c", header, rows))
    assert (found.header, found.kinds) == (header[:-1], ("",) * 4)
    assert found.rows == (
        ("a", ("1 ns", "3 %", "Hardly"), "2 modes; as found: busy"),
        ("b", ("2 ns", "99 %", "Yes"), ""),
    )
    other = table("c", ("size", "time", "remarks"), [("1", "2", "3")])
    assert laid_out(other).rows == (("1", ("2", "3"), ""),)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """A run with one long table, with figures beside time, and with a kernel's code."""
    folder = tmp_path_factory.mktemp("tables")
    cases = [Case("mine/sweep", {"n": n}, ns=1.5**n, metrics={"own_pct": float(n), "lost_pct": 1.0}) for n in range(40)]
    cases += [Case("mine/one", ns=5.0, metrics={"own_pct": 1.0, "lost_pct": 2.0})]
    kernel = KernelCode("mine/sweep", "summary", "", "mine/sweep.c", "int source;", "machine code", inner="inner loop")
    run = synthetic.write_run(folder / "run", cases, rounds=6, unmeasurable=[])
    with without_drawing():
        return build_document(analyse(run), packed_code([kernel], same_build=True))


@pytest.fixture(scope="module")
def pages(document: Document) -> tuple[str, str]:
    return as_html(document), as_markdown(document, "figures")


def test_a_page_that_is_too_large_leaves_out_what_a_command_shows(document: Document) -> None:
    """The least telling first, and only as much as is needed."""
    whole = as_html(document)
    assert len(whole.encode()) < MOST_BYTES == 3 * 1024 * 1024 and "Left out" not in whole
    said = re.compile(r"<p>Left out, so that this page stays small: (.*?)\.")
    parts = ("inner loop", 'id="code"', 'id="download"', 'id="row=mine/sweep[n=1]@cpu1"')
    left = ["source and machine code of the kernels", "all rows as JSON", "the folded rows of long tables"]
    assert all(part in whole for part in parts)
    page = whole
    for step, gone in enumerate(((0, 1), (0, 1, 2), (0, 1, 2, 3)), 1):
        size = len(page.encode())
        page = as_html(document, size - 1)
        found = said.search(page)
        assert found is not None and found[1] == "; ".join(left[:step])
        assert [part in page for part in parts] == [place not in gone for place in range(4)]
        assert len(page.encode()) < size
    assert "The other 31 rows: <code>fencepost report RUN --json</code>." in page
    assert "<code>fencepost show KERNEL</code>" in page


def test_a_long_table_has_ten_rows_above_its_fold(pages: tuple[str, str]) -> None:
    html, markdown = pages
    caption = "Estimates of the topic mine: median over processes with its 95 % interval"
    shown = f"{caption}. The 10 most telling of 41 rows"
    split = html[html.index('<div class="split">', html.index("<h3>All rows</h3>")) :].partition(
        "</div>\n</details>\n</div>"
    )[0]
    above, fold, below = split.partition("<details><summary>The other 31 rows</summary>")
    assert shown in above and fold
    heading = '<tr id="row=mine/'
    assert (above.count(heading), below.partition("</table>")[0].count(heading)) == (10, 31)
    above, fold, below = markdown[markdown.index(f"*{caption}. The 10") :].partition(
        "<summary>The other 31 rows</summary>"
    )
    assert fold and above.count("\n| mine/") == 10 and below.partition("</details>")[0].count("\n| mine/") == 31


def test_no_row_is_in_a_table_twice_or_lost(pages: tuple[str, str]) -> None:
    html, _ = pages
    start = html.index("Estimates of the topic mine")
    rows = re.findall(
        r'<th scope="row"><a href="#row=\S+">(mine/\S+?)</a>',
        html[start : html.index("figures beside time", start)],
    )
    assert len(rows) == len(set(rows)) == 41


def test_figures_beside_time_have_a_table_a_kernel() -> None:
    cases = [Case("mine/sweep", {"n": n}, metrics={"own_pct": float(n)}, metric_noise=0.0) for n in range(3)]
    cases += [Case("mine/one", metrics={"own_pct": 1.0, "lost_pct": 2.0}, metric_noise=0.0), Case("mine/none")]
    analysis = analysed(cases, rounds=6, unmeasurable=[])
    wide, tall = beside_tables(analysis, "mine")
    assert wide.caption == "mine/sweep: figures beside time"
    assert [cells[0] for cells in wide.rows] == [case.id for case in cases[:3]]
    assert [cells[1].partition(" ")[0] for cells in wide.rows] == ["0", "1.000", "2.000"]
    # More figures than rows: they go down the page, not beyond its edge.
    assert tall.header == ("what", cases[3].id) and len(tall.rows) == 2


@pytest.mark.parametrize("figures", [8, 12])
def test_many_figures_beside_time_go_into_several_tables(figures: int) -> None:
    """A row a case, and a row a figure: at most five columns of figures each, and each figure once."""
    names = [f"own{number}_pct" for number in range(figures)]
    cases = [Case("mine/sweep", {"n": n}, metrics=dict.fromkeys(names, 1.0), metric_noise=0.0) for n in range(11)]
    found = beside_tables(analysed(cases, rounds=6, unmeasurable=[]), "mine")
    columns = [column for item in found for column in item.header[1:]]
    assert max(len(item.header) for item in found) <= 6
    assert columns == (names if figures < len(cases) else [case.id.removeprefix("mine/sweep") for case in cases])
    parts = [item.caption.partition(", part ")[2] for item in found]
    assert parts == [f"{place} of {len(found)}" for place in range(1, len(found) + 1)]


def test_a_figure_that_a_row_lacks_is_a_dash() -> None:
    cases = [
        Case("mine/sweep", {"n": n}, metrics={"own_pct": 1.0} if n else {"own_pct": 1.0, "x_pct": 3.0})
        for n in range(3)
    ]
    analysis = analysed(cases, rounds=6, unmeasurable=[])
    (found,) = beside_tables(analysis, "mine")
    assert [cells[2] == DASH for cells in found.rows] == [False, True, True]
