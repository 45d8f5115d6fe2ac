"""The SPSC ring: any sequence of operations against a queue, two threads at once, and faults that must be found."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cffi
import pytest
from compile import ROOT, compile_once
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RINGS = ROOT / "csrc" / "lib" / "ring"
SOAK = ROOT / "tools" / "soak.c"
EINVAL = 22
FLAGS = ("-std=gnu11", "-O1", "-g0")
"""Optimised: a ring with a fault may read beyond its memory, which must not end these tests before they see it."""

DRIVER = """
#include "spsc.c"
#include "ring.c"
struct ring_spsc *make(size_t capacity, size_t item_bytes, uint64_t start, unsigned flags)
{
    struct ring_spsc *ring;
    if (ring_spsc_create(&ring, capacity, item_bytes, flags))
        return NULL;
    ring_spsc_start_at(ring, (ring_index)start);
    return ring;
}
int refusal(size_t capacity, size_t item_bytes, unsigned flags)
{
    struct ring_spsc *ring;
    return ring_spsc_create(&ring, capacity, item_bytes, flags);
}
void unmake(struct ring_spsc *ring) { ring_spsc_destroy(ring); }
#define SIZED(bytes, call) ((bytes) == 8 ? call(8) : (bytes) == 24 ? call(24) : (bytes) == 64 ? call(64) : call(bytes))
bool push(struct ring_spsc *ring, const void *item, size_t bytes)
{
#define CALL(n) ring_spsc_try_push_sized(ring, item, n)
    return SIZED(bytes, CALL);
#undef CALL
}
bool pop(struct ring_spsc *ring, void *item, size_t bytes)
{
#define CALL(n) ring_spsc_try_pop_sized(ring, item, n)
    return SIZED(bytes, CALL);
#undef CALL
}
size_t push_bulk(struct ring_spsc *ring, const void *items, size_t count, size_t bytes)
{
#define CALL(n) ring_spsc_push_bulk_sized(ring, items, count, n)
    return SIZED(bytes, CALL);
#undef CALL
}
size_t pop_bulk(struct ring_spsc *ring, void *items, size_t count, size_t bytes)
{
#define CALL(n) ring_spsc_pop_bulk_sized(ring, items, count, n)
    return SIZED(bytes, CALL);
#undef CALL
}
void flush(struct ring_spsc *ring) { ring_spsc_flush(ring); }
size_t per_block(struct ring_spsc *ring) { return ring->per_block; }
size_t guesses(struct ring_spsc *ring) { return ring->consumer.guesses; }
void push_and_wait(struct ring_spsc *ring, const void *item) { ring_spsc_push(ring, item); }
void pop_and_wait(struct ring_spsc *ring, void *item) { ring_spsc_pop(ring, item); }
"""
DECLARATIONS = """
struct ring_spsc *make(size_t, size_t, uint64_t, unsigned);
void flush(struct ring_spsc *);
size_t per_block(struct ring_spsc *);
size_t guesses(struct ring_spsc *);
int refusal(size_t, size_t, unsigned);
void unmake(struct ring_spsc *);
bool push(struct ring_spsc *, const void *, size_t);
bool pop(struct ring_spsc *, void *, size_t);
size_t push_bulk(struct ring_spsc *, const void *, size_t, size_t);
size_t pop_bulk(struct ring_spsc *, void *, size_t, size_t);
void push_and_wait(struct ring_spsc *, const void *);
void pop_and_wait(struct ring_spsc *, void *);
"""


def compiler() -> str:
    return os.environ.get("CC") or shutil.which("gcc") or "cc"


def copy_rings(folder: Path, *replacements: tuple[str, str]) -> None:
    """The library's sources in `folder`, in spsc.h each first text (it must be there once) replaced by the second."""
    for path in [*RINGS.glob("ring.[ch]"), *RINGS.glob("spsc.[ch]")]:
        text = path.read_text(encoding="utf-8")
        if path.name == "spsc.h":
            for old, new in replacements:
                assert text.count(old) == 1, f"spsc.h no longer has once what this test breaks: {old}"
                text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")


