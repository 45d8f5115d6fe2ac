"""ring_mpmc, ring_mpsc, ring_overwrite: against reference queues, at each other's steps, by threads, with faults."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cffi
import pytest
from compile import CSRC, ROOT, UNTIMED, compile_once
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from runs.measure import wait_for

QUEUES = ("mpmc", "mpsc")
WAIT_S = 600
"""Longer than anything here takes on the slowest machine: only what never ends is ended by it."""
WIDTHS = (32, 64)
DONE, REFUSED, BUSY, STUCK = 0, 1, 2, -1
EINVAL, EMSGSIZE, EBUSY = -22, -90, -16
QUICK = settings(
    max_examples=60 if os.environ.get("CI") else 30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FEW = settings(QUICK, phases=(Phase.explicit, Phase.generate), max_examples=120)
"""For rings with a fault: found, not shrunk."""

DECLARATIONS = "void set_test_point(void (*function)(const char *));" + "".join(
    f"""
    void *{name}_create(unsigned long capacity, unsigned long item_bytes, unsigned flags, int *status);
    void {name}_destroy(void *ring);
    void {name}_start_before_wrap(void *ring, unsigned long laps);
    long {name}_push(void *ring, const void *items, unsigned long count);
    long {name}_pop(void *ring, void *items, unsigned long count);
    long {name}_try_push(void *ring, const void *item);
    long {name}_try_pop(void *ring, void *item);
    long {name}_attempt_push(void *ring, const void *item);
    long {name}_attempt_pop(void *ring, void *item);
    void {name}_push_blocking(void *ring, const void *item);
    void {name}_pop_blocking(void *ring, void *item);
    """
    for name in QUEUES
)
DECLARATIONS += """
    void *log_create(unsigned long capacity, unsigned long item_bytes, unsigned flags, int *status);
    void log_destroy(void *ring);
    void log_start_before_wrap(void *ring, unsigned long records);
    int log_write(void *ring, const void *record, unsigned long bytes);
    void *log_reader(void *ring);
    void log_skip(void *reader);
    void log_reader_end(void *reader);
    long log_read(void *reader, void *record, unsigned long room, unsigned long *lost);
