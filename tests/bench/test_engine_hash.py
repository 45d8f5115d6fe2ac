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


def copied(folder: Path) -> Path:
    """A copy of this checkout with one topic of kernels; returns the folder of these."""
    for name in PARTS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_kernels*"))
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    for topic in (folder / "csrc" / "kernels").iterdir():
        if topic.is_dir() and topic.name != TOPIC:
            shutil.rmtree(topic)
    return folder / "csrc" / "kernels" / TOPIC


def build(folder: Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Compile the engine of a copy."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", "out", "--build-temp", str(temporary)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def built_in(folder: Path, temporary: Path) -> bytes:
    """The engine of a copy, compiled in `folder`."""
    copied(folder)
    done = build(folder, temporary)
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


@pytest.mark.slow
def test_a_source_that_does_not_compile_ends_the_build(tmp_path: Path) -> None:
    kernels = copied(tmp_path)
    for path in [*(tmp_path / "csrc" / "engine").glob("*.c"), *(tmp_path / "csrc" / "lib").glob("*/*.c")]:
        path.unlink()  # the compiler takes long for them
    (kernels / "broken.c").write_text("#error planted\n")
    done = build(tmp_path, Path("build"))
    assert done.returncode == 1 and "broken.c:1:2: error: #error planted" in done.stderr, done.stderr
    assert not list(tmp_path.rglob("_kernels*.so"))
