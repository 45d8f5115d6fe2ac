"""The C engine, loaded and checked: the extension `fencepost.bench._kernels` and the facts that identify it."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fencepost.bench.documents import PerfEventJson, TickJson
from fencepost.bench.errors import EngineError, UsageError
from fencepost.bench.loading import try_first

ABI = 10
"""ENGINE_ABI of csrc/kernel.h that this Python code speaks."""

MODULE = "fencepost.bench._kernels"
ENGINE_VARIABLE = "FENCEPOST_ENGINE"
"""Environment variable: path of another shared object to use in place of the installed one."""


@dataclass(frozen=True)
class LoadedObject:
    """A shared object with kernels of a user's own, in this process: file, descriptors, and where its source lies."""

    path: Path
    kernels: tuple[Any, ...]
    source: Path | None = None


@dataclass(frozen=True)
class Engine:
    """A loaded C engine. `ffi` and `lib` are cffi's; they have no static types."""

    ffi: Any
    lib: Any
    path: Path
    objects: dict[str, LoadedObject] = field(default_factory=dict)
    """Objects loaded beside it, by label; the label "" is the engine's own kernels."""

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the shared object, as hexadecimal digits: which machine code made the figures."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @property
    def arch(self) -> str:
        """Architecture the engine was compiled for."""
        return self.text(self.lib.arch_name()) or "unknown"

    @property
    def compiler(self) -> str:
        """Name and version of the C compiler."""
        return self.text(self.lib.compiler_name()) or "unknown"

    @property
    def flags(self) -> str:
        """Compiler flags of the kernels."""
        return self.text(self.lib.compiler_flags()) or ""

    def load_object(self, label: str, path: Path, shown: str = "", source: Path | None = None) -> LoadedObject:
        """Load the kernels in the shared object `path` under `label`, beside the suite's and beside other objects'.

        Parameters
        ----------
        shown
            what the user calls it, for the message of a fault.

        Raises
        ------
        UsageError
            when it is no such object, of another engine ABI, a kernel in it is at fault, or loading it ends a process,
            prints, or does not return.
        """

        def load() -> None:
            count = self.ffi.new("unsigned *")
            reason = self.ffi.new("char[]", self.lib.REASON_BYTES)
            kernels = self.lib.object_load(os.fsencode(path), count, reason)
            if not kernels:
                raise UsageError(f"{shown or path}: {_with_advice(self.text(reason) or '', path.parent)}")
            self.objects[label] = LoadedObject(path, tuple(kernels[i] for i in range(count[0])), source)

        def load_and_read() -> None:
            load()
            for kernel in self.objects[label].kernels:
                for name, member in self.ffi.typeof("struct kernel").fields:
                    if member.type.cname == "char *":
                        self.text(getattr(kernel, name))

        try_first(load_and_read, shown or str(path))
        load()
        return self.objects[label]

    def descriptors(self, label: str = "") -> list[Any]:
        """C's descriptors of the kernels of an object; without a label, of the suite."""
        if label:
            return list(self.objects[label].kernels)
        return [self.lib.registry_get(index) for index in range(self.lib.registry_count())]

    def file_of(self, label: str) -> Path:
        """The shared object that holds the machine code of the kernels under `label`."""
        return self.objects[label].path if label else self.path

    def capabilities(self) -> dict[str, bool]:
        """What kernels may need beyond CPUs, in words, and whether this process has it here."""
        have = int(self.lib.capabilities())
        bits = [1 << position for position in range(self.lib.CAPABILITY_COUNT)]
        return {self.text(self.lib.capability_text(bit)) or f"capability {bit}": bool(have & bit) for bit in bits}

    def perf_events(self) -> list[PerfEventJson]:
        """Each perf event: whether it opens, and what it counted of a known workload."""
        facts = self.ffi.new("struct perf_fact[64]")
        count = self.lib.perf_probe(facts, 64)
        return [
            {
                "name": self.text(fact.name) or "unknown",
                "hardware": bool(fact.hardware),
                "error": int(fact.error),
                "count": int(fact.count),
                "expect": int(fact.expect),
            }
            for fact in facts[0:count]
        ]

    def tick(self) -> TickJson:
        """The tick counter, as measured once in this process."""
        facts = self.ffi.new("struct clock_facts *")
        self.lib.clock_measure(facts)
        return {
            "source": self.text(facts.source),
            "hz": float(facts.tick_hz),
            "hz_error_ppm": float(facts.tick_hz_error_ppm) if math.isfinite(facts.tick_hz_error_ppm) else None,
            "quantum_ticks": int(facts.quantum_ticks),
            "overhead_ticks": float(facts.overhead_ticks),
        }

    def text(self, pointer: Any) -> str | None:
        """A C string as a Python one; None for NULL."""
        return self.ffi.string(pointer).decode("utf-8", "replace") if pointer else None


def _with_advice(reason: str, folder: Path) -> str:
    """Why an object cannot be loaded, with the way out where its file system forbids to run what it holds."""
    if "failed to map segment" not in reason:
        return reason
    return (
        f"{reason}; {folder} may be on a file system without execution (noexec), or memory is short. "
        "Set XDG_CACHE_HOME to another folder, or raise `ulimit -v`"
    )


@functools.cache
def load() -> Engine:
    """Load and check the C engine.

    Raises
    ------
    EngineError
        (an `ImportError`) when the extension is not built, was built for another version of this package, or
        holds a faulty kernel; the message says what to do.
    """
    elsewhere = os.environ.get(ENGINE_VARIABLE)
    return load_from(Path(elsewhere)) if elsewhere else load_from(_installed())


def load_from(path: Path) -> Engine:
    """Load and check the shared object `path`; raises `EngineError` like `load`."""
    if not path.is_file():
        raise EngineError(f"{path}: no such file; {ENGINE_VARIABLE} must name a built engine (_kernels.abi3.so)")
    path = path.resolve()
    try:
        loader = importlib.machinery.ExtensionFileLoader(MODULE, str(path))
        spec = importlib.util.spec_from_file_location(MODULE, path, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        # cffi registers it under that name; whoever looks for the installed engine after this must not find this one.
        sys.modules.pop(MODULE, None)
    except ImportError as error:
        raise EngineError(f"{path}: the C extension does not load ({error}); run `make` to build it again") from error
    engine = Engine(module.ffi, module.lib, path)
    _check(engine)
    return engine


def backend_path() -> Path:
    """Path of cffi's own extension `_cffi_backend`, which a worker loads without any search."""
    spec = importlib.util.find_spec("_cffi_backend")
    if spec is None or spec.origin is None:
        raise EngineError("the Python package cffi is not installed; run `make` to install what fencepost needs")
    return Path(spec.origin)


def _installed() -> Path:
    try:
        spec = importlib.util.find_spec(MODULE)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        raise EngineError(
            f"the C extension {MODULE} is not built for Python {sys.version_info.major}.{sys.version_info.minor}: "
            "run `make` in the folder of fencepost"
        )
    return Path(spec.origin)


_REMEDY = f"run `make` to build it again, or unset {ENGINE_VARIABLE} where that names it"


def _check(engine: Engine) -> None:
    try:
        abi = int(engine.lib.engine_abi())
    except AttributeError as error:
        raise EngineError(f"{engine.path}: not an engine of fencepost; {_REMEDY}") from error
    if abi != ABI:
        raise EngineError(f"{engine.path}: built for engine ABI {abi}, this fencepost speaks {ABI}; {_REMEDY}")
    fault = engine.text(engine.lib.registry_fault())
    if fault is not None:
        raise EngineError(f"{engine.path.name}: {fault}")
