"""The gallery: what is published, what the pages say, and that no fault or trick in a folder passes the check."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from runs.measure import ROOT, fencepost_inside
from runs.publish import TWINS, edit, measured, published
from runs.write import Case, write_run
from topics.line.cases import pingpong_cases
from topics.suite import suite_cases
from undrawn import without_drawing

from fencepost.analysis.gallery import check
from fencepost.analysis.gallery.check import check_folder, check_gallery
from fencepost.analysis.gallery.entry import (
    LARGEST,
    PUBLISHED,
    README,
    REPORT,
    SUMMARY,
    Entry,
    published_folders,
    read_entry,
    readme,
    refusals,
    report_file,
    stored_headlines,
)
from fencepost.analysis.gallery.labels import stem
from fencepost.analysis.gallery.pages import COMPARE, INDEX, PAGES, README_COLUMNS, build, columns, heat_map
from fencepost.analysis.report.answers import report_of
from fencepost.analysis.report.data import as_json
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.text.escape import HIDDEN, visible
from fencepost.analysis.topics.rungs import MOST_HEADLINES, first, step
from fencepost.analysis.topics.topic import headlines, known_topics
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE
from fencepost.cli import publish

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e[x](javascript:x) | y"


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    """Each folder has a report, and no test here looks at its pictures; those of tests/analysis/report do."""
    with without_drawing():
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of one machine."""
    base = tmp_path_factory.mktemp("gallery")
    published(base / "results", measured(base / "run"))
    return base / "results"