"""

Fault = tuple[str, str, str]
"""File of csrc/lib/ring, what stands in it once, and what the fault makes of it."""


def compiler(*names: str) -> str:
    for name in names:
        if shutil.which(name):
            return name
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {' or '.join(names)}")
    pytest.skip(f"needs {' or '.join(names)}")


def plant(folder: Path, fault: Fault | None) -> Path:
    """A copy of csrc/lib/ring with the fault in it; the folder to include from."""
    shutil.copytree(CSRC / "lib" / "ring", folder / "lib" / "ring")
    if fault:
        file, whole, broken = fault
        text = (folder / "lib" / "ring" / file).read_text(encoding="utf-8")
        assert text.count(whole) == 1, f"{file} no longer has once what this test breaks: {whole}"
        (folder / "lib" / "ring" / file).write_text(text.replace(whole, broken), encoding="utf-8")
    return folder


class Rings:
    """The driver of driver.c, compiled with counters of 32 or 64 bits."""

    def __init__(self, folder: Path, width: int, fault: Fault | None = None) -> None:
        made = folder / "driver.so"
        command = [compiler("gcc", "clang"), "-std=gnu11", "-O0", "-w", "-shared", "-fPIC", f"-I{plant(folder, fault)}"]
        compile_once(made, [*command, f"-DRING_INDEX=uint{width}_t", str(ROOT / "tests" / "lib" / "ring" / "driver.c")])
        self.ffi: Any = cffi.FFI()
        self.ffi.cdef(DECLARATIONS)
        self.lib: Any = self.ffi.dlopen(str(made))
        self.width = width
        self.callback: Any = None
        self.failures: list[BaseException] = []

    def at(self, act: Callable[[str], None] | None) -> None:
        """Call `act` with the name of each test point that is passed outside of `act` itself."""
        if act is None:
            self.lib.set_test_point(self.ffi.NULL)
            return
        inside, failures = [False], self.failures

        def guarded(name: Any) -> None:
            if inside[0] or failures:
                return
            inside[0] = True
            try:
                act(self.ffi.string(name).decode())
            except BaseException as error:  # passed on by `finish`: an exception cannot cross C
                failures.append(error)
            finally:
                inside[0] = False

        self.callback = self.ffi.callback("void(const char *)", guarded)
        self.lib.set_test_point(self.callback)

    def finish(self) -> None:
        self.at(None)
        if self.failures:
            error = self.failures[0]
            self.failures.clear()
            raise error


class Queue:
    """One ring through its bulk, try and attempt forms; items are integers."""

    def __init__(self, rings: Rings, kind: str, capacity: int, item_bytes: int = 8, laps_before_wrap: int = 0) -> None:
        self.rings, self.kind, self.bytes = rings, kind, item_bytes
        status = rings.ffi.new("int *")
        self.ring = self.call("create", capacity, item_bytes, 0, status)
        assert status[0] == 0
        if laps_before_wrap:
            self.call("start_before_wrap", self.ring, laps_before_wrap)

    def call(self, name: str, *arguments: Any) -> Any:
        return getattr(self.rings.lib, f"{self.kind}_{name}")(*arguments)

    def pack(self, item: int) -> bytes:
        return int(item * 0x9E3779B97F4A7C15 % 256**self.bytes).to_bytes(self.bytes, "little")

    def push(self, items: Sequence[int]) -> int:
        return int(self.call("push", self.ring, b"".join(map(self.pack, items)), len(items)))

    def pop(self, count: int) -> tuple[int, list[bytes]]:
        room = self.rings.ffi.new("unsigned char[]", max(1, count * self.bytes))
        done = int(self.call("pop", self.ring, room, count))
        whole = bytes(self.rings.ffi.buffer(room))
        return done, [whole[i * self.bytes : (i + 1) * self.bytes] for i in range(max(done, 0))]

    def one(self, form: str, item: int = 0) -> int:
        """`try_push`, `attempt_push` … of one item. Popped items go to `self.got`."""
        if form.endswith("push"):
            return int(self.call(form, self.ring, self.pack(item)))
        room = self.rings.ffi.new("unsigned char[]", self.bytes)
        answer = int(self.call(form, self.ring, room))
        self.got = bytes(self.rings.ffi.buffer(room))
        return answer

    def close(self) -> None:
        self.call("destroy", self.ring)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["push", "pop", "try_push", "try_pop", "attempt_push", "attempt_pop"]), st.integers(0, 12)
    ),
    max_size=60,
)


def behaves_as_a_bounded_queue(rings: Rings, kind: str, effort: settings) -> None:
    @effort
    @given(
        capacity=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9]),
        item_bytes=st.sampled_from([1, 3, 8, 12, 64, 72]),
        laps_before_wrap=st.integers(0, 6),
        operations=OPERATIONS,
    )
    def run(capacity: int, item_bytes: int, laps_before_wrap: int, operations: list[tuple[str, int]]) -> None:
        queue, model, number = Queue(rings, kind, capacity, item_bytes, laps_before_wrap), deque[bytes](), 0
        try:
            for form, count in operations:
                if form == "push":
                    items = list(range(number, number + count))
                    room = min(count, capacity - len(model))
                    assert queue.push(items) == room
                    model.extend(map(queue.pack, items[:room]))
                    number += room
                elif form == "pop":
                    due = [model.popleft() for _ in range(min(count, len(model)))]
                    assert queue.pop(count) == (len(due), due)
                elif form.endswith("push"):
                    fits = len(model) < capacity
                    assert queue.one(form, number) == (fits if form == "try_push" else REFUSED - fits)
                    if fits:
                        model.append(queue.pack(number))
                        number += 1
                else:
                    there = bool(model)
                    assert queue.one(form) == (there if form == "try_pop" else REFUSED - there)
                    assert not there or queue.got == model.popleft()
        finally:
            queue.close()

    run()


def between_the_steps(rings: Rings, kind: str, effort: settings) -> None:
    """At a step of one operation another is made whole: both answers, and all items, must fit one order of the two.

    What is pushed inside an operation comes before or after it: either order of two pushes is right, and an
    operation in the middle may be answered BUSY (or, waiting, STUCK).
    """

    @effort
    @given(
        capacity=st.sampled_from([1, 2, 3, 4]),
        held=st.integers(0, 4),
        laps_before_wrap=st.integers(0, 2),
        before=st.integers(0, 5),
        outer=st.sampled_from(["attempt_push", "attempt_pop"]),
        step=st.integers(0, 2),
        inner=st.lists(st.sampled_from(["attempt_push", "attempt_pop"]), min_size=1, max_size=6),
    )
    def run(
        capacity: int, held: int, laps_before_wrap: int, before: int, outer: str, step: int, inner: list[str]
    ) -> None:
        if kind == "mpsc" and outer == "attempt_pop":
            inner = [form for form in inner if form == "attempt_push"]  # one consumer
        queue, held = Queue(rings, kind, capacity, 8, laps_before_wrap), min(held, capacity)
        try:
            for i in range(before):  # so that the place of the slots in the lap varies
                assert queue.push([i]) == 1 and queue.pop(1)[0] == 1
            pushed, popped, midway = list(range(100, 100 + held)), list[bytes](), list[str]()
            assert queue.push(pushed) == held
            passed = 0

            def act(name: str) -> None:
                nonlocal passed
                passed += 1
                if passed != step + 1:
                    return
                midway.append(name)
                claimed_push, claimed_pop = name.endswith("claimed for push"), name.endswith("claimed for pop")
                for i, form in enumerate(inner):
                    answer = queue.one(form, 200 + i)
                    inside = len(pushed) - len(popped)  # as others see it: whole operations
                    if form == "attempt_push":
                        if answer == DONE:
                            pushed.append(200 + i)
                        assert answer != REFUSED or inside + claimed_push >= capacity
                        assert answer != DONE or inside + claimed_push - claimed_pop < capacity
                        assert answer != BUSY or kind == "mpmc"
                        # With nobody in a step of taking, room is room.
                        assert answer == DONE or claimed_pop or inside + claimed_push >= capacity
                    else:
                        if answer == DONE:
                            popped.append(queue.got)
                        assert answer != REFUSED or inside - claimed_pop <= 0
                        assert answer == DONE or claimed_push or inside - claimed_pop <= 0

            rings.at(act)
            answer, own = queue.one(outer, 300), getattr(queue, "got", b"")
            rings.finish()
            room = queue.pop(10 * capacity)[1] if kind == "mpsc" or answer != STUCK else []
            while more := queue.pop(10)[1]:
                room += more
            out = sorted([*popped, *room, *([own] if outer == "attempt_pop" and answer == DONE else [])])
            due = [*pushed, *([300] if outer == "attempt_push" and answer == DONE else [])]
            assert out == sorted(map(queue.pack, due))
            if outer == "attempt_push" and not midway:
                assert answer == (DONE if held < capacity else REFUSED)
            # The ring is as good as new.
            assert queue.push(list(range(capacity + 1))) == capacity
            assert queue.pop(capacity + 1) == (capacity, [queue.pack(i) for i in range(capacity)])
        finally:
            rings.at(None)
            rings.failures.clear()
            queue.close()

    run()


def record(number: int, length: int) -> bytes:
    """A text that no mixture of two others is."""
    return ((number + 1) * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") * (length // 8 + 1)


class Log:
    """An overwriting ring; records are record(number, length) with numbers as the test gives them."""

    def __init__(self, rings: Rings, capacity: int, longest: int, before_wrap: int = 0) -> None:
        self.rings, self.longest = rings, longest
        status = rings.ffi.new("int *")
        self.ring = rings.lib.log_create(capacity, longest, 0, status)
        assert status[0] == 0
        rings.lib.log_start_before_wrap(self.ring, before_wrap)
        self.readers: list[Any] = []

    def reader(self) -> Any:
        self.readers.append(self.rings.lib.log_reader(self.ring))
        return self.readers[-1]

    def write(self, text: bytes) -> int:
        return int(self.rings.lib.log_write(self.ring, text, len(text)))

    def read(self, reader: Any, room: int | None = None) -> tuple[bytes | None, int, int]:
        """Record (or None), its whole length, and how many were lost before it."""
        room = self.longest if room is None else room
        to, lost = self.rings.ffi.new("unsigned char[]", room + 1), self.rings.ffi.new("unsigned long *")
        length = int(self.rings.lib.log_read(reader, to, room, lost))
        text = bytes(self.rings.ffi.buffer(to))
        assert text[room] == 0, "written beyond the room"
        return (None if length < 0 else text[: min(length, room)]), length, int(lost[0])

    def close(self) -> None:
        for reader in self.readers:
            self.rings.lib.log_reader_end(reader)
        self.rings.lib.log_destroy(self.ring)


def keeps_the_newest(rings: Rings, effort: settings) -> None:
    """Whole operations only: what is lost is known exactly, and it is the oldest."""

    @effort
    @given(
        capacity=st.sampled_from([1, 2, 3, 4, 5, 8, 9]),
        longest=st.sampled_from([1, 7, 8, 20, 64]),
        before_wrap=st.integers(0, 20),
        steps=st.lists(
            st.tuples(st.sampled_from(["write", "write", "read 0", "read 1"]), st.integers(0, 70)), max_size=60
        ),
    )
    def run(capacity: int, longest: int, before_wrap: int, steps: list[tuple[str, int]]) -> None:
        log, written = Log(rings, capacity, longest, before_wrap), list[bytes]()
        readers, due = [log.reader(), log.reader()], [0, 0]
        try:
            for step, given_length in [*steps, *[("read 0", 0)] * (capacity + 1), *[("read 1", 3)] * (capacity + 1)]:
                length = given_length if given_length % 7 == 0 else given_length % (longest + 1)  # some are too long
                if step == "write":
                    text = record(len(written), length)[:length]
                    assert log.write(text) == (0 if length <= longest else EMSGSIZE)
                    if length <= longest:
                        written.append(text)
                    continue
                which = int(step[-1])
                room = longest if length % 2 == 0 else length % (longest + 1)
                oldest = max(due[which], len(written) - capacity)
                lost, due[which] = oldest - due[which], oldest
                if oldest == len(written):
                    assert log.read(readers[which], room) == (None, -1, lost)
                else:
                    assert log.read(readers[which], room) == (written[oldest][:room], len(written[oldest]), lost)
                    due[which] += 1
            assert due == [len(written)] * 2
        finally:
            log.close()

    run()


def tells_the_truth_at_every_step(rings: Rings, effort: settings) -> None:
    """At a step of a writer or a reader others write and read: whole records in order, and read + lost == written."""

    @effort
    @given(
        capacity=st.sampled_from([1, 2, 3, 4, 6]),
        before_wrap=st.integers(0, 10),
        held=st.integers(0, 8),
        outer=st.sampled_from(["write", "read"]),
        at_step=st.integers(0, 6),
        inner=st.lists(st.sampled_from(["write", "write", "write", "read"]), min_size=1, max_size=20),
        after=st.lists(st.sampled_from(["write", "read"]), max_size=8),
    )
    # A writer that was away for just a lap of the two slots.
    @example(capacity=1, before_wrap=0, held=0, outer="write", at_step=0, inner=["write", "write"], after=[])
    def run(
        capacity: int, before_wrap: int, held: int, outer: str, at_step: int, inner: list[str], after: list[str]
    ) -> None:
        longest, numbers = 40, iter(range(1000))
        log, written, answers = Log(rings, capacity, longest, before_wrap), 0, dict[bytes, int]()
        mine, others = log.reader(), log.reader()
        seen: dict[Any, list[bytes]] = {mine: [], others: []}
        lost = {mine: 0, others: 0}

        def write() -> None:
            nonlocal written
            number = next(numbers)
            text = record(number, longest)[: 8 + number % 33]
            written += 1
            answers[text] = number
            log.write(text)

        def read(reader: Any) -> bool:
            text, length, some = log.read(reader)
            lost[reader] += some
            if text is None:
                return False
            assert text in answers, "a torn record, or one that nobody wrote"
            assert length == len(text)
            seen[reader].append(text)
            return True

        passed = 0

        def act(_: str) -> None:
            nonlocal passed
            passed += 1
            if passed == at_step + 1:
                for step in inner:
                    write() if step == "write" else read(others)

        try:
            for _ in range(held):
                write()
            rings.at(act)
            write() if outer == "write" else read(mine)
            rings.finish()
            for step in after:
                write() if step == "write" else read(others)
            for reader in (mine, others):
                while read(reader):
                    pass
                assert len(seen[reader]) + lost[reader] == written
                assert len(set(seen[reader])) == len(seen[reader])
                if outer == "read":  # one writer at a time: numbers are in the order of writing
                    order = [answers[text] for text in seen[reader]]
                    assert order == sorted(order)
        finally:
            rings.at(None)
            rings.failures.clear()
            log.close()

    run()


PROPERTIES: dict[str, Callable[[Rings, settings], None]] = {
    "mpmc queue": lambda rings, effort: behaves_as_a_bounded_queue(rings, "mpmc", effort),
    "mpsc queue": lambda rings, effort: behaves_as_a_bounded_queue(rings, "mpsc", effort),
    "mpmc steps": lambda rings, effort: between_the_steps(rings, "mpmc", effort),
    "mpsc steps": lambda rings, effort: between_the_steps(rings, "mpsc", effort),
    "overwrite log": keeps_the_newest,
    "overwrite steps": tells_the_truth_at_every_step,
}


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


# Threads.

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
