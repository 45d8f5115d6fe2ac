"""The SPSC ring: any sequence of operations against a queue, two threads at once, and faults that must be found."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections import deque
from pathlib import Path
from typing import Any

import cffi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
RINGS = ROOT / "csrc" / "ring"
SOAK = ROOT / "tools" / "soak.c"
EINVAL = 22

DRIVER = """
#include "spsc.c"
#include "ring.c"
struct ring_spsc *make(size_t capacity, size_t item_bytes, uint64_t start)
{
    struct ring_spsc *ring;
    if (ring_spsc_create(&ring, capacity, item_bytes, 0))
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
void push_and_wait(struct ring_spsc *ring, const void *item) { ring_spsc_push(ring, item); }
void pop_and_wait(struct ring_spsc *ring, void *item) { ring_spsc_pop(ring, item); }
"""
DECLARATIONS = """
struct ring_spsc *make(size_t, size_t, uint64_t);
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
        command = [compiler(), "-std=gnu11", "-O2", "-fPIC", "-shared", f"-DRING_INDEX={index}"]
        subprocess.run([*command, "-o", str(made), str(folder / "driver.c")], check=True)
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
    ring = lib.make(capacity, item_bytes, start % 2**64)
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


CAPACITIES = st.one_of(st.sampled_from([1, 2, 3, 6, 7, 8, 13, 64]), st.integers(1, 200))
SIZES = st.one_of(st.sampled_from([1, 8, 24, 28, 29, 56, 57, 64, 72]), st.integers(1, 264))
STARTS = st.one_of(
    st.just(0),
    st.integers(2**32 - 300, 2**32 + 10),
    st.integers(2**64 - 300, 2**64 - 1),
    st.integers(2**63 - 300, 2**63),
)
NAMES = st.sampled_from(["push", "pop", "push_bulk", "pop_bulk", "push_wait", "pop_wait"])
OPERATIONS = st.lists(
    st.tuples(NAMES, st.integers(1, 40)).map(lambda pair: pair if "bulk" in pair[0] else (pair[0], 1)), max_size=120
)


@pytest.mark.parametrize("index", ["uint32_t", "uint64_t"])
@settings(max_examples=150, deadline=None)
@given(capacity=CAPACITIES, item_bytes=SIZES, start=STARTS, operations=OPERATIONS)
def test_any_sequence_does_what_a_queue_does(
    folder: Path, index: str, capacity: int, item_bytes: int, start: int, operations: list[tuple[str, int]]
) -> None:
    assert replay(library(folder, index), capacity, item_bytes, start, operations) is None


@pytest.mark.parametrize("index", ["uint32_t", "uint64_t"])
@pytest.mark.parametrize("capacity", [1, 2, 7, 10])
def test_many_laps_across_the_wrap(folder: Path, index: str, capacity: int) -> None:
    operations = [(name, count) for count in (1, 3, 5, 11) for name in ("push_bulk", "pop_bulk")] * 60
    for bytes_ in (8, 64):
        assert replay(library(folder, index), capacity, bytes_, 2**64 - 200, operations) is None
        assert replay(library(folder, index), capacity, bytes_, 2**32 - 200, operations) is None


def test_what_cannot_be_made_is_refused(folder: Path) -> None:
    lib = library(folder, "uint32_t").lib
    assert lib.refusal(0, 8, 0) == lib.refusal(8, 0, 0) == lib.refusal(8, 8, 1) == -EINVAL
    assert lib.refusal(2**31, 1, 0) == -EINVAL  # more than half of what 32 bits count
    assert lib.refusal(8, 2**63, 0) == -EINVAL
    assert lib.refusal(1, 1, 0) == 0


PUBLISH = "__atomic_store_n((ring_index *)(void *)block, tail, __ATOMIC_RELEASE)"
SINGLE_FAULTS = {
    "an item never published": (PUBLISH, "if (tail % 11) " + PUBLISH),
    "room not looked for again": (
        "ring->producer.limit = taken + ring->capacity;",
        "ring->producer.limit = taken + ring->capacity + 1;",
    ),
    "a word compared as if it never wrapped": ("if (!ring_before(head, word))", "if (word <= head)"),
    "bulk forgets what it gave": (
        "    if (at != head)\n        ring_spsc_give_back(ring, at);",
        "    ring->consumer.head = at;",
    ),
}


@pytest.mark.parametrize("fault", SINGLE_FAULTS)
def test_a_fault_in_the_ring_is_found_by_one_thread(tmp_path: Path, fault: str) -> None:
    broken = Library(tmp_path, "uint32_t", SINGLE_FAULTS[fault])
    operations = [(name, count) for count in (1, 3, 5, 11) for name in ("push_bulk", "pop_bulk", "push", "pop")] * 30
    starts = (0, 2**32 - 40)
    assert any(replay(broken, capacity, 8, start, operations) for capacity in (1, 4, 10) for start in starts)


def soak(folder: Path, options: list[str], *replacements: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """The soak program over a copy of the ring, in short."""
    (folder / "ring").mkdir()
    copy_rings(folder / "ring", *replacements)
    made = folder / "soak"
    sources = [str(SOAK), str(folder / "ring" / "spsc.c"), str(folder / "ring" / "ring.c")]
    command = [compiler(), "-std=gnu11", "-O2", "-g", "-pthread", f"-I{folder}", *options, "-o", str(made), *sources]
    subprocess.run(command, check=True)
    # With much randomness in the address space the thread sanitizer finds its shadow memory taken.
    command = ["setarch", "-R", str(made), "spsc", "60000"]
    environment = {
        **os.environ,
        "TSAN_OPTIONS": "halt_on_error=1",
    }  # a ring that lost an item would wait for it for ever
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_two_threads_keep_order(tmp_path: Path) -> None:
    run = soak(tmp_path, [])
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("ok - spsc") == 8


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
    # One place early does nothing: the spare block keeps the producer a block away. So a block early.
    # One place early does nothing: the spare block keeps the producer away. So by blocks.
    "places given back before they were read": (
        "__atomic_store_n(&ring->taken, head, __ATOMIC_RELEASE)",
        "__atomic_store_n(&ring->taken, head + 3 * ring->per_block, __ATOMIC_RELEASE)",
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_the_thread_sanitizer_finds_a_wrong_order(tmp_path: Path, race: str) -> None:
    assert "data race" in soak(tmp_path, ["-fsanitize=thread"], RACES[race]).stderr
