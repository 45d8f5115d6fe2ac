"""The gallery: what is published, and what the pages say."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs.measure import ROOT, fencepost_inside
from runs.publish import TWINS, edit, faults, measured, only, published
from runs.write import Case, write_run
from topics.line.cases import pingpong_cases
from topics.suite import suite_cases

from fencepost.analysis.gallery.check import check_folder, check_gallery
from fencepost.analysis.gallery.entry import (
    LARGEST,
    README,
    SUMMARY,
    Entry,
    published_folders,
    read_entry,
    refusals,
)
from fencepost.analysis.gallery.labels import stem
from fencepost.analysis.gallery.pages import COMPARE, INDEX, PAGES, README_COLUMNS, build, columns, heat_map
from fencepost.analysis.report.data import as_json
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.text.escape import HIDDEN, visible
from fencepost.analysis.topics.topic import headlines
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import MACHINE_FILE, RUN_FILE
from fencepost.cli import publish

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e[x](javascript:x) | y"


# ---- what is published ----


def test_a_published_folder_is_complete_sound_and_a_run_folder(sound: Path) -> None:
    folder = only(sound)
    assert sorted(path.name for path in folder.iterdir()) == sorted(LARGEST)
    machine = json.loads((folder / MACHINE_FILE).read_text())
    assert folder.name == f"2026-01-02-{machine['key']}"
    assert sorted(path.name for path in sound.iterdir() if path.is_file()) == sorted(PAGES)
    assert faults(sound) == []
    assert check_gallery(sound, machine_key, reports=True) == []


def test_the_published_figures_are_those_of_the_run(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    folder = published(tmp_path / "results", run)
    assert as_json(folder) == as_json(run)
    rows = list(csv.DictReader(io.StringIO((folder / SUMMARY).read_text())))
    told = {row["case"]: row["ns"] for row in rows if not row["headline"]}
    for row in analyse(run).rows:
        assert told[row.case] == (repr(row.time.value) if row.measured else "")
    labels = [row["headline"] for row in rows if row["headline"]]
    assert labels == [rung.label for _, rung in headlines(analyse(run))]


def test_a_second_run_of_a_day_replaces_only_when_asked(tmp_path: Path) -> None:
    run = measured(tmp_path / "run", [*TWINS])
    results = tmp_path / "results"
    published(results, run)
    done = fencepost_inside("publish", str(run), "--results", "results", cwd=tmp_path)
    assert done.returncode == 2
    assert "--replace" in done.stderr
    published(results, run, "--replace")
    assert faults(results) == []


def test_paths_in_the_command_are_shortened(tmp_path: Path) -> None:
    run = measured(tmp_path / "run", [*TWINS])
    edit(
        run / RUN_FILE, lambda r: r.update(command=["fencepost", "run", "--out", "/home/alice/secret/runs", "--x=/a/b"])
    )
    folder = published(tmp_path / "results", run)
    assert json.loads((folder / RUN_FILE).read_text())["command"] == ["fencepost", "run", "--out", "runs", "--x=b"]
    for path in folder.iterdir():
        assert b"alice" not in path.read_bytes(), path


def test_a_path_that_all_machines_have_is_no_secret(tmp_path: Path) -> None:
    """As the doctor's advice names it; any other file beside it is refused."""
    run = measured(tmp_path / "run", [*TWINS])
    edit(run / MACHINE_FILE, lambda m: m.update(kernel="6.1, see /etc/default/grub, then"))
    published(tmp_path / "results", run)
    for path in ("/etc/default/grub.d/alice", "/etc/alice/x"):
        edit(run / MACHINE_FILE, lambda m: m.update(kernel=f"6.1, see {path}, then"))  # noqa: B023 - called at once
        done = fencepost_inside("publish", str(run), "--results", str(tmp_path / "results"), cwd=tmp_path)
        assert done.returncode == 2 and f"has the path {path};" in done.stderr


