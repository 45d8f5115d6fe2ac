"""Long tables and sections of a report."""

from __future__ import annotations

import re

import pytest
from runs import write as synthetic
from runs.pages import Page, scripts, title
from runs.write import Case
from topics.branch.cases import branch_cases
from undrawn import without_drawing

from fencepost.analysis.report.document import FOLD_ROWS
from fencepost.analysis.report.write import write_report
from fencepost.analysis.text.table import MOST_TELLING

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("long")
    cases = [*branch_cases(), Case("mine/few", ns=3)]
    run = synthetic.write_run(folder / "run", cases, rounds=6, unmeasurable=[])
    with without_drawing():
        write_report(run, html=folder / "r.html", markdown=folder / "r.md")
    return (folder / "r.html").read_text(encoding="utf-8"), (folder / "r.md").read_text(encoding="utf-8")


def test_long_tables_fold_without_a_script(long_run: tuple[str, str]) -> None:
    html, markdown = long_run
    page = Page(html)
    rows = sum(case.kernel.startswith("branch/") for case in branch_cases())
    summaries = [text for tag, text in page.text if tag == "summary"]
    assert f"The other {rows - MOST_TELLING} rows" in summaries
    assert f"The other {rows - MOST_TELLING} rows</summary>" in markdown
    assert markdown.count("<details>") == markdown.count("</details>")
    assert "<details>" not in "".join(scripts(html))
    for block in re.findall(r"<details><summary>[^<]* rows</summary>.*?</details>", html, re.DOTALL):
        assert block.count("<tr") - 1 > FOLD_ROWS
    assert "topic mine" in html.replace("\n", " ") and "topic mine" not in " ".join(summaries)


def test_a_section_goes_from_the_picture_to_the_command(long_run: tuple[str, str]) -> None:
    html, markdown = long_run
    for text, start in (
        (html, f'<h2 id="topic-branch">{title("branch")}'),
        (markdown, f"## {title('branch')}"),
    ):
        section = text[text.index(start) :]
        places = [
            section.index(words)
            for words in (
                "What does a mispredicted branch cost",
                "Cost of a jump, by how often",
                "by share of taken jumps",
                "How to read this",
                "What it does not show",
                "Sentences of the lecture",
                "Modern microprocessors tend to have quite long pipelines",
                "Estimates of the topic branch",
                "Again, only this: ",
            )
        ]
        assert places == sorted(places)


def test_quotes_are_marked_with_their_language(long_run: tuple[str, str]) -> None:
    html, _ = long_run
    assert '<q lang="en">Modern microprocessors' in html and '<q lang="zh-Hant">告訴編譯器' in html
    assert "Tested: a misprediction costs 10 to 20 cycles." in html
