"""memory/bandwidth: every byte is read and written, and what is stated of memory is read as it stands."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, EINVAL, ENOTSUP, TEAMS, built_engine, measure
from kernels.plant import KERNELS, compile_broken
from kernels.program import program
from topics.analysed import analysed, told_of
from topics.memory.cases import bandwidth_cases

BANDWIDTH, BLOCKS = "memory/bandwidth.c", "memory/blocks.h"
SMALL = 1 << 20


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.mark.parametrize("team", TEAMS, ids=str)
@pytest.mark.parametrize("op", ["read", "copy", "triad", "stream"])
def test_each_thread_does_its_part(engine: Engine, op: str, team: list[int]) -> None:
    measured = measure(engine, "memory/bandwidth", {"op": op, "size": SMALL}, team)
    assert measured.status == 0, measured.reason
    assert measured.metrics["gb_per_s"] > 0


@pytest.mark.parametrize("size", [-1, 0, (1 << 40) + 1])
def test_sizes_that_cannot_be_are_refused(engine: Engine, size: int) -> None:
    measured = measure(engine, "memory/bandwidth", {"size": size})
    assert measured.status == EINVAL
    assert f"size={size} is not from 1 to 1 TiB" in measured.reason


def test_more_than_there_is_free_is_not_tried(engine: Engine) -> None:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    size = int(fields["MemAvailable"].split()[0]) * 1024
    if size > 1 << 40:
        pytest.skip("needs a machine with less than 1 TiB of free memory")
    measured = measure(engine, "memory/bandwidth", {"op": "read", "size": size})
    assert measured.status == ENOTSUP
    assert measured.reason.endswith("MiB of free memory")


@pytest.mark.parametrize(
    ("op", "file", "whole", "broken", "said"),
    [
        ("read", BLOCKS, "second += a[i + 1];", "second += a[i];", "adds up to"),
        ("read", BLOCKS, "first += a[i];", "first += i ? a[i] : first;", "adds up to"),
        ("copy", BLOCKS, "b[i + j] = a[i + j];", "b[i + j] = a[i];", "does not hold"),
        ("copy", BLOCKS, "b[i + j] = a[i + j];", "if (i) b[i + j] = a[i + j];", "does not hold"),
        ("triad", BLOCKS, "+ 3.0 * b[i + j]", "+ 2.0 * b[i + j]", "does not hold"),
        ("stream", BLOCKS, "{3.0, 3.0}", "{3.0, 2.0}", "does not hold"),
        ("triad", BANDWIDTH, "? part->at + 1 : 0", "? part->at : 0", "the thread is at"),
        ("read", BANDWIDTH, "part->made += made;", "part->made += made + bandwidth->blocks;", "adds up to"),
    ],
)
def test_work_that_is_left_out_fails(tmp_path: Path, op: str, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, "memory/bandwidth", {"op": op, "size": SMALL})
    assert measured.status == EILSEQ
    assert said in measured.reason


def device(mib: int, width: int, speed: int, configured: int) -> bytes:
    """A memory device of the DMI tables, with two strings behind it."""
    fixed = bytearray(0x22)
    fixed[0:2] = 17, len(fixed)
    struct.pack_into("<HH", fixed, 0x0A, width, mib)
    struct.pack_into("<H", fixed, 0x15, speed)
    struct.pack_into("<H", fixed, 0x20, configured)
    return bytes(fixed) + b"DIMM A\0BANK 0\0\0"


def test_the_peak_is_that_of_all_devices_in_their_slots(tmp_path: Path) -> None:
    """Two devices as they are configured, one that does not say how, and an empty slot, behind a structure of another
    kind."""
    other = bytes([16, 6, 0, 0, 1, 2]) + b"\0\0"
    devices = [device(8192, 64, 3200, 2933), device(8192, 64, 3200, 2933), device(8192, 64, 2400, 0)]
    table = other + b"".join(devices) + device(0, 64, 3200, 3200) + bytes([127, 4, 0, 0, 0, 0])
    (tmp_path / "table").write_bytes(table)
    (tmp_path / "cut").write_bytes(table[:20])
    body = 'printf("%.0f\\n", stated_peak());'
    found = []
    for name in ("table", "cut", "missing"):
        text = (KERNELS / BANDWIDTH).read_text(encoding="utf-8")
        assert text.count('"/sys/firmware/dmi/tables/DMI"') == 1
        before = f'#define procfs_text(path, text, bytes) procfs_text("{tmp_path}/{name}", text, bytes)'
        found += program(tmp_path, BANDWIDTH, body, f'#define _GNU_SOURCE\n#include "kernels/system.h"\n{before}')
    assert found == [str((2 * 2933 + 2400) * 8 * 10**6), "nan", "nan"]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [("0-3,8\n", [0, 3, 8], [4, 7, 9]), ("0\n", [0], [1]), ("\n", [], [0]), ("", [], [0])],
)
def test_lists_of_nodes_are_read(tmp_path: Path, text: str, inside: list[int], outside: list[int]) -> None:
    words = text.replace("\n", "\\n")
    body = "".join(f'printf("%d\\n", in_list("{words}", {number}, NULL));' for number in (*inside, *outside))
    found = program(tmp_path, "memory_nodes.h", body, "#define _GNU_SOURCE")
    assert found == ["1"] * len(inside) + ["0"] * len(outside)


def test_the_picture_shows_what_all_threads_move() -> None:
    figure = told_of(analysed(bandwidth_cases(), rounds=6))["memory-bandwidth"]
    assert len(figure.table.rows) == 8
    assert "to 22.0" in figure.description
