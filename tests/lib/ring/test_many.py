"""ring_mpmc, ring_mpsc, ring_overwrite: against reference queues, at each other's steps, by threads, with faults."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import cffi
import pytest
from compile import CSRC, ROOT, compile_once
from lib.ring.many import (
    DECLARATIONS,
    EINVAL,
    FEW,
    PROPERTIES,
    QUEUES,
    QUICK,
    STUCK,
    WAIT_S,
    WIDTHS,
    Fault,
    Log,
    Queue,
    Rings,
    compiler,
    record,
)
from runs.measure import wait_for


@pytest.fixture(scope="module", params=WIDTHS, ids=lambda width: f"{width} bits")
def rings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rings:
    return Rings(tmp_path_factory.mktemp("rings"), request.param)


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(rings: Rings, name: str) -> None:
    PROPERTIES[name](rings, QUICK)


PUT, TAKE = "memcpy(slot + RING_MPMC_STAMP, from, item_bytes);", "memcpy(to, slot + RING_MPMC_STAMP, item_bytes);"
FAULTS: dict[str, tuple[str, Fault]] = {
    "a wrap by remainder": (
        "mpmc queue",
        ("mpmc.h", "(ring_index)(position - index + ring->lap)", "(ring_index)(position + 1)"),
    ),
    "one slot too few": ("mpmc queue", ("mpmc.h", "index + 1 < ring->capacity", "index + 2 < ring->capacity")),
    "full by the stamp alone": (
        "mpmc steps",
        ("mpmc.h", "if (opposite == (ring_index)(held ? at : at - ring->lap)) {", "if (held ? opposite == at : 1) {"),
    ),
    "empty by the stamp alone": (
        "mpmc steps",
        (
            "mpmc.h",
            "if (opposite == (ring_index)(held ? at : at - ring->lap)) {",
            "if (held || opposite == at - ring->lap) {",
        ),
    ),
    "an mpmc slot freed before its load": (
        "mpmc steps",
        (
            "mpmc.h",
            '        RING_TEST_POINT("mpmc: claimed for pop");\n',
            (
                "    __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + ring->lap), __ATOMIC_RELEASE);\n"
                '        RING_TEST_POINT("mpmc: claimed for pop");\n'
            ),
        ),
    ),
    "an mpmc stamp before its item": (
        "mpmc steps",
        (
            "mpmc.h",
            '        RING_TEST_POINT("mpmc: claimed for push");\n',
            (
                "        __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + 1), __ATOMIC_RELEASE);\n"
                '        RING_TEST_POINT("mpmc: claimed for push");\n'
            ),
        ),
    ),
    "a bulk claim beyond what is ready": (
        "mpmc queue",
        ("mpmc.h", "if (stamp != (ring_index)(next + held))", "if (!ready && stamp != (ring_index)(next + held))"),
    ),
    "a ring that holds one item less": (
        "mpsc queue",
        (
            "mpsc.h",
            "__ATOMIC_ACQUIRE) + ring->lap);\n            room",
            "__ATOMIC_ACQUIRE) + ring->lap - 1);\n            room",
        ),
    ),
    "no look at the consumer": ("mpsc queue", ("mpsc.h", "if (RING_UNLIKELY(room < wanted)) {", "if (0) {")),
    "mpsc places given back before they are read": (
        "mpsc steps",
        (
            "mpsc.h",
            "            memcpy(to, slot + RING_MPSC_STAMP, item_bytes);\n",
            (
                "            __atomic_store_n(&ring->head, ring_mpsc_after(ring, at, 1), __ATOMIC_RELEASE);\n"
                '            RING_TEST_POINT("mpsc: given back");\n'
                "            memcpy(to, slot + RING_MPSC_STAMP, item_bytes);\n"
            ),
        ),
    ),
    "an mpsc stamp before its item": (
        "mpsc steps",
        (
            "mpsc.h",
            '        RING_TEST_POINT("mpsc: claimed for push");\n',
            (
                "        __atomic_store_n((ring_index *)(void *)slot, (ring_index)(at + 1), __ATOMIC_RELEASE);\n"
                '        RING_TEST_POINT("mpsc: claimed for push");\n'
            ),
        ),
    ),
    "empty while a producer is in the middle": (
        "mpsc steps",
        ("mpsc.h", "== head ? RING_MPSC_REFUSED : RING_MPSC_BUSY", "== head || 1 ? RING_MPSC_REFUSED : RING_MPSC_BUSY"),
    ),
    "a record not looked at again": (
        "overwrite steps",
        (
            "overwrite.h",
            "return __atomic_load_n(&slot->state, __ATOMIC_RELAXED) == ring_overwrite_complete(number);",
            "return true;",
        ),
    ),
    "a slot taken from a writer inside it": ("overwrite steps", ("overwrite.h", "if (!(state & 1)) {", "if (0) {")),
    "a dropped record without its mark": (
        "overwrite steps",
        ("overwrite.h", "            ring_overwrite_drop(slot, number);\n", ""),
    ),
    "a slot taken from a later writer": (
        "overwrite steps",
        ("overwrite.h", "if (!ring_overwrite_is_before(state, number))", "if (0)"),
    ),
    "loss counted from the slots": (
        "overwrite log",
        (
            "overwrite.h",
            "reader->next = (ring_index)(head - ring->capacity);",
            "reader->next = (ring_index)(head - ring->mask - 1);",
        ),
    ),
    "no state while a record is written": (
        "overwrite steps",
        (
            "overwrite.h",
            "ring_overwrite_writing(number), false, __ATOMIC_ACQUIRE,",
            "state, false, __ATOMIC_ACQUIRE,",
        ),
    ),
}


HANGING = {"a wrap by remainder": 1}
"""Faults with which an operation never ends, and how many seconds of a CPU say so (others: 0.1)."""
PATIENCE = 60
"""The same for all others."""


def verdict_of(check: Callable[[], None], seconds: int) -> str:
    """What becomes of a check that may crash or never end, in its own process: "passed", "failed", or a signal."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # of its own time: a busy machine hangs nothing
        try:
            check()
        except (AssertionError, ExceptionGroup):
            os._exit(1)
        except BaseException:
            os._exit(2)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return ("passed", "failed", "error")[os.WEXITSTATUS(status)]


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_caught(fault: str, tmp_path: Path) -> None:
    prop, planted = FAULTS[fault]
    broken = Rings(tmp_path, 64, planted)
    verdict = verdict_of(lambda: PROPERTIES[prop](broken, FEW), HANGING.get(fault, PATIENCE))
    # A ring that writes where it should not is caught as well.
    assert verdict in ("failed", "SIGSEGV", "SIGABRT") or (verdict == "SIGPROF" and fault in HANGING)


