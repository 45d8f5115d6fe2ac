"""The engine's hash stands for its code: the folder of the build is not in it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs.measure import ROOT

PARTS = ("analysis", "bench", "cli", "csrc", "docs", "examples", "tools")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE")
TOPIC = "pipeline"


def built_in(folder: Path, temporary: Path) -> bytes:
    """The engine of a copy of this checkout with one topic of kernels, compiled in `folder`."""
    for name in PARTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_kernels*"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for topic in (folder / "csrc" / "kernels").iterdir():
        if topic.is_dir() and topic.name != TOPIC:
            shutil.rmtree(topic)
    build = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "out", "--build-temp", str(temporary)]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (engine,) = (folder / "out").rglob("_kernels*.so")
    return engine.read_bytes()


@pytest.mark.slow
def test_two_folders_give_one_engine(tmp_path: Path) -> None:
    # A wheel is built below its folder, an editable installation in a folder of a random name.
    wheel = built_in(tmp_path / "a", Path("build") / "temp")
    editable = built_in(tmp_path / "another folder" / "b", tmp_path / "random.build-temp")
    assert str(tmp_path).encode() not in wheel + editable
    assert hashlib.sha256(wheel).hexdigest() == hashlib.sha256(editable).hexdigest()
