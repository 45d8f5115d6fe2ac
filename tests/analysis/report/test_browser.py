"""The report in a real browser: Chromium without a window, driven by Selenium. No network: the page is a file.

What is checked here is what only a browser can tell: scripts, layout, contrast, printing, downloads.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from browse import EVIL, axe, requests, show, texts
from runs import measure as runtime
from runs import write as synthetic
from runs.publish import edit, measured, published
from runs.write import Case
from topics.line.cases import pingpong_cases
from topics.suite import suite_cases

from fencepost.analysis.compare.answers import compared
from fencepost.analysis.compare.machines import compare_machines
from fencepost.analysis.compare.runs import read_runs
from fencepost.analysis.report.compared import as_page, machines_page, runs_page
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.text.numbers import nanoseconds, plain
from fencepost.analysis.topics.topic import rungs
from fencepost.bench.schema import RUN_FILE
from fencepost.cli.verdicts import words

pytestmark = pytest.mark.slow


def test_the_page_opens_without_a_fault_and_asks_for_nothing(browser: Any, page: Path) -> None:
    for file in (page, page.parent / "claims.html"):
        show(browser, file)
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        asked = {url for url in requests(browser) if not url.startswith(("about:", "blob:"))}
        assert asked == {file.as_uri()}


def test_all_sections_are_there_in_their_order(browser: Any, page: Path) -> None:
    show(browser, page)
    headings = texts(browser, "h2")
    wanted = ["This machine's numbers", "Can I trust this?", "The machine", "The lecture notes, measured"]
    assert [text for text in headings if text in wanted] == wanted
    assert headings.index(wanted[-1]) < headings.index("Clocks and timers") and headings[-1] == "Data and versions"
    assert texts(browser, "nav a") == headings[1:]  # the first is the name of the machine, at the top
    # Each link of the page leads to something that is there.
    broken = browser.execute_script(
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))"
        ".filter(id => !document.getElementById(decodeURIComponent(id)))"
    )
    assert broken == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["report.html", "claims.html"])
def test_no_sideways_scrolling_on_a_telephone(browser: Any, page: Path, name: str, dark: bool) -> None:
    for width in (360, 1280):
        show(browser, page.parent / name, width=width, dark=dark)
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        reach = browser.execute_script(
            "return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"
        )
        assert max(reach[:2]) <= width == reach[2]


@pytest.mark.parametrize("width", [1280, 1300, 1600])
def test_no_table_of_rows_is_cut_on_a_desktop(browser: Any, page: Path, width: int) -> None:
    """Long words stand in a line of their own below the name of the row."""
    show(browser, page, width=width)
    cut = browser.execute_script(
        "return [...document.querySelectorAll('.wide')].filter(e => e.checkVisibility() && e.querySelector('th small'))"
        ".map(e => [e.scrollWidth - e.clientWidth, e.querySelector('caption').textContent])"
    )
    assert len(cut) >= 3
    assert [caption for beyond, caption in cut if beyond > 0 and EVIL not in caption] == []
    below = texts(browser, "section[aria-labelledby=numbers] th > small")
    assert "measured as pipeline/chain[op=add,chains=1]@cpu1" in below


@pytest.mark.parametrize(
    ("name", "dark", "rules"),
    # What a dark screen changes is contrast.
    [("report.html", False, ""), ("report.html", True, "color-contrast"), ("claims.html", True, "")],
)
def test_nothing_hinders_a_reader_with_a_disability(
    browser: Any, page: Path, name: str, dark: bool, rules: str
) -> None:
    show(browser, page.parent / name, dark=dark)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert axe(browser, rules) == []


@pytest.fixture(scope="module")
def gallery_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of three machines, two of them with a core-to-core map."""
    base = tmp_path_factory.mktemp("gallery")
    far = {(a, b): ("same_package", 30.0 + 9 * abs(a - b)) for a in range(4) for b in range(4) if a != b}
    cases = [*suite_cases(), *pingpong_cases(far)]
    published(base / "results", measured(base / "one", cases, cpus_present=[0, 1, 2, 3]))
    published(base / "results", measured(base / "two", cpu_model="A processor of quite another make at 3.00GHz"))
    published(base / "results", measured(base / "three", [Case("pipeline/chain", {"op": "add"})], cpu_model="Third"))
    return base / "results"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["index.html", "compare.html"])