class Library:
    """The ring behind functions that Python can call."""

    def __init__(self, folder: Path, index: str, *replacements: tuple[str, str]) -> None:
        copy_rings(folder, *replacements)
        (folder / "driver.c").write_text(DRIVER, encoding="utf-8")
        made = folder / "driver.so"
        command = [compiler(), *FLAGS, "-fPIC", "-shared", f"-DRING_INDEX={index}"]
        compile_once(made, [*command, folder / "driver.c"])
        self.ffi: Any = cffi.FFI()  # the stubs know nothing of what a cdef declares
        self.ffi.cdef(DECLARATIONS)
        self.lib: Any = self.ffi.dlopen(str(made))


@functools.cache
def library(folder: Path, index: str) -> Library:
    (folder / index).mkdir()
    return Library(folder / index, index)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ring")


def replay(
    made: Library, capacity: int, item_bytes: int, start: int, operations: list[tuple[str, int]]
) -> tuple[str, int] | None:
    """Play operations on a ring and on a queue side by side; the first one whose answers differ, or None."""
    ffi, lib = made.ffi, made.lib
    ring = lib.make(capacity, item_bytes, start % 2**64, 0)
    assert ring != ffi.NULL
    queue: deque[bytes] = deque()
    number = 0
    try:
        for name, count in operations:
            if name.startswith("push"):
                items = [((number + i) * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") * 33 for i in range(count)]
                data = b"".join(item[:item_bytes] for item in items)
                room = min(count, capacity - len(queue))
                if name == "push_bulk":
                    done = lib.push_bulk(ring, data, count, item_bytes)
                elif name == "push_wait" and room:
                    lib.push_and_wait(ring, data)
                    done, room = 1, 1
                else:
                    done, room = int(lib.push(ring, data, item_bytes)), min(1, room)
                if done != room:
                    return name, count
                queue.extend(item[:item_bytes] for item in items[:done])
                number += done
            else:
                buffer = ffi.new("unsigned char[]", max(1, count) * item_bytes)
                there = min(count, len(queue))
                if name == "pop_bulk":
                    done = lib.pop_bulk(ring, buffer, count, item_bytes)
                elif name == "pop_wait" and there:
                    lib.pop_and_wait(ring, buffer)
                    done, there = 1, 1
                else:
                    done, there = int(lib.pop(ring, buffer, item_bytes)), min(1, there)
                got = bytes(ffi.buffer(buffer, done * item_bytes))
                if done != there or got != b"".join(queue.popleft() for _ in range(done)):
                    return name, count
    finally:
        lib.unmake(ring)
    return None


LAZY = 1
GROUP_BYTES = 128 * 64
SHARES = 4


def replay_lazy(
    made: Library, capacity: int, item_bytes: int, start: int, operations: list[tuple[str, int]]
) -> str | None:
    """Play operations on a lazy ring beside a queue; what the ring did that its header does not allow, or None.

    What is shown is only known within bounds: at least what was pushed by the last flush or refusal, and all but a
    group and a block. The places that a consumer may keep: fewer than a quarter of a group and, of small items, a
    block; none after it was told "empty".
    """
    ffi, lib = made.ffi, made.lib
    ring = lib.make(capacity, item_bytes, start % 2**64, LAZY)
    assert ring != ffi.NULL
    block = lib.per_block(ring)
    group = max(1, min(GROUP_BYTES // item_bytes, capacity // 4))
    held_most = group - 1 + (block if item_bytes <= 56 else 0)
    kept_most = max(0, group // SHARES - 1) + (block - 1 if item_bytes <= 56 else 0)
    queue: deque[bytes] = deque()
    pushed = popped = shown = kept = 0
    try:
        for name, count in operations:
            if name == "flush":
                lib.flush(ring)
                shown = pushed
            elif name.startswith("push"):
                items = [((pushed + i) * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") * 33 for i in range(count)]
                data = b"".join(item[:item_bytes] for item in items)
                bulk = name == "push_bulk"
                done = lib.push_bulk(ring, data, count, item_bytes) if bulk else int(lib.push(ring, data, item_bytes))
                queue.extend(item[:item_bytes] for item in items[:done])
                pushed += done
                if len(queue) > capacity:
                    return f"{len(queue)} items in a ring of {capacity}"
                if done < count:
                    if len(queue) + kept < capacity:
                        return f"full with {len(queue)} items of {capacity}, {kept} places kept by the consumer"
                    shown = pushed
                shown = max(shown, pushed - held_most)
            else:
                buffer = ffi.new("unsigned char[]", max(1, count) * item_bytes)
                bulk = name == "pop_bulk"
                done = lib.pop_bulk(ring, buffer, count, item_bytes) if bulk else int(lib.pop(ring, buffer, item_bytes))
                if done > len(queue) or done < min(count, shown - popped):
                    return f"{done} items came of {count}; {len(queue)} there, {shown - popped} at least shown"
                if bytes(ffi.buffer(buffer, done * item_bytes)) != b"".join(queue.popleft() for _ in range(done)):
                    return "other items came than were pushed"
                popped += done
                kept = 0 if bulk or done < count or popped == pushed else min(kept + done, kept_most)
                shown = max(shown, popped)
        lib.flush(ring)
        buffer = ffi.new("unsigned char[]", max(1, capacity) * item_bytes)
        if lib.pop_bulk(ring, buffer, capacity, item_bytes) != len(queue):
            return "a flush did not show everything"
        if lib.push_bulk(ring, bytes(capacity * item_bytes), capacity, item_bytes) != capacity:
            return "an empty ring had no room for its capacity"
    finally:
        lib.unmake(ring)
    return None


CAPACITIES = st.one_of(st.sampled_from([1, 2, 3, 6, 7, 8, 13, 64]), st.integers(1, 200))
SIZES = st.one_of(st.sampled_from([1, 8, 24, 28, 29, 56, 57, 64, 72]), st.integers(1, 264))
STARTS = st.one_of(
    st.just(0),
    st.integers(2**32 - 300, 2**32 + 10),
    st.integers(2**64 - 300, 2**64 - 1),
    st.integers(2**63 - 300, 2**63),
)
PATIENT = settings(
    max_examples=150 if os.environ.get("CI") else 50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
NAMES = st.sampled_from(["push", "pop", "push_bulk", "pop_bulk", "push_wait", "pop_wait"])
OPERATIONS = st.lists(
    st.tuples(NAMES, st.integers(1, 40)).map(lambda pair: pair if "bulk" in pair[0] else (pair[0], 1)), max_size=120
)


@pytest.mark.parametrize("index", ["uint32_t", "uint64_t"])
@PATIENT
@given(capacity=CAPACITIES, item_bytes=SIZES, start=STARTS, operations=OPERATIONS)
def test_any_sequence_does_what_a_queue_does(
    folder: Path, index: str, capacity: int, item_bytes: int, start: int, operations: list[tuple[str, int]]
) -> None:
    assert replay(library(folder, index), capacity, item_bytes, start, operations) is None


LAZY_NAMES = st.sampled_from(["push", "pop", "push_bulk", "pop_bulk", "flush"])
LAZY_OPERATIONS = st.lists(
    st.tuples(LAZY_NAMES, st.integers(1, 40)).map(lambda pair: pair if "bulk" in pair[0] else (pair[0], 1)),
    max_size=150,
)


@pytest.mark.parametrize("index", ["uint32_t", "uint64_t"])
@PATIENT
@given(capacity=CAPACITIES, item_bytes=SIZES, start=STARTS, operations=LAZY_OPERATIONS)
def test_a_lazy_ring_holds_back_no_more_than_it_may(
    folder: Path, index: str, capacity: int, item_bytes: int, start: int, operations: list[tuple[str, int]]
) -> None:
    assert replay_lazy(library(folder, index), capacity, item_bytes, start, operations) is None


@pytest.mark.parametrize("capacity", [1, 2, 3, 8, 100, 1000])
@pytest.mark.parametrize("item_bytes", [8, 64])
def test_without_flush_nothing_is_lost_and_nobody_waits_for_ever(folder: Path, capacity: int, item_bytes: int) -> None:
    made = library(folder, "uint64_t")
    ring = made.lib.make(capacity, item_bytes, 2**64 - 50, LAZY)
    item, got = made.ffi.new("unsigned char[]", item_bytes), made.ffi.new("unsigned char[]", item_bytes)
    assert made.lib.push(ring, item, item_bytes)
    if capacity > 3:
        assert not made.lib.pop(ring, got, item_bytes)
    sent = 1 + sum(made.lib.push(ring, item, item_bytes) for _ in range(capacity + 5))
    assert sent == capacity  # the refusal that came last showed them all
    assert sum(made.lib.pop(ring, got, item_bytes) for _ in range(capacity)) == capacity
    assert sum(made.lib.push(ring, item, item_bytes) for _ in range(capacity)) == capacity
    made.lib.unmake(ring)


@pytest.mark.parametrize(("flags", "capacity", "guessing"), [(0, 64, True), (LAZY, 64, True), (LAZY, 256, False)])
def test_a_consumer_guesses_where_a_word_speaks_of_one_line(
    folder: Path, flags: int, capacity: int, guessing: bool
) -> None:
    """The larger lazy ring has groups of several lines, and its consumer knows the lines to come."""
    made = library(folder, "uint64_t")
    ring = made.lib.make(capacity, 8, 0, flags)
    assert made.lib.push_bulk(ring, bytes(8 * capacity), capacity, 8) == capacity
    made.lib.flush(ring)
    assert made.lib.guesses(ring) == 0
    got = made.ffi.new("unsigned char[]", 8)
    assert all(made.lib.pop(ring, got, 8) for _ in range(capacity // 2))
    assert (made.lib.guesses(ring) > 0) == guessing
    made.lib.unmake(ring)


@pytest.mark.parametrize(("capacity", "farthest"), [(16, 1), (40, 1), (64, 2), (140, 5), (1024, 5)])
def test_guesses_reach_a_quarter_of_the_ring_at_most(folder: Path, capacity: int, farthest: int) -> None:
    """Seven items are a line. The ring is full, so that each line is whole."""
    made = library(folder, "uint64_t")
    ring = made.lib.make(capacity, 8, 0, 0)
    got = made.ffi.new("unsigned char[]", 8)
    assert made.lib.push_bulk(ring, bytes(8 * capacity), capacity, 8) == capacity
    seen = set()
    for _ in range(capacity - capacity % 7):
        assert made.lib.pop(ring, got, 8)
        seen.add(made.lib.guesses(ring))
    assert max(seen) == farthest
    made.lib.unmake(ring)


@pytest.mark.parametrize("index", ["uint32_t", "uint64_t"])
@pytest.mark.parametrize("capacity", [1, 2, 7, 10])
def test_many_laps_across_the_wrap(folder: Path, index: str, capacity: int) -> None:
    operations = [(name, count) for count in (1, 3, 5, 11) for name in ("push_bulk", "pop_bulk")] * 60
    for bytes_ in (8, 64):
        assert replay(library(folder, index), capacity, bytes_, 2**64 - 200, operations) is None
        assert replay(library(folder, index), capacity, bytes_, 2**32 - 200, operations) is None


def test_what_cannot_be_made_is_refused(folder: Path) -> None:
    lib = library(folder, "uint32_t").lib
    assert lib.refusal(0, 8, 0) == lib.refusal(8, 0, 0) == lib.refusal(8, 8, 2) == -EINVAL
    assert lib.refusal(2**31, 1, 0) == -EINVAL  # more than half of what 32 bits count
    assert lib.refusal(8, 2**63, 0) == -EINVAL
    assert lib.refusal(1, 1, 0) == 0


FLUSH = "    ring_spsc_publish(ring->producer.shown_block, ring->producer.tail);\n"
LAZY_FAULTS = {
    "flush left out": (FLUSH, ""),
    "never published on full": ("        ring_spsc_flush(ring);\n        return false;", "        return false;"),
    "never published on full, in bulk": ("if (refused)\n        ring_spsc_flush(ring);\n    else if", "if"),
    "group never published": (">= ring->group)", "> ring->capacity)"),
    "word of the wrong block": (FLUSH, FLUSH.replace("shown_block", "block")),
    "places given back by shares only": ("if (!ring->group || at == ring->consumer.known ||", "if (!ring->group ||"),
    "places never given back early": (">= ring->share)", "> ring->capacity)"),
    "a word left behind": (
        "__atomic_store_n((ring_index *)(void *)block, tail, __ATOMIC_RELAXED);",
        "(void)block, (void)tail;",
    ),
}


def lazy_trials() -> Iterator[tuple[int, int, list[tuple[str, int]]]]:
    """Capacities, sizes and sequences in which each fault of LAZY_FAULTS shows."""
    for capacity in (1, 2, 10, 40, 130):
        for size in (8, 64):
            for count in (1, 3, 11, 40):
                yield (
                    capacity,
                    size,
                    [("push_bulk", count), ("pop_bulk", count), ("push", 1), ("pop", 1), ("flush", 1)] * 30,
                )
                yield capacity, size, [("push", 1)] * count + [("flush", 1), ("pop", 1)] * count
            fill = [("push", 1)] * (capacity + 1) + [("pop", 1)] * capacity
            yield capacity, size, fill * 3
            yield capacity, size, [("push_bulk", capacity + 3), *[("pop", 1)] * capacity] * 3
            yield capacity, size, [("push", 1)] * (capacity + 1) + [("pop", 1), ("push", 1)] * (capacity - 1)
            nearly = [("push", 1)] * (capacity - 1)
            yield capacity, size, [*nearly, ("flush", 1), ("push_bulk", 5), *[("pop", 1)] * capacity] * 3


PUBLISH = "__atomic_store_n((ring_index *)(void *)block, tail, __ATOMIC_RELEASE)"
SINGLE_FAULTS = {
    "an item never published": (PUBLISH, "if (tail % 11) " + PUBLISH),
    "room not looked for again": (
        "ring->producer.limit = taken + ring->capacity;",
        "ring->producer.limit = taken + ring->capacity + 1;",
    ),
    "a word compared as if it never wrapped": ("if (!ring_before(head, word))", "if (word <= head)"),
    "a line written to whose last item is to come": (
        "} else if (ends && ring_spsc_was_whole(ring, item_bytes))",
        "} else if (ring_spsc_was_whole(ring, item_bytes))",
    ),
    "a line written to whose last items are to come, in bulk": (
        "} else if (some == in_block && ring_spsc_was_whole(ring, item_bytes))",
        "} else if (ring_spsc_was_whole(ring, item_bytes))",
    ),
    "a large item written to before it is read": (
        "ring_spsc_disown_items(slot, item_bytes);",
        "ring_spsc_disown_items(slot + item_bytes, item_bytes);",
    ),
    "large items written to before they are read, in bulk": (
        "ring_spsc_disown_items(slot, some * item_bytes);",
        "ring_spsc_disown_items(slot + item_bytes, some * item_bytes);",
    ),
    "bulk forgets what it gave": (
        "    if (at != head)\n        ring_spsc_give_back(ring, at);",
        "    ring->consumer.head = at;",
    ),
}


@pytest.mark.parametrize("fault", SINGLE_FAULTS)
def test_a_fault_in_the_ring_is_found_by_one_thread(tmp_path: Path, fault: str) -> None:
    broken = Library(tmp_path, "uint32_t", SINGLE_FAULTS[fault])
    operations = [(name, count) for count in (1, 3, 5, 11) for name in ("push_bulk", "pop_bulk", "push", "pop")] * 30
    # Popped by pieces of what was pushed at once, too.
    operations += [("push_bulk", 30), ("pop_bulk", 4), *[("pop", 1)] * 9, ("pop_bulk", 17)] * 10
    starts = (0, 2**32 - 40)
    trials = itertools.product((1, 4, 10, 40), (8, 64), starts)
    assert any(replay(broken, capacity, size, start, operations) for capacity, size, start in trials)


@pytest.mark.parametrize("fault", LAZY_FAULTS)
def test_a_fault_of_the_lazy_form_is_found_by_one_thread(tmp_path: Path, fault: str) -> None:
    trials = list(lazy_trials())
    if fault == "a word left behind":
        # 8 bits of a counter: a word that no lap renews looks new again after half of them.
        broken = Library(tmp_path, "uint8_t", LAZY_FAULTS[fault])
        trials = [(20, 8, [("push_bulk", 20), ("pop_bulk", 20), *[("push", 1), ("flush", 1), ("pop", 1)] * 3] * 200)]
    else:
        broken = Library(tmp_path, "uint32_t", LAZY_FAULTS[fault])
    assert any(replay_lazy(broken, capacity, size, 2**32 - 40, operations) for capacity, size, operations in trials)


def test_the_lazy_trials_find_nothing_in_the_ring_as_it_is(folder: Path) -> None:
    for capacity, size, operations in lazy_trials():
        assert replay_lazy(library(folder, "uint32_t"), capacity, size, 2**32 - 40, operations) is None


def soak(folder: Path, options: list[str], *replacements: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """The soak program over a copy of the ring, in short."""
    rings = folder / "lib" / "ring"
    rings.mkdir(parents=True)
    copy_rings(rings, *replacements)
    made = folder / "soak"
    sources = [str(SOAK), str(rings / "spsc.c"), str(rings / "ring.c")]
    compile_once(made, [compiler(), *FLAGS, "-pthread", f"-I{folder}", *options, *sources])
    # With much randomness in the address space the thread sanitizer finds its shadow memory taken.
    command = ["setarch", "-R", str(made), "spsc", "60000"]
    environment = {
        **os.environ,
        "TSAN_OPTIONS": "halt_on_error=1",
    }  # a ring that lost an item would wait for it for ever
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def test_two_threads_keep_order(tmp_path: Path) -> None:
    run = soak(tmp_path, [])
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("ok - spsc") == 16


@pytest.mark.slow
def test_the_thread_sanitizer_is_silent(tmp_path: Path) -> None:
    run = soak(tmp_path, ["-fsanitize=thread"])
    assert (run.returncode, run.stderr) == (0, "")


RACES = {
    # x86 keeps stores in order, so that only the sanitizer can tell
    "publication without release": (PUBLISH, PUBLISH.replace("RELEASE", "RELAXED")),
    "look without acquire": (
        "__atomic_load_n((ring_index *)(void *)ring->consumer.block, __ATOMIC_ACQUIRE)",
        "__atomic_load_n((ring_index *)(void *)ring->consumer.block, __ATOMIC_RELAXED)",
    ),
    "place given back without release": (
        "__atomic_store_n(&ring->taken, head, __ATOMIC_RELEASE)",
        "__atomic_store_n(&ring->taken, head, __ATOMIC_RELAXED)",
    ),
    # One place early does nothing: the blocks kept free keep the producer away. So by more blocks than those.
    "places given back before they were read": (
        "__atomic_store_n(&ring->taken, head, __ATOMIC_RELEASE)",
        "__atomic_store_n(&ring->taken, head + 20 * ring->per_block, __ATOMIC_RELEASE)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
def test_the_thread_sanitizer_finds_a_wrong_order(tmp_path: Path, race: str) -> None:
    assert "data race" in soak(tmp_path, ["-fsanitize=thread"], RACES[race]).stderr
