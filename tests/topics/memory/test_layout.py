"""memory/layout: segments are found by their names and rights, and an order that is another is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

LAYOUT = "memory/layout.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


def test_segments_of_fresh_processes_are_found_and_in_order(engine: Engine) -> None:
    measured = measure(engine, "memory/layout")
    assert measured.status == 0, measured.reason
    assert [(count.found, count.expected) for count in measured.outcome.count[0:2]] == [(20, 20), (20, 20)]
    assert measured.metrics["in_order_pct"] == 100
    assert 1 <= measured.metrics["places"] <= 20
    # To begin with, each has to bring in its program and its stack.
    assert measured.metrics["minor_faults"] > 10 and 0 < measured.metrics["minor_pct"] <= 100
    assert 0 < measured.metrics["text_at"] < measured.metrics["mappings_at"] < measured.metrics["stack_at"]


@pytest.mark.parametrize(
    ("whole", "broken", "said"),
    [
        # Segments that are taken for others, and one that nobody finds.
        ("which = HEAP;", "which = TEXT;", "count whole: 0 processes instead of 20"),
        ('"[stack]") == 0)\n        which = STACK;', '"[stack]") == 0)\n        which = MAPPINGS;', "count whole: 0"),
        (
            "rights[2] == 'x' ? TEXT : rights[1] == 'w' ? DATA",
            "rights[2] == 'x' ? DATA : rights[1] == 'w' ? TEXT",
            "count in_order: 0 processes instead of 20",
        ),
        # A shell that fails, and one that says nothing.
        ('/proc/self/maps", NULL}', '/proc/self/nothing", NULL}', "the shell ended with status"),
        ('"while read -r line; do echo', '"while read -r line; do true', "count whole: 0 processes"),
        # Faults of this process in place of its children.
        ("after.ru_minflt - before.ru_minflt", "before.ru_minflt - before.ru_minflt", "had no minor fault"),
    ],
)
def test_a_layout_that_is_misread_fails(tmp_path: Path, whole: str, broken: str, said: str) -> None:
    measured = measure(compile_broken(tmp_path, {LAYOUT: [(whole, broken)]}), "memory/layout")
    assert measured.status == EILSEQ
    assert said in measured.reason


def test_a_machine_without_a_shell_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {LAYOUT: [('"/bin/sh"', f'"{tmp_path}/none"')]})
    measured = measure(faulty, "memory/layout")
    assert measured.status == ENOTSUP
    assert measured.reason == f"needs a shell ({tmp_path}/none)"


MAPS = """\
55d000000000-55d000001000 r--p 00000000 fe:00 1 /usr/bin/dash
55d000001000-55d000010000 r-xp 00001000 fe:00 1 /usr/bin/dash
55d000011000-55d000012000 rw-p 00011000 fe:00 1 /usr/bin/dash
55d000012000-55d000014000 rw-p 00000000 00:00 0{space}
55d100000000-55d100021000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000100000 r-xp 00000000 fe:00 2 /usr/lib/libc.so.6
7f0000200000-7f0000300000 rw-p 00000000 00:00 0{space}
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
7ffc00040000-7ffc00042000 r-xp 00000000 00:00 0 [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
""".format(space=" ")
"""As x86-64 has them. The vdso of a program with libraries may lie above its stack."""


def order_of(folder: Path, maps: str) -> list[str]:
    lines = maps.splitlines()
    body = "struct segment s[SEGMENTS] = {{0, 0}};"
    body += "".join(f'note_mapping("{line}", "/usr/bin/dash", s);' for line in lines)
    return program(folder, LAYOUT, body + 'printf("%d %d\\n", is_whole(s), is_in_order(s));')


def test_a_vdso_above_the_stack_is_no_mapping_out_of_order(tmp_path: Path) -> None:
    assert order_of(tmp_path, MAPS) == ["1 1"]


def test_a_program_without_bss_is_whole(tmp_path: Path) -> None:
    assert order_of(tmp_path, MAPS.replace("55d000012000-55d000014000", "55d000013000-55d000014000")) == ["1 1"]


def test_mappings_below_the_program_are_out_of_order(tmp_path: Path) -> None:
    assert order_of(tmp_path, MAPS.replace("7f0000000000-7f0000100000", "2aaa00000000-2aaa00100000")) == ["1 0"]
