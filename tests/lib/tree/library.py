"""The queues of csrc/lib/tree as a library that Python can call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cffi
from compile import CSRC, compile_once

DRIVER = Path(__file__).with_name("driver.c")
STRUCTURES = ("touch", "bitmap", "rb", "avl", "heap", "skip", "pairing", "list", "scan")
DECLARATIONS = """
struct run;
struct run *make(int by, uint64_t tasks);
void unmake(struct run *);
void add(struct run *, uint64_t task, uint64_t key, int again);
void hang(struct run *, uint64_t task, uint64_t key);
void take(struct run *, uint64_t task);
long first(struct run *);
const char *fault(struct run *);
unsigned height(struct run *);
const char *coloured(struct run *);
uint64_t comparisons(struct run *);
uint64_t rotations(struct run *);
const char *replay(int by, uint64_t tasks, uint64_t keys, uint64_t seed, uint64_t operations);
"""


class Library:
    """The queues behind functions that Python can call."""

    def __init__(self, folder: Path) -> None:
        made = folder / "driver.so"
        sources = [DRIVER, *sorted((CSRC / "lib" / "tree").glob("*.c"))]
        compile_once(made, ["gcc", "-std=gnu11", "-O1", "-g0", "-fPIC", "-shared", f"-I{CSRC}", *sources])
        self.ffi: Any = cffi.FFI()  # the stubs know nothing of what a cdef declares
        self.ffi.cdef(DECLARATIONS)
        self.lib: Any = self.ffi.dlopen(str(made))

    def words(self, text: Any) -> str | None:
        """What a function says; None for NULL."""
        return None if text == self.ffi.NULL else self.ffi.string(text).decode()

    def queue(self, by: str, tasks: int) -> Any:
        """An empty queue for so many tasks, which frees itself."""
        return self.ffi.gc(self.lib.make(STRUCTURES.index(by), tasks), self.lib.unmake)

    def filled(self, by: str, keys: list[int]) -> Any:
        """A queue to which tasks with these keys were added, one by one."""
        queue = self.queue(by, len(keys))
        for task, key in enumerate(keys):
            self.lib.add(queue, task, key, 0)
        return queue
