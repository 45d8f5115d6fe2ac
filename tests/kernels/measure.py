"""Kernels measured by name, in the engine that is built or in one of a test's own."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from engine.build import Engine, Measured

from fencepost.bench import engine as engines
from fencepost.bench.catalog import Catalog, KernelInfo, read_catalog

ENOTSUP, EINVAL, EILSEQ = -errno.ENOTSUP, -errno.EINVAL, -errno.EILSEQ
"""What a kernel answers: a need that is not met, an impossible value, a check that failed."""
CPUS = sorted(os.sched_getaffinity(0))
ALONE = [CPUS[0]]
SHARING = [CPUS[0], CPUS[0]]
"""Two threads that have to share a CPU: possible on every machine."""
TEAMS = [ALONE, SHARING, *([CPUS[:2]] if len(CPUS) > 1 else [])]
TRIES = 50
"""For what is sure to be seen only where two threads get in each other's way: a busy machine may keep them apart for a
whole trial, not for as many in a row as this."""


@functools.cache
def built_engine() -> Engine:
    """The engine that is built, with all kernels of the suite."""
    engine = engines.load()
    return Engine(engine.ffi, engine.lib)


@functools.lru_cache(maxsize=8)
def catalog(engine: Engine) -> Catalog:
    """All kernels of an engine."""
    return read_catalog(engines.Engine(engine.ffi, engine.lib, Path()))


def kernel(name: str) -> KernelInfo:
    """Row of the catalogue of the engine that is built."""
    return catalog(built_engine()).get(name)


def names(engine: Engine) -> set[str]:
    """What the engine holds."""
    return set(catalog(engine).kernels)


def parameters(engine: Engine, name: str) -> dict[str, list[str]]:
    """Labels of each parameter of a kernel, in order; an empty list for a number."""
    return {parameter.name: list(parameter.labels) for parameter in catalog(engine).get(name).parameters}


def measure(
    engine: Engine,
    name: str,
    values: Mapping[str, str | int] | None = None,
    cpus: list[int] | None = None,
    batches: int = 3,
) -> Measured:
    """One case in a few of the shortest batches; parameters that are not named keep their defaults.

    On as many distinct CPUs as the kernel needs, or on `cpus`, which may name one several times.
    """
    row = catalog(engine).get(name)
    if cpus is None and row.threads_min > len(CPUS):
        pytest.skip(f"{name} needs {row.threads_min} CPUs")
    numbers = [parameter.initial for parameter in row.parameters]
    for given, value in (values or {}).items():
        parameter = row.parameter(given)
        numbers[row.parameters.index(parameter)] = value if isinstance(value, int) else parameter.parse(value)
    return engine.trial(name, tuple(numbers), cpus, batches)


def first_that(wanted: Callable[[Measured], bool], measure: Callable[[], Measured], tries: int = TRIES) -> Measured:
    """Measure until it is as wanted, at most `tries` times; what was measured last."""
    for _ in range(tries):
        measured = measure()
        if wanted(measured):
            break
    return measured
