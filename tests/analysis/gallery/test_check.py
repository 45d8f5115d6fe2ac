"""The check of a gallery: no fault or trick in a folder passes it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from runs.measure import ROOT, fencepost_inside
from runs.publish import edit, faults, measured, only, published

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
    readme,
    report_file,
    stored_headlines,
)
from fencepost.analysis.gallery.pages import INDEX, PAGES, build, columns
from fencepost.analysis.report.answers import report_of
from fencepost.analysis.runs import kept
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.stats.interval import Interval
from fencepost.analysis.text.escape import HIDDEN
from fencepost.analysis.topics.rungs import MOST_HEADLINES, first, step
from fencepost.analysis.topics.topic import headlines, known_topics
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import MACHINE_FILE, ROWS_FILE, RUN_FILE


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
    "deep json": (lambda f: (f / MACHINE_FILE).write_text("[" * 200_000), r"machine\.json: more than 64 lists"),
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