def test_the_gallery_hinders_no_reader_and_fits_a_telephone(
    browser: Any, gallery_pages: Path, name: str, dark: bool
) -> None:
    file = gallery_pages / name
    for width in (360, 1280):
        show(browser, file, width=width, dark=dark)
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        assert {url for url in requests(browser) if not url.startswith(("about:", "data:"))} == {file.as_uri()}
        reach = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert reach[0] <= width == reach[1]
        assert axe(browser) == []
    rows = texts(browser, "#headlines tbody tr" if name == "compare.html" else "main tbody tr")
    assert len(rows) >= 3


def test_a_telephone_shows_the_numbers_of_the_gallery(browser: Any, gallery_pages: Path) -> None:
    show(browser, gallery_pages / "index.html", width=390)
    # Each within the screen, and with its name beside it.
    cells = browser.execute_script(
        "return [...document.querySelectorAll('#machines td')].map(cell => [cell.textContent.trim(),"
        "getComputedStyle(cell, '::before').content, cell.getBoundingClientRect().right])"
    )
    assert len(cells) >= 3 * 6
    # The headings, which the cards repeat, take no room.
    assert browser.execute_script("return document.querySelector('#machines thead').getBoundingClientRect().width") <= 1
    assert all(text and len(name) > 4 and right <= 390 for text, name, right in cells)
    assert any(name == '"add, waiting for the one before, ns"' for _, name, _ in cells)


PAIR = """
const rows = [...document.querySelectorAll("#rows tbody tr")].filter(row => row.checkVisibility());
return rows.map(row => [row.cells[0].textContent, ...[1, 2, 3].map(at => row.cells[at].dataset.value || null)]);
"""

CHOOSE = """
["first", "second"].forEach((name, place) => {
  const select = document.getElementById(name);
  select.selectedIndex = arguments[place];
  select.dispatchEvent(new Event("change"));
});
"""


def test_two_machines_are_chosen_sorted_and_filtered(browser: Any, gallery_pages: Path) -> None:
    show(browser, gallery_pages / "compare.html", script=False)
    without = {name: ratio for name, _, _, ratio in browser.execute_script(PAIR) if ratio}
    show(browser, gallery_pages / "compare.html")
    data = json.loads(browser.execute_script("return document.getElementById('data').textContent"))
    for first, second in ((2, 0), (1, 2), (0, 1)):
        browser.execute_script(CHOOSE, first, second)
        shown = browser.execute_script(PAIR)
        one, two = (dict(zip(data["cases"], data["machines"][at]["cases"][::3], strict=True)) for at in (first, second))
        assert [name for name, *_ in shown] == [name for name in data["cases"] if one[name] or two[name]]
        for name, left, right, ratio in shown:
            assert (left and float(left), right and float(right)) == (one[name], two[name])
            assert ratio is None or float(ratio) == pytest.approx(two[name] / one[name])
        assert texts(browser, "#said li") == data["said"].get(f"{first},{second}", [])
        assert data["machines"][second]["name"] in browser.execute_script("return location.hash")
    # The first two are there without the script, by the same figures.
    assert {name: float(ratio) for name, _, _, ratio in shown if ratio} == pytest.approx(
        {name: float(ratio) for name, ratio in without.items()}, rel=1e-3
    )
    browser.execute_script("document.querySelector('#rows thead th:nth-child(4) button').click()")
    ratios = [float(ratio) for *_, ratio in browser.execute_script(PAIR) if ratio]
    assert ratios == sorted(ratios) and len(ratios) > 3
    browser.execute_script(
        "const only = document.getElementById('only'); only.value = 'clock/'; only.dispatchEvent(new Event('input'))"
    )
    assert {name.partition("/")[0] for name, *_ in browser.execute_script(PAIR)} == {"clock"}


