"""A target without a registry is given wheels. It is this machine, and its wheel calls the fencepost that is here."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fleet.hosts import FENCEPOST, KERNEL

from fencepost.bench import runfolder, schema
from fencepost.cli.main import run

pytestmark = pytest.mark.slow


def write_wheel(folder: Path, name: str, needs: str = "", script: str = "") -> Path:
    """A wheel with a script of its name, and nothing else."""
    stem = f"{name}-9.9"
    files = {
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n{needs}",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        files[f"{stem}.data/scripts/{name}"] = script
    record = f"{stem}.dist-info/RECORD"
    files[record] = "".join(f"{file},,\n" for file in [*files, record])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            info = zipfile.ZipInfo(file)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text)
    return folder / f"{stem}-py3-none-any.whl"


def test_a_target_without_a_registry_measures_with_the_wheels_that_it_was_given(tmp_path: Path) -> None:
    place, home, wheels, calls = (tmp_path / name for name in ("fleet", "home", "wheels", "calls"))
    write_wheel(wheels, "needed")
    script = f'#!/bin/sh\necho called >>{calls}\nexec {FENCEPOST} "$@"\n'
    wheel = write_wheel(wheels, "fencepost", "Requires-Dist: needed\n", script)
    assert run(["fleet", "init", str(place)]) == 0
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "fencepost_arguments": [KERNEL, "--rounds", "2"],
        "fencepost_python": sys.executable,
        "fencepost_home": str(home),
        "fencepost_wheel": str(wheel),
        "fencepost_wheels": str(wheels),
    }
    (place / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"here": {}}}}))
    command = [str(FENCEPOST), "fleet", "run", str(place), "--extra-vars", json.dumps(variables)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (path.parent for path in place.glob(f"runs/here/*/{schema.RUN_FILE}"))
    with runfolder.resume(folder) as there:
        assert there.complete_rounds() == [1, 2] and there.run["labels"] == {"host": "here", "series": "first"}
    assert calls.read_text().startswith("called")
    assert len(list((home / "venv").rglob("needed-9.9.dist-info"))) == 1
