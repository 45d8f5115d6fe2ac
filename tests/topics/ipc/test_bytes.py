"""ipc/throughput, ipc/zero_copy and ipc/many: what arrives is what was sent, and nothing stays open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.build import Engine
from kernels.measure import CPUS, EILSEQ, EINVAL, ENOTSUP, SHARING, built_engine, measure
from kernels.plant import compile_broken, expect_no_thread_more_than, threads
from kernels.program import program

THROUGHPUT, ZERO_COPY, MANY = "ipc/throughput.c", "ipc/zero_copy.c", "ipc/many.c"
URING = "ipc/uring.h"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return built_engine()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    files, before = set(Path("/proc/self/fd").iterdir()), threads()
    yield
    assert set(Path("/proc/self/fd").iterdir()) <= files
    expect_no_thread_more_than(before)


@pytest.mark.parametrize("room", [4096, 65536])
@pytest.mark.parametrize("block", [100, 65536])
@pytest.mark.parametrize("by", ["pipe", "unix_stream"])
def test_blocks_arrive_in_order(engine: Engine, by: str, block: int, room: int) -> None:
    values: dict[str, str | int] = {"by": by, "block": block, "room": room}
    measured = measure(engine, "ipc/throughput", values, cpus=SHARING)
    assert measured.status == 0, measured.reason
    assert measured.metrics["gib_s"] > 0
    assert measured.metrics["room_bytes"] >= 4096


@pytest.mark.parametrize("values", [{"block": 7}, {"block": 1 << 21}, {"room": 0}, {"room": 1 << 21}])
def test_impossible_blocks_are_refused(engine: Engine, values: dict[str, str | int]) -> None:
    assert measure(engine, "ipc/throughput", values, cpus=SHARING).status == EINVAL


@pytest.mark.parametrize("by", ["vmsplice", "vmsplice_huge", "splice", "sendfile", "uring"])
def test_pages_arrive_under_their_number(engine: Engine, by: str) -> None:
    measured = measure(engine, "ipc/zero_copy", {"by": by})
    if measured.status == ENOTSUP:
        pytest.skip(measured.reason)
    assert measured.status == 0, measured.reason
    assert all(measured.metrics[f"r{size}"] > 0 for size in (4096, 16384, 65536, 262144, 1 << 20))


@pytest.mark.parametrize(
    "team", [SHARING, [CPUS[0]] * 4, [*CPUS[:2] * 2], [CPUS[0]] * 8], ids=["two", "four", "spread", "eight"]
)
@pytest.mark.parametrize("through", ["pipe", "unix_stream"])
def test_each_message_of_each_sender_comes(engine: Engine, team: list[int], through: str) -> None:
    measured = measure(engine, "ipc/many", {"through": through}, cpus=team)
    assert measured.status == 0, measured.reason
    assert measured.outcome.events == 6 * 64


def test_an_odd_number_of_threads_is_a_need(engine: Engine) -> None:
    assert measure(engine, "ipc/many", cpus=[CPUS[0]] * 3).status == ENOTSUP


@pytest.mark.parametrize(
    ("name", "file", "whole", "broken", "said"),
    [
        # A block that is not whole, one that is another, and one too few.
        ("ipc/throughput", THROUGHPUT, "line->written++;", "line->written += 2;", "blocks written and"),
        ("ipc/throughput", THROUGHPUT, "&line->written, sizeof line->written", "&line->bytes, 8", "another number"),
        # Pages that nobody has written to since an earlier transfer, and half of them.
        ("ipc/zero_copy", ZERO_COPY, "size, hands->number);", "size, 1);", "another transfer"),
        ("ipc/zero_copy", ZERO_COPY, "return vmsplice(hands->in, &pages, 1, 0);", "return 0;", "needs vmsplice"),
        # A message that is lost, and one that comes twice.
        ("ipc/many", MANY, "receiver->last[message.sender] = message.number;", "(void)ticks;", "were not the next"),
        ("ipc/many", MANY, "message.number = ++crowd->sent[sender];", "message.number = crowd->sent[sender];", "next"),
    ],
)
def test_what_does_otherwise_fails(tmp_path: Path, name: str, file: str, whole: str, broken: str, said: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, name, cpus=None if name == "ipc/zero_copy" else SHARING)
    assert measured.status == (ENOTSUP if said.startswith("needs") else EILSEQ), measured.reason
    assert said in measured.reason


def test_a_page_that_changes_before_it_is_read_is_found_out(tmp_path: Path) -> None:
    """The trap of pages that are handed over: they still belong to the sender."""
    sent = "sent += (size_t)went;"
    faulty = compile_broken(
        tmp_path, {ZERO_COPY: [(sent, f"{sent} if (how == HAND_OVER) stamp(hands->from, size, 0);")]}
    )
    measured = measure(faulty, "ipc/zero_copy", {"by": "vmsplice"})
    assert measured.status == EILSEQ
    assert "pages carried the number of another transfer" in measured.reason


@pytest.mark.parametrize(
    ("file", "whole", "broken", "need"),
    [
        # A write that takes half of it.
        (ZERO_COPY, "hands->from, size, IOSQE", "hands->from, size / 2, IOSQE", "vmsplice, splice, sendfile and io_u"),
        # It is switched off, and it is not built in.
        (URING, "uring->file = (int)syscall(", "errno = EPERM; uring->file = -1; (void)(", "permission for io_uring"),
        (URING, "uring->file = (int)syscall(", "errno = ENOSYS; uring->file = -1; (void)(", "a Linux with io_uring"),
    ],
)
def test_where_io_uring_cannot_be_had_the_row_says_why(
    tmp_path: Path, file: str, whole: str, broken: str, need: str
) -> None:
    faulty = compile_broken(tmp_path, {ZERO_COPY: [], file: [(whole, broken)]})
    measured = measure(faulty, "ipc/zero_copy", {"by": "uring"})
    assert measured.status == ENOTSUP
    assert measured.reason.startswith(f"needs {need}") or "io_uring" in measured.reason


def test_a_reader_that_dies_is_a_failure_and_no_hang(tmp_path: Path) -> None:
    dies = "if (line->read == 20) raise(SIGKILL); line->read++;"
    include = "#include <sys/socket.h>"
    faulty = compile_broken(
        tmp_path, {THROUGHPUT: [("line->read++;", dies), (include, f"{include}\n#include <signal.h>")]}
    )
    measured = measure(faulty, "ipc/throughput", cpus=SHARING)
    assert "was ended by signal 9" in measured.reason


@pytest.mark.parametrize(
    ("ratios", "bytes_"),
    [
        ("{2, 2, 2, 2, 2}", "4096"),
        ("{0.9, 1.1, 2, 2, 2}", "16384"),
        ("{2, 0.9, 2, 2, 2}", "65536"),
        ("{2, 2, 2, 2, 0.9}", "nan"),
    ],
)
def test_it_pays_from_the_size_on_that_all_larger_ones_follow(tmp_path: Path, ratios: str, bytes_: str) -> None:
    (line,) = program(tmp_path, ZERO_COPY, f'double ratios[] = {ratios}; printf("%g\\n", pays_from(ratios));')
    assert line.strip("-") == bytes_


@pytest.mark.parametrize(
    ("name", "file", "whole", "broken"),
    [
        ("ipc/throughput", THROUGHPUT, "pipe2(ends, O_CLOEXEC)", "(errno = EMFILE, -1)"),
        ("ipc/zero_copy", ZERO_COPY, "pipe2(ends, O_CLOEXEC)", "(errno = EMFILE, -1)"),
        ("ipc/many", MANY, "pipe2(ends, O_CLOEXEC)", "(errno = EMFILE, -1)"),
    ],
)
def test_scarce_files_are_a_need(tmp_path: Path, name: str, file: str, whole: str, broken: str) -> None:
    faulty = compile_broken(tmp_path, {file: [(whole, broken)]})
    measured = measure(faulty, name, cpus=None if name == "ipc/zero_copy" else SHARING)
    assert measured.status == ENOTSUP
    assert "more open files" in measured.reason
