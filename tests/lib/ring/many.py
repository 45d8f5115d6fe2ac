"""Rings of many threads beside reference queues, for tests: the driver, the queues, and what must hold of them."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cffi
import pytest
from compile import CSRC, ROOT, compile_once
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

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