def _label(name: str, document: dict[str, Any]) -> None:
    document["labels"] = {"name": name}


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of `compare`: three runs of one machine, the last of them slower, and five machines."""
    base = tmp_path_factory.mktemp("beside")
    cases = suite_cases()
    slower = [replace(case, ns=case.ns * 1.5) if case.kernel == "pipeline/window" else case for case in cases]
    runs = [
        synthetic.write_run(base / f"hour{n}", of, rounds=12, seed=n) for n, of in enumerate((cases, cases, slower))
    ]
    found = compared(runs, 0.02)
    (base / "runs.html").write_text(as_page(runs_page(found.pairs, found.ids, words)), encoding="utf-8")
    names = ("c7a.large", "m7g.large", EVIL, "a machine that has quite a long name", "x")
    five = [synthetic.write_run(base / f"machine{n}", cases, rounds=12, seed=n) for n in range(len(names))]
    for name, run in zip(names, five, strict=True):
        edit(run / RUN_FILE, partial(_label, name))
    (base / "machines.html").write_text(as_page(machines_page(compare_machines(read_runs(five)))), encoding="utf-8")
    return base


@pytest.mark.parametrize("name", ["runs.html", "machines.html"])
def test_a_comparison_hinders_no_reader_and_fits_a_telephone(browser: Any, beside: Path, name: str) -> None:
    for width, dark, script in ((390, False, True), (390, True, False), (1280, True, True)):
        show(browser, beside / name, width=width, dark=dark, script=script)
        assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
        browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
        reach = browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert reach[0] <= width == reach[1]
        assert axe(browser) == []


def test_each_run_is_shown_beside_the_first_with_its_verdicts(browser: Any, beside: Path) -> None:
    show(browser, beside / "runs.html")
    told = {}
    for place, run in ((0, "second"), (1, "third")):
        browser.execute_script(
            "const select = document.getElementById('second'); select.selectedIndex = arguments[0];"
            "select.dispatchEvent(new Event('change'))",
            place,
        )
        told[run] = texts(browser, "#rows tbody td:nth-child(6)")
        data = json.loads(browser.execute_script("return document.getElementById('data').textContent"))
        assert texts(browser, "#said li") == data["said"][f"0,{place + 1}"]
        shown = browser.execute_script(PAIR)
        ratios = dict(zip(data["cases"], data["machines"][place + 1]["ratios"]["cases"][::3], strict=True))
        assert all(ratio is None or float(ratio) == ratios[name] for name, _, _, ratio in shown)
    assert "changed: slower" in told["third"] and "changed: slower" not in told["second"]


# Words in figures lie beyond what axe looks at.
CONTRAST = """
const parse = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const paper = light(parse(getComputedStyle(document.body).backgroundColor));
const worst = {};
for (const text of document.querySelectorAll('svg text')) {
  if (text.closest('#line-matrix, [aria-labelledby^="line-matrix"]')) continue;
  const colour = getComputedStyle(text).fill;
  const own = light(parse(colour));
  worst[colour] = (Math.max(own, paper) + 0.05) / (Math.min(own, paper) + 0.05);
}
return worst;
"""


@pytest.mark.parametrize("dark", [False, True])
def test_words_in_figures_stand_out_from_the_paper(browser: Any, page: Path, dark: bool) -> None:
    show(browser, page, dark=dark)
    colours = browser.execute_script(CONTRAST)
    assert len(colours) >= 6
    assert {colour: ratio for colour, ratio in colours.items() if ratio < 4.5} == {}


def choose(browser: Any, unit: str) -> None:
    """Use the switch, as a reader does."""
    browser.find_element("css selector", f"input[name=unit][value={unit}]").click()


def test_the_switch_between_time_and_cycles(browser: Any, page: Path) -> None:
    show(browser, page)
    table = "section[aria-labelledby=numbers] .wide th[scope=col]"
    assert texts(browser, table) == ["what", "topic", "time", "core cycles"]
    pictures = "section[aria-labelledby=numbers] svg > title"
    assert texts(browser, "section[aria-labelledby=numbers] figure figcaption") != []
    choose(browser, "cycles")
    assert texts(browser, table) == ["what", "topic", "core cycles"]
    shown = browser.execute_script(
        "return [...document.querySelectorAll('section[aria-labelledby=numbers] svg')]"
        ".filter(s => s.checkVisibility({contentVisibilityAuto: true}) && s.getBoundingClientRect().height > 9)"
        ".map(s => s.querySelector('title').textContent)"
    )
    assert shown == ["Costs on this machine, in cycles of the core"], pictures
    choose(browser, "ns")
    assert texts(browser, table) == ["what", "topic", "time"]
    # Tables of topics follow, those with one of the two alone do not.
    assert texts(browser, "section[aria-labelledby=topic-clock] th.in-cycles") == []
    choose(browser, "both")
    assert texts(browser, table) == ["what", "topic", "time", "core cycles"]


def column(browser: Any, index: int) -> list[str]:
    """A column of the ladder's table, as it stands."""
    return [str(text) for text in browser.execute_script(
        "return [...document.querySelector('section[aria-labelledby=numbers] .wide table').tBodies[0].rows]"
        ".map(row => row.cells[arguments[0]].textContent)", index
    )]  # fmt: skip


