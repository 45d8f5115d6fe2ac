"""The report as a stranger, a screen reader, a program and an attacker see it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest
from machines import NAMES, expected
from rich.console import Console
from runs import write as synthetic
from runs.write import Case, machine_document
from topics.branch.cases import branch_cases
from topics.suite import suite_cases
from undrawn import without_drawing

import fencepost.analysis
from fencepost.analysis.report.causes import causes
from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.document import FOLD_ROWS
from fencepost.analysis.report.headline import ladder_table, link
from fencepost.analysis.report.html import column_kinds
from fencepost.analysis.report.sections import sections
from fencepost.analysis.report.terminal import summary_table
from fencepost.analysis.report.topology import topology_figure
from fencepost.analysis.report.trust import trust_of_topics, trust_table, trust_verdict
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.text.table import MOST_TELLING, table
from fencepost.analysis.topics.topic import headlines, rungs
from fencepost.analysis.topics.words import page_words
from fencepost.bench import schema
from fencepost.bench.documents import MachineJson
from fencepost.bench.schema import RunFolderError

pytestmark = pytest.mark.usefixtures("undrawn")

EVIL = "<script>alert(1)</script> | `x` [a](http://b) $c$ & <img src=x onerror=alert(1)>"
CELLS = ("td", "th")
VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags in order, with what is inside of them, and whether all are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        assert not self.open, self.open

    def end(self, *tags: str) -> None:
        """Close the innermost elements of these kinds: cells and rows need no end of their own."""
        while self.open and self.open[-1] in tags:
            self.open.pop()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.end(*{"td": CELLS, "th": CELLS, "tr": (*CELLS, "tr")}.get(tag, ()))
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.end(*{"tr": CELLS, "tbody": (*CELLS, "tr")}.get(tag, ()))
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))

    def named(self, *tags: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.tags if tag in tags)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.write_run(tmp_path_factory.mktemp("runs") / "suite", suite_cases(), rounds=6)


@pytest.fixture(scope="module")
def html(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("html") / "report.html"
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


def title(topic: str) -> str:
    """The heading of a topic's section."""
    words = page_words(topic)
    assert words is not None
    return words.title


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
    assert not re.search(r"https?://|//[a-z]+\.[a-z]+/|@import|url\((?!#)", html)
    for attributes in (attributes for _, attributes in page.tags):
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "data:application/gzip;base64,"))


def scripts(html: str) -> list[str]:
    """Contents of the scripts that are run."""
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


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


@pytest.mark.parametrize(
    ("cases", "rounds", "word"),
    [
        ([Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=9, process_noise=0.0, twin_of="a/b@cpu1")], 20, "Yes"),
        (
            [Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=9.3, process_noise=0.0, twin_of="a/b@cpu1")],
            20,
            "With care",
        ),
        (
            [Case("a/b", ns=9, process_noise=0.0), Case("a/b", ns=12, process_noise=0.0, twin_of="a/b@cpu1")],
            20,
            "Hardly",
        ),
        (
            [Case("a/b", ns=9, process_noise=0.3), Case("a/b", ns=9, process_noise=0.3, twin_of="a/b@cpu1")],
            20,
            "Hardly",
        ),
        ([Case("a/b")], 20, "In part"),
        ([Case("a/b")], 3, "Not yet"),
        ([Case("a/b")], 0, "Nothing to trust yet"),
    ],
)
def test_one_verdict_in_words(tmp_path: Path, cases: list[Case], rounds: int, word: str) -> None:
    analysis = analyse(synthetic.write_run(tmp_path / "run", cases, rounds=rounds, planned_rounds=20))
    assert trust_verdict(analysis).word == word


def test_a_noisy_topic_does_not_spoil_the_others(tmp_path: Path) -> None:
    calm = [Case("calm/loop", {"i": i}, ns=9, process_noise=0.0) for i in range(4)]
    noisy = Case("noisy/loop", ns=9, process_noise=0.0)
    cases = [*calm, calm[0].twin(), noisy, replace(noisy.twin(), ns=12), Case("plain/loop", ns=3)]
    analysis = analyse(synthetic.write_run(tmp_path / "run", cases, rounds=20))
    assert {one.topic: one.word for one in trust_of_topics(analysis)} == {
        "calm": "Yes",
        "noisy": "Hardly",
        "plain": "In part",
    }
    verdict = trust_verdict(analysis)
    assert verdict.word == "Yes"
    assert "Not known for plain; hardly in noisy." in verdict.sentence
    found = next(cells for cells in trust_table(analysis).rows if cells[0] == "trust by topic")
    assert found[1].startswith("Yes: calm (") and "Hardly: noisy (" in found[1] and "In part: plain" in found[1]
    assert as_json(analysis.folder)["trust"]["topics"][0]["trust"] == "Yes"


