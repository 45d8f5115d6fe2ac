"""tools/compile_once.py: what was made of the same files is not made again, and of others it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import compile_once
import pytest
from compile import ROOT

Compile = Callable[[], tuple[str, int]]


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compile:
    """Compiles a source that includes headers: what was made, and how often the compiler has run."""
    monkeypatch.setattr(compile_once, "STORE", tmp_path / "store")
    include, made = tmp_path / "include", tmp_path / "made"
    include.mkdir()
    compiler = tmp_path / "compiler"
    # Says what it would read, and counts how often it is asked.
    compiler.write_text('#!/bin/sh\necho run >>"${0%/*}/runs"\nfor made; do :; done\ncat "${0%/*}"/*/*.h >"$made"\n')
    compiler.chmod(0o755)
    (tmp_path / "one.c").write_text('#include <stdio.h>\n#  include "near.h"\n')
    (include / "near.h").write_text('#ifdef NEVER\n#include "far.h"\n#endif\n')
    (include / "far.h").write_text("int far;\n")
    (include / "other.h").write_text("int other;\n")

    def run() -> tuple[str, int]:
        made.unlink(missing_ok=True)
        compile_once.compile_once(made, [str(compiler), f"-I{include}", "-c", str(tmp_path / "one.c")])
        return made.read_text(), len((tmp_path / "runs").read_text().split())

    return run


def test_the_same_is_made_once(compiled: Compile, tmp_path: Path) -> None:
    first, runs = compiled()
    assert runs == 1
    (tmp_path / "include" / "other.h").write_text("int nobody_asks;\n")
    assert compiled() == (first, 1)


@pytest.mark.parametrize("changed", ["one.c", "include/near.h", "include/far.h", "compiler"])
def test_a_file_that_is_read_makes_it_anew(compiled: Compile, tmp_path: Path, changed: str) -> None:
    compiled()
    path = tmp_path / changed
    path.write_text(path.read_text() + "\n")
    compile_once._system.cache_clear()
    assert compiled()[1] == 2


def test_a_copy_shares_nothing_with_what_is_kept(compiled: Compile, tmp_path: Path) -> None:
    first, _ = compiled()
    (tmp_path / "made").write_text("spoilt")
    assert compiled() == (first, 1)


def test_what_nobody_asked_for_in_a_fortnight_goes(compiled: Compile, tmp_path: Path) -> None:
    compiled()
    (old,) = (tmp_path / "store").iterdir()
    os.utime(old, (0, 0))
    (tmp_path / "one.c").write_text("\n")
    compiled()
    assert not old.exists() and len(list((tmp_path / "store").iterdir())) == 1


def test_a_refusal_is_the_compilers(tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("#error no such thing\n")
    command = [
        sys.executable,
        str(ROOT / "tools" / "compile_once.py"),
        str(tmp_path / "made"),
        os.environ.get("CC") or "cc",
    ]
    done = subprocess.run([*command, "-c", str(tmp_path / "bad.c")], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "no such thing" in done.stderr
    assert not (tmp_path / "made").exists()
