"""Sentences without a verdict: the list of docs/lecture.md is what the report and `fencepost claims` show."""

from __future__ import annotations

import pytest
from runs.analysed import analysed
from runs.write import Case

from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.html import as_html, claims_page
from fencepost.analysis.report.markdown import as_markdown, claims_markdown
from fencepost.analysis.text.escape import markdown
from fencepost.analysis.text.pages import PAGES
from fencepost.analysis.topics.claim import claims
from fencepost.analysis.topics.left_out import _listed, left_out

PAGE = """# A page

| 1 | not this | no |

## What was left out

| lines | words of the notes | why there is no verdict |
| --- | --- | --- |
| 5, 6 | one `two` | a tool |
| 7–9 | three | history. It is gone |
"""


def test_a_list_is_read_from_its_section() -> None:
    assert [tuple(item.values()) for item in _listed(PAGE, "p")] == [
        ("5, 6", "one two", "a tool"),
        ("7–9", "three", "history. It is gone"),
    ]


@pytest.mark.parametrize("page", [PAGE.replace("left out", "left"), PAGE.partition("| 5")[0]])
def test_a_page_without_the_list_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="docs/p: no list of sentences in the section '## What was left out'"):
        _listed(page, "p")


def test_every_line_of_the_page_is_read_and_none_is_tested_as_well() -> None:
    section = (PAGES.parent / "lecture.md").read_text(encoding="utf-8").partition("## What was left out")[2]
    assert len(left_out()) == sum(line.startswith("| ") for line in section.splitlines()) - 2 > 20
    assert {item["words"] for item in left_out()}.isdisjoint(claim.quote for claim in claims())


def test_report_and_claims_show_each_with_its_reason() -> None:
    run = analysed([Case("mine/loop")], rounds=6)
    document = build_document(run)
    pages = (as_html(document), claims_page(run))
    texts = (as_markdown(document, "p"), claims_markdown(run))
    for item in left_out():
        for page in pages:
            assert f'<th scope="row">{item["words"].replace(">", "&gt;")}<td>' in page and item["reason"] in page
        for text in texts:
            assert f"| {markdown(item['words'])} | {item['lines']} | {markdown(item['reason'])} |" in text