def test_the_cause_is_named_with_what_helps(tmp_path: Path) -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=0.6)
    analysis = analyse(synthetic.write_run(tmp_path / "run", [row, row.twin()], rounds=12, batches=40))
    said = trust_verdict(analysis).sentence
    assert re.search(r"A neighbour shared the core in (5\d|6\d) % of the batches. Use the figures alone", said)


def test_where_a_neighbour_left_nothing_nobody_is_sent_to_figures_alone(tmp_path: Path) -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=1.0)
    analysis = analyse(synthetic.write_run(tmp_path / "run", [row, row.twin()], rounds=12, batches=40))
    said = trust_verdict(analysis).sentence
    assert "Use the figures alone" not in said
    assert "`fencepost ab` compares code even so" in said


def test_a_difference_is_never_a_power_of_ten(tmp_path: Path) -> None:
    row = Case("a/b", ns=9, process_noise=0.0)
    cases = [row, replace(row.twin(), ns=19)]
    said = trust_verdict(analyse(synthetic.write_run(tmp_path / "run", cases, rounds=20))).sentence
    assert "differ by 111 %" in said


def test_a_cpu_that_is_not_ours_spoils_trust(tmp_path: Path) -> None:
    quiet = Case("a/b", ns=9, process_noise=0.0)
    gaps = Case("noise/gaps", kind="events", metrics={"lost_pct": 40.0})
    analysis = analyse(synthetic.write_run(tmp_path / "run", [quiet, quiet.twin(), gaps], rounds=20))
    assert trust_verdict(analysis).word == "With care"
    assert "loses 40 % of its time to interrupts and other work" in trust_verdict(analysis).sentence


def test_interrupts_are_named_as_the_cause_with_or_without_a_witness(tmp_path: Path) -> None:
    for name, neighbour in (("with", 0.0), ("without", None)):
        row = Case("a/b", ns=9, process_noise=0.0, neighbour=neighbour, gap_share=0.15)
        folder = synthetic.write_run(tmp_path / name, [row, row.twin()], rounds=12, batches=40)
        said = trust_verdict(analyse(folder)).sentence
        assert re.search(r"Interrupts or other threads broke into 1\d % of the batches. Stop other work", said)


def test_every_cause_is_named_the_largest_first(tmp_path: Path) -> None:
    row = Case("a/b", ns=9, process_noise=0.0, neighbour=0.6, gap_share=0.15)
    folder = synthetic.write_run(tmp_path / "run", [row, row.twin()], rounds=12, batches=40)
    said = [cause.said.partition(" ")[0] for cause in causes(analyse(folder))]
    assert said == ["A", "Interrupts"]
    # One piece of advice, against the largest of them.
    assert trust_verdict(analyse(folder)).sentence.count("`fencepost") == 1


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


