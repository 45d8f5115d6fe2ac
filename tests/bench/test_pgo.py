"""fencepost run --profile pgo: profiles are made and taken, the engine holds the loops, a run uses it and can go on."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
from compile import UNTIMED
from engine import build
from kernels.measure import built_engine, measure
from runs.measure import PATIENCE_S

from fencepost.bench import pgo
from fencepost.bench.engine import Engine, load_from
from fencepost.bench.errors import EngineError, MeasureError
from fencepost.bench.sources import CSRC

FLAGS = tuple(build.build_script().FLAGS)


def gcc() -> str:
    try:
        return pgo.find_gcc()
    except MeasureError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def build_engine(folder: Path, sources: str = "*") -> Path:
    """The engine with the loops of branch/pgo, which have the suite's flags. All else has -O0, in a third of the time.

    Of the kernels only those in these `sources` are in it.
    """
    gcc()
    link = pgo._link

    def link_quickly(gcc: str, script: ModuleType, folder: Path, loops: Sequence[Path]) -> Path:
        names = [name for name in script.sources() if "/kernels/" not in name or fnmatch(name, sources)]
        quick = {"FLAGS": [*script.FLAGS, *UNTIMED], "sources": lambda: names}
        return link(gcc, cast(ModuleType, SimpleNamespace(**{**vars(script), **quick})), folder, loops)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pgo, "_link", link_quickly)
        return pgo.build_engine(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of the engine, built once for this module."""
    return build_engine(tmp_path_factory.mktemp("built"))


def run(engine: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`fencepost run` in a process of its own, whose build has been made already."""
    code = (
        "import sys; from pathlib import Path; from fencepost.bench import pgo;"
        f"pgo.build_engine = lambda folder: Path({str(engine)!r});"
        "from fencepost.cli.main import main; sys.argv[0] = 'fencepost'; main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "FENCEPOST_ENGINE"}
    command = [sys.executable, "-c", code, "run", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("data", ["false", "true"])
@pytest.mark.parametrize("training", ["none", "matching", "opposite"])
def test_the_built_engine_measures_every_case(built: Path, training: str, data: str) -> None:
    engine = load(built)
    outcome = measure(build.Engine(engine.ffi, engine.lib), "branch/pgo", {"training": training, "data": data})
    assert outcome.status == 0, outcome.reason


@functools.cache
def load(path: Path) -> Engine:
    return load_from(path)


@pytest.mark.slow
def test_the_built_engine_is_the_whole_suite_and_says_how_it_was_built(built: Path) -> None:
    engine = load(built)
    names = {engine.text(engine.lib.registry_get(i).name) for i in range(engine.lib.registry_count())}
    files = Path(build.build_script().CSRC, "kernels").glob("*/*.c")
    assert len(names) == sum(path.read_text(encoding="utf-8").count("\nKERNEL(") for path in files)
    assert "-DFENCEPOST_PGO" in engine.flags
    assert engine.compiler.startswith("gcc")


@pytest.mark.slow
def test_the_same_sources_give_the_same_file(tmp_path: Path) -> None:
    folders = (tmp_path / "one", tmp_path / "another")
    for folder in folders:
        folder.mkdir()
    one, another = (build_engine(folder, "*/kernels/branch/*").read_bytes() for folder in folders)
    assert one == another


@pytest.mark.slow
def test_each_training_leaves_its_mark(tmp_path: Path) -> None:
    """The text of each loop: without a profile, trained on all false, trained on all true."""
    texts = {}
    for name in pgo.TRAININGS:
        made = pgo.trained_loop(gcc(), FLAGS, tmp_path, name)
        assert made.with_suffix(".gcda").stat().st_size > 0
        texts[name] = text_of(made)
    plain = tmp_path / "plain.o"
    command = [gcc(), *FLAGS, "-fPIC", f"-I{CSRC}", "-DNAME=pgo_none", "-c", "-o", str(plain), str(pgo.LOOP)]
    subprocess.run(command, check=True)
    assert len({*texts.values(), text_of(plain)}) == 3


def text_of(made: Path) -> bytes:
    copy = made.with_suffix(".bin")
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "-j", ".text.hot", str(made), str(copy)], check=True)
    return copy.read_bytes()


@pytest.mark.slow
def test_a_training_without_a_profile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = gcc()
    monkeypatch.setenv("GCOV_PREFIX", str(tmp_path / "elsewhere"))
    with pytest.raises(EngineError, match="the training run of pgo_true left no profile"):
        pgo.trained_loop(compiler, FLAGS, tmp_path, "pgo_true")


@pytest.mark.slow
def test_a_profile_that_is_not_taken_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = gcc()
    whole = pgo._compile_loop

    def lose_the_profile(gcc: str, flags: tuple[str, ...], folder: Path, name: str, *more: str) -> Path:
        if "-fprofile-use" in more:
            (folder / name / "loop.gcda").unlink()
        return whole(gcc, flags, folder, name, *more)

    monkeypatch.setattr(pgo, "_compile_loop", lose_the_profile)
    with pytest.raises(EngineError, match=r"missing-profile|not found"):
        pgo.trained_loop(compiler, FLAGS, tmp_path, "pgo_false")


def test_without_gcc_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clang = tmp_path / "clang"
    clang.write_text("#!/bin/sh\necho clang version 14\n")
    clang.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CC", "clang")
    with pytest.raises(MeasureError, match=r"^branch/pgo needs gcc, .* install gcc"):
        pgo.build_engine(tmp_path)


def test_without_sources_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gcc()
    monkeypatch.setattr(pgo, "LOOP", tmp_path / "loop.c")
    with pytest.raises(MeasureError, match=r"needs the C sources, .* run it from a checkout"):
        pgo.build_engine(tmp_path)


@pytest.mark.slow
def test_a_run_measures_the_loops_and_can_be_resumed(built: Path, tmp_path: Path) -> None:
    done = run(built, "--profile", "pgo", "--rounds", "2", "--seed", "3", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "results" / "runs").iterdir()
    document = json.loads((folder / "run.json").read_text())
    plan = document["plan"]
    assert (plan["profile"], plan["rounds"]) == ("pgo", 2)
    assert {case["kernel"] for case in plan["cases"]} == {"branch/likely", "branch/pgo"}
    assert len(plan["cases"]) == 15 + 1 + 6  # one of them twice: the A/A row
    assert "-DFENCEPOST_PGO" in document["engine"]["flags"]
    (folder / "rounds" / "0002.parquet").unlink()
    done = run(built, "--resume", folder.name, "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "rounds" / "0002.parquet").exists()


@pytest.mark.slow
def test_the_installed_engine_is_still_found_beside_it(built: Path) -> None:
    load(built)
    outcome = measure(built_engine(), "branch/pgo")
    assert outcome.reason == "needs a build with profiles: fencepost run --profile pgo"
