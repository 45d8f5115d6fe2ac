"""Kernels, run from a test: through the built engine (`measure`), or in a C program of the test's own (`program`)."""

from __future__ import annotations

import atexit
import errno
import functools
import math
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from compile import CSRC, compile_once
from engine.build import build_script

from fencepost.bench.catalog import KernelInfo, read_catalog
from fencepost.bench.engine import Engine, load

UNSUPPORTED = -errno.ENOTSUP
OPTIONS = ("-std=gnu11", "-O1", "-w", "-fno-strict-aliasing", "-pthread", f"-I{CSRC}")
"""For programs that are not timed: quick to compile."""


@dataclass(frozen=True)
class Outcome:
    """What one case came to: status 0 or -errno with its reason, samples as (ticks, operations), metrics by name."""

    status: int
    reason: str
    samples: list[tuple[int, int]]
    events: int
    metrics: dict[str, float]


def kernel(name: str) -> KernelInfo:
    """Row of the catalogue."""
    return read_catalog(load()).get(name)


def measure(
    name: str, parameters: Mapping[str, str] | None = None, *, batches: int = 3, engine: Engine | None = None
) -> Outcome:
    """One case on the first CPU of this process's mask, in a few of the shortest batches."""
    engine = engine or load()
    row = read_catalog(engine).get(name)
    ffi, lib = engine.ffi, engine.lib
    values = [parameter.initial for parameter in row.parameters]
    for given, text in (parameters or {}).items():
        parameter = row.parameter(given)
        values[row.parameters.index(parameter)] = parameter.parse(text)
    settings = ffi.new("struct settings *", {"batches": batches, "warmup_batches": 1, "batch_ns": 20000})
    descriptor = lib.registry_get(row.index)
    capacity = max(1, lib.trial_samples(descriptor, 1, settings))
    samples, buckets = ffi.new("struct sample[]", capacity), ffi.new("struct bucket[]", lib.MAX_BUCKETS)
    outcome = ffi.new("struct outcome *")
    status = lib.trial_measure(
        descriptor,
        ffi.new(f"int64_t[{lib.MAX_PARAMETERS}]", values),
        ffi.new("int[]", [min(os.sched_getaffinity(0))]),
        1,
        settings,
        samples,
        capacity,
        buckets,
        lib.MAX_BUCKETS,
        outcome,
    )
    return Outcome(
        status,
        engine.text(outcome.reason) or "",
        [(samples[i].ticks, samples[i].operations) for i in range(outcome.samples)],
        outcome.events,
        {metric.name: outcome.metric[i] for i, metric in enumerate(row.metrics) if not math.isnan(outcome.metric[i])},
    )


@functools.cache
def engine_objects(*compiler: str) -> list[str]:
    """The engine and the libraries without the kernels, compiled once for all tests of this process."""
    folder = tempfile.mkdtemp(prefix="fencepost-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    objects = []
    for number, path in enumerate(build_script().engine_files()):
        objects.append(f"{folder}/{number}-{path.stem}.o")
        compile_once(Path(objects[-1]), [*compiler, *OPTIONS, "-c", str(path)])
    return objects


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
    objects = engine_objects(*compiler)
    compile_once(made, [*compiler, *OPTIONS, str(folder / "program.c"), *objects, "-lm", "-ldl"])
    return subprocess.run([str(made)], check=True, capture_output=True, text=True, timeout=600).stdout.splitlines()