def test_a_run_without_rounds_is_one_sentence_and_no_section(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", suite_cases(), rounds=0, planned_rounds=20)
    write_report(folder, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    said = " ".join(text for _, text in page.text)
    assert "No round of this run is complete (20 are planned)" in said
    assert title("clock") not in said and len(list(page.named("figure"))) == 1
    assert [path.name for path in (tmp_path / "r_figures").iterdir()] == ["topology.svg"]


def test_a_run_of_one_round(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", suite_cases(), rounds=1, planned_rounds=20)
    with without_drawing():  # test_figures.py draws them
        write_report(folder, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "1 round of 20 is complete" in text
    assert len(list(Page(text).named("figure"))) == 2 + 1 + 9


def test_every_case_failed(tmp_path: Path) -> None:
    cases = [
        Case("plain/x", status="failed", reason="wrong sum"),
        Case("mine/y", status="unsupported", reason="needs root"),
    ]
    folder = synthetic.write_run(tmp_path / "run", cases, rounds=6)
    write_report(folder, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    assert "failed in 6 of 6 rounds: wrong sum" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_machine_that_tells_little(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("own/a")], rounds=6)
    few = {name: synthetic.machine_document()[name] for name in ("schema", "key", "cpu_model", "arch", "kernel")}
    (folder / schema.MACHINE_FILE).write_text(json.dumps(few | {"topology": {}, "governor": None, "smt": True}))
    with without_drawing():
        write_report(folder, html=tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "not known" in text


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


def test_no_global_state_of_pyplot_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in Path(fencepost.analysis.__file__).parent.rglob("*.py"):
        assert "pyplot" not in path.read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # nor by another library: to import it is an error
    few = [Case("clock/read", {"read": "rdtsc"}, ns=5), Case("pipeline/imul100", ns=80)]
    write_report(synthetic.write_run(tmp_path / "run", few), html=tmp_path / "r.html")


# ---- long tables, claims ----


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


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("topology", "drawn"),
    [
        ({"cpus": [0, 1], "cores": [[0, 1]], "packages": [[0, 1]], "l3": [[0, 1]], "numa": {"0": [0, 1]}}, True),
        ({"cpus": [0, 1, 2], "cores": [], "packages": [], "l3": [], "numa": {}}, True),
        ({"cpus": [0, 1], "cores": "none", "numa": {"0": [0], "1": [1]}}, True),
        ({"cpus": list(range(4096))}, False),
        ({"cpus": ["0"]}, False),
        ({"cpus": []}, False),
        ({}, False),
        (None, False),
    ],
)
def test_the_topology_is_drawn_where_the_machine_tells_it(topology: object, drawn: bool) -> None:
    figure = topology_figure(cast(MachineJson, {"topology": topology}), [0])
    assert (figure is not None) == drawn
    if figure is not None:
        assert figure.table.rows and "Filled: the CPUs that this run may use (0)" in figure.description


@pytest.mark.drawn
@pytest.mark.parametrize("name", NAMES)
def test_topologies_of_whole_machines_are_drawn_within_their_picture(name: str) -> None:
    topology = expected(name)
    figure = topology_figure(machine_document(topology=topology, caches=[]), topology["cpus"][:2])
    assert figure is not None
    for cpu in topology["cpus"]:
        assert re.search(rf">{cpu}</text>", figure.svg)
    assert len(figure.table.rows) >= len(topology["l3"] or [1])
    alone = {cpu: core for core in topology["cores"] for cpu in core}
    shared = [group for group in topology["l2"] if any(alone.get(cpu) != alone.get(group[0]) for cpu in group)]
    assert figure.svg.count(">L2</text>") == len(shared)


DOCTOR = {
    "profile": "standard",
    "fit": True,
    "best_change": "governor",
    "findings": [
        {
            "knob": "governor",
            "value": "powersave",
            "effect": "the clock follows the load",
            "change": "echo performance",
            "reboot": False,
            "severity": "hurts",
        },
        {
            "knob": "turbo",
            "value": None,
            "effect": EVIL,
            "change": None,
            "reboot": False,
            "severity": "note",
        },
    ],
}


def test_what_the_doctor_found_is_told_with_the_best_change(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("own/a")])
    run = json.loads((folder / schema.RUN_FILE).read_text())
    (folder / schema.RUN_FILE).write_text(json.dumps(run | {"doctor": DOCTOR}))
    with without_drawing():
        write_report(folder, html=tmp_path / "r.html", markdown=tmp_path / "r.md")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    said = " ".join(text for _, text in Page(text).text)
    assert "no setting that forbids the profile standard. 1 setting spoils figures: governor." in said
    assert "Best next step: governor, echo performance" in said
    assert text.count("<script") == 1 and EVIL in said
    assert "**Best next step:** governor, echo performance" in (tmp_path / "r.md").read_text()


def test_a_doctors_record_of_a_wrong_kind_is_refused_by_name(tmp_path: Path) -> None:
    folder = synthetic.write_run(tmp_path / "run", [Case("own/a")])
    run = json.loads((folder / schema.RUN_FILE).read_text())
    (folder / schema.RUN_FILE).write_text(
        json.dumps(run | {"doctor": {"profile": "quick", "fit": "yes", "findings": []}})
    )
    with pytest.raises(RunFolderError, match=r"run\.json: field doctor\.fit"):
        as_json(folder)


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


def test_the_report_is_small(html: str) -> None:
    assert len(html.encode()) < 1 << 20
