"""What the runner and its worker say to each other, as types: the spec of a round, and the frames that answer it.

Units are part of the names, as in `fencepost.bench.documents`.
"""

# Not with `from __future__ import annotations`: then a class would not know at run time which of its keys are optional.

from typing import Literal, NotRequired, TypedDict


class SpecCase(TypedDict):
    """A case as its worker gets it, with numbers of metrics, of counts, and of rounds so far in which it was quiet.

    `in_turns`: its batches are to take turns with the next one's. `visits`: how often it is in the spec, each time with
    a part of its batches.
    """

    case: str
    kernel: str
    object: str
    values: list[int]
    cpus: list[int]
    metrics: int
    counts: int
    quiet_rounds: int
    in_turns: bool
    visits: int


class SpecObject(TypedDict):
    """A shared object with kernels of a user's own."""

    label: str
    path: str


class EnergyFile(TypedDict):
    """A file of powercap: the energy of a package in uJ, which begins anew at `range_uj`."""

    kind: Literal["file"]
    path: str
    range_uj: int


class EnergyEvent(TypedDict):
    """An event of perf that counts the energy of a package in `joules`, as one CPU of it reads."""

    kind: Literal["event"]
    type: int
    config: int
    joules: float
    cpu: int


EnergySource = EnergyFile | EnergyEvent
"""Where the energy of a package is told."""


class Spec(TypedDict):
    """What a worker is to do. `spawn_ns` is read from CLOCK_MONOTONIC, `parent` is a process id. `part_batches` is what
    a visit takes of a case that has several.
    """

    parent: int
    spawn_ns: int
    engine: str
    backend: str
    settings: dict[str, float]
    part_batches: int
    again_ns: int
    energy: EnergySource | None
    objects: list[SpecObject]
    cases: list[SpecCase]


class HelloFrame(TypedDict):
    """What the worker's process is."""

    kind: Literal["hello"]
    tick_source: str
    tick_hz: float
    tick_hz_error_ppm: float | None
    quantum_ticks: float
    overhead_ticks: float
    startup_ms: float
    cpus: list[int]
    pid: int
    traced: bool


class BeginFrame(TypedDict):
    """A case begins, or two whose batches take turns."""

    kind: Literal["begin"]
    case: str
    beside: NotRequired[str]


class CaseFrame(TypedDict):
    """How a case went. Without a kernel of its name only the first five keys are there."""

    kind: Literal["case"]
    case: str
    status: str
    failure: str | None
    reason: str | None
    samples_bytes: NotRequired[int]
    buckets_bytes: NotRequired[int]
    events: NotRequired[int]
    overhead_ticks: NotRequired[float | None]
    tick_hz: NotRequired[float | None]
    core_hz: NotRequired[float | None]
    core_hz_before: NotRequired[float | None]
    core_hz_after: NotRequired[float | None]
    chain_ratio: NotRequired[float | None]
    raw_before_ticks: NotRequired[float | None]
    raw_after_ticks: NotRequired[float | None]
    metrics: NotRequired[list[float | None]]
    engine_metrics: NotRequired[dict[str, float]]
    counts: NotRequired[list[list[int] | None]]
    """Found and expected, in the order of the kernel's counts; None for one that it did not come to."""
    elapsed_ns: NotRequired[int]
    quiet_batches: NotRequired[int]
    turn_batches: NotRequired[int]


class EndFrame(TypedDict):
    """All cases were run; `elapsed_ms` since the launch, of which `again_ns` went to cases without quiet batches."""

    kind: Literal["end"]
    elapsed_ms: float
    again_ns: int
    traced: bool


Frame = HelloFrame | BeginFrame | CaseFrame | EndFrame
"""A line of JSON from a worker, told apart by its ``kind``."""
