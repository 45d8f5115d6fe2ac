"""The source distribution holds all that this checkout does, so that its tests run from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKS = "typings/fencepost/"
"""Links to folders, which setuptools leaves out. Only type checkers need them."""


@pytest.mark.slow
def test_the_source_distribution_is_complete_and_its_tests_are_found(tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    committed = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    here = tmp_path / "here"
    for name in committed:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name, follow_symlinks=False)
    build = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=here, capture_output=True, timeout=300, check=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert sorted(name for name in committed if not (unpacked / name).is_file() and not name.startswith(LINKS)) == []
    # The package itself is the one that is installed here. All tests are imported, and some are run.
    some = "makes_no_floor or no_plant_touched"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", some, "tests"]
    done = subprocess.run(tests, cwd=unpacked, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