def test_tables_are_sorted_by_a_click(browser: Any, page: Path, folder: Path) -> None:
    show(browser, page)
    heads = browser.find_elements("css selector", "section[aria-labelledby=numbers] .wide th[scope=col] button")
    by_time = [rung.ns.ns_text() for _, rung in sorted(rungs(analyse(folder)), key=lambda pair: pair[1].ns.value)]
    heads[0].click()
    assert column(browser, 0) == sorted(column(browser, 0), key=str.lower)
    heads[2].click()
    assert column(browser, 2) == by_time  # ns before µs, whatever the digits
    heads[2].click()
    assert column(browser, 2) == by_time[::-1]
    states = browser.execute_script(
        "return [...document.querySelectorAll('section[aria-labelledby=numbers] .wide th[scope=col]')]"
        ".map(e => e.getAttribute('aria-sort'))"
    )
    assert states == [None, None, "descending", None]


def test_the_download_holds_what_the_tables_show(browser: Any, page: Path, folder: Path, tmp_path: Path) -> None:
    show(browser, page)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for link in browser.find_elements("css selector", "#download a"):
        link.click()
    wanted = {tmp_path / "suite.json", tmp_path / "suite.json.gz"}
    runtime.wait_for(lambda: all(path.exists() for path in wanted))
    text = (tmp_path / "suite.json").read_text(encoding="utf-8")
    assert gzip.decompress((tmp_path / "suite.json.gz").read_bytes()).decode() == text
    rows = {row["case"]: row for row in json.loads(text)["rows"]}
    shown = browser.execute_script(
        "return [...document.querySelectorAll('section[aria-labelledby=topic-clock] table')]"
        ".filter(t => t.caption.textContent.startsWith('Estimates of the topic clock'))"
        ".flatMap(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => (c.querySelector('a') || c).textContent)))"
    )
    assert len(shown) >= 8
    for case, ns, _, unit, cycles, *_ in shown:
        row = rows[case]
        assert (ns, unit, cycles) == (nanoseconds(row["ns"]), row["unit"], plain(row["cycles"]))


