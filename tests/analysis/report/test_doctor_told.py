"""What the doctor found, in a report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from runs import write as synthetic
from runs.pages import EVIL, Page
from runs.write import Case
from undrawn import without_drawing

from fencepost.analysis.report.data import as_json
from fencepost.analysis.report.write import write_report
from fencepost.bench import schema
from fencepost.bench.schema import RunFolderError

pytestmark = pytest.mark.usefixtures("undrawn")
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
