"""A part of `tools/selftest.sh`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "selftest"


def passes(part: str, programs: list[str], *tools: str, kernels: tuple[str, ...] = ()) -> None:
    """The programs of this part run cases, and no case fails. Skips where a tool is missing, but in CI."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        message = f"needs {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{message}, and CI installs what the tests need")
        pytest.skip(message)
    command = ["sh", "tools/selftest.sh", part, *kernels]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    if lacking := re.search(r"^fencepost: skipped: (.*)", run.stderr, re.MULTILINE):
        pytest.skip(lacking[1])
    for program in programs:
        assert re.search(rf"^fencepost: {program}: [1-9]\d* cases ok", run.stderr, re.MULTILINE), run.stderr
        assert " in turns" in (BUILT / f"{program}.log").read_text()