REFUSED: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "a path": (lambda m: m.update(kernel="6.1 /home/alice/linux"), MACHINE_FILE, "field kernel: has the path"),
    "an include path": (lambda r: r["engine"].update(flags="-O2 -I/home/alice/x"), RUN_FILE, "field engine.flags"),
    "a home": (
        lambda r: r["versions"].update(fencepost="0.1 from ~/src"),
        RUN_FILE,
        "field versions.fencepost: has the path ~/src",
    ),
    "a host": (lambda m: m.update(hostname="kitchen"), MACHINE_FILE, "field hostname: tells of the person"),
    "a pid": (lambda m: m.update(capabilities={"pid": 12}), MACHINE_FILE, "field capabilities.pid"),
    "a serial number": (lambda m: m.update(dmi={"serial": "X1"}), MACHINE_FILE, "field dmi.serial"),
    "bogomips": (lambda m: m.update(bogomips=5200), MACHINE_FILE, "field bogomips"),
    "a user": (
        lambda m: m.update(kernel="6.1.0-alicepc"),
        MACHINE_FILE,
        "field kernel: has 'alicepc', the name of a host",
    ),
    "a key of another": (lambda m: m.update(key="other-1cpu-00000000"), MACHINE_FILE, "field key"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_tells_of_a_person_is_refused_by_its_field(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "private_words", lambda: [("alicepc", "the name of a host")])
    run = measured(tmp_path / "run", suite_cases()[:2])
    change, file, words = REFUSED[what]
    edit(run / file, change)
    done = fencepost_inside("publish", str(run), "--results", "results", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{file}: {words}" in done.stderr
    assert not (tmp_path / "results").exists()


def test_ordinary_facts_are_not_refused(tmp_path: Path) -> None:
    folder = measured(
        tmp_path / "run", boot_parameters=["mitigations=auto"], mitigations={"l1tf": "a/b", "x": "SMT n/a"}
    )
    edit(folder / RUN_FILE, lambda r: r["engine"].update(flags="-ffile-prefix-map=/build/python3=. -I/usr/include/x"))
    assert refusals(analyse(folder), [("bob", "the name of a user")]) == []


@pytest.mark.parametrize("user", ["turbo", "nobody", "mark", "clock", "ondemand", "epyc"])
def test_a_user_may_be_called_by_a_word_of_ours(user: str, tmp_path: Path) -> None:
    folder = measured(tmp_path / "run", suite_cases()[:2], governor="ondemand", turbo="on", cpu_model="AMD EPYC")

    def our_words(run: Any) -> None:
        run["plan"]["cases"][0] |= {"summary": f"nobody can mark it, and {user} neither", "unit": user}
        finding = {
            "knob": user,
            "value": "",
            "effect": f"{user} is on",
            "change": "",
            "severity": "hurts",
            "reboot": False,
        }
        run["doctor"] = {"profile": "quick", "findings": [finding], "fit": True}

    edit(folder / RUN_FILE, our_words)
    assert [item for item in refusals(analyse(folder), [(user, "a user")]) if ": has " in item] == []
    edit(folder / MACHINE_FILE, lambda m: m.update(kernel=f"6.1 ({user}@x)"))
    edit(folder / RUN_FILE, lambda r: r["plan"]["cases"][0].update(object="own.c"))
    found = [item for item in refusals(analyse(folder), [(user, "a user")]) if ": has " in item]
    assert any("field kernel" in item for item in found) and any("plan.cases[0].summary" in item for item in found)


def test_incomplete_failed_and_imported_runs_are_refused(tmp_path: Path) -> None:
    cases = [Case("plain/loop"), Case("plain/bad", status="failed", reason="check found 3, expected 4")]
    for name, words, options in (
        ("failed", "check found 3, expected 4", {"cases": cases}),
        ("incomplete", "3 of 6 rounds are complete", {"cases": cases[:1], "rounds": 3, "planned_rounds": 6}),
        ("short", "2 rounds give no interval", {"cases": cases[:1], "rounds": 2}),
    ):
        run = write_run(tmp_path / name, **options)
        assert any(words in sentence for sentence in refusals(analyse(run))), name
    analysis = analyse(run)
    analysis.run["imported"] = {"format": "pyperf", "files": [], "tool": "pyperf 2"}
    assert "another tool" in refusals(analysis)[0]


def test_names_of_this_user_and_host_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    monkeypatch.setattr("platform.node", lambda: "kitchen.example.org")
    monkeypatch.setenv("HOME", "/home/al")
    found = {word for word, _ in publish.private_words()}
    assert found == {"alice", "kitchen", "kitchen.example.org"}
    monkeypatch.setenv("LOGNAME", "root")
    assert "root" not in {word for word, _ in publish.private_words()}


# ---- the pages ----


class Page(HTMLParser):
    """Text, tags and addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of three machines, one with a hostile name, one published twice."""
    base = tmp_path_factory.mktemp("three")
    apart = {(a, b): ("same_package", 30.0 + 9 * abs(a - b)) for a in range(3) for b in range(3) if a != b}
    cases = [*suite_cases()[:3], *TWINS, *pingpong_cases(apart)]
    for name, given, facts in (
        ("a", cases, {"cpus_present": [0, 1, 2]}),
        ("b", None, {"cpu_model": "Other CPU", "cpus_present": [0]}),
        ("c", cases, {"cpu_model": HOSTILE, "cpus_present": [0, 1, 2]}),
    ):
        published(base / "results", measured(base / name, given, **facts))
    edit(base / "a" / RUN_FILE, lambda run: run.update(created_utc="2026-05-06T07:08:09Z"))
    published(base / "results", base / "a")
    return base / "results"


def entries(results: Path) -> list[Entry]:
    return [read_entry(folder) for folder in published_folders(results)]


def test_the_pages_name_every_machine_and_lead_to_it(three: Path) -> None:
    assert faults(three) == []
    page = Page((three / INDEX).read_text(encoding="utf-8"))
    for folder in published_folders(three):
        assert f"{folder.name}/report.html" in page.addresses
        assert (three / folder.name / "report.html").exists()
        assert f"({folder.name}/README.md)" in (three / README).read_text()
    assert "4 runs" in page.text
    assert "3 machines" in page.text
    # The wall shows a machine once, as it was measured last, and none of two CPUs.
    assert page.tags.count("figure") == 2
    local = [address for address in page.addresses if not address.startswith("data:image/png;base64,")]
    assert all(re.fullmatch(r"[a-z0-9-]+/report\.html|compare\.html|README\.md", address) for address in local)


def test_the_readme_has_a_short_line_for_each_run(three: Path) -> None:
    text = (three / README).read_text(encoding="utf-8")
    head, _, *lines = [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    assert len(lines) == 4
    assert len(head) <= 7 and max(map(len, head)) <= 30, "a page shows it without scrolling"
    figures = [cell for line in lines for cell in line[4:]]
    assert figures and all(re.fullmatch(r"[\d.]+( \|)?", figure) for figure in figures)


def test_the_figures_of_the_readme_are_headlines() -> None:
    """A headline that gets another name would leave the table."""
    text = (ROOT / "results" / README).read_text(encoding="utf-8")
    assert all(f"| {heading}, " in text for heading in README_COLUMNS.values())


def test_the_figures_of_the_pages_are_those_of_the_folders(three: Path) -> None:
    data = re.search(r'id="data">(.*?)</script>', (three / COMPARE).read_text(encoding="utf-8"), re.DOTALL)
    assert data is not None
    document = json.loads(data[1])
    folders = published_folders(three)
    assert [machine["name"] for machine in document["machines"]] == [folder.name for folder in folders]
    for folder, machine in zip(folders, document["machines"], strict=True):
        rungs = {stem(rung.label): rung for _, rung in headlines(analyse(folder))}
        for index, name in enumerate(document["headlines"]):
            assert machine["headlines"][3 * index] == pytest.approx(rungs[name].ns.value, rel=1e-3)
    assert document["cases"]
    assert all(len(machine["cases"]) == 3 * len(document["cases"]) for machine in document["machines"])


def test_hostile_names_are_text_on_every_page(three: Path) -> None:
    for path in [three / name for name in PAGES] + [p for f in published_folders(three) for p in f.glob("*.*")]:
        if path.suffix == ".parquet":
            continue
        content = path.read_text(encoding="utf-8")
        assert not HIDDEN.search(content), path
        if path.suffix in (".md", ".html"):
            assert "<script>alert" not in content, path
        if path.suffix == ".md":
            assert "](javascript:" not in content.replace("\\]", ""), path
    index = Page((three / INDEX).read_text(encoding="utf-8"))
    assert visible("<script>alert(1)</script>\x1b[2J\u202e[x](javascript:x) | y") in index.text
    data = (three / COMPARE).read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    assert "alert(1)" in data
    assert not set("<>&") & set(data)


def test_a_browser_runs_no_script_but_the_page_s_own(three: Path) -> None:
    import base64

    for name in (INDEX, COMPARE):
        page = (three / name).read_text(encoding="utf-8")
        script = page.rpartition("<script>")[2].partition("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page


def test_without_javascript_nothing_is_missing(three: Path) -> None:
    for name, kind, number in ((INDEX, "machines", 5), (COMPARE, "best", 1 + len(columns(entries(three))))):
        page = (three / name).read_text(encoding="utf-8")
        table = re.split(rf'<table (?:role="table" )?class="{kind}"', page)[1].partition("</table>")[0]
        assert len(re.findall("<tr[ >]", table)) == number
        assert "display:none" not in page.rpartition("</style>")[2].replace(" ", "")
    compare = (three / COMPARE).read_text(encoding="utf-8")
    assert "<noscript>" in compare and compare.count('role="rowheader"') >= 2, "the first two are beside each other"


def test_a_faulty_folder_is_left_out_with_a_sentence(three: Path, tmp_path: Path) -> None:
    results = Path(shutil.copytree(three, tmp_path / "results"))
    bad = published_folders(results)[1]
    (bad / SUMMARY).write_text("case,ns\n")
    done = fencepost_inside("publish", "--rebuild", "--results", str(results), cwd=tmp_path)
    assert done.returncode == 0
    assert f"{bad.name}/summary.csv" in done.stderr
    assert f"{bad.name}/report.html" not in (results / INDEX).read_text(encoding="utf-8")


def test_an_empty_gallery_says_how_to_begin(tmp_path: Path) -> None:
    pages, left_out = build(tmp_path)
    assert left_out == []
    assert b"No machine is here yet" in pages[INDEX]


def test_a_map_has_a_pixel_a_pair(tmp_path: Path) -> None:
    import base64

    from matplotlib.image import imread

    ns = np.array([[np.nan, 5.0], [500.0, np.nan]])
    pixels = imread(io.BytesIO(base64.b64decode(heat_map(ns).partition(",")[2])))
    assert pixels.shape == (2, 2, 4)
    assert pixels[0, 0, 3] == 0  # not measured: transparent
    assert pixels[0, 1, :3].sum() > pixels[1, 0, :3].sum()  # near is light


def test_names_of_headlines_are_the_same_on_every_machine() -> None:
    assert stem("load from the largest buffer (256 MiB, small pages)") == "load from the largest buffer"
    assert stem("full fence, the cheapest: lock_inc after a store") == "full fence, the cheapest"
    assert (
        stem("atomic addition to a line that 2 threads want") == "atomic addition to a line that several threads want"
    )


def test_a_run_that_can_hardly_be_trusted_wants_to_be_asked(tmp_path: Path) -> None:
    row = Case("plain/loop", ns=9, process_noise=0.0)
    run = measured(tmp_path / "run", [row, replace(row.twin(), ns=12)])
    command = ("publish", str(run), "--results", "results")
    refused = fencepost_inside(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert "can hardly be trusted" in refused.stderr and "--anyway" in refused.stderr
    done = fencepost_inside(*command, "--anyway", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (readme,) = (tmp_path / "results").glob("*/README.md")
    assert "**Can it be trusted? Hardly.**" in readme.read_text(encoding="utf-8")


def test_headlines_of_a_run_with_witnesses_say_which_figures_they_are(results: Path, tmp_path: Path) -> None:
    add = Case("pipeline/chain", {"op": "add", "chains": 1}, ns=0.27, neighbour=0.2, batches=40)
    call = Case("clock/null_syscall", ns=160.0, unit="call", neighbour=1.0, batches=40)
    folder = published(results, measured(tmp_path / "run", [add, add.twin(), call]), "--replace", "--anyway")
    lines = csv.DictReader(io.StringIO((folder / SUMMARY).read_text()))
    assert [line["basis"] for line in lines if line["headline"]] == ["alone", "as found"]
    text = (folder / README).read_text()
    assert "| core cycles | figure | measured as |" in text and "| alone | pipeline" in text
    assert check_folder(folder, machine_key) == []


def test_a_headline_of_several_modes_is_told_for_each(results: Path, tmp_path: Path) -> None:
    """The summary has one figure for both, which no process showed where it is in between."""
    call = Case("clock/null_syscall", ns=160.0, unit="call", modes=((1.0, 0.6), (1.4, 0.4)), process_noise=0.0005)
    run = measured(tmp_path / "run", [*TWINS, call])
    modes = analyse(run).by_case[call.id].modes
    assert len(modes) == 2
    folder = published(results, run, "--replace")
    entry, name = read_entry(folder), "enter the kernel and come back"
    assert [mode.ns for mode in entry.modes[name]] == pytest.approx([mode.ns for mode in modes], rel=1e-3)
    assert [mode.share for mode in entry.modes[name]] == pytest.approx([mode.share for mode in modes], abs=0.005)
    (column,) = [column for column in columns([entry]) if column.name == name]
    assert re.fullmatch(r"16\d \(\d+%\) or 22\d \(\d+%\)", column.said(entry))
    assert column.said(entry) in (results / README).read_text()
    assert " or " in column.whole(entry)
    assert check_folder(folder, machine_key) == []


def test_a_headline_of_several_regimes_is_told_for_each(results: Path, tmp_path: Path) -> None:
    places = ((105.0, 0.4, 1.0), (400.0, 0.6, 3.5))
    pairs = pingpong_cases({(0, 1): ("same_l3", 52.0), (1, 0): ("same_l3", 52.0)})
    run = measured(tmp_path / "run", [*TWINS, *(replace(case, places=places, batches=60) for case in pairs)])
    folder = published(results, run, "--replace")
    entry = read_entry(folder)
    name = "a cache line to another CPU, one way"
    assert [one.name for one in entry.regimes[name]] == ["near", "far"]
    assert entry.headlines[name].value == pytest.approx(182, rel=0.03)
    (column,) = [column for column in columns([entry]) if column.name == name]
    assert re.fullmatch(r"near 5[\d.]+ \(\d+%\), far 18\d \(\d+%\)", column.said(entry))
    assert "[" in column.whole(entry) and "near 5" in (results / README).read_text()
    assert f"{name}: near" in (results / COMPARE).read_text()
    assert check_folder(folder, machine_key) == []
