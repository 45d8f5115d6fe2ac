"""The catalogue: every kernel of the engine, as C describes it, in Python's terms."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from fencepost.bench.engine import Engine
from fencepost.bench.errors import EngineError, UsageError
from fencepost.bench.sources import CSRC

PROFILE_NAMES = ("quick", "standard", "rigorous")

Place = Literal["any", "each_cpu", "pairs", "all", "sweep", "one_cpu"]
_PLACES: tuple[Place, ...] = ("any", "each_cpu", "pairs", "all", "sweep", "one_cpu")

_NUMBER = re.compile(r"([+-]?[0-9]+(?:_[0-9]+)*|0[xX][0-9a-fA-F]+)\s*([A-Za-z]*)")
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "B": 1}
_TIMES_IN_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_INT64 = range(-(2**63), 2**63)


def memory_bytes() -> int:
    """Memory of the machine. A limit of a control group is not seen here: the kernel says what it lacks."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel. Values are integers; with labels, the index of a label."""

    name: str
    unit: str
    summary: str
    labels: tuple[str, ...]
    initial: int
    sweeps: Mapping[str, tuple[int, ...]]

    def parse(self, text: str) -> int:
        """The value that a user wrote: a label, ``4096``, ``4KiB``, ``250us`` (with a unit of time).

        Raises
        ------
        UsageError
            when it is none of these; for a label, with the nearest one.
        """
        word = text.strip()
        if self.labels:
            if word in self.labels:
                return self.labels.index(word)
            raise UsageError(f"parameter {self.name}: no value {word!r}{_nearest(word, self.labels)}")
        match = _NUMBER.fullmatch(word)
        scale = None if match is None else self._scale(match[2])
        if match is None or scale is None:
            raise UsageError(f"parameter {self.name}: {word!r} is not a number; write 4096, 4KiB, 2MiB or 10k")
        value = int(match[1], 0 if match[1].lower().startswith("0x") else 10) * scale
        if value not in _INT64:
            raise UsageError(f"parameter {self.name}: {word} is beyond 64 bits")
        return value

    def parse_list(self, text: str) -> tuple[int, ...]:
        """Values separated by commas or spaces, in that order, each once; ``*`` is every label."""
        values: list[int] = []
        for word in re.split(r"[,\s]+", text.strip()):
            if word == "*" and self.labels:
                values.extend(range(len(self.labels)))
            elif word:
                values.append(self.parse(word))
        if not values:
            raise UsageError(f"parameter {self.name}: no value given")
        return tuple(dict.fromkeys(values))

    def show(self, value: int) -> str | int:
        """What stands for `value` in a table: its label, or the number itself."""
        return self.labels[value] if self.labels and 0 <= value < len(self.labels) else value

    def word(self, value: int) -> str:
        """What stands for `value` in a case id: as `show`, but whole KiB, MiB and GiB of bytes as such."""
        if self.unit == "bytes" and value > 0:
            for suffix in ("GiB", "MiB", "KiB"):
                if value % _SIZES[suffix] == 0:
                    return f"{value // _SIZES[suffix]}{suffix}"
        return str(self.show(value))

    def sweep(self, profile: str) -> tuple[int, ...]:
        """Values that `profile` runs through; the default value alone where the kernel names none."""
        return self.sweeps.get(profile, (self.initial,))

    def _scale(self, suffix: str) -> int | None:
        if suffix in _SIZES:
            return _SIZES[suffix]
        # A time is scaled to the unit the parameter is in; other units take none of these suffixes.
        if self.unit in _TIMES_IN_NS and suffix in _TIMES_IN_NS:
            scale, rest = divmod(_TIMES_IN_NS[suffix], _TIMES_IN_NS[self.unit])
            return scale if rest == 0 else None
        return None


@dataclass(frozen=True)
class MetricInfo:
    """A named figure beside time, one per process."""

    name: str
    unit: str
    summary: str


@dataclass(frozen=True)
class CountInfo:
    """A whole number that a kernel finds in every process, beside the one that it must be."""

    name: str
    unit: str
    summary: str


