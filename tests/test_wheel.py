"""A wheel is the same wherever and whenever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "results", "tests", "*.egg-info", "_kernels*", ".*_cache"
)


TOPIC = "pipeline"
"""Of the engine only these kernels: the compiler would take three minutes. `make release-check` builds all twice."""


@pytest.mark.slow
def test_two_wheels_of_one_tree_are_equal_to_the_byte(tmp_path: Path) -> None:
    wheels = []
    for number in range(2):
        tree, out = tmp_path / f"tree{number}", tmp_path / f"out{number}"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT, symlinks=True)
        for folder in (tree / "csrc" / "kernels").iterdir():
            if folder.is_dir() and folder.name != TOPIC:
                shutil.rmtree(folder)
        for path in tree.rglob("*.py"):
            os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
        subprocess.run(
            [*pip, "--wheel-dir", str(out), "."],
            cwd=tree,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
            check=True,
            timeout=600,
        )
        wheels += list(out.glob("*.whl"))
    assert wheels[0].name == wheels[1].name and "abi3" in wheels[0].name
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
