"""Reports of runs that lack rounds, figures, or facts of the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from runs import write as synthetic
from runs.pages import Page, title
from runs.write import Case
from topics.suite import suite_cases
from undrawn import without_drawing

import fencepost.analysis
from fencepost.analysis.report.write import write_report
from fencepost.bench import schema

pytestmark = pytest.mark.usefixtures("undrawn")


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


def test_no_global_state_of_pyplot_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in Path(fencepost.analysis.__file__).parent.rglob("*.py"):
        assert "pyplot" not in path.read_text(encoding="utf-8")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # nor by another library: to import it is an error
    few = [Case("clock/read", {"read": "rdtsc"}, ns=5), Case("pipeline/imul100", ns=80)]
    write_report(synthetic.write_run(tmp_path / "run", few), html=tmp_path / "r.html")
