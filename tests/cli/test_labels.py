"""Labels: what a user calls a machine is stored in the run, refused where it is unfit, and shown wherever it helps."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs.measure import fencepost_inside
from runs.publish import edit, measured, published
from runs.write import Case, write_run
from topics.suite import suite_cases
from undrawn import without_drawing

from fencepost.analysis.gallery.check import check_gallery
from fencepost.analysis.gallery.entry import published_folders, read_entry
from fencepost.analysis.report.document import build_document
from fencepost.analysis.report.screen import NARROWEST, screen
from fencepost.analysis.report.summary import summary_of
from fencepost.analysis.runs.estimate import analyse
from fencepost.analysis.runs.labels import label_of, machine_ids
from fencepost.analysis.runs.named import machine_name, short_names
from fencepost.bench import schema
from fencepost.bench.machine import machine_key
from fencepost.bench.schema import LONGEST_LABEL, RUN_FILE
from fencepost.cli import publish
from fencepost.cli.options import label_fault

QUICK = ("good/steady", "--profile", "quick", "--rounds", "2", "-q")


def test_a_label_is_stored_in_the_run_and_kept_by_resuming(tmp_path: Path) -> None:
    done = fencepost_inside("run", *QUICK, "--label", "c7a.large", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    assert schema.read_run(folder)["labels"] == {"name": "c7a.large"}
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
    "x" * (LONGEST_LABEL + 1): f"has {LONGEST_LABEL + 1} characters",
    "host=alpha": "equals sign",
    " c7a": "begins or ends with a space",
}


@pytest.mark.parametrize("text", UNFIT)
def test_an_unfit_label_is_refused_in_one_sentence(text: str, tmp_path: Path) -> None:
    done = fencepost_inside("run", *QUICK, "--label", text, cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "results").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("fencepost: --label ") and UNFIT[text] in line
    assert line.isprintable() and len(line) < 160


@pytest.mark.parametrize("text", ["c7a.large", "Raspberry Pi 5, 8 GB", "x" * LONGEST_LABEL, "<b>", "Büro"])
def test_other_names_are_labels(text: str) -> None:
    assert label_fault(text) == ""


@pytest.mark.parametrize("labels", [{"name": ""}, {"name": "x" * (LONGEST_LABEL + 1)}, {"name": 3}, ["c7a"]])
def test_a_run_whose_labels_are_damaged_is_refused(labels: Any, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [Case("own/a")])
    edit(folder / RUN_FILE, lambda run: run.update(labels=labels))
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
    give(folder, "y" * LONGEST_LABEL)
    longer = summary_of(analyse(folder))
    assert longer is not None and max(map(len, screen(longer))) <= NARROWEST


def test_two_labels_are_two_machines_even_of_one_key() -> None:
    assert machine_ids([("epyc", ""), ("epyc", "")]) == ["epyc", "epyc"]
    assert machine_ids([("epyc", "a"), ("epyc", "b")]) == ["epyc (a)", "epyc (b)"]
    assert machine_ids([("epyc", "a"), ("epyc", "")]) == ["epyc (a)", "epyc (a)"], "labels are often given later"
    assert machine_ids([("epyc", "a"), ("epyc", ""), ("epyc", "b")]) == ["epyc (a)", "epyc", "epyc (b)"]
    assert machine_ids([("epyc", "a"), ("xeon", "a")]) == ["epyc (a)", "xeon (a)"]


def test_machines_are_compared_by_their_labels(tmp_path: Path) -> None:
    cases = [Case("own/a", ns=2.0), Case("own/b", ns=3.0)]
    runs = [write_run(tmp_path / name, cases, rounds=12, seed=n, unmeasurable=[]) for n, name in enumerate("ab")]
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path)
    assert "same" in said.stdout, "of one machine, with verdicts"
    for path, label in zip(runs, ("c7a.large", "m7a.large"), strict=True):
        give(path, label)
    said = fencepost_inside("compare", *map(str, runs), cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "m7a.large is faster in" in said.stdout and "what differs between the machines" in said.stdout
    gate = fencepost_inside("compare", *map(str, runs), "--fail-on", "slower", cwd=tmp_path)
    assert gate.returncode == 2 and "several machines" in gate.stderr


def test_names_are_as_short_as_tells_machines_apart(tmp_path: Path) -> None:
    first, second = (analyse(write_run(tmp_path / name, [Case("own/a")])) for name in ("one", "two"))
    assert short_names([first, second]) == ["one", "two"], "nothing but their ids"

    def changed(run: Any, facts: dict[str, Any], **more: Any) -> Any:
        reduced = replace(run.reduced, machine=run.machine | facts, run={**run.run, **more})
        return replace(run, reduced=reduced)

    assert short_names([first, changed(second, {}, machine_key="k")]) == ["synthetic-0123abcd", "k"]
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
    assert publish._labelled(run, None, ask=True) is run


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
    assert label_of(publish._labelled(run, None, ask=True).run) == label
    assert terminal.lines == []
    assert publish._labelled(run, None, ask=False) is run
    assert json.loads((tmp_path / "run" / RUN_FILE).read_text()).get("labels") is None, "the run itself stays as it is"
