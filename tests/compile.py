"""Compiling in tests: each thing once, for all tests and until a file that it is made of changes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"


def compile_once(made: Path, command: Sequence[str | Path]) -> None:
    """Run a compiler's command, which names no output, for `made`; see tools/compile_once.sh.

    Raises
    ------
    subprocess.CalledProcessError
        The compiler refused; its words are in `stderr`.
    """
    script = ROOT / "tools" / "compile_once.sh"
    subprocess.run(["sh", script, made, *command], check=True, capture_output=True, text=True)
