"""Labels: what a user calls a machine is stored in the run, refused where it is unfit, and shown wherever it helps."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from runs.measure import MACHINE, fencepost_inside, run_record, tiny_plan
from runs.publish import edit, measured, published
from runs.write import Case, write_run
from topics.suite import suite_cases
from undrawn import without_drawing

from fencepost.analysis.compare.comparison import ComparisonError
from fencepost.analysis.compare.runs import read_runs
from fencepost.analysis.gallery.check import check_gallery
from fencepost.analysis.gallery.entry import published_folders, read_entry
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.screen import NARROWEST, screen
from fencepost.analysis.report.summary import summary_of
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.labels import MachineIdentity, label_of, machine_ids, relation_of, relation_text
from fencepost.analysis.runs.named import machine_name, short_names
from fencepost.bench import labels, runfolder, schema
from fencepost.bench.errors import UsageError
from fencepost.bench.labels import (
    LONGEST_LABEL,
    LONGEST_NAME,
    name_fault,
    own_host,
    read_labels,
    run_folders,
    run_id,
    with_host,
)
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import RUN_FILE
from fencepost.cli import publish

QUICK = ("good/steady", "--profile", "quick", "--rounds", "2", "-q")


def test_a_label_is_stored_in_the_run_and_kept_by_resuming(tmp_path: Path) -> None:
    done = fencepost_inside(
        "run", *QUICK, "--label", "c7a.large", "--label", "rack=b12", "--label", "host=web1", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert schema.read_run(folder)["labels"] == {"name": "c7a.large", "rack": "b12", "host": "web1"}
    assert folder.name.endswith("@web1-c7a.large-b12") and schema.read_run(folder)["id"] == folder.name
    again = fencepost_inside("run", "--resume", "latest", "-q", "--label", "m7a", cwd=tmp_path)
    assert again.returncode == 2 and "--label with --resume" in again.stderr


def test_a_run_without_a_label_has_none(tmp_path: Path) -> None:
    run = schema.read_run(write_run(tmp_path / "run", [Case("own/a")]))
    assert "labels" not in run and label_of(run) == ""


UNFIT = {
    "": "empty",
    "  ": "empty",
    "a\x1b[31mb": "cannot be printed",
    "two\nlines": "cannot be printed",
    "\u202eevil": "cannot be printed",
    "x" * (LONGEST_NAME + 1): f"has {LONGEST_NAME + 1} characters",
    "Rack=3": "has only a-z",
    "../x=3": "has only a-z",
    "=3": "has only a-z",
    "rack=": "has no value",
    "rack=a=b": "two equals signs",
    "case=3": "a heading of tables",
    "rack=a/b": "has a slash",
    "..\\x": "has a slash",
    "rack=" + "x" * (LONGEST_LABEL + 1): f"has {LONGEST_LABEL + 1} characters",
    " c7a": "begins or ends with a space",
}


@pytest.mark.parametrize("text", UNFIT)
def test_an_unfit_label_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    done = fencepost_inside("run", *QUICK, "--label", text, cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "results").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("fencepost: --label ") and UNFIT[text] in line
    assert line.isprintable() and len(line) < 160


@pytest.mark.parametrize("text", ["c7a.large", "Raspberry Pi 5, 8 GB", "x" * LONGEST_NAME, "<b>", "Büro"])
def test_other_names_are_labels(text: str) -> None:
    assert name_fault(text) == ""


@pytest.mark.parametrize(
    "damaged", [{"name": ""}, {"name": "x" * (LONGEST_NAME + 1)}, {"../x": "y"}, {"name": 3}, ["c7a"]]
)
def test_a_run_whose_labels_are_damaged_is_refused(damaged: Any, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [Case("own/a")])
    edit(folder / RUN_FILE, lambda run: run.update(labels=damaged))
    with pytest.raises(schema.RunFolderError, match="field labels"):
        schema.read_run(folder)


def give(folder: Path, label: str) -> None:
    edit(folder / RUN_FILE, lambda run: run.update(labels={"name": label}))


def test_screen_and_report_name_the_machine_by_its_label(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", suite_cases()[:40], rounds=6)
    give(folder, "c7a.large")
    analysis = analyse(folder)
    short = summary_of(analysis)
    assert short is not None and screen(short)[0] == short.machine == machine_name(analysis)
    assert machine_name(analysis).startswith("c7a.large: Synthetic CPU 9000")
    with without_drawing():
        document = build_document(analysis)
    assert "c7a.large (Synthetic CPU 9000)" in document.title
    assert ("label", "c7a.large") in document.data.rows
    give(folder, "y" * LONGEST_NAME)
    longer = summary_of(analyse(folder))
    assert longer is not None and max(map(len, screen(longer))) <= NARROWEST


def ids(*machines: tuple[str, ...]) -> list[str]:
    return machine_ids(MachineIdentity(*machine) for machine in machines)


def test_two_labels_are_two_machines_even_of_one_key() -> None:
    assert ids(("epyc",), ("epyc",)) == ["epyc", "epyc"]
    assert ids(("epyc", "a"), ("epyc", "b")) == ["epyc (a)", "epyc (b)"]
    assert ids(("epyc", "a"), ("epyc",)) == ["epyc (a)", "epyc (a)"], "labels are often given later"
    assert ids(("epyc", "a"), ("epyc",), ("epyc", "b")) == ["epyc (a)", "epyc", "epyc (b)"]
    assert ids(("epyc", "a"), ("xeon", "a")) == ["epyc (a)", "xeon (a)"]


def test_two_hosts_are_two_machines_even_of_one_label() -> None:
    assert ids(("epyc", "", "web1"), ("epyc", "", "web2")) == ["epyc (web1)", "epyc (web2)"]
    assert ids(("epyc", "a", "web1"), ("epyc", "a", "web2")) == ["epyc (a, web1)", "epyc (a, web2)"]
    assert ids(("epyc",), ("epyc", "", "web1")) == ["epyc (web1)"] * 2, "older versions stored no host"
    assert ids(("epyc",), ("epyc", "", "web1"), ("epyc", "", "web2")) == ["epyc", "epyc (web1)", "epyc (web2)"]
    assert ids(("epyc", "a"), ("epyc", "", "web1")) == ["epyc (a, web1)"] * 2
    assert ids(("epyc", "a"), ("epyc", "b", "web1")) == ["epyc (a)", "epyc (b, web1)"]
    assert ids(("epyc", "a", "web1"), ("epyc", "", "web2")) == ["epyc (a, web1)", "epyc (web2)"]


def test_runs_are_of_one_machine_of_one_make_or_of_several() -> None:
    def told(*machines: tuple[str, ...]) -> tuple[str, str]:
        found = [MachineIdentity(*machine) for machine in machines]
        return str(relation_of(found)), relation_text(found)

    assert told(("epyc", "", "web1"), ("epyc", "", "web1")) == ("one machine", "one machine")
    assert told(("epyc", "", "web1"), ("epyc", "", "web2")) == ("one make", "2 machines of one make")
    assert told(("epyc",), ("xeon",), ("epyc",)) == ("several makes", "2 machines of 2 makes")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("web1.example.org", "web1.example.org"),
        ("localhost", ""),
        ("(none)", ""),
        ("0a1b2c3d4e5f", ""),
        ("a/b c", "a-b-c"),
    ],
)
def test_a_host_is_called_as_linux_says_unless_that_is_no_name(name: str, host: str) -> None:
    assert own_host(name) == host


def test_a_run_says_its_host_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "own_host", lambda: "web1")
    assert with_host({"rack": "3"}) == {"rack": "3", "host": "web1"}
    assert with_host(read_labels(["host=web9"])) == {"host": "web9"}
    assert with_host(read_labels(["host="])) == {}


@pytest.mark.parametrize("given", [["a", "name=b"], ["rack=1", "rack=2"], [f"k{number}=1" for number in range(17)]])
def test_a_key_stands_once_and_not_without_end(given: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^--label"):
        read_labels(given)


def test_the_id_of_a_run_tells_hosts_of_one_make_apart() -> None:
    start = "20261130T120000Z-epyc"
    assert run_id(start, {}) == start
    assert run_id(start, {"rack": "3", "host": "web1"}) == f"{start}@web1-3"
    long = [run_id(start, {"host": "h" * 64, "rack": "r" * 50 + end}) for end in "ab"]
    assert len(set(long)) == 2 and max(map(len, long)) < 120
    assert run_id(start, {"host": "../../etc"}) == f"{start}@etc" and "/" not in run_id(start, {"name": "a/b"})


def test_two_hosts_that_start_in_the_same_second_write_two_ids(tmp_path: Path) -> None:
    plan, noon = tiny_plan(["good/once"]), datetime(2026, 11, 30, 12, tzinfo=UTC)
    found = []
    for host in ("web1", "web2"):
        facts: Any = {**run_record(plan), "labels": {"host": host}}
        with runfolder.create(tmp_path / host, MACHINE, facts, noon) as folder:
            found.append(folder.id)
    assert found[0] != found[1] and [name.partition("@")[2] for name in found] == ["web1", "web2"]


# ---- folders of folders ----


def labelled(**labels: str) -> Callable[[Any], None]:
    return lambda run: run.update(labels=labels)


def several(base: Path) -> dict[str, Path]:
    """Runs of two hosts of one make, in a folder for each host."""
    runs = {}
    for seed, (host, name) in enumerate((("web1", "r1"), ("web1", "r2"), ("web2", "r3"))):
        cases = [Case("own/a", ns=2.0), Case("own/b", ns=3.0)]
        runs[name] = write_run(base / host / name, cases, rounds=12, seed=seed, unmeasurable=[])
        edit(runs[name] / RUN_FILE, labelled(host=host))
    (base / "web1" / ".r9.part").mkdir()
    (base / "web1" / ".r9.part" / RUN_FILE).write_text("{")
    (base / "again").symlink_to(base, target_is_directory=True)
    return runs


def test_folders_of_folders_are_read(tmp_path: Path) -> None:
    runs = several(tmp_path)
    assert run_folders(tmp_path) == list(runs.values()), "each once, and none of a copy under way"
    assert run_folders(runs["r1"]) == [runs["r1"]] and run_folders(tmp_path / "none") == []
    assert runfolder.find_all(["web1"], tmp_path) == [runs["r1"], runs["r2"]]
    assert runfolder.find_all([f"{tmp_path}/**/r[23]"]) == [runs["r2"], runs["r3"]]
    assert runfolder.find_all([f"{tmp_path}/web?"]) == list(runs.values())
    with pytest.raises(UsageError, match="no such run folder"):
        runfolder.find_all([f"{tmp_path}/*b*3"])  # a star stays within one folder's name
    assert runfolder.find("r3", tmp_path) == runs["r3"] == runfolder.find("web2", tmp_path)
    with pytest.raises(UsageError, match=r"2 runs; name one of them, such as .*r2"):
        runfolder.find("web1", tmp_path)


def test_compare_tells_one_machine_from_two_of_one_make(tmp_path: Path) -> None:
    several(tmp_path)
    said = fencepost_inside("compare", "web1", cwd=tmp_path)
    assert said.returncode == 0 and "one machine at two times" in said.stdout, said.stderr
    assert json.loads(fencepost_inside("compare", "web1", "--json", cwd=tmp_path).stdout)["relation"] == "one machine"
    said = fencepost_inside("compare", "web1/r1", "web2", cwd=tmp_path)
    assert "The runs are of 2 machines of one make." in said.stdout and "web1" in said.stdout
    told = json.loads(fencepost_inside("compare", "web1/r1", "web2", "--json", cwd=tmp_path).stdout)
    assert told["relation"] == "one make" and told["names"] == ["web1", "web2"]
    edit(tmp_path / "web2" / "r3" / RUN_FILE, lambda run: run.update(machine_key="other-0123abcd"))
    assert "2 machines of 2 makes" in fencepost_inside("compare", "web1/r1", "web2", cwd=tmp_path).stdout


def test_runs_of_one_id_are_two_runs_if_their_files_differ(tmp_path: Path) -> None:
    cases = [Case("own/a", ns=2.0)]
    runs = [write_run(tmp_path / host / "same", cases, rounds=12, seed=seed) for seed, host in enumerate("ab")]
    for number, run in enumerate(runs):
        edit(run / RUN_FILE, labelled(host="localhost", rack=str(number)))
    assert len(read_runs(runs)) == 2
    with pytest.raises(ComparisonError, match="given twice"):
        read_runs([runs[0], runs[0]])


def test_machines_are_compared_by_their_labels(tmp_path: Path) -> None:
    cases = [Case("own/a", ns=2.0), Case("own/b", ns=3.0)]
    runs = [write_run(tmp_path / name, cases, rounds=12, seed=n, unmeasurable=[]) for n, name in enumerate("ab")]
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path)
    assert "same" in said.stdout, "of one machine, with verdicts"
    for path, label in zip(runs, ("c7a.large", "m7a.large"), strict=True):
        give(path, label)
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "m7a.large: none of 2 rows is decided." in said.stdout and "what differs between the machines" in said.stdout
    gate = fencepost_inside("compare", *map(str, runs), "--fail-on", "slower", cwd=tmp_path)
    assert gate.returncode == 2 and "several machines" in gate.stderr


def test_names_are_as_short_as_tells_machines_apart(tmp_path: Path) -> None:
    first, second = (analyse(write_run(tmp_path / name, [Case("own/a")])) for name in ("one", "two"))
    assert short_names([first, second]) == ["one", "two"], "nothing but their ids"

    def changed(run: Any, facts: dict[str, Any], **more: Any) -> Any:
        reduced = replace(run.reduced, machine=run.machine | facts, run={**run.run, **more})
        return replace(run, reduced=reduced)

    assert short_names([first, changed(second, {}, machine_key="k")]) == ["synthetic-0123abcd", "k"]
    assert short_names([changed(one, {}, labels={"host": name}) for one, name in ((first, "a"), (second, "b"))]) == [
        "a",
        "b",
    ]
    assert short_names([first, changed(second, {"cpu_model": "Xeon"})]) == ["Synthetic CPU 9000", "Xeon"]
    labelled_one = changed(first, {}, labels={"name": "a"})
    assert short_names([labelled_one, second]) == ["a", "Synthetic CPU 9000"]
    same_label = [labelled_one, changed(second, {"cpu_model": "Xeon"}, labels={"name": "a"})]
    assert short_names(same_label) == ["a: Synthetic CPU 9000", "a: Xeon"]


# ---- publishing ----


@pytest.fixture(autouse=True)
def no_pictures() -> Any:
    with without_drawing():
        yield


def test_a_published_run_and_the_pages_have_the_label(tmp_path: Path) -> None:
    results = tmp_path / "results"
    folder = published(results, measured(tmp_path / "run"), "--label", "C7a.large (eu)")
    assert folder.name.endswith("-c7a-large-eu") and label_of(schema.read_run(folder)) == "C7a.large (eu)"
    assert read_entry(folder).title == "C7a.large (eu): Synthetic CPU 9000"
    assert (folder / "README.md").read_text().startswith("# C7a.large (eu): Synthetic CPU 9000\n")
    for name in ("README.md", "index.html", "compare.html"):
        assert "C7a.large (eu)" in (results / name).read_text()
    # The same machine's key on the same day, and another instance.
    published(results, measured(tmp_path / "other"), "--label", "m7a.large")
    assert len(published_folders(results)) == 2
    assert check_gallery(results, machine_key) == []
    assert "2 machines" in (results / "README.md").read_text()


def test_a_stored_label_needs_no_question_and_can_be_replaced(tmp_path: Path) -> None:
    run = measured(tmp_path / "run")
    give(run, "c7a.large")
    assert label_of(schema.read_run(published(tmp_path / "results", run))) == "c7a.large"
    folder = published(tmp_path / "others", run, "--label", "other")
    assert label_of(schema.read_run(folder)) == "other"


def test_a_label_with_the_name_of_a_user_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "private_words", lambda: [("alice", "the name of a user")])
    run = measured(tmp_path / "run")
    done = fencepost_inside("publish", str(run), "--results", "results", "--label", "alice box", cwd=tmp_path)
    assert done.returncode == 2 and "field labels.name: has 'alice'" in done.stderr


def test_a_published_run_names_no_host(tmp_path: Path) -> None:
    run = measured(tmp_path / "run@web1-b12")
    command = ["fencepost", "run", "--label", "host=web1", "--label=host=web1", "--label", "rack=b12"]
    edit(run / RUN_FILE, lambda told: told.update(labels={"host": "web1", "rack": "b12"}, command=command))
    done = fencepost_inside("publish", str(run), "--results", "results", cwd=tmp_path)
    assert done.returncode == 0 and "the host web1 is not published" in done.stderr, done.stderr
    (folder,) = published_folders(tmp_path / "results")
    told = schema.read_run(folder)
    assert told["labels"] == {"rack": "b12"} and told["id"] == "run"
    assert told["command"] == ["fencepost", "run", "--label", "rack=b12"]
    assert not [path.name for path in folder.iterdir() if b"web1" in path.read_bytes()]
    assert check_gallery(tmp_path / "results", machine_key) == []
    done = fencepost_inside("publish", str(run), "--results", "more", "--label", "host=web2", cwd=tmp_path)
    assert done.returncode == 2 and "a published run names no host" in done.stderr


class Terminal:
    """A person who types these lines."""

    def __init__(self, *lines: str) -> None:
        self.lines = [f"{line}\n" for line in lines]

    def isatty(self) -> bool:
        return True

    def readline(self, _size: int = -1) -> str:
        return self.lines.pop(0)

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        return None


@pytest.mark.parametrize("terminal", ["stdin", "stderr", ""])
def test_nobody_is_asked_in_a_pipe(terminal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_asked_label", lambda: pytest.fail("asked"))
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, Terminal() if name == terminal else io.StringIO())
    run = analyse(measured(tmp_path / "run"))
    assert publish._labelled(run, {}, ask=True) is run


@pytest.mark.parametrize(
    ("typed", "label"), [(["c7a.large"], "c7a.large"), ([""], ""), (["a=b", "x" * 99, " c7a "], "c7a")]
)
def test_a_person_is_asked_until_the_label_is_fit(
    typed: list[str], label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal(*typed)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    run = analyse(measured(tmp_path / "run"))
    assert label_of(publish._labelled(run, {}, ask=True).run) == label
    assert terminal.lines == []
    assert publish._labelled(run, {}, ask=False) is run
    assert json.loads((tmp_path / "run" / RUN_FILE).read_text()).get("labels") is None, "the run itself stays as it is"
