"""One browser and one hostile report for the tests that look at pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browse import EVIL, chromium
from runs import write as synthetic
from runs.write import Case
from topics.suite import sharing_cases, suite_cases

from fencepost.analysis.report.html import claims_page
from fencepost.analysis.report.write import write_report
from fencepost.analysis.runs.estimate import analyse


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cases = [
        *suite_cases(),
        *sharing_cases(),
        Case("mine/evil", {"a": EVIL, "b": "\x1b[31m\u202e"}, ns=3),
        *(Case(f"mine/row{n}", {"x": EVIL}, ns=1.0 + n) for n in range(4)),
    ]
    machine = {"cpu_model": EVIL, "governor": EVIL, "hypervisor": {"guest": True, "kind": EVIL}}
    run = synthetic.write_run(tmp_path_factory.mktemp("runs") / "suite", cases, rounds=6, machine=machine)
    document = json.loads((run / "run.json").read_text())
    finding = {"knob": "load", "value": EVIL, "effect": EVIL, "change": EVIL, "reboot": False, "severity": "hurts"}
    document["doctor"] = {"profile": "quick", "fit": True, "best_change": "load", "findings": [finding]}
    (run / "run.json").write_text(json.dumps(document))
    return run


@pytest.fixture(scope="session")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pages") / "report.html"
    write_report(folder, html=target, markdown=target.with_suffix(".md"))
    (target.parent / "claims.html").write_text(claims_page(analyse(folder), "report.html"), encoding="utf-8")
    return target
