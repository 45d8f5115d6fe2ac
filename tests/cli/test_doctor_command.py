"""fencepost doctor: what the command prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from machines import build
from runs import measure as runtime
from runs.measure import fencepost, fencepost_inside

from fencepost.bench.doctor import examine as doctor
from fencepost.bench.doctor.finding import Diagnosis


def test_doctor_on_this_machine_and_on_nothing(tmp_path: Path) -> None:
    seen: list[Diagnosis] = []

    def once(*arguments: Any, examine: Any = doctor.examine, **options: Any) -> Diagnosis:
        # A second look at this machine would find another load, and another sensor the hottest.
        if not seen:
            seen.append(examine(*arguments, **options))
        return seen[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "examine", once)
        done, shown = (fencepost_inside("doctor", *options, cwd=tmp_path) for options in (["--json"], []))
    document = json.loads(done.stdout)
    assert {"cpus", "cores", "packages", "l2", "l3", "numa"} <= set(document["topology"])
    assert document["findings"][0]["knob"] == "neighbours"
    assert " neighbours: " in shown.stdout.splitlines()[1]
    assert done.returncode == shown.returncode == (0 if document["fit"] else 1)  # this machine may be busy just now
    assert shown.stdout.splitlines()[-1] == document["verdict"]
    # Whatever is found out, it is said where.
    assert [found["path"] for found in document["findings"] if found["path"] not in shown.stdout] == []
    nothing = fencepost("doctor", "--root", str(tmp_path), cwd=tmp_path)
    assert nothing.returncode == 1
    assert "not fit" in nothing.stdout


@pytest.mark.parametrize(
    ("load", "profile", "code"), [("0.1", "rigorous", 0), ("1.2", "quick", 0), ("1.2", "rigorous", 1)]
)
def test_the_doctors_exit_code_says_whether_the_machine_is_fit(
    tmp_path: Path, load: str, profile: str, code: int
) -> None:
    root = build(tmp_path / "root", [[0], [1]], more={"proc/loadavg": f"{load} 0.2 0.3 1/90 7"})
    done = fencepost_inside("doctor", "--root", str(root), "--profile", profile, cwd=tmp_path)
    assert done.returncode == code
    assert f"This machine is {'fit' if code == 0 else 'not fit'} for profile {profile}" in done.stdout


def test_doctor_works_without_an_engine(tmp_path: Path) -> None:
    done = fencepost(
        "doctor", "--json", cwd=tmp_path, env=runtime.environment(FENCEPOST_ENGINE=str(tmp_path / "absent.so"))
    )
    assert json.loads(done.stdout)["findings"] and done.stderr == ""