@pytest.fixture
def results(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to be damaged."""
    return Path(shutil.copytree(sound, tmp_path / "results"))


def only(results: Path) -> Path:
    (folder,) = published_folders(results)
    return folder


def faults(results: Path) -> list[str]:
    found = check_gallery(results, machine_key)
    assert all("\n" not in fault and not HIDDEN.search(fault) for fault in found)
    return found


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
    run = measured(tmp_path / "run")
    results = tmp_path / "results"
    published(results, run)
    done = fencepost_inside("publish", str(run), "--results", "results", cwd=tmp_path)
    assert done.returncode == 2
    assert "--replace" in done.stderr
    published(results, run, "--replace")
    assert faults(results) == []


def test_paths_in_the_command_are_shortened(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    edit(
        run / RUN_FILE, lambda r: r.update(command=["fencepost", "run", "--out", "/home/alice/secret/runs", "--x=/a/b"])
    )
    folder = published(tmp_path / "results", run)
    assert json.loads((folder / RUN_FILE).read_text())["command"] == ["fencepost", "run", "--out", "runs", "--x=b"]
    for path in folder.iterdir():
        assert b"alice" not in path.read_bytes(), path


def test_a_path_that_all_machines_have_is_no_secret(tmp_path: Path) -> None:
    """As the doctor's advice names it; any other file beside it is refused."""
    run = measured(tmp_path / "run")
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


# ---- the check ----


def replace_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_text(encoding="utf-8")
        assert old in content
        (folder / name).write_text(content.replace(old, new, 1), encoding="utf-8")

    return damage


def edited(name: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, change)


def bigger(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.truncate(LARGEST[name] + 1)

    return damage


def faster(folder: Path) -> None:
    """The figure of one case in summary.csv halved by hand."""
    lines = list(csv.reader(io.StringIO((folder / SUMMARY).read_text())))
    place = lines[0].index("ns")
    row = next(line for line in lines[1:] if line[0] == "" and line[place])
    row[place] = repr(float(row[place]) / 2)
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(lines)
    (folder / SUMMARY).write_text(sink.getvalue())


def other_rows(folder: Path) -> None:
    """All times of rows.parquet halved by hand, everything else left as it was."""
    table = pq.read_table(folder / ROWS_FILE)
    half = pa_half(table)
    pq.write_table(half, folder / ROWS_FILE)


def pa_half(table: Any) -> Any:
    import pyarrow.compute as pc

    for name in ("ns", "resolution_ns"):
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pc.multiply(table.column(name), 0.5))
    return table


def link_out(folder: Path) -> None:
    (folder / README).unlink()
    (folder / README).symlink_to("/etc/passwd")


def script(text: str) -> Callable[[Path], None]:
    return replace_text(REPORT, "</body>", f"{text}</body>")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing file": (lambda f: (f / README).unlink(), r"README\.md: missing"),
    "foreign file": (lambda f: (f / "evil.exe").write_text("x"), r"evil\.exe: a file that does not belong"),
    "folder inside": (lambda f: (f / "rounds").mkdir(), "rounds: a link or a folder"),
    "link out": (
        link_out,
        r"README\.md: a link or a folder",
    ),
    "large file": (bigger(ROWS_FILE), r"rows\.parquet: 16\.0 MiB, more than the 16 MiB"),
    "not UTF-8": (lambda f: (f / README).write_bytes(b"\xff"), "byte 0 is not UTF-8"),
    "escape sequence": (
        replace_text(README, "# ", "# \x1b[2J"),
        r"README\.md: line 1: the hidden character U\+001B",
    ),
    "bidi control": (
        replace_text(REPORT, "<h1>", "<h1>\u202e"),
        r"report\.html: line \d+: the hidden .* U\+202E",
    ),
    "truncated json": (lambda f: (f / RUN_FILE).write_text('{"schema": 1'), r"run\.json: not valid JSON"),
    "deep json": (lambda f: (f / MACHINE_FILE).write_text("[" * 200_000), r"machine\.json: not valid JSON"),
    "newer schema": (edited(RUN_FILE, lambda r: r.update(schema=99)), "newer than"),
    "changed bit": (
        lambda f: (f / RUN_FILE).write_text((f / RUN_FILE).read_text().replace('"seed": ', '"seed": 1')),
        "field sha256: not the hash",
    ),
    "wrong type": (edited(RUN_FILE, lambda r: r["plan"].update(rounds="six")), r"field plan\.rounds"),
    "odd topology": (edited(MACHINE_FILE, lambda m: m.update(topology=[])), "field topology"),
    "truncated rows": (
        lambda f: (f / ROWS_FILE).write_bytes((f / ROWS_FILE).read_bytes()[:-50]),
        r"rows\.parquet: not a complete Parquet file",
    ),
    "rows of another layout": (
        lambda f: pq.write_table(pq.read_table(f / ROWS_FILE).drop_columns(["ns"]), f / ROWS_FILE),
        "column ns is missing",
    ),
    "rows of another run": (edited(RUN_FILE, lambda r: r.update(id="another")), "but run.json has id 'another'"),
    "hand-edited rows": (other_rows, r"summary\.csv: line \d+.*: field ns"),
    "hand-edited summary": (faster, r"summary\.csv: line \d+, clock/\S+: field ns: \S+, but rows\.parquet gives"),
    "hand-edited README": (replace_text(README, "95 %", "99 %"), r"README\.md: not what rows\.parquet gives"),
    "hand-edited trust": (
        edited(RUN_FILE, lambda r: r["published"].update(trust="Absolutely")),
        r"published\.trust: 'Absolutely', but rows\.parquet gives",
    ),
    "hand-edited noise": (
        edited(RUN_FILE, lambda r: r["published"].update(noise_reach_pct=0.001)),
        r"field published\.noise_reach_pct: 0\.001",
    ),
    "another CPU": (edited(MACHINE_FILE, lambda m: m.update(cpu_model="Faster CPU")), "field key: .* edited by hand"),
    "another date": (
        edited(RUN_FILE, lambda r: r.update(created_utc="2020-01-01T00:00:00Z")),
        "the name of the folder",
    ),
    "no date": (
        edited(RUN_FILE, lambda r: r.update(created_utc="../../x")),
        "field created_utc: '../../x' is not a time",
    ),
    "path in the key": (
        edited(MACHINE_FILE, lambda m: m.update(key="../../../etc/x")),
        r"field key: '../../../etc/x', its facts give",
    ),
    "a user's path": (
        edited(MACHINE_FILE, lambda m: m.update(kernel="/home/bob/linux")),
        "has the path /home/bob/linux",
    ),
    "report of other rows": (
        replace_text(REPORT, 'name="fencepost-rows" content="', 'name="fencepost-rows" content="0'),
        r"report\.html: line 5: .* where its rows give",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_fault_is_one_sentence_with_folder_file_and_field(what: str, results: Path) -> None:
    damage, words = DAMAGE[what]
    folder = only(results)
    damage(folder)
    found = check_folder(folder, machine_key)
    assert any(re.search(words, fault) for fault in found), found
    assert all(folder.name in fault and "\n" not in fault and not HIDDEN.search(fault) for fault in found)


ACTING = {
    "script": "<script>alert(1)</script>",
    "data that is a script": "<script type='text/javascript' type='application/json'>alert(1)</script>",
    "comment that ends early": "<!--><script>alert(1)</script>-->",
    "comment that ends otherwise": "<!-- --!><script>alert(1)</script>-->",
    "section of another language": '<![CDATA[><img src=x onerror="alert(1)">]]>',
    "style of another language": '<svg ><style><img src=x onerror="alert(1)"></style></svg>',
    "text of a field": '<textarea><!--</textarea><img src=x onerror="alert(1)">--></textarea>',
    "two addresses": '<a href="javascript:alert(1)" href="#">x</a>',
    "redirection": '<meta http-equiv="refresh" content="0;url=https://x.example/">',
    "escaped import": "<style>@\\69mport 'https://x.example/x.css';</style>",
    "picture by a function": "<style>body{background:image-set('https://x.example/x.png' 1x)}</style>",
    "handler": "<svg/onload=alert(1)>",
    "address": "<a href='https://x.example/'>x</a>",
    "words over the page": "<div style='position:fixed;inset:0'>log in</div>",
    "address of a picture": "<svg ><image href='https://x.example/x.png'/></svg>",
    "shapes from elsewhere": '<svg ><use href="https://x.example/x.svg#a"/></svg>',
    "a word": "hamsters",
}


@pytest.fixture(scope="module")
def made(sound: Path) -> bytes:
    """The report that the rows give."""
    folder = only(sound)
    return report_file(analyse(folder), (folder / ROWS_FILE).read_bytes())


@pytest.fixture
def page(made: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for once."""
    monkeypatch.setattr(check, "report_file", lambda *_: made)


@pytest.mark.parametrize("where", ["</body>", "</svg>", "</title>"])
@pytest.mark.parametrize("what", ACTING)
def test_a_page_is_what_its_rows_give(what: str, where: str, results: Path, page: None) -> None:
    if what == "a word" and where != "</body>":
        return  # pictures are compared with --reports only
    folder = only(results)
    replace_text(REPORT, where, ACTING[what] + where)(folder)
    analysis = Analysis.__new__(Analysis)  # the page is there already
    (fault,) = check._check_report(folder, analysis, pictures=False)
    assert re.search(r"report\.html: line \d+: (a picture that has|.* where its rows give)", fault)


def test_a_page_needs_its_policy(results: Path, page: None) -> None:
    folder = only(results)
    text = (folder / REPORT).read_text()
    (folder / REPORT).write_text(re.sub("<meta http-equiv.*\n", "", text, count=1))
    assert "Content-Security-Policy" in text
    (fault,) = check._check_report(folder, Analysis.__new__(Analysis), pictures=False)
    assert "Content-Security" in fault


def test_pictures_are_compared_when_asked(results: Path) -> None:
    replace_text(REPORT, "</svg>", "<text>hamsters</text></svg>")(only(results))
    assert faults(results) == []
    (fault,) = check_gallery(results, machine_key, reports=True)
    assert "hamsters" in fault


def test_what_a_killed_command_left_is_named(results: Path) -> None:
    (results / ".tmp-2026-01-02-x").mkdir()
    (fault,) = faults(results)
    assert ".tmp-2026-01-02-x: left behind by a command that was ended" in fault


def test_what_lies_beside_the_folders_is_looked_at(results: Path) -> None:
    (results / "evil.html").write_text("x")
    (results / "2026-01-02-..-x").mkdir()
    (results / "2026-01-03-link").symlink_to("/etc")
    for own in ("runs", "ab", "selfcheck"):  # what run, ab and selfcheck write there
        (results / own).mkdir()
    found = faults(results)
    assert len(found) == 3
    assert any("evil.html: a file that is not a page" in fault for fault in found)
    assert any("2026-01-02-..-x: not the name of a published folder" in fault for fault in found)
    assert any("2026-01-03-link: a symbolic link" in fault for fault in found)


def test_pages_that_are_old_or_edited_are_found_and_rebuilt(results: Path) -> None:
    for name in PAGES:
        (results / name).write_text("mine")
    assert [fault.split(":")[0].rpartition("/")[2] for fault in faults(results)] == list(build(results)[0])
    done = fencepost_inside("publish", "--rebuild", "--results", str(results), cwd=results.parent)
    assert done.returncode == 0
    assert faults(results) == []


def test_rewriting_makes_the_derived_files_again(results: Path) -> None:
    folder = only(results)
    faster(folder)
    replace_text(README, "95 %", "99 %")(folder)
    edit(folder / RUN_FILE, lambda r: r[PUBLISHED].update(noise_reach_pct=99.0, trust="No"))
    assert faults(results)
    done = fencepost_inside("publish", "--rewrite", "--results", str(results), cwd=results.parent)
    assert done.returncode == 0, done.stderr
    assert check_gallery(results, machine_key, reports=True) == []


def with_headlines(folder: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    """The headline lines of summary.csv as `change` makes them."""
    lines = list(csv.reader(io.StringIO((folder / SUMMARY).read_text())))
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerows([lines[0], *change([line for line in lines[1:] if line[0]])])
    writer.writerows(line for line in lines[1:] if not line[0])
    (folder / SUMMARY).write_text(sink.getvalue())


def a_rung_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a further rung, a headline, of a kernel that every run here has measured."""
    new = replace(known_topics()[0], rungs=(step("a new rung", "clock/read", first, headline=True),))
    known = (new, *known_topics())
    monkeypatch.setattr("fencepost.analysis.topics.topic.known_topics", lambda: known)


def test_a_new_rung_changes_nothing_that_is_published(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = only(results)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    a_rung_more(monkeypatch)
    assert "a new rung" in [rung.label for _, rung in headlines(analyse(folder))]
    # The page of a report shows every rung: it alone is written again.
    assert [fault.partition(":")[0] for fault in check_folder(folder, machine_key)] == [str(folder / REPORT)]
    assert all(before[results / name] == content for name, content in build(results)[0].items())


def test_publishing_touches_no_other_folder(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = only(results)
    before = {path: path.read_bytes() for path in old.iterdir()}
    a_rung_more(monkeypatch)
    run = measured(tmp_path / "other", cpu_model="Other CPU", cpus_present=[0])
    published(results, run)
    assert {path: path.read_bytes() for path in old.iterdir()} == before
    (new,) = (folder for folder in published_folders(results) if folder != old)
    assert "a new rung" in (new / README).read_text() and "a new rung" in (results / INDEX).read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [["free lunch", *lines[0][1:]], *lines[1:]], "'free lunch': no number of the report's ladder"),
        (lambda lines: [lines[0], *lines], ": twice;"),
        (lambda lines: [], "no headline at all"),
        (lambda lines: [[line[0], "nothing", *line[2:]] for line in lines], "field case: nothing, but"),
    ],
)
def test_headlines_are_those_of_the_ladder(
    change: Callable[[list[list[str]]], list[list[str]]], said: str, results: Path
) -> None:
    with_headlines(only(results), change)
    (fault,) = check_folder(only(results), machine_key)
    assert said in fault and SUMMARY in fault


def test_a_folder_of_fewer_headlines_is_sound_once_its_page_follows(results: Path) -> None:
    """What an earlier version held for a headline was another choice among the rungs."""
    folder = only(results)
    with_headlines(folder, lambda lines: lines[1:])
    assert [fault.partition(":")[0] for fault in check_folder(folder, machine_key)] == [str(folder / README)]
    analysis = analyse(folder)
    (folder / README).write_text(readme(analysis, stored_headlines(folder, analysis)))
    assert check_folder(folder, machine_key) == []


def test_the_pages_have_at_most_twelve_columns() -> None:
    def folder(name: str, *labels: str) -> Entry:
        figures = {label: Interval(1.0, 1.0, 1.0, 0.95, 6) for label in labels}
        return Entry(name, name, name, "2026-01-02", 1, "x86_64", "kvm", name, "Yes", 0.1, figures, {})

    many = [f"rung {chr(97 + i)}" for i in range(20)]
    entries = [folder("new", *many[4:]), folder("old", *many[:18])]
    names = {column.name for column in columns(entries)}
    assert names == set(many[4:16]) and len(names) == MOST_HEADLINES


def test_the_check_as_a_command(results: Path) -> None:
    done = fencepost_inside("publish", "--check", "--results", str(results), cwd=results.parent)
    assert done.returncode == 0
    assert "1 published folder, no fault" in done.stdout
    faster(only(results))
    done = fencepost_inside("publish", "--check", "--results", str(results), cwd=results.parent)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    done = fencepost_inside("publish", "--check", "--json", "--results", str(results), cwd=results.parent)
    assert json.loads(done.stdout)["sound"] is False
    done = fencepost_inside("publish", "--check", "--rebuild", "--results", str(results), cwd=results.parent)
    assert done.returncode == 2


def test_answers_that_a_command_kept_are_a_fault_of_a_published_folder(results: Path) -> None:
    """A command would read them in place of the rows, and they may be forged."""
    folder = only(results)
    report_of(folder)
    (fault,) = faults(results)
    assert fault == f"{folder / kept.FOLDER}: answers kept by commands, which are not published; remove it"
    shutil.rmtree(folder / kept.FOLDER)
    assert faults(results) == []


@pytest.mark.slow
def test_the_gallery_of_the_project_is_sound(tmp_path: Path) -> None:
    """For every pull request that brings a folder."""
    if not (ROOT / "results").is_dir():
        pytest.skip("nothing is published yet")
    assert faults(offered(ROOT / "results", tmp_path / "results")) == []


def offered(results: Path, copy: Path) -> Path:
    """A copy of what a commit holds or could add. Answers that commands kept in a published folder are ignored by git;
    where they were committed all the same, they are in the copy.
    """
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(ask, cwd=results, capture_output=True, text=True, check=False)
    if done.returncode != 0:  # no checkout, but a copy of its files
        return results
    for name in (name for name in done.stdout.split("\0") if name and os.path.lexists(results / name)):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(results / name, copy / name, follow_symlinks=False)
    return copy


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