@pytest.mark.parametrize("kind", [*QUEUES, "log"])
def test_impossible_rings_are_refused(rings: Rings, kind: str) -> None:
    status = rings.ffi.new("int *")
    for capacity, item_bytes, flags in [(0, 8, 0), (8, 0, 0), (8, 8, 1), (2**63, 8, 0), (2 ** (rings.width - 2), 1, 0)]:
        assert getattr(rings.lib, f"{kind}_create")(capacity, item_bytes, flags, status) == rings.ffi.NULL
        assert status[0] == EINVAL
    getattr(rings.lib, f"{kind}_destroy")(rings.ffi.NULL)


def test_what_a_reader_skips_is_not_lost(rings: Rings) -> None:
    log = Log(rings, 3, 8)
    reader = log.reader()
    for i in range(5):
        log.write(record(i, 8)[:8])
    rings.lib.log_skip(reader)
    assert log.read(reader) == (None, -1, 0)
    log.write(b"next")
    assert log.read(reader) == (b"next", 4, 0)
    log.close()


@pytest.mark.parametrize("kind", QUEUES)
def test_try_waits_for_a_peer_in_the_middle(kind: str, rings: Rings) -> None:
    """A pop meets a push between claim and stamp: with nobody to go on it would wait for ever, and not say "empty"."""
    queue, answers = Queue(rings, kind, 2), list[int]()
    rings.at(lambda name: answers.append(queue.one("try_pop")) if name.endswith("claimed for push") else None)
    assert queue.one("try_push", 1) == 1
    rings.finish()
    assert answers == [STUCK]
    assert queue.one("try_pop") == 1
    queue.close()


@pytest.mark.parametrize("kind", QUEUES)
def test_blocking_forms_wait(kind: str, tmp_path: Path) -> None:
    """Threads of Python's: what is called through cffi leaves them free to run."""
    program = tmp_path / "library.so"
    driver = tmp_path / "driver.c"
    text = (ROOT / "tests" / "lib" / "ring" / "driver.c").read_text(encoding="utf-8")
    # Who waits counts the looks that come after the spinning, and is waited for by that count.
    text = text.replace("longjmp(*innermost, 1);", "waits++; ring_wait_longer_unused(wait);")
    text = text.replace("static jmp_buf *innermost;", "static jmp_buf *innermost; volatile long waits;")
    driver.write_text(text, encoding="utf-8")
    compile_once(
        program, [compiler("gcc", "clang"), "-std=gnu11", "-O1", "-w", "-shared", "-fPIC", f"-I{CSRC}", driver]
    )
    rings = Rings.__new__(Rings)
    rings.ffi = cffi.FFI()
    rings.ffi.cdef(DECLARATIONS + "extern volatile long waits;")
    rings.lib = rings.ffi.dlopen(str(program))

    def waits_on(thread: threading.Thread) -> bool:
        assert thread.is_alive()
        return int(rings.lib.waits) > 0

    queue, got = Queue(rings, kind, 1), rings.ffi.new("unsigned char[8]")
    popper = threading.Thread(target=queue.call, args=("pop_blocking", queue.ring, got), daemon=True)
    popper.start()
    wait_for(lambda: waits_on(popper))
    assert queue.push([7]) == 1
    popper.join(WAIT_S)
    assert not popper.is_alive()
    assert bytes(rings.ffi.buffer(got)) == queue.pack(7)
    assert queue.push([8]) == 1
    pusher = threading.Thread(target=queue.call, args=("push_blocking", queue.ring, queue.pack(9)), daemon=True)
    rings.lib.waits = 0
    pusher.start()
    wait_for(lambda: waits_on(pusher))
    assert queue.pop(1) == (1, [queue.pack(8)])
    pusher.join(WAIT_S)
    assert not pusher.is_alive()
    assert queue.pop(1) == (1, [queue.pack(9)])
    queue.close()
