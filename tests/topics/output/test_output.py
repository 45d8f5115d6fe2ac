"""output/*: what was printed arrives or is lost as it must, and no record is taken for another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.leave import nothing_more
from kernels.measure import EILSEQ, ENOTSUP, built_engine, measure
from kernels.plant import compile_broken
from kernels.program import program

PRINT, LOSS, KMSG = "output/print.c", "output/loss.c", "output/kmsg.c"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with nothing_more():
        yield


@pytest.mark.parametrize("to", ["null", "file", "pipe"])
@pytest.mark.parametrize("how", ["buffered", "unlocked", "line", "flushed", "write"])
def test_lines_arrive(engine: Engine, how: str, to: str) -> None:
    measured = measure(engine, "output/print", {"how": how, "to": to})
    assert measured.status == 0, measured.reason


def test_a_line_is_made(engine: Engine) -> None:
    assert measure(engine, "output/format").status == 0


@pytest.mark.parametrize(("buffer", "arrived"), [("full", 0), ("line", 1600), ("none", 1600), ("flushed", 1600)])
def test_what_is_in_the_buffer_is_lost(engine: Engine, buffer: str, arrived: int) -> None:
    measured = measure(engine, "output/loss", {"buffer": buffer})
    assert measured.status == 0, measured.reason
    assert measured.outcome.count[0].found == arrived
    assert measured.metrics["lost_pct"] == 100 * (arrived == 0)


@pytest.mark.parametrize(
    ("name", "file", "values", "whole", "broken", "said"),
    [
        # Lines of another length, lines that go nowhere, a byte too many, and a number that stands still.
        ("print", PRINT, {"how": "buffered"}, '"line %010u\\n"', '"line %9u\\n"', "lines were not whole"),
        (
            "print",
            PRINT,
            {"how": "write", "to": "file"},
            "write(output->file, output->line",
            "write(-1, output->line",
            "lines were not whole",
        ),
        ("print", PRINT, {"how": "line", "to": "pipe"}, "(uint64_t)got;", "(uint64_t)got + 1;", "bytes arrived of"),
        (
            "format",
            PRINT,
            {},
            "sizeof output->line, FORM, number)",
            "sizeof output->line, FORM, 7U + number * 0)",
            "has the number 7",
        ),
        # A child that flushes, and one that does not.
        ("loss", LOSS, {"buffer": "full"}, "(buffer == FLUSHED)", "(buffer == FULL)", "count arrived: 1600"),
        ("loss", LOSS, {"buffer": "flushed"}, "(buffer == FLUSHED)", "(buffer == FULL)", "count arrived: 0"),
        ("loss", LOSS, {"buffer": "none"}, "    _exit(0);", "    _exit(3);", "the child ended with 3"),
    ],
)
def test_what_does_otherwise_fails(
    tmp_path: Path, name: str, file: str, values: dict[str, str | int], whole: str, broken: str, said: str
) -> None:
    measured = measure(compile_broken(tmp_path, {file: [(whole, broken)]}), f"output/{name}", values)
    assert measured.status == EILSEQ, measured.reason
    assert said in measured.reason


def test_a_child_that_cannot_be_made_is_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {LOSS: [("loss->child = fork();", "loss->child = (errno = EAGAIN, -1);")]})
    assert measure(faulty, "output/loss").status == ENOTSUP


# ---- the kernel's log: a file of records stands in for it, as its documentation shows them ----


STOOD_IN = """
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "kernels/system.h"
static const char *path;
static FILE *told;
/* One record a reading, and EAGAIN at the end of the log. */
static ssize_t next_record(void *into, size_t bytes)
{
    if (fgets(into, (int)bytes, told)) {
        errno = 0;
        return (ssize_t)strlen(into);
    }
    errno = EAGAIN;
    return -1;
}
#define read(from, into, bytes) next_record(into, bytes)
#define open(name, ...) (told = fopen(path, "r"), dup(0))
"""


@pytest.mark.parametrize(
    ("texts", "lately", "own"),
    [
        ((), 0, 0),
        (("something else",), 0, 0),
        (("fencepost output/kmsg 1-1 left", "fencepost output/kmsg 1-2 left", "x"), 2, 0),
        (("fencepost output/kmsg OWN-1 left", "printk: python3: 14 output lines suppressed due to x"), 2, 1),
    ],
)
def test_records_of_ours_are_counted(tmp_path: Path, texts: tuple[str, ...], lately: int, own: int) -> None:
    log = tmp_path / "log"
    body = f"""
    char own[64], text[4096] = "";
    path = "{log}";
    FILE *made = fopen(path, "w");
    snprintf(own, sizeof own, "%x", 0xabc);
    const char *texts[] = {{{"".join(f'"{text}",' for text in texts)} NULL}};
    for (int i = 0; texts[i]; i++) {{
        const char *at = strstr(texts[i], "OWN");
        fprintf(made, "7,%d,%lld,-;%.*s%s%s\\n", i, (long long)(now_ns() / 1000), at ? (int)(at - texts[i]) : 0,
                texts[i], at ? own : "", at ? at + 3 : texts[i]);
    }}
    fclose(made);
    printf("%d %d\\n", (int)count_records(0), (int)count_records(0xabc));
"""
    (line,) = program(tmp_path, KMSG, body, STOOD_IN)
    assert line == f"{lately} {own}"


def test_without_permission_records_are_a_need(tmp_path: Path) -> None:
    faulty = compile_broken(tmp_path, {KMSG: [('#define DEVICE "/dev/kmsg"', '#define DEVICE "/dev/no-kmsg"')]})
    measured = measure(faulty, "output/kmsg")
    assert measured.status == ENOTSUP
    assert measured.reason.startswith("needs permission to write and read")


def test_a_log_that_is_full_of_ours_is_a_need(tmp_path: Path) -> None:
    device = tmp_path / "kmsg"
    device.write_text("", encoding="utf-8")
    replaced = [
        ('#define DEVICE "/dev/kmsg"', f'#define DEVICE "{device}"'),
        ("before = log->device < 0 ? -1 : count_records(0);", "before = 25;"),
    ]
    measured = measure(compile_broken(tmp_path, {KMSG: replaced}), "output/kmsg")
    assert measured.status == ENOTSUP
    assert "ten minutes without 25 records" in measured.reason


@pytest.mark.parametrize("name", ["output/kmsg", "output/kmsg_dropped"])
def test_a_record_that_is_not_in_the_log_is_no_kept_one(tmp_path: Path, name: str) -> None:
    """A file takes what is written and gives nothing back as records: as if all had been dropped."""
    device = tmp_path / "kmsg"
    device.write_text("", encoding="utf-8")
    replaced = [
        ('#define DEVICE "/dev/kmsg"', f'#define DEVICE "{device}"'),
        ("if (!status && !rate_limited())", "if (0)"),
    ]
    measured = measure(compile_broken(tmp_path, {KMSG: replaced}), name)
    assert measured.status == EILSEQ
    assert "count kept: 0" in measured.reason