def test_the_page_prints(browser: Any, page: Path) -> None:
    show(browser, page, dark=True)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    data = base64.b64decode(
        browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    )
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    pages = data.count(b"/Type /Page\n") + data.count(b"/Type /Page ")
    assert 2 <= pages <= 4, "the summary, the numbers, trust and the machine"


def test_the_sentences_print(browser: Any, page: Path) -> None:
    show(browser, page.parent / "claims.html")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    seen = browser.execute_script("return [...document.querySelectorAll('.sentence')].map(e => e.checkVisibility())")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert seen and all(seen)


def test_without_a_script_all_can_be_read(browser: Any, page: Path) -> None:
    show(browser, page)
    browser.execute_script("document.querySelectorAll('.tools').forEach(buttons => buttons.remove())")
    with_script = texts(browser, "main p, main td, main th, main li, main dd, main figcaption, main svg text")
    show(browser, page, script=False)
    assert browser.execute_script("return document.querySelectorAll('fieldset, th button').length") == 0
    without = texts(browser, "main p, main td, main th, main li, main dd, main figcaption, main svg text")
    missing = set(with_script) - set(without)
    assert all("All rows as JSON" in text for text in missing), sorted(missing)[:5]
    # A folded table opens without one.
    summary = browser.find_element("css selector", "section[aria-labelledby=topic-clock] ~ section details > summary")
    browser.execute_script("arguments[0].scrollIntoView()", summary)
    summary.click()
    assert browser.execute_script("return arguments[0].parentElement.open", summary) is True


def test_names_from_outside_are_text_and_run_nothing(browser: Any, page: Path) -> None:
    for file in (page, page.parent / "claims.html"):
        show(browser, file)
        assert EVIL in browser.execute_script("return document.querySelector('h1').textContent")
        scripts = browser.execute_script(
            "return [...document.scripts].filter(s => s.textContent.startsWith('alert')).length"
        )
        assert scripts == 0
        # Even if one had got in: the page allows its own script only.
        hit = browser.execute_async_script(
            "const s = document.createElement('div'); s.innerHTML = '<img src=x onerror=\"window.hit = 1\">';"
            "const done = arguments[arguments.length - 1];"
            "s.firstChild.addEventListener('error', () => done(window.hit ?? 'none'));"  # after what it may itself run
            "document.body.append(s)"
        )
        assert hit == "none"
    show(browser, page)
    drawn = texts(browser, "svg text")
    assert any(EVIL in text for text in drawn)
    shown = browser.execute_script("return document.documentElement.textContent")
    assert "\x1b" not in shown and "\u202e" not in shown


def test_a_link_into_a_folded_table_opens_it(browser: Any, page: Path) -> None:
    show(browser, page)
    assert browser.execute_script("return document.getElementById('ladder-in-cycles').open") is False
    browser.execute_script("location.hash = '#ladder-cycles-title'")
    runtime.wait_for(lambda: browser.execute_script("return document.getElementById('ladder-in-cycles').open"))


def test_a_standalone_picture_is_drawn(browser: Any, page: Path) -> None:
    pictures = sorted((page.parent / "report_figures").glob("*.svg"))
    assert len(pictures) >= 15
    for name in ("ladder", "topology", "mine-rows"):
        show(browser, page.parent / "report_figures" / f"{name}.svg")
        assert browser.execute_script("return document.documentElement.tagName") == "svg"
        assert browser.execute_script("return document.querySelectorAll('text').length") > 3
        assert browser.execute_script("return document.querySelectorAll('a, script').length") == 0


def test_the_report_of_a_real_run(browser: Any, tmp_path: Path) -> None:
    done = runtime.fencepost("run", "good/steady", "good/events", "--profile", "quick", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert runtime.fencepost("report", "--html", "r.html", cwd=tmp_path).returncode == 0
    show(browser, tmp_path / "r.html", width=360)
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert "Findings of the doctor" in texts(browser, "h3")
    assert axe(browser) == []
