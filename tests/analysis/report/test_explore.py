"""The report explored in a browser: search, links to rows and figures, what is copied, values of marks, code."""

from __future__ import annotations

import csv
import io
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from browse import EVIL, axe, show, texts
from runs import measure as runtime
from runs import write as synthetic
from runs.write import Case

from fencepost.analysis.report.code import KernelCode, packed_code
from fencepost.analysis.report.write import write_report

pytestmark = pytest.mark.slow


def copied(browser: Any, button: Any) -> str:
    """What a button copies."""
    browser.execute_script(
        "window.copied = null;"
        "Object.defineProperty(navigator, 'clipboard', {configurable: true, value:"
        " {writeText: async text => { window.copied = text; }}});"
        "arguments[0].click()",
        button,
    )
    runtime.wait_for(lambda: browser.execute_script("return window.copied") is not None)
    return str(browser.execute_script("return window.copied"))


def ways(browser: Any, place: str) -> dict[str, Any]:
    """The buttons of a place by their words."""
    return {button.text: button for button in browser.find_elements("css selector", f"{place} .tools button")}


def test_all_rows_can_be_searched(browser: Any, page: Path) -> None:
    show(browser, page)
    field = browser.find_element("css selector", "#search input")
    field.send_keys("CHAIN op=add 8")
    assert texts(browser, "#search li a") == ["pipeline/chain[op=add,chains=8]@cpu1"]
    assert texts(browser, "#search [role=status]") == ["1 row"]
    browser.find_element("css selector", "#search li a").click()
    runtime.wait_for(lambda: texts(browser, "tr.here th > a") == ["pipeline/chain[op=add,chains=8]@cpu1"])
    field.clear()
    field.send_keys("no such row")
    assert texts(browser, "#search [role=status]") == ["0 rows"]


def test_a_row_has_a_link_of_its_own_and_can_be_copied(browser: Any, page: Path) -> None:
    show(browser, page)
    name = "pipeline/chain[op=add,chains=8]@cpu1"
    browser.get(page.as_uri() + "#row=" + quote(name, safe=""))
    runtime.wait_for(lambda: texts(browser, "tr.here th > a") == [name])
    visible = browser.execute_script(
        "const box = document.querySelector('tr.here').getBoundingClientRect();"
        "return box.top >= 0 && box.bottom <= innerHeight"
    )
    assert visible
    found = ways(browser, "tr.here")
    assert list(found) == ["link", "citation", "CSV", "command"]
    assert copied(browser, found["link"]) == browser.current_url
    assert copied(browser, found["command"]) == (
        "fencepost run pipeline/chain --set pipeline/chain.op=add --set pipeline/chain.chains=8"
    )
    heads, cells = list(csv.reader(io.StringIO(copied(browser, found["CSV"]))))
    assert heads[:3] == ["case", "time", "interval"] and cells[0] == name and cells[1].endswith(" ns")
    cited = copied(browser, found["citation"])
    assert name in cited and cells[1] in cited and "run suite" in cited and cited.endswith(browser.current_url)
    assert texts(browser, "body > [role=status]") == ["Copied: citation"]


def test_a_hostile_row_makes_a_harmless_command(browser: Any, page: Path) -> None:
    show(browser, page)
    browser.execute_script("document.querySelector('[href*=\"mine/row0\"]').click()")
    runtime.wait_for(lambda: texts(browser, "tr.here .tools button") != [])
    command = copied(browser, ways(browser, "tr.here")["command"])
    assert shlex.split(command) == ["fencepost", "run", "mine/row0", "--set", f"mine/row0.x={EVIL}"]


def test_a_figure_and_a_sentence_have_links_of_their_own(browser: Any, page: Path) -> None:
    show(browser, page)
    found = ways(browser, "#figure-pipeline-chain")
    assert list(found) == ["link", "citation", "CSV", "command"]
    assert copied(browser, found["link"]) == page.as_uri() + "#figure-pipeline-chain"
    assert copied(browser, found["command"]) == "fencepost run 'pipeline/*'"
    shown = texts(browser, "#figure-pipeline-chain + div tbody tr")
    assert len(copied(browser, found["CSV"]).splitlines()) == len(shown) + 1
    found = ways(browser, "#claim-clock-turbo")
    assert list(found) == ["link", "citation"]
    assert "intel turbo mode" in copied(browser, found["citation"])


