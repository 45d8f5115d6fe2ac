"""Objects of the user that go wrong while they are loaded: one sentence each, and fencepost goes on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kernels.own import write
from runs.measure import engine_path, fencepost_inside

from fencepost.bench import engine as engines
from fencepost.bench import loading, objects
from fencepost.bench.engine import Engine, load_from
from fencepost.bench.errors import UsageError
from fencepost.bench.loading import try_first


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def engine() -> Engine:
    return load_from(engine_path())


def hang() -> None:
    while True:
        time.sleep(1)


def start_another() -> None:
    if os.fork() == 0:
        hang()
    hang()


def chatter() -> None:
    while True:
        with contextlib.suppress(OSError):
            os.write(1, b"oh\n" * 1000)


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "signal": (lambda: os.kill(os.getpid(), signal.SIGSEGV), "ends its process by signal SIGSEGV"),
    "abort": (os.abort, "ends its process by signal SIGABRT"),
    "exit": (lambda: os._exit(0), "ends its process with status 0"),
    "failure": (lambda: os._exit(7), "ends its process with status 7"),
    "words": (lambda: os.write(1, b"hello\nworld"), "prints 'hello' while it is loaded"),
    "complaint": (lambda: os.write(2, b"oh"), "prints 'oh' while it is loaded"),
    "flood": (chatter, "prints or writes more than 64 KiB while it is loaded"),
    "endless": (hang, "does not return within"),
    "endless with a child": (start_another, "does not return within"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_load_does_is_one_sentence(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load, words = FAULTS[kind]
    if kind.startswith("endless"):
        monkeypatch.setattr(loading, "PATIENCE_S", 0.2)
    with pytest.raises(UsageError, match=f"^mine.c: .*{words}") as raised:
        try_first(load, "mine.c")
    assert "\n" not in str(raised.value)


def test_a_fault_that_the_caller_meets_again_is_left_to_it() -> None:
    def refuse() -> None:
        raise UsageError("no such thing")

    try_first(refuse, "mine.c")


def test_a_load_is_tried_also_where_nobody_is_told_of_ended_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        try_first(lambda: None, "mine.c")
        with pytest.raises(UsageError, match="ends its process while it is loaded"):
            try_first(os.abort, "mine.c")
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_constructor_that_ends_the_process_costs_one_sentence(tmp_path: Path) -> None:
    file = write(tmp_path, "mine.c")
    file.write_text(file.read_text() + "\n__attribute__((constructor)) static void leave(void) { __builtin_trap(); }\n")
    done = fencepost_inside("list", "--kernel", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "mine.c: it ends its process by signal SIG" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.slow  # 40 files in processes of their own
def test_damaged_objects_end_nothing(engine: Engine, tmp_path: Path) -> None:
    """Each is loaded, or refused in one sentence."""
    whole = objects.build(write(tmp_path, "mine.c"), "mine").path.read_bytes()
    dice = random.Random(1)
    refused = 0
    for number in range(40):
        damaged = bytearray(whole)
        if number % 4 == 0:
            del damaged[dice.randrange(len(whole)) :]
        else:
            for _ in range(number):
                # The tables at both ends of the file say how to load it.
                at = dice.choice([dice.randrange(4096), dice.randrange(len(whole))])
                damaged[at] = dice.randrange(256)
        path = tmp_path / f"{number}.so"
        path.write_bytes(damaged)
        try:
            engine.load_object(f"damaged {number}", path, path.name)
        except UsageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


def test_an_object_of_the_cache_that_differs_is_compiled_again(tmp_path: Path) -> None:
    file = write(tmp_path, "kept.c")
    built = objects.build(file, "kept")
    content = built.path.read_bytes()
    for damage in (content[:-100], b"", content[:2000] + b"\0" * 99 + content[2099:]):
        built.path.write_bytes(damage)
        again = objects.build(file, "kept")
        assert (again.path.read_bytes(), again.sha256) == (content, built.sha256)


def test_all_that_a_compiler_gets_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "mine.c")
    keys = {objects.build(source, "mine.c", extra).key for extra in ((), ("-O1",), ("-DX=1", "-lm"))}
    for name in ("LINK_FLAGS", "LIBRARIES", "OBJECT_FLAGS"):
        with monkeypatch.context() as patch:
            patch.setattr(objects, name, [*getattr(objects, name), "-g0"])
            keys.add(objects.build(source, "mine.c").key)
    assert len(keys) == 6


def test_an_object_for_this_machine_is_not_taken_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "mine.c")
    here = objects.build(source, "mine.c", ["-mtune=native"]).key
    called = objects._call

    def elsewhere(command: Sequence[str], folder: Path, file: Path) -> subprocess.CompletedProcess[bytes]:
        done = called(command, folder, file)
        return subprocess.CompletedProcess(command, 0, done.stdout + b"#define __AVX9__ 1\n" * ("-dM" in command), b"")

    monkeypatch.setattr(objects, "_call", elsewhere)
    assert objects.build(source, "mine.c", ["-mtune=native"]).key != here
    plain = objects.build(source, "mine.c").key
    monkeypatch.undo()
    assert objects.build(source, "mine.c").key == plain


def test_what_is_listed_of_a_sound_object_is_as_before(tmp_path: Path) -> None:
    done = fencepost_inside("list", "--kernel", str(write(tmp_path, "mine.c")), "--json", cwd=tmp_path)
    assert [kernel["kernel"] for kernel in json.loads(done.stdout)] == ["own/one"]


def test_a_cache_without_execution_is_named() -> None:
    said = engines._with_advice("cannot be loaded (failed to map segment from shared object)", Path("/cache"))
    assert "/cache may be on a file system without execution" in said and "XDG_CACHE_HOME" in said
    assert engines._with_advice("registers no kernel", Path("/cache")) == "registers no kernel"
