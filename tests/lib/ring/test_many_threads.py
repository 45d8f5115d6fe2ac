"""ring_mpmc, ring_mpsc and ring_overwrite used by threads, with the thread sanitizer and as plain C and C++."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from compile import CSRC, ROOT, UNTIMED, compile_once
from lib.ring.many import WAIT_S, WIDTHS, Fault, compiler, plant

TEAMS = (
    "mpmc 2 2 1 20000 1",
    "mpmc 2 2 3 40000 1",
    "mpmc 3 2 64 60000 5",
    "mpsc 3 1 1 20000 1",
    "mpsc 3 1 5 40000 1",
    "mpsc 2 1 64 100000 4",
    "overwrite 1 1 4 100000 64",
    "overwrite 3 2 5 100000 32",
    "overwrite 2 1 1 50000 512",
)


def threads(folder: Path, fault: Fault | None, *options: str) -> Path:
    """threads.c as a program."""
    made, sources = folder / "threads", plant(folder, fault)
    command = [compiler("gcc", "clang"), "-std=gnu11", *UNTIMED, "-w", *options, "-pthread", f"-I{sources}"]
    command += [str(ROOT / "tests" / "lib" / "ring" / "threads.c"), *map(str, sorted(sources.glob("lib/ring/*.c")))]
    compile_once(made, command)
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return threads(tmp_path_factory.mktemp("plain"), None)


@pytest.mark.parametrize("team", TEAMS)
def test_threads_lose_double_and_tear_nothing(plain: Path, team: str) -> None:
    run = subprocess.run([plain, *team.split()], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def sanitized(program: Path, team: str) -> subprocess.CompletedProcess[str]:
    # With much randomness in the address-space layout the thread sanitizer finds its shadow memory taken.
    command = [compiler("setarch"), "-R", str(program), *team.split()]
    environment = os.environ | {"TSAN_OPTIONS": "halt_on_error=1 exitcode=66"}
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False, env=environment)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return threads(tmp_path_factory.mktemp("watched"), None, "-fsanitize=thread")


@pytest.mark.slow
@pytest.mark.parametrize("team", TEAMS[1:])
def test_thread_sanitizer_is_silent(watched: Path, team: str) -> None:
    words = team.split()
    words[4] = str(int(words[4]) // 10)
    run = sanitized(watched, " ".join(words))
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


RELEASE, RELAXED = "__ATOMIC_RELEASE);", "__ATOMIC_RELAXED);"
WEAK: dict[str, tuple[str, Fault]] = {
    "mpmc: an item published by a relaxed store": (
        TEAMS[1],
        ("mpmc.h", f"(ring_index)(at + 1), {RELEASE}", f"(ring_index)(at + 1), {RELAXED}"),
    ),
    "mpmc: a slot freed by a relaxed store": (
        TEAMS[1],
        ("mpmc.h", f"(ring_index)(at + ring->lap), {RELEASE}", f"(ring_index)(at + ring->lap), {RELAXED}"),
    ),
    "mpmc: stamps read relaxed": (
        TEAMS[1],
        (
            "mpmc.h",
            "ring_mpmc_slot(ring, next, item_bytes), __ATOMIC_ACQUIRE",
            "ring_mpmc_slot(ring, next, item_bytes), 0",
        ),
    ),
    "mpsc: an item published by a relaxed store": (
        TEAMS[4],
        ("mpsc.h", f"(ring_index)(at + 1), {RELEASE}", f"(ring_index)(at + 1), {RELAXED}"),
    ),
    "mpsc: stamps read relaxed": (
        TEAMS[4],
        ("mpsc.h", "(const void *)slot, __ATOMIC_ACQUIRE", "(const void *)slot, 0"),
    ),
    "mpsc: places given back by a relaxed store": (
        TEAMS[4],
        ("mpsc.h", f"__atomic_store_n(&ring->head, at, {RELEASE}", f"__atomic_store_n(&ring->head, at, {RELAXED}"),
    ),
    "mpsc: places looked for relaxed": (
        TEAMS[4],
        (
            "mpsc.h",
            "__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) + ring->lap",
            "__atomic_load_n(&ring->head, 0) + ring->lap",
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WEAK)
def test_thread_sanitizer_catches_a_weaker_order(name: str, tmp_path: Path) -> None:
    team, fault = WEAK[name]
    run = sanitized(threads(tmp_path, fault, "-fsanitize=thread"), team)
    assert run.returncode == 66, run.stdout
    assert "data race" in run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("language", ["c11", "c++11", "c++20"])
@pytest.mark.parametrize("index", WIDTHS)
def test_headers_are_plain_c_and_cpp(language: str, index: int, tmp_path: Path) -> None:
    name = "g++" if "+" in language else "gcc"
    for source in ("mpmc.c", "mpsc.c", "overwrite.c"):
        command = [compiler(name), f"-std={language}", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
        command += ["-x", "c++" if "+" in language else "c", f"-DRING_INDEX=uint{index}_t"]
        compile_once(tmp_path / "object", [*command, "-c", CSRC / "lib" / "ring" / source])
