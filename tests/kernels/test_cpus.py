"""kernels/cpus.h: a thread may be sent to CPUs of any number."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernels.program import program

ASKED = """
#include "kernel.h"
#include <sched.h>
static size_t asked_bytes;
static cpu_set_t *asked;
static int ask(pid_t thread, size_t bytes, const cpu_set_t *set)
{
    asked_bytes = bytes;
    asked = CPU_ALLOC(8 * bytes);
    memcpy(asked, set, bytes);
    return thread;
}
#define sched_setaffinity ask
"""


@pytest.mark.parametrize("cpus", [(0,), (1023,), (1024,), (5, 3000, 2)])
def test_a_thread_is_sent_to_cpus_of_any_number(tmp_path: Path, cpus: tuple[int, ...]) -> None:
    numbers = ", ".join(map(str, cpus))
    lines = program(
        tmp_path,
        "cpus.h",
        f"""
    const int cpus[] = {{{numbers}}};
    printf("%d\\n", run_on(cpus, {len(cpus)}));
    for (size_t cpu = 0; cpu < 8 * asked_bytes; cpu++)
        if (CPU_ISSET_S(cpu, asked_bytes, asked))
            printf("%zu\\n", cpu);
""",
        ASKED,
    )
    assert list(map(int, lines)) == [0, *sorted(cpus)]
