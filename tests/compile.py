"""Compiling in tests: each file once, for all tests and until what the compiler reads of it changes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"

UNTIMED = ("-O1", "-g0", "-findirect-inlining")
"""After other flags, for what a test runs and does not look into: a third of the compiler's time. Ring kernels call
functions to be inlined through pointers, which gcc does from -O2 on unless it is told to.
"""


def compile_once(made: Path, command: Sequence[str | Path]) -> None:
    """Run a compiler's command, which names no output, for `made`; see tools/compile_once.sh.

    Of several sources each is compiled by itself, so that a fault planted in one leaves the others as they were made.

    Raises
    ------
    subprocess.CalledProcessError
        The compiler refused; its words are in `stderr`.
    """
    words = list(map(str, command))
    sources = [word for word in words if word.endswith((".c", ".cc")) and Path(word).is_file()]
    if len(sources) > 1:
        compiling = [word for word in words if word not in sources and word != "-shared" and not word.endswith(".o")]
        for number, source in enumerate(sources):
            compiled = made.with_name(f"{made.name}-{number}.o")
            _run(compiled, [*compiling, "-c", source])
            words[words.index(source)] = str(compiled)
    _run(made, words)


def _run(made: Path, command: Sequence[str]) -> None:
    script = ROOT / "tools" / "compile_once.sh"
    subprocess.run(["sh", script, made, *command], check=True, capture_output=True, text=True)