@dataclass(frozen=True)
class KernelInfo:
    """One row of the catalogue."""

    name: str
    summary: str
    unit: str
    kind: Literal["loop", "events", "counts"]
    """``counts``: it takes no time and finds nothing but its `counts`."""
    threads_min: int
    threads_max: int
    place: Place
    once: bool
    twin: bool
    opt_in: bool
    oversubscribe: bool
    needs: int
    batches: int
    parameters: tuple[Parameter, ...]
    metrics: tuple[MetricInfo, ...]
    file: str
    index: int
    object: str = ""
    """Label of the object that it comes from (`Engine.objects`); "" for the suite."""
    paired: bool = False
    """Whether each event is an operation less its control (``control`` of csrc/kernel.h)."""
    counts: tuple[CountInfo, ...] = ()
    own_source: Path | None = None
    """The file of a kernel of a user's own, where it is known."""

    @property
    def topic(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def given(self, parameter: Parameter, text: str) -> tuple[int, ...]:
        """Values of a parameter that a user wrote.

        Raises
        ------
        UsageError
            when one is no value, or cannot be: it is negative where none of the kernel's own is, or the memory that
            the kernel goes through is none, or more than the machine has, or it is 0 of the things that the parameter
            is named after.
        """
        values = parameter.parse_list(text)
        if parameter.labels:
            return values
        least = min(parameter.initial, *(value for sweep in parameter.sweeps.values() for value in sweep), 0)
        memory = parameter.name == "size" and parameter.unit == "bytes" and self._goes_through_size
        for value in values:
            if value < least:
                raise UsageError(f"parameter {parameter.name}: {value} is negative")
            if memory and value == 0 and parameter.initial > 0:
                raise UsageError(f"parameter {parameter.name}: 0 bytes cannot be measured")
            if parameter.name == parameter.unit and value == 0 and parameter.initial > 0:
                raise UsageError(f"parameter {parameter.name}: 0 {parameter.unit} are nothing to measure")
            if memory and value > memory_bytes():
                raise UsageError(
                    f"parameter {parameter.name}: {parameter.word(value)} is more than the "
                    f"{memory_bytes() >> 20} MiB of this machine"
                )
        return values

    @property
    def _goes_through_size(self) -> bool:
        """Whether its parameter ``size`` is the memory of a case: see ``struct metric`` of csrc/kernel.h."""
        return all(metric.name != "footprint_bytes" for metric in self.metrics)

    def parameter(self, name: str) -> Parameter:
        """The parameter called `name`; raises `UsageError` with the nearest name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = [parameter.name for parameter in self.parameters]
        if not names:
            raise UsageError(f"kernel {self.name}: it has no parameters, so none called {name!r}")
        raise UsageError(f"kernel {self.name}: no parameter {name!r}{_nearest(name, names)}")

    def source(self) -> Path | None:
        """Path of the C file, where the sources are at hand (a checkout, or an installation that carries them)."""
        if self.object:
            return self.own_source
        recorded = Path(self.file)
        # Compiled from the project's root, so that the path begins with csrc/.
        beside = CSRC.parent / recorded
        for path in (recorded, beside):
            if path.is_absolute() and path.is_file():
                return path
        return None


class Catalog:
    """All kernels of an engine, by name, in the order of their names."""

    def __init__(self, kernels: Iterable[KernelInfo]) -> None:
        self.kernels: Mapping[str, KernelInfo] = MappingProxyType(
            {kernel.name: kernel for kernel in sorted(kernels, key=lambda kernel: kernel.name)}
        )

    def get(self, name: str) -> KernelInfo:
        """The kernel called `name`; raises `UsageError` with the nearest name."""
        if name in self.kernels:
            return self.kernels[name]
        raise UsageError(f"no kernel {name!r}{self._nearest(name)}")

    def select(self, patterns: Sequence[str]) -> list[KernelInfo]:
        """Kernels matched by any of `patterns` (names, or globs such as ``clock/*``), in the catalogue's order.

        No pattern at all selects every kernel. A pattern without a slash and without a wildcard also means a
        topic: ``clock`` is ``clock/*``.

        Raises
        ------
        UsageError
            for a pattern that matches nothing, with the nearest name.
        """
        if not patterns:
            return list(self.kernels.values())
        chosen: set[str] = set()
        for pattern in patterns:
            names = fnmatch.filter(self.kernels, pattern) or fnmatch.filter(self.kernels, f"{pattern}/*")
            if not names:
                raise UsageError(f"no kernel {pattern!r}{self._nearest(pattern)}")
            chosen.update(names)
        return [kernel for name, kernel in self.kernels.items() if name in chosen]

    def _nearest(self, name: str) -> str:
        topics = sorted({kernel.topic for kernel in self.kernels.values()})
        # A variant given without its topic ("chase") is as likely as a slip of the finger.
        variants = {kernel.name.partition("/")[2]: kernel.name for kernel in self.kernels.values()}
        if "/" not in name:
            close = difflib.get_close_matches(name, [*topics, *variants], n=1)
            if close:
                return f"; did you mean {variants.get(close[0], close[0])}?"
        return _nearest(name, list(self.kernels), "see `fencepost list`")


def read_catalog(engine: Engine, objects: Sequence[str] = ()) -> Catalog:
    """Read every descriptor of `engine` and, beside them, those of the loaded `objects` (labels).

    Raises
    ------
    EngineError
        when a sweep of a kernel of the suite cannot be read: a mistake in that C file.
    UsageError
        the same for an object; or when one of its kernels has the name of another in this catalogue.
    """
    kernels: dict[str, KernelInfo] = {}
    for label in ("", *objects):
        for kernel in read_object(engine, label):
            other = kernels.setdefault(kernel.name, kernel)
            if other is not kernel:
                where = f"kernel of that name in {other.object}" if other.object else "kernel of the suite"
                raise UsageError(f"{label}: its kernel {kernel.name} has the name of a {where}; rename it")
    return Catalog(kernels.values())


def read_object(engine: Engine, label: str) -> list[KernelInfo]:
    """The kernels of one loaded object (label "": of the suite); raises like `read_catalog`."""
    kernels = []
    for index, descriptor in enumerate(engine.descriptors(label)):
        try:
            kernels.append(_kernel(engine, descriptor, index, label))
        except UsageError as error:
            fault = UsageError if label else EngineError
            raise fault(f"{label or engine.text(descriptor.file)}: {error}") from error
    return kernels


def missing_needs(engine: Engine, needs: int) -> list[str]:
    """What of `needs` (NEED_ bits) this process does not have here, each as the end of the sentence "needs …"."""
    missing = needs & ~int(engine.lib.capabilities())
    return need_texts(engine, missing)


def need_texts(engine: Engine, needs: int) -> list[str]:
    """Each of `needs` (NEED_ bits) in words."""
    bits = [1 << position for position in range(engine.lib.CAPABILITY_COUNT) if needs & (1 << position)]
    return [engine.text(engine.lib.capability_text(bit)) or f"capability {bit}" for bit in bits]


def _kernel(engine: Engine, descriptor: Any, index: int, label: str) -> KernelInfo:
    lib, text = engine.lib, engine.text
    return KernelInfo(
        name=text(descriptor.name) or "",
        summary=text(descriptor.summary) or "",
        unit=text(descriptor.unit) or "operation",
        kind="events" if descriptor.events else "counts" if descriptor.work else "loop",
        threads_min=max(1, descriptor.threads.min),
        threads_max=max(1, descriptor.threads.min, descriptor.threads.max),
        place=_PLACES[descriptor.place],
        once=bool(descriptor.flags & lib.KERNEL_ONCE),
        twin=bool(descriptor.flags & lib.KERNEL_TWIN),
        opt_in=bool(descriptor.flags & getattr(lib, "KERNEL_OPT_IN", 0)),
        oversubscribe=bool(descriptor.flags & lib.KERNEL_OVERSUBSCRIBE),
        needs=int(descriptor.needs),
        batches=int(descriptor.batches),
        parameters=tuple(
            _parameter(engine, descriptor.parameters[i])
            for i in range(lib.MAX_PARAMETERS)
            if descriptor.parameters[i].name
        ),
        metrics=tuple(MetricInfo(*words) for words in _described(engine, descriptor.metrics)),
        counts=tuple(CountInfo(*words) for words in _described(engine, descriptor.counts)),
        file=text(descriptor.file) or "",
        index=index,
        object=label,
        paired=bool(descriptor.control),
        own_source=engine.objects[label].source if label else None,
    )


def _described(engine: Engine, array: Any) -> list[tuple[str, str, str]]:
    """Name, unit and summary of each ``struct metric`` of an array that ends with one without a name."""
    named = itertools.takewhile(lambda item: item.name, array)
    return [
        (engine.text(item.name) or "", engine.text(item.unit) or "", engine.text(item.summary) or "") for item in named
    ]


def _parameter(engine: Engine, descriptor: Any) -> Parameter:
    text = engine.text
    bare = Parameter(
        name=text(descriptor.name) or "",
        unit=text(descriptor.unit) or "",
        summary=text(descriptor.summary) or "",
        labels=tuple((text(descriptor.labels) or "").split()),
        initial=int(descriptor.initial),
        sweeps={},
    )
    sweeps = {}
    for profile in PROFILE_NAMES:
        written = text(getattr(descriptor, profile))
        if written:
            sweeps[profile] = bare.parse_list(written)
    return Parameter(bare.name, bare.unit, bare.summary, bare.labels, bare.initial, MappingProxyType(sweeps))


def _nearest(word: str, words: Sequence[str], otherwise: str = "") -> str:
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    if otherwise:
        return f"; {otherwise}"
    return f"; it takes {', '.join(words)}"
