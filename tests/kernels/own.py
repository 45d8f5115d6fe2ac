"""Files with kernels of the reader's own, as `--kernel` takes them."""

from __future__ import annotations

from pathlib import Path

PLAIN = """
#include "kernel.h"
static void spin(struct worker *worker, uint64_t n)
{
    (void)worker;
    for (uint64_t i = 0; i < n; i++)
        OPAQUE(i);
}
static int fine(struct trial *trial)
{
    trial->metric[0] = ANSWER;
    return 0;
}
KERNEL(one, .name = "NAME", .summary = "s", .unit = "u", .threads = {1, 1},
       .metrics = {{"answer", "1", "s"}}, .run = spin, .check = fine)
"""


def write(folder: Path, name: str = "mine.c", kernel: str = "own/one", answer: str = "42", text: str = PLAIN) -> Path:
    """A file with a kernel, in a folder that is made where there is none."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_text(text.replace("NAME", kernel).replace("ANSWER", answer))
    return path
