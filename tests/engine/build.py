"""Engines with kernels of a test's own: the C engine and some source text, compiled together, in one shared object."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import cffi
from compile import CSRC, UNTIMED, compile_once


@functools.cache
def build_script() -> ModuleType:
    """csrc/build_kernels.py as a module: the one place that knows sources, flags and declarations."""
    spec = importlib.util.spec_from_file_location("build_kernels", CSRC / "build_kernels.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Engine:
    """A loaded engine: `lib` and `ffi` as cffi gives them, and a way to measure one case."""

    def __init__(self, ffi: Any, lib: Any) -> None:
        self.ffi = ffi
        self.lib = lib

    def fault(self) -> str | None:
        """The sentence of registry_fault(), or None."""
        text = self.lib.registry_fault()
        return str(self.ffi.string(text).decode()) if text else None

    def kernel(self, name: str) -> Any:
        """Descriptor of the kernel called `name`."""
        for index in range(self.lib.registry_count()):
            kernel = self.lib.registry_get(index)
            if self.ffi.string(kernel.name).decode() == name:
                return kernel
        raise KeyError(name)

    def trial(
        self,
        name: str,
        values: tuple[int, ...] = (),
        cpus: list[int] | None = None,
        batches: int = 3,
        batch_ns: int = 20_000,
        **others: float,
    ) -> Measured:
        """Measure one case as a worker process does; on the first allowed CPU unless told otherwise.

        `others`: more members of ``struct settings``.
        """
        kernel = self.kernel(name)
        cpus = self._cpus(kernel, cpus)
        settings = self._settings(batches, batch_ns, others)
        capacity = self.lib.trial_samples(kernel, len(cpus), settings)
        samples = self.ffi.new("struct sample[]", max(1, capacity))
        buckets = self.ffi.new("struct bucket[]", self.lib.MAX_BUCKETS)
        outcome = self.ffi.new("struct outcome *")
        status = self.lib.trial_measure(
            kernel,
            self._values(values),
            cpus,
            len(cpus),
            settings,
            samples,
            capacity,
            buckets,
            self.lib.MAX_BUCKETS,
            outcome,
        )
        assert status == outcome.status
        return self._measured(kernel, outcome, samples, buckets)

    def trial_in_turns(
        self,
        names: tuple[str, str],
        values: tuple[tuple[int, ...], tuple[int, ...]] = ((), ()),
        cpus: list[int] | None = None,
        batches: int = 4,
        batch_ns: int = 20_000,
        **others: float,
    ) -> list[Measured]:
        """Measure two cases side by side, as a worker process does with the sides of a row; see `trial`."""
        kernels = [self.kernel(name) for name in names]
        cpus = self._cpus(kernels[0], cpus)
        settings = self._settings(batches, batch_ns, {"most_turn_bytes": 1 << 16, **others})
        capacity = max(self.lib.trial_samples(kernel, len(cpus), settings) for kernel in kernels)
        samples = [self.ffi.new("struct sample[]", max(1, capacity)) for _ in names]
        outcomes = [self.ffi.new("struct outcome *") for _ in names]
        both = [self.ffi.new("int64_t[]", self._values(each)) for each in values]
        self.lib.trial_measure_in_turns(kernels, both, cpus, len(cpus), settings, samples, capacity, outcomes)
        sides = zip(kernels, outcomes, samples, strict=True)
        return [self._measured(kernel, outcome, mine, None) for kernel, outcome, mine in sides]

    def _cpus(self, kernel: Any, cpus: list[int] | None) -> list[int]:
        return cpus if cpus is not None else sorted(os.sched_getaffinity(0))[: kernel.threads.min]

    def _settings(self, batches: int, batch_ns: int, others: Mapping[str, float]) -> Any:
        amount = {"batches": batches, "warmup_batches": 1, "batch_ns": batch_ns}
        return self.ffi.new("struct settings *", {**amount, **others})

    def _values(self, values: Sequence[int]) -> list[int]:
        return [*values, *([0] * (self.lib.MAX_PARAMETERS - len(values)))]

    def _measured(self, kernel: Any, outcome: Any, samples: Any, buckets: Any) -> Measured:
        return Measured(
            outcome.status,
            self.ffi.string(outcome.reason).decode(),
            [samples[i] for i in range(outcome.samples)],
            [(buckets[i].ticks, buckets[i].count) for i in range(outcome.buckets)],
            {
                self.ffi.string(metric.name).decode(): outcome.metric[i]
                for i, metric in enumerate(kernel.metrics)
                if metric.name
            },
            outcome,
            (samples, buckets),
        )


@dataclass(frozen=True)
class Measured:
    """What came of one case. `owned` keeps the C arrays alive that the samples point into."""

    status: int
    reason: str
    samples: list[Any]
    buckets: list[tuple[int, int]]
    metrics: dict[str, float]
    """By name; those without a value are not a number."""
    outcome: Any
    owned: Any


def compile_engine(folder: Path, source: str, extra_declarations: str = "") -> Engine:
    """Compile the engine with the kernels in `source` (C text after `#include "kernel.h"`) and load it."""
    kernel_file = folder / "kernels_under_test.c"
    kernel_file.write_text('#include "kernel.h"\n#include <errno.h>\n#include <stdatomic.h>\n' + source)
    return compile_files(folder, [kernel_file], extra_declarations)


def compile_files(
    folder: Path,
    files: list[Path],
    extra_declarations: str = "",
    include: Sequence[Path] = (),
    otherwise: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Engine:
    """Compile the engine with kernel files and load it. Unlike the product its symbols are visible, for cffi.

    Headers are looked for in the folders of `include` before csrc/. Files of the engine that are named in `otherwise`
    are compiled anew, with these options.
    """
    library = folder / "engine.so"
    places = [f"-I{place}" for place in include]
    objects = [made for made in engine_objects() if Path(made).stem.partition("-")[2] not in otherwise]
    for name, options in otherwise.items():
        objects.append(str(folder / f"{name}.o"))
        _compile(Path(objects[-1]), ["-c", str(CSRC / "engine" / name), *options])
    _compile(library, [*places, "-shared", *objects, *map(str, files), "-lm", "-ldl"])
    return open_engine(library, extra_declarations)


def open_engine(library: Path, extra_declarations: str = "") -> Engine:
    """Load an engine that was compiled."""
    ffi = _declared(extra_declarations)
    return Engine(ffi, ffi.dlopen(str(library)))


@functools.cache
def _declared(more: str) -> Any:  # the stubs know nothing of what a cdef declares
    ffi: Any = cffi.FFI()
    ffi.cdef(build_script().declarations() + more)
    return ffi


@functools.cache
def engine_objects() -> tuple[str, ...]:
    """The engine's own files and the libraries, compiled once for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="fencepost-engine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    objects = []
    for number, path in enumerate(build_script().engine_files()):
        objects.append(str(folder / f"{number}-{path.name}.o"))
        _compile(Path(objects[-1]), ["-c", str(path)])
    return tuple(objects)


def _compile(made: Path, arguments: list[str]) -> None:
    flags = [flag for flag in build_script().FLAGS if not flag.startswith("-fvisibility")]
    # -Bsymbolic: an engine that this process opened globally, for a user's own kernels, must not stand in for this one.
    command = [os.environ.get("CC") or "cc", *flags, *UNTIMED, "-fPIC", "-Wl,-Bsymbolic", *arguments, f"-I{CSRC}"]
    compile_once(made, command)