def test_marks_say_their_values_to_pointers_and_keys(browser: Any, page: Path) -> None:
    show(browser, page)
    picture = "#figure-pipeline-chain svg"
    marks = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(m => m.getAttribute('aria-label'))",
        f"{picture} [role=img]",
    )
    assert len(marks) > 5
    # One stop of the tab key for a picture; arrows lead from mark to mark.
    assert len(browser.find_elements("css selector", f"{picture} [tabindex='0']")) == 1
    browser.execute_script("document.querySelector(arguments[0]).focus()", f"{picture} [tabindex='0']")
    assert texts(browser, ".tip") == [marks[0]]
    browser.switch_to.active_element.send_keys("\ue014")  # arrow to the right
    assert texts(browser, ".tip") == [marks[1]]
    browser.switch_to.active_element.send_keys("\ue00c")  # escape
    assert browser.execute_script("return document.querySelector('.tip').hidden") is True


def test_the_first_tab_leads_to_the_report(browser: Any, page: Path) -> None:
    show(browser, page)
    browser.find_element("css selector", "body").send_keys("\ue004")
    assert browser.switch_to.active_element.text == "Skip to the report"
    browser.switch_to.active_element.send_keys("\ue007")
    assert browser.execute_script("return document.activeElement.id") == "report"


@pytest.mark.parametrize(("width", "columns"), [(390, 1), (1280, 2), (1900, 2)])
def test_contents_stay_beside_the_report_on_a_wide_screen(browser: Any, page: Path, width: int, columns: int) -> None:
    show(browser, page, width=width)
    browser.execute_script("document.getElementById('topic-clock').scrollIntoView()")
    side, main, top = browser.execute_script(
        "const side = document.querySelector('.side').getBoundingClientRect();"
        "return [side.right, document.querySelector('main').getBoundingClientRect().left, side.top]"
    )
    assert (side < main) == (columns == 2)
    assert (top >= 0) == (columns == 2)


def test_source_and_machine_code_come_when_a_kernel_is_opened(browser: Any, tmp_path: Path) -> None:
    kernel = KernelCode("mine/k", "what it measures", "mine/k: what?", "mine.c", f"int x; /* {EVIL} */", "  ret")
    run = synthetic.write_run(tmp_path / "run", [Case("mine/k", ns=3.0)], rounds=6, unmeasurable=[])
    write_report(run, html=tmp_path / "r.html", code=packed_code([kernel], same_build=True))
    show(browser, tmp_path / "r.html")
    assert texts(browser, ".kernel pre") == []
    browser.find_element("css selector", ".kernel > summary").click()
    runtime.wait_for(lambda: len(texts(browser, ".kernel details > summary")) == 2)
    # Each is folded by itself.
    assert texts(browser, ".kernel pre") == []
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert sorted(texts(browser, ".kernel pre")) == ["  ret", kernel.source]
    assert axe(browser) == []


def test_of_a_long_table_both_parts_are_sorted_as_one(browser: Any, tmp_path: Path) -> None:
    cases = [Case("mine/sweep", {"n": n}, ns=float(100 - n)) for n in range(40)]
    write_report(synthetic.write_run(tmp_path / "run", cases, rounds=6, unmeasurable=[]), html=tmp_path / "r.html")
    show(browser, tmp_path / "r.html")
    browser.execute_script(
        "[...document.querySelectorAll('.split th button')].find(b => b.textContent === 'time').click()"
    )
    parts = browser.execute_script(
        "return [...document.querySelectorAll('.split')].filter(s => s.querySelector('th').textContent === 'case')"
        ".flatMap(s => [...s.querySelectorAll('table')])"
        ".map(t => [...t.tBodies[0].rows].map(r => r.cells[0].firstChild.textContent))"
    )
    assert [len(part) for part in parts[:2]] == [10, 30]
    order = [int(name.partition("n=")[2].partition("]")[0]) for part in parts[:2] for name in part]
    assert order == sorted(order, reverse=True)
