"""alloc/slab: the line of a cache is read as it stands, and objects come in whole slabs."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

SLAB = "alloc/slab.c"
HEAD = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"
LINE = "{name:<17} {active} {objects}    192   21    1 : tunables    0    0    0 : slabdata    267 {slabs}      0\n"


def slabinfo(folder: Path, objects: int, slabs: int, active: int) -> str:
    """A file as the kernel writes it, with a cache of a longer name before ours."""
    path = folder / "slabinfo"
    lines = [
        LINE.format(name=name, active=active, objects=objects, slabs=slabs)
        for name in ("vm_area_structs", "vm_area_struct")
    ]
    path.write_text(
        HEAD + lines[0].replace("192", "999") + 100 * "filp 1 1 192 21 1 : tunables 0\n" + lines[1], encoding="utf-8"
    )
    return str(path)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_objects_come_in_whole_slabs(engine: Engine) -> None:
    before = len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())
    measured = measure(engine, "alloc/slab")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    count = measured.outcome.count[0]
    assert count.found == count.expected > 0
    assert measured.metrics["slabs_grown"] * measured.metrics["objects_per_slab"] == count.found
    assert len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()) < before + 100


def test_the_line_of_the_cache_is_found_by_its_whole_name(tmp_path: Path) -> None:
    path = slabinfo(tmp_path, 5607, 267, 4495)
    body = """
    struct cache cache;
    const int status = look(&cache);
    printf("%d %d %d %d %d %d\\n", status, (int)cache.active, (int)cache.objects, (int)cache.per_slab,
           (int)cache.pages, (int)cache.slabs);
"""
    fake = f'#include <fcntl.h>\n#define open(path, flags) open("{path}", flags)\n'
    assert program(tmp_path, SLAB, body, fake) == ["0 4495 5607 21 1 267"]


@pytest.mark.parametrize(
    ("objects", "slabs", "said"),
    [
        # The file stays as it is: nothing grows.
        (5607, 267, "has not grown by the 16384 mappings"),
    ],
)
def test_a_cache_that_does_not_grow_fails(tmp_path: Path, objects: int, slabs: int, said: str) -> None:
    path = slabinfo(tmp_path, objects, slabs, objects)
    faulty = compile_broken(tmp_path, {SLAB: [('"/proc/slabinfo"', f'"{path}"')]})
    measured = measure(faulty, "alloc/slab")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_objects_that_come_alone_fail(tmp_path: Path) -> None:
    alone = (
        "    return slabs->after.objects - slabs->before.objects;",
        "    return slabs->after.objects - slabs->before.objects + 1;",
    )
    measured = measure(compile_broken(tmp_path, {SLAB: [alone]}), "alloc/slab")
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == EILSEQ
    assert "count in_slabs" in measured.reason


def test_a_file_that_may_not_be_read_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {SLAB: [('"/proc/slabinfo"', f'"{tmp_path}/none"')]})
    measured = measure(faulty, "alloc/slab")
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission to read ")
