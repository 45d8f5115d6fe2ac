"""Compiling in tests: each file once, for all tests and until what the compiler reads of it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import compile_once as store

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"

UNTIMED = ("-O0", "-g0")
"""After other flags, for what a test runs and does not look into: half of the compiler's time."""


def compile_once(made: Path, command: Sequence[str | Path]) -> None:
    """Run a compiler's command, which names no output, for `made`. See tools/compile_once.py.

    Of several sources each is compiled by itself, so that a fault planted in one leaves the others as they were made.

    Raises
    ------
    subprocess.CalledProcessError
        The compiler refused. Its words are in `stderr`.
    """
    words = list(map(str, command))
    sources = [word for word in words if word.endswith((".c", ".cc")) and Path(word).is_file()]
    if len(sources) > 1:
        compiling = [word for word in words if word not in sources and word != "-shared" and not word.endswith(".o")]
        for number, source in enumerate(sources):
            compiled = made.with_name(f"{made.name}-{number}.o")
            store.compile_once(compiled, [*compiling, "-c", source])
            words[words.index(source)] = str(compiled)
    store.compile_once(made, words)
