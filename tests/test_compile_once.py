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
from runs.measure import wait_for

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


def test_two_processes_make_the_same_once(tmp_path: Path) -> None:
    """The second waits for the first, and takes what that has made."""
    compiler = tmp_path / "compiler"
    # Ends when the other process has begun as well: where neither waits, both are asked.
    compiler.write_text(
        '#!/bin/sh\necho run >>"${0%/*}/runs"\nfor made; do :; done\n'
        'until [ -e "${0%/*}/both" ]; do sleep 0.02; done\necho made >"$made"\n'
    )
    compiler.chmod(0o755)
    (tmp_path / "one.c").write_text("int one;\n")
    code = (
        "import sys, pathlib, compile_once\n"
        "compile_once.STORE = pathlib.Path(sys.argv[1]) / 'store'\n"
        "key = compile_once._key\n"
        "def told(command):\n"
        "    pathlib.Path(sys.argv[2] + '.begun').touch()\n"
        "    return key(command)\n"
        "compile_once._key = told\n"
        "compile_once.compile_once(pathlib.Path(sys.argv[2]), sys.argv[3:])\n"
    )
    command = [str(compiler), "-c", str(tmp_path / "one.c")]
    made = [tmp_path / "a", tmp_path / "b"]
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path, one, *command], cwd=ROOT / "tools") for one in made]
    wait_for(lambda: all(one.with_suffix(".begun").exists() for one in made))
    (tmp_path / "both").touch()
    assert [process.wait() for process in both] == [0, 0]
    assert [one.read_text() for one in made] == ["made\n", "made\n"]
    assert (tmp_path / "runs").read_text() == "run\n"


def test_several_sources_have_an_object_each_and_one_that_fails_stops_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name, text in (("a/one.c", "int one;"), ("bad.c", "#error planted"), ("two.c", "int two;")):
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "made").mkdir()
    tool = [sys.executable, str(ROOT / "tools" / "compile_once.py"), "made", "cc", "-c", "--"]
    done = subprocess.run(
        [*tool, "a/one.c", "bad.c", "two.c"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "#error planted" in done.stderr
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["a.one.o", "two.o"]
