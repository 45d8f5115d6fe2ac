"""Models of the rings under weak memory orders, looked through by spin; each with faults that it must find."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from compile import ROOT

pytestmark = pytest.mark.slow

MODELS = ROOT / "tests" / "lib" / "ring" / "models"
FAULTS = {
    "mpmc": ("PUBLISH=0", "FREE=0", "SEE=0", "EARLY=1", "BLIND=1"),
    "overwrite": ("PUBLISH=0", "SEE=0", "RECHECK=0", "WRITE=0", "READ=0", "TAKE=0", "DROP=0"),
    "spsc": (
        "SPARE=0",
        "PUBLISH=0",
        "SEE=0",
        "FREE=0",
        "ROOM=0",
        "PER_BLOCK=1 SPARE=0 EARLY=1",
        "PER_BLOCK=1 SPARE=0 LATE=1",
        *(f"LAZY=1 {fault}" for fault in ("PUBLISH=0", "SEE=0", "FREE=0", "ROOM=0", "WRONG=1")),
    ),
}
CLEAN = (
    "mpmc",
    "overwrite",
    "spsc",
    "spsc PER_BLOCK=1",
    "spsc PER_BLOCK=1 SPARE=0",
    "spsc LAZY=1",
    "spsc LAZY=1 PER_BLOCK=1",
)


def errors(folder: Path, model: str, *options: str) -> int:
    """Errors that spin's verifier finds in the whole state space (it stops at the first)."""
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            if os.environ.get("CI") == "true":
                pytest.fail(f"needs {tool}")
            pytest.skip(f"needs {tool}")
    defines = [f"-D{option}" for option in options]
    subprocess.run(["spin", "-a", *defines, str(MODELS / f"{model}.pml")], cwd=folder, check=True, capture_output=True)
    level = "-O0" if options else "-O1"  # what is looked through in no time is compiled in less
    subprocess.run(["gcc", level, "-w", "-DSAFETY", "-DVECTORSZ=4096", "-o", "pan", "pan.c"], cwd=folder, check=True)
    run = subprocess.run(["./pan", "-m1000000"], cwd=folder, capture_output=True, text=True, timeout=1200, check=False)
    assert "max search depth too small" not in run.stdout, run.stdout
    words = run.stdout.split("errors: ")
    assert len(words) == 2, run.stdout + run.stderr
    return int(words[1].split()[0])


@pytest.mark.parametrize("variant", CLEAN)
def test_model_has_no_error(variant: str, tmp_path: Path) -> None:
    model, *options = variant.split()
    assert errors(tmp_path, model, *options) == 0


@pytest.mark.parametrize(("model", "fault"), [(model, fault) for model, faults in FAULTS.items() for fault in faults])
def test_model_finds_the_fault(model: str, fault: str, tmp_path: Path) -> None:
    assert errors(tmp_path, model, *fault.split()) == 1
