"""A test that lacks a package is skipped where a user runs it, and fails in CI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from inner_pytest import run_pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = """
import pytest

def test_package():
    pytest.skip("needs mimalloc (the package libmimalloc2.0)")

def test_machine():
    pytest.skip("needs two CPUs")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "counts"), [("true", "1 failed, 1 skipped"), (None, "2 skipped")])
def test_what_lacks_a_package_fails_in_ci_only(ci: str | None, counts: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "test_lacking.py").write_text(TESTS)
    done = run_pytest(tmp_path, "-q", "-p", "no:xdist", "test_lacking.py", CI=ci)
    assert counts in done.stdout, done.stdout
    assert done.returncode == (ci == "true")
