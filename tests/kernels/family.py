"""The kernels of one topic, compiled from their files into an engine of a test's own, and measured by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from compile import CSRC
from engine.build import Engine, Measured, compile_files

KERNELS = CSRC / "kernels"
ENOTSUP, EINVAL, EILSEQ = -95, -22, -84


def text(engine: Engine, pointer: Any) -> str:
    """A C string."""
    found = engine.ffi.string(pointer)
    return found.decode() if isinstance(found, bytes) else str(found)


def parameters(engine: Engine, name: str) -> dict[str, list[str]]:
    """Labels of each parameter of a kernel, in order; an empty list for a number."""
    return {
        text(engine, parameter.name): text(engine, parameter.labels).split() if parameter.labels else []
        for parameter in engine.kernel(name).parameters
        if parameter.name
    }


def measure(engine: Engine, name: str, values: Mapping[str, str | int] | None = None, batches: int = 2) -> Measured:
    """One case; parameters that are not named keep their defaults."""
    kernel = engine.kernel(name)
    if kernel.threads.min > len(os.sched_getaffinity(0)):
        pytest.skip(f"{name} needs {kernel.threads.min} CPUs")
    row, given = [], dict(values or {})
    for index, (parameter, labels) in enumerate(parameters(engine, name).items()):
        value = given.pop(parameter, int(kernel.parameters[index].initial))
        row.append(labels.index(value) if isinstance(value, str) else value)
    assert not given, f"{name} has no parameter {given}"
    return engine.measure(name, tuple(row), batches=batches)


def metrics(engine: Engine, name: str, measured: Measured) -> dict[str, float]:
    """Metrics by name."""
    rows = [metric for metric in engine.kernel(name).metrics if metric.name]
    return {text(engine, row.name): float(measured.outcome.metric[index]) for index, row in enumerate(rows)}


def names(engine: Engine) -> set[str]:
    """What the engine holds."""
    return {text(engine, engine.lib.registry_get(i).name) for i in range(engine.lib.registry_count())}


def compile_broken(folder: Path, faults: Mapping[str, Sequence[tuple[str, str]]]) -> Engine:
    """Kernel files with faults planted in them: what stands there and what the fault makes of it.

    By path below csrc/kernels. Faults in headers are planted as well; all kernel files of these topics are compiled.
    """
    topics = {Path(file).parent.name for file in faults}
    copied = folder / "kernels"
    for path in [*KERNELS.rglob("*.h"), *(path for topic in topics for path in KERNELS.glob(f"{topic}/*.c"))]:
        name = path.relative_to(KERNELS).as_posix()
        source = path.read_text(encoding="utf-8")
        for whole, broken in faults.get(name, ()):
            assert source.count(whole) == 1, f"{name} no longer has once what this test breaks: {whole}"
            source = source.replace(whole, broken)
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_text(source, encoding="utf-8")
    return compile_files(folder, sorted(copied.glob("*/*.c")), include=[folder])
