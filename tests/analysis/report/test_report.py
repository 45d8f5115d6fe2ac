"""The report as a stranger, a screen reader, a program and an attacker see it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from rich.console import Console
from runs import write as synthetic
from runs.pages import EVIL, Page, pictures, scripts, title
from runs.write import Case
from topics.suite import suite_cases
from undrawn import without_drawing

import fencepost.analysis
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.headline import ladder_table, link
from fencepost.analysis.report.html import column_kinds
from fencepost.analysis.report.sections import sections
from fencepost.analysis.report.terminal import summary_table
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.text.table import MOST_TELLING, table
from fencepost.analysis.topics.topic import headlines, rungs
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_run(tmp_path_factory.mktemp("runs") / "suite", suite_cases(), rounds=6)


@pytest.fixture(scope="module")
def html(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("html") / "report.html"
    with without_drawing():
        assert target in write_report(suite, html=target)
    return target.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def analysis(suite: Path) -> Analysis:
    return analyse(suite)


@pytest.fixture(scope="module")
def told(suite: Path) -> dict[str, Any]:
    """What `report --json` prints of the suite."""
    return cast(dict[str, Any], as_json(suite))


def evil_run(folder: Path) -> Path:
    """A run in which everything that comes from outside is hostile."""
    cases = [
        Case("clock/read", {"read": EVIL}, ns=5),
        Case("evil/k", {"a": EVIL}, metrics={"x_ns": 1.0}),
        *(Case("\"><script>'../k/x", {"n": n}, ns=n) for n in (1, 2)),
        Case("noise/gaps", metrics={"lost_pct": 1.0}),
    ]
    cases += [Case("pipeline/chain", {"op": EVIL, "chains": n}, ns=4 / n) for n in (1, 2)]
    cases += [
        Case("clock/delta", {"read": EVIL}, kind="events", ns=20),
        Case("plain/no", status="unsupported", reason=EVIL),
    ]
    cases += [Case("memory/chase", {"size": 4096, "pages": EVIL, "order": EVIL})]
    machine = {
        "cpu_model": EVIL,
        "hypervisor": {"guest": True, "kind": EVIL},
        "mitigations": {EVIL: EVIL},
        "governor": EVIL,
    }
    synthetic.write_run(folder, cases, rounds=6, machine=machine)
    run = json.loads((folder / schema.RUN_FILE).read_text())
    run["command"] = ["fencepost", EVIL]
    run["versions"] = {"python": EVIL}
    (folder / schema.RUN_FILE).write_text(json.dumps(run))
    return folder


# ---- HTML ----


def test_each_row_is_a_link_to_itself_without_a_script(html: str, suite: Path) -> None:
    tags = Page(html).tags
    rows = [attributes["id"] for tag, attributes in tags if tag == "tr" and (attributes.get("id") or "")[:4] == "row="]
    links = [unquote(href[1:]) for tag, attributes in tags if (href := attributes.get("href") or "")[:5] == "#row="]
    measured = [f"row={row['case']}" for row in as_json(suite)["rows"] if row["reason"] is None]
    assert sorted(map(str, rows)) == sorted(links) == sorted(measured)


def test_sections_stand_in_their_order(html: str) -> None:
    page = Page(html)
    headings = [text for tag, text in page.text if tag == "h2"]
    assert headings == [
        "Synthetic CPU 9000, 3.70 GHz",
        "This machine's numbers",
        "Can I trust this?",
        "The machine",
        "The lecture notes, measured",
        *map(title, ("clock", "pipeline", "memory", "noise")),
        "Data and versions",
    ]
    assert [text for tag, text in page.text if tag == "h1"] == ["Costs of basic operations on Synthetic CPU 9000"]


def test_headings_skip_no_level(html: str) -> None:
    levels = [int(tag[1]) for tag, _ in Page(html).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_tables_have_captions_and_scopes(html: str) -> None:
    page = Page(html)
    names = [tag for tag, _ in page.tags]
    tables = [i for i, name in enumerate(names) if name == "table"]
    assert len(tables) >= 15
    assert all(names[i + 1] == "caption" for i in tables)
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.named("th"))


def test_every_figure_is_followed_by_its_table(html: str) -> None:
    names = [tag for tag, _ in Page(html).tags]
    figures = [i for i, name in enumerate(names) if name == "figure"]
    # The ladder by time and by cycles, which share a table, the topology, and those of the topics.
    assert len(figures) == 2 + 1 + 9
    for start in figures:
        assert "figcaption" in names[start:]
        after = names[names.index("figcaption", start) :]
        assert after.index("table") < (after.index("h3") if "h3" in after else len(after))


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert not list(page.named("link", "img", "iframe", "object"))
    # Names of languages are no addresses.
    named = re.sub(r'xmlns(:xlink)?="http://www\.w3\.org/[\w/]+"', "", html)
    assert not re.search(r"https?://|//[a-z]+\.[a-z]+/|@import|url\((?!#)", named)
    for attributes in (attributes for _, attributes in page.tags):
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:application/gzip;base64,"))


def test_one_script_is_allowed_and_by_its_hash_alone(html: str) -> None:
    (policy,) = (
        str(attributes["content"])
        for attributes in Page(html).named("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    (script,) = scripts(html)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert len(list(Page(html).named("script"))) == 1


def embedded(html: str) -> str:
    """The rows as they are in the page, unpacked."""
    (link,) = (attributes for attributes in Page(html).named("a") if "download" in attributes)
    packed = str(link["href"]).removeprefix("data:application/gzip;base64,")
    return gzip.decompress(base64.b64decode(packed)).decode()


def test_rows_are_in_the_page_once_and_can_be_downloaded(told: dict[str, Any], html: str) -> None:
    (link,) = (attributes for attributes in Page(html).named("a") if "download" in attributes)
    assert link["download"] == "suite.json.gz"
    assert html.count('"cycles_low"') == 0
    inside, whole = json.loads(embedded(html)), told
    assert inside.keys() == whole.keys() - {"headlines", "label"} | {"metric_summaries", "metric_units"}
    assert [row["case"] for row in inside["rows"]] == [row["case"] for row in whole["rows"]]
    for short, full in zip(inside["rows"], whole["rows"], strict=True):
        assert short["ns"] == (full["ns"] and pytest.approx(full["ns"], rel=1e-6))
        for name, metric in full["metrics"].items():
            assert inside["metric_summaries"][full["kernel"]][name] == metric["summary"]
            assert inside["metric_units"][full["kernel"]][name] == metric["unit"]
            assert metric.keys() == short["metrics"][name].keys() | {"summary", "unit"}


def test_the_hash_of_the_run_is_that_of_its_files(suite: Path, html: str) -> None:
    files = [suite / "run.json", suite / "machine.json", *sorted((suite / "rounds").glob("*.parquet"))]
    assert hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest() in html


def test_the_page_suits_light_dark_paper_and_phones(html: str) -> None:
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert 'name="viewport"' in html and '<html lang="en">' in html


def test_ids_are_unique_and_labels_resolve(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        assert set((attributes.get("aria-labelledby") or "").split()) <= set(ids)


def test_claims_are_quoted_in_their_language(html: str) -> None:
    assert '<q lang="zh-Hant">intel turbo mode 會讓運算速度浮動</q>' in html


def test_what_comes_from_outside_is_text(tmp_path: Path) -> None:
    folder = evil_run(tmp_path / "run")
    write_report(folder, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not list(page.named("img"))
    assert len(list(page.named("script"))) == 1 and text.count("<script") == 1 and "onerror=alert(1)>" not in text
    assert "alert" not in "".join(scripts(text))
    assert EVIL in json.loads(embedded(text))["machine"]["cpu_model"]
    assert any(EVIL in said for _, said in page.text)
    for path in (tmp_path / "r_figures").iterdir():
        assert "<script" not in path.read_text(encoding="utf-8")
    markdown = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "<script" not in markdown and "<img" not in markdown and not re.search(r"(?<!\\)\]\(http", markdown)


# ---- Markdown ----


def test_markdown_says_the_same_with_pictures_beside(suite: Path, tmp_path: Path) -> None:
    with without_drawing():
        written = write_report(suite, markdown=tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) == 2 + 1 + 9
    assert {tmp_path / picture for picture in pictures} | {tmp_path / "README.md"} == set(written)
    assert all((tmp_path / picture).exists() for picture in pictures)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")][:4] == [
        "This machine's numbers",
        "Can I trust this?",
        "The machine",
        title("clock"),
    ]
    for block in re.split(r"\n\n", text):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


# ---- JSON ----


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} in JSON")


KEYS = {
    "case",
    "kernel",
    "parameters",
    "cpus",
    "unit",
    "ns",
    "ns_low",
    "ns_high",
    "cycles",
    "floor_ns",
    "rounds",
    "batches",
    "flags",
    "metrics",
}


@pytest.mark.parametrize("rounds", [0, 1, 6])
def test_json_has_every_key_and_never_nan(tmp_path: Path, rounds: int) -> None:
    folder = synthetic.write_run(tmp_path / "run", suite_cases(), rounds=rounds, planned_rounds=6)
    text = json.dumps(as_json(folder), allow_nan=False)
    document = json.loads(text, parse_constant=no_constant)
    assert {"schema", "machine", "noise_floor_pct", "rows"} <= set(document)
    assert document["machine"]["cpu_model"] == "Synthetic CPU 9000"
    assert len(document["rows"]) == len(suite_cases()) + 1
    for row in document["rows"]:
        assert set(row) >= KEYS
        assert (row["ns"] is None) == (row["reason"] is not None)
    if rounds == 6:
        assert 0 <= document["noise_floor_pct"] < 2
        twins = [row for row in document["rows"] if row["twin_of"]]
        assert [row["case"] for row in twins] == [row["twin_of"] + "~twin" for row in twins]


def test_json_of_what_cannot_be_measured_has_a_reason_and_nulls(told: dict[str, Any]) -> None:
    row = told["rows"][-1]
    assert row["reason"] == synthetic.UNMEASURABLE[0]["reason"]
    assert [row[name] for name in ("ns", "ns_low", "ns_high", "cycles", "floor_ns")] == [None] * 5


# ---- trust ----


def test_the_panel_names_what_it_rests_on(html: str) -> None:
    panel = html[html.index('id="trust"') : html.index('id="machine"')]
    for word in (
        "noise floor",
        "CPU 0: ",
        "core clock over the run",
        "taskset, CPU 0, 1",
        "guest of",
        "6 of 6 planned",
        "1 row; the section of the topic gives the reasons",
    ):
        assert word in panel


def test_headlines_are_sorted_with_intervals(analysis: Analysis) -> None:
    found = headlines(analysis)
    order = [rung.ns.value for _, rung in found]
    assert order == sorted(order) and len(order) >= 5
    shown = ladder_table(headlines(analysis))
    assert shown is not None and [row[0] for row in shown.rows] == [rung.label for _, rung in found]
    assert all("[" in row[2] for row in shown.rows)


def test_the_ladder_has_all_rungs_by_topic(analysis: Analysis) -> None:
    found = rungs(analysis)
    shown = ladder_table(found)
    assert shown is not None and len(shown.rows) == len(found) > len(headlines(analysis))
    topics = [title for title, _ in itertools.groupby(row[1] for row in shown.rows)]
    with without_drawing():
        there = [section.words.title for section in sections(analysis)]
    assert topics == [title for title in there if title in topics]
    for _, group in itertools.groupby(found, key=lambda pair: pair[0]):
        order = [rung.ns.value for _, rung in group]
        assert order == sorted(order)


# ---- incomplete runs, damage, summary ----


def test_damage_is_passed_on(suite: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(suite, tmp_path / "run")
    (folder / schema.MACHINE_FILE).unlink()
    for work in (as_json, write_report):
        with pytest.raises(RunFolderError, match=r"machine\.json: not found"):
            work(folder)


def test_the_summary_lists_what_was_measured(analysis: Analysis) -> None:
    assert summary_table(analysis).row_count == len(suite_cases())
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(summary_table(analysis))
    text = console.export_text()
    assert "clock/read[read=rdtscp]@cpu1" in text
    assert "A/A twin" in text


def test_the_analysis_starts_no_kernel() -> None:
    folder = Path(fencepost.analysis.__file__).parent
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "_kernels" not in text and "bench.engine" not in text
        for module in re.findall(r"from fencepost\.bench\.?(\w*) import|import fencepost\.bench\.?(\w*)", text):
            assert set(module) <= {"caches", "schema", "documents", "files", "labels", "witness", ""}


# ---- the ladder, the topology, the doctor, the lecture notes ----


def test_every_rung_leads_to_its_section(html: str, analysis: Analysis) -> None:
    found = rungs(analysis)
    page = Page(html)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    targets = [link(topic) for topic, _ in found]
    assert targets and {target.removeprefix("#") for target in targets} <= ids
    # In the table; headlines are drawn too, and a second time where they have cycles.
    links = [attributes["href"] for attributes in page.named("a")]
    drawn = [link(topic) for topic, rung in found if rung.headline]
    drawn += [link(topic) for topic, rung in found if rung.headline and rung.cycles.value > 0]
    for target in set(targets):
        assert links.count(target) >= targets.count(target) + drawn.count(target)


def test_marks_say_what_they_are_when_the_pointer_rests_on_them(html: str) -> None:
    titles = [text for tag, text in Page(html).text if tag == "title"]
    assert any(re.fullmatch(r"add, waiting for the one before: \S*\sns · .* cycles .*\[.*\]", text) for text in titles)
    assert any(text.startswith("from CPU") or " at " in text for text in titles)


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        (("what", "time", "core cycles", "measured as"), ("", "in-ns", "in-cycles", "")),
        (
            ("case", "time", "interval", "per", "cycles", "interval", "floor", "rounds"),
            ("", "in-ns", "in-ns", "", "in-cycles", "in-cycles", "in-ns", ""),
        ),
        (("case", "time", "remarks"), ("", "", "")),
        (("interval", "cycles"), ("", "")),
    ],
)
def test_columns_of_time_and_of_cycles_are_known(header: tuple[str, ...], kinds: tuple[str, ...]) -> None:
    assert column_kinds(table("c", header, [])) == kinds


def test_the_lecture_is_one_table_with_links(html: str, told: dict[str, Any]) -> None:
    rows = told["claims"]
    assert {"id", "quote", "english", "verdict", "figure", "because", "section", "language"} <= set(rows[0])
    page = Page(html)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {"claim-" + re.sub("[/_]", "-", row["id"]) for row in rows} <= ids
    section = html[html.index('<h2 id="lecture">') : html.index('<h2 id="topic-clock">')]
    # A heading above the ten most telling ones, and one above the others.
    assert f"{len(rows)} sentences: " in section and section.count("<tr role=") == len(rows) + 2
    assert section.partition("<summary>The other")[0].count("<tr role=") == MOST_TELLING + 1


def test_links_of_the_lecture_lead_to_sections_that_are_there(html: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', html))
    assert {unquote(link) for link in re.findall(r'href="#([^"]+)"', html)} <= ids


def test_every_picture_of_the_page_can_be_copied_into_a_file(html: str) -> None:
    assert len(pictures(html)) == html.count("<svg") > 10


def test_the_report_is_small(html: str) -> None:
    assert len(html.encode()) < 1 << 20
