"""kernel/file, maps, path and name: files are what they are said to be, and no folder stays behind."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from runs.measure import wait_for

FILE, MAPS, PATH, FOLDER = "kernel/file.c", "kernel/maps.c", "kernel/path.c", "folder.h"
PLACES = ("/dev/shm", "/var/tmp", "/tmp", "/run", os.environ.get("TMPDIR", "/tmp"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def folders_of(pid: int) -> set[Path]:
    """Folders that a process has made and not removed."""
    return {path for place in PLACES if Path(place).is_dir() for path in Path(place).glob(f"fencepost-{pid}-*")}


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    files = set(Path("/proc/self/fd").iterdir())
    yield
    assert folders_of(os.getpid()) == set()
    assert set(Path("/proc/self/fd").iterdir()) <= files


def measured_metrics(engine: Engine, kernel: str, **values: str | int) -> dict[str, float]:
    """What a case says beside its time; it is skipped where the machine has none of it."""
    measured = measure(engine, kernel, values)
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    return dict(measured.metrics)


@pytest.mark.parametrize("how", ["open", "read"])
@pytest.mark.parametrize("file", ["tmpfs", "sysfs", "uptime", "stat"])
def test_a_file_says_how_long_it_is_and_is_read(engine: Engine, file: str, how: str) -> None:
    found = measured_metrics(engine, "kernel/file", file=file, how=how)
    assert found["read_bytes"] > 0
    if file == "tmpfs":
        assert found["stated_bytes"] == found["read_bytes"] == 65
    if file in ("uptime", "stat") and not Path("/proc/uptime").stat().st_size:
        assert found["stated_bytes"] == 0
    if file == "sysfs" and Path("/sys/class/net/lo").exists():
        assert found["followed_pct"] == 100 or math.isnan(found["followed_pct"]), "lo may be down"


def test_mappings_are_told_line_by_line(engine: Engine) -> None:
    own = len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())
    found = measured_metrics(engine, "kernel/maps", most=1000)
    # Those of this process, which may have made some more meanwhile: its threads have stacks.
    assert 1000 < found["lines"] < own + 1000 + 200
    assert math.isfinite(found["mapping_ns"])  # a difference of two times: negative where something came between


@pytest.mark.parametrize("most", [99, 50001, -1])
def test_other_numbers_of_mappings_are_refused(engine: Engine, most: int) -> None:
    measured = measure(engine, "kernel/maps", {"most": most})
    assert measured.status == EINVAL
    assert f"most={most}" in measured.reason


def test_components_are_counted_down_to_the_deepest_folder(engine: Engine) -> None:
    assert math.isfinite(measured_metrics(engine, "kernel/path")["empty_ns"])


@pytest.mark.parametrize("where", ["memory", "disk"])
@pytest.mark.parametrize("name", ["present", "missing"])
def test_names_are_there_or_not(engine: Engine, name: str, where: str) -> None:
    measured_metrics(engine, "kernel/name", name=name, where=where)


@pytest.mark.parametrize(
    ("name", "file", "values", "whole", "broken", "said"),
    [
        # Files that are not read, hold something else, or are another process's.
        ("kernel/file", FILE, {}, "reads->bytes = read(file,", "reads->bytes = read(-1,", "files were read and closed"),
        ("kernel/file", FILE, {}, "(close(file) == 0)", "((close(file), close(file)) == 0)", "read"),
        ("kernel/file", FILE, {"file": "tmpfs"}, "sizeof reads->text);\n", "8);\n", "the file holds 8 bytes"),
        ("kernel/file", FILE, {"file": "stat"}, '"/proc/self/stat"}', '"/proc/1/stat"}', "speaks of process 1"),
        # Mappings that become one, and a copy of something else.
        ("kernel/maps", MAPS, {}, "mappings->made % 2 == 0 &&", "", "lines more for"),
        ("kernel/maps", MAPS, {}, "(size_t)got) != got)", "(size_t)got / 2) != got / 2)", "bytes instead of"),
        # Folders that are not found, and a path that is no deeper than another.
        ("kernel/path", PATH, {}, "failed += fstatat(file, path,", 'failed += fstatat(file, "e",', "not found"),
        ("kernel/path", PATH, {}, "{1, 2, 4, 8, 16, FOLDER_DEPTHS}", "{1, 2, 4, 4, 16, 32}", "leads to another folder"),
        # Names that are otherwise.
        ("kernel/name", PATH, {"name": "missing"}, '"missing", &about', 'FOLDER_FILE, &about', "0 of"),
        ("kernel/name", PATH, {"name": "present"}, "FOLDER_FILE, &about, 0) == 0", '"absent", &about, 0) == 0', "0 of"),
        ("kernel/name", PATH, {}, '"missing-%d", i)', 'FOLDER_FILE)', "there is a file present"),
    ],
)  # fmt: skip
def test_what_does_otherwise_fails(
    tmp_path: Path, name: str, file: str, values: dict[str, str | int], whole: str, broken: str, said: str
) -> None:
    measured = measure(compile_broken(tmp_path, {file: [(whole, broken)]}), name, values)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


@pytest.mark.parametrize(
    ("name", "file", "whole", "broken", "need"),
    [
        ("kernel/path", FOLDER, "access(places[i], W_OK | X_OK)", "1", "a folder in memory"),
        ("kernel/path", FOLDER, "folder->keeper = fork();", "folder->keeper = (errno = EAGAIN, -1);", "permission for"),
        ("kernel/maps", MAPS, "PROT_READ))", "PROT_READ) || (errno = ENOMEM))", "so many mappings"),
    ],
)
def test_what_is_missing_is_a_need(tmp_path: Path, name: str, file: str, whole: str, broken: str, need: str) -> None:
    measured = measure(compile_broken(tmp_path, {f"{name}.c": [], file: [(whole, broken)]}), name)
    assert measured.status == ENOTSUP, measured.reason
    assert measured.reason.startswith(f"needs {need}")


STANDS = "static void look_at_present(struct worker *worker, uint64_t operations)\n{"


def test_a_folder_goes_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {PATH: [(STANDS, f"{STANDS} pause();")]})
    engine = os.fork()
    if engine == 0:
        measure(faulty, "kernel/name")
        os._exit(1)
    wait_for(lambda: folders_of(engine))
    os.kill(engine, signal.SIGKILL)
    assert os.waitpid(engine, 0)[1] == signal.SIGKILL
    wait_for(lambda: not folders_of(engine))
