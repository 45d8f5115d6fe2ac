"""C programs of a test's own that include the source of a kernel."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from compile import CSRC, UNTIMED, compile_once
from engine.build import engine_objects

OPTIONS = ("-std=gnu11", *UNTIMED, "-w", "-fno-strict-aliasing", "-pthread", f"-I{CSRC}")


def program(folder: Path, source: str, body: str, before: str = "") -> list[str]:
    """Lines printed by a C program that includes csrc/kernels/`source` and whose `main` is `body`.

    `before` stands above the inclusion. `trial_begin(&trial, &row, values, bytes)`, for `body`, sets the kernel up.
    """
    compiler = shlex.split(os.environ.get("CC", "")) or [shutil.which("gcc") or shutil.which("clang") or ""]
    if not shutil.which(compiler[0]):
        pytest.skip("needs gcc or clang, to compile a kernel with a fault in it")
    (folder / "program.c").write_text(
        f"""#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
{before}
#include "kernels/{source}"

static inline int trial_begin(struct trial *trial, const struct kernel *row, const int64_t *values, size_t bytes)
{{
    struct clock_facts facts;

    memset(trial, 0, sizeof *trial);
    clock_measure(&facts);
    trial->tick_hz = facts.tick_hz;
    trial->kernel = row;
    trial->granule = 1;
    memcpy(trial->value, values, bytes);
    return row->setup ? row->setup(trial) : 0;
}}

int main(void)
{{
    static struct trial trial;
    struct worker worker = {{.trial = &trial, .team_size = 1}};

    (void)worker;
{body}
    return 0;
}}
""",
        encoding="utf-8",
    )
    made = folder / "program"
    compile_once(made, [*compiler, *OPTIONS, str(folder / "program.c"), *engine_objects(), "-lm", "-ldl"])
    return subprocess.run([str(made)], check=True, capture_output=True, text=True, timeout=600).stdout.splitlines()
