"""The table of toolchains: what finds compilers, what tells a fault, and how rows get into the page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import toolchains
from toolchains import Row, built_with, first_fault, lto_fault, numbered, updated

from fencepost.bench import objects

PAGE = f"words\n\n{toolchains.BEGIN}\n{toolchains.END}\nmore\n"


def done(status: int, said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], status, "", said)


def test_compilers_are_found_by_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/nowhere")
    assert numbered("cc") == []
    (tmp_path / "cc").touch(0o755)
    assert numbered("cc") == ["cc"]
    for name in ("cc-9", "cc-11", "cc-ar-11", "cc-x"):
        (tmp_path / name).touch(0o755)
    assert numbered("cc") == ["cc-9", "cc-11"]


def test_a_row_takes_the_place_of_its_like() -> None:
    page = updated(PAGE, Row("gcc-11", "11.3.0", "-O2", "failed: x"))
    page = updated(page, Row("gcc-11", "11.3.0", "-O3", "green"))
    page = updated(page, Row("gcc-11", "11.4.0", "-O2", "green"))
    lines = [line for line in page.splitlines() if line.startswith("| gcc")]
    assert [line.split(" | ")[1:4] for line in lines] == [["11.4.0", "-O2", "green"], ["11.3.0", "-O3", "green"]]
    assert page.startswith("words\n\n") and page.endswith(f"{toolchains.END}\nmore\n")


def test_a_fault_is_the_line_that_tells_it() -> None:
    assert first_fault(done(1, "In file x\nx.c:1: error: a | b\nmore")) == "x.c:1: error: a / b"
    assert first_fault(done(3, "")) == "exit status 3"
    assert Row("a", "1", "", "failed: x").failed and not Row("a", "1", "", "refused: x").failed


def test_a_compiler_without_its_linker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lto_fault.cache_clear()
    monkeypatch.setattr(toolchains, "call", lambda *_, **__: done(1, "no plugin"))
    assert built_with("clang-99", ("-O2", "-flto")) == "refused: the linker has no plugin for it; install lld-99"


def test_a_warning_fails_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text("static int unused;\n")
    monkeypatch.setattr(toolchains, "ROOT", tmp_path)
    monkeypatch.setattr(toolchains, "sources", lambda: [tmp_path / "bad.c"])
    assert built_with("gcc", ("-O2",)).startswith("failed: bad.c:1:12: error:")


def test_the_kernels_that_a_program_runs_are_there() -> None:
    kernels = toolchains.ROOT / "csrc" / "kernels"
    assert [name for name in toolchains.KERNELS if not (kernels / f"{name}.c").exists()] == []


def test_the_copy_for_a_python_has_all_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = tmp_path / "here"
    for name in ("analysis/runs/row.py", "results/runs/1/run.json", "build/x", "bench/_kernels.so", ".venv/x"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    monkeypatch.setattr(toolchains, "ROOT", here)
    toolchains.copy_checkout(tmp_path / "copy")
    found = sorted(
        str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()
    )
    assert found == ["analysis/runs/row.py"]


def test_flags_of_cxx_stand_behind_those_that_they_take_back() -> None:
    flags = objects.cflags("c++")
    assert flags.index("-Wno-missing-field-initializers") > flags.index("-Wextra")
