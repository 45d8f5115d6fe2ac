"""The JSON documents of a run as types: what `fencepost.bench.schema` describes for files, said to the type checker.

``*Json`` stands in run.json or machine.json, or is printed. ``*Record`` stands in the metadata of a
Parquet file. Readers get them checked from `fencepost.bench.schema`. A test holds their keys against the schemas there.

Units are part of the names: ``*_ns`` nanoseconds, ``*_ms`` milliseconds, ``*_hz`` per second, ``*_ticks`` ticks of the
machine's counter, ``*_bytes`` bytes, ``*_pct`` per cent, ``*_ppm`` millionths. CPUs have the numbers of the kernel.
"""

# Not with `from __future__ import annotations`: then a class would not know at run time which of its keys are optional.

from collections.abc import Iterable
from typing import NotRequired, TypedDict

# ---- run.json ----


class DescribedJson(TypedDict):
    """A metric or a count of a kernel, in its own words."""

    name: str
    unit: str
    summary: str


class CaseJson(TypedDict):
    """A case of a plan: `fencepost.bench.case.Case`, which says what the fields mean."""

    case: str
    kernel: str
    parameters: dict[str, str | int]
    values: list[int]
    cpus: list[int]
    relation: NotRequired[str | None]
    unit: str
    summary: NotRequired[str]
    kind: str
    """``loop``, ``events`` or ``counts``."""
    once: bool
    twin_of: str | None
    metrics: NotRequired[list[DescribedJson]]
    expected_ns: NotRequired[float]
    paired: NotRequired[bool]
    counts: NotRequired[list[DescribedJson]]
    object: NotRequired[str]
    row: NotRequired[str | None]
    side: NotRequired[str | None]
    every: NotRequired[int]
    visits: NotRequired[int]


def in_round(number: int, *, once: bool, every: int) -> bool:
    """Whether a case is measured in the round `number`, from 1: see `fencepost.bench.case.Case.every`."""
    return number == 1 if once else (number - 1) % every == 0


def turns_of(case: CaseJson, rounds: Iterable[int]) -> int:
    """In how many of these rounds a case is measured."""
    return sum(in_round(number, once=case["once"], every=case.get("every", 1)) for number in rounds)


class UnmeasurableJson(TypedDict):
    """A case that could not be measured, and why; `cpus` is empty."""

    case: str
    kernel: str
    parameters: dict[str, str | int]
    cpus: list[int]
    unit: str
    reason: str


class PlanJson(TypedDict):
    """`fencepost.bench.plan.Plan`."""

    profile: str
    seed: int
    rounds: int
    batches: int
    warmup_batches: NotRequired[int]
    batch_ns: int
    cpus: list[int]
    cases: list[CaseJson]
    unmeasurable: list[UnmeasurableJson]
    notes: NotRequired[list[str]]
    quiet_batches: NotRequired[int]
    most_batches: NotRequired[int]
    again_ns: NotRequired[int]


class EngineJson(TypedDict):
    """The C engine that measured; `sha256` is of its file, in hexadecimal digits as everywhere."""

    arch: str
    compiler: str
    flags: str
    sha256: str


class ObjectJson(TypedDict):
    """Kernels of a user's own: `fencepost.bench.objects.KernelObject` without the folders of this machine."""

    label: str
    files: list[str]
    source_sha256: str
    sha256: str
    compiler: str
    flags: str
    key: str


class FindingJson(TypedDict):
    """What the doctor found amiss: `fencepost.bench.doctor.finding.Finding` without its path."""

    knob: str
    value: str | None
    effect: str
    change: str | None
    reboot: bool
    severity: str


class DoctorJson(TypedDict):
    """The state of the machine before the first round. `fit`: whether that is what `doctor_word` says. `best_change`
    names the knob to turn first.
    """

    profile: str
    fit: bool
    best_change: NotRequired[str | None]
    findings: list[FindingJson]


FIT, DISTURBED, NOT_FIT = ("fit", "disturbed", "not fit")
"""What the doctor says of a machine."""
DISTURBANCES = ("neighbours", "steal")
"""Findings about other work, which no setting of this machine ends. If one hurts, hardly any figure is sure."""


def doctor_word(findings: Iterable[tuple[object, object]]) -> str:
    """What findings of the doctor, each a knob and its severity, come to: `NOT_FIT`, `DISTURBED` or `FIT`."""
    found = list(findings)
    if any(severity == "unfit" for _, severity in found):
        return NOT_FIT
    return DISTURBED if any(knob in DISTURBANCES and severity == "hurts" for knob, severity in found) else FIT


class ImportedFileJson(TypedDict):
    """A file of another tool, by its name without a folder."""

    name: str
    sha256: str


class ImportedJson(TypedDict):
    """Where an imported run comes from; `tool` with its version."""

    format: str
    files: list[ImportedFileJson]
    tool: str
    facts: NotRequired[dict[str, str]]
    """What all files agree in and another run may not: processor, interpreter, versions."""
    notes: NotRequired[list[str]]
    """What was left out of the files, and why."""


class PublishedJson(TypedDict):
    """What a published run says of itself: the version that published it, and how far to trust it."""

    fencepost: str
    trust: str
    noise_floor_pct: float | None
    noise_reach_pct: float | None


class DisturbJson(TypedDict):
    """A disturber of our own: its kind, see `fencepost.bench.disturb.KINDS`, and its CPU."""

    kind: str
    cpu: int


class RunFactsJson(TypedDict):
    """What a run is made of, before it has a folder."""

    command: list[str]
    launcher: str
    versions: dict[str, str]
    engine: EngineJson
    objects: NotRequired[list[ObjectJson]]
    doctor: NotRequired[DoctorJson]
    plan: PlanJson
    labels: NotRequired[dict[str, str]]
    plan_sha256: NotRequired[str]
    """Of the plan as it was at the start, so that an edited one is noticed."""
    rounds_a_repeat: NotRequired[int]  # only in a run of `fencepost selfcheck`
    disturb: NotRequired[DisturbJson]  # only in one with --disturb
    imported: NotRequired[ImportedJson]
    published: NotRequired[PublishedJson]


class RunJson(RunFactsJson):
    """run.json. `created_utc` is of the form 2026-01-31T23:59:59Z."""

    schema: int
    id: str
    created_utc: str
    machine_key: str
    sha256: NotRequired[str]
    """Of the other fields, see `fencepost.bench.schema.hash_of`; not in runs of older versions."""


# ---- machine.json ----


class TopologyJson(TypedDict):
    """Groups of online CPUs that share something; all keys are missing where the machine is not known (an import)."""

    cpus: NotRequired[list[int]]
    cores: NotRequired[list[list[int]]]
    packages: NotRequired[list[list[int]]]
    l2: NotRequired[list[list[int]]]
    l3: NotRequired[list[list[int]]]
    numa: NotRequired[dict[str, list[int]]]  # by number of the node, as text


class CacheJson(TypedDict):
    """A kind of cache: `count` of them, each shared by `shared_by` CPUs."""

    level: int
    kind: str
    size_bytes: int | None
    line_bytes: int | None
    shared_by: int
    count: int


class HypervisorJson(TypedDict):
    """Whether this is a guest (None where nothing tells), of what, and the vendor of the system."""

    guest: bool | None
    kind: str | None
    system_vendor: str | None


class CgroupJson(TypedDict):
    """What the control group allows: `quota_cpus` in CPUs (1.5: one and a half). None without a limit."""

    version: str | None
    quota_cpus: float | None
    cpuset: list[int] | None
    memory_bytes: NotRequired[int | None]


class PerfEventJson(TypedDict):
    """A perf event: the errno of opening it (0: it opened), and what it counted of a workload with `expect` events."""

    name: str
    hardware: bool
    error: int
    count: int
    expect: int


class TickJson(TypedDict):
    """The tick counter as one process measured it; `quantum_ticks` is its step, `overhead_ticks` an empty window."""

    source: str | None
    hz: float
    hz_error_ppm: float | None
    quantum_ticks: int
    overhead_ticks: float


class ProcessorJson(TypedDict):
    """What the processor says of itself."""

    cpu_model: str
    arch: str
    cpu_vendor: NotRequired[str | None]
    cpu_family: NotRequired[str | None]
    cpu_model_number: NotRequired[str | None]
    stepping: NotRequired[str | None]
    microcode: NotRequired[str | None]
    cpu_flags: NotRequired[list[str]]


class CpusJson(TypedDict):
    """Which CPUs there are, and what they share."""

    topology: TopologyJson
    topology_source: NotRequired[str]
    cpus_present: NotRequired[list[int]]
    cpus_offline: NotRequired[list[int]]
    cpus_isolated: NotRequired[list[int]]
    cpus_nohz_full: NotRequired[list[int]]
    cpus_usable: NotRequired[list[int] | None]
    """Those that the run might use."""
    clusters: NotRequired[list[list[int]]]
    core_kinds: NotRequired[dict[str, list[int]] | None]
    """CPUs by kind of core, ``P``, ``E`` and ``L`` (low-power efficiency); None where all are alike."""
    numa_distances: NotRequired[dict[str, dict[str, int]]]
    """By node and node, as the firmware states them: 10 is local."""
    caches: NotRequired[list[CacheJson]]
    line_bytes: NotRequired[int | None]


class SystemJson(TypedDict):
    """The Linux kernel, and what it was told."""

    kernel: str
    kernel_version: NotRequired[str | None]
    boot_parameters: NotRequired[list[str] | None]
    mitigations: NotRequired[dict[str, str] | None]
    frequency_driver: NotRequired[str | None]
    governor: NotRequired[str | None]
    energy_performance_preference: NotRequired[str | None]
    turbo: NotRequired[str | None]
    smt: NotRequired[bool | None]
    thp: NotRequired[str | None]
    thp_defrag: NotRequired[str | None]
    aslr: NotRequired[int | None]
    clocksource: NotRequired[str | None]
    clocksources_available: NotRequired[list[str] | None]


class LimitsJson(TypedDict):
    """What the system grants: memory, CPU time, whether there is a machine below it."""

    hypervisor: NotRequired[HypervisorJson]
    cgroup: NotRequired[CgroupJson]
    memory_bytes: NotRequired[int | None]
    swap_bytes: NotRequired[int | None]
    huge_page_bytes: NotRequired[int | None]
    page_bytes: NotRequired[int | None]
    libc: NotRequired[str | None]


class MachineFactsJson(ProcessorJson, CpusJson, SystemJson, LimitsJson):
    """A machine without its key. Optional keys are missing where a machine was not asked, as in an imported run."""

    capabilities: NotRequired[dict[str, bool] | None]
    perf_events: NotRequired[list[PerfEventJson] | None]
    tick: NotRequired[TickJson | None]


class MachineJson(MachineFactsJson):
    """machine.json. The schema checks its required keys only, so that readers look twice at what they show."""

    schema: int
    key: str


# ---- records in Parquet files ----


class CountRecord(TypedDict):
    """A whole number as a process found it, and as it must be."""

    found: int
    expected: int


class HistogramRecord(TypedDict):
    """All events of a process, net of overhead: ascending ticks, and how often each was seen."""

    ticks: list[int]
    count: list[int]


class CaseRecord(TypedDict):
    """How a case went in a round; see `fencepost.bench.schema.ROUND_SCHEMA`."""

    status: str
    failure: NotRequired[str | None]
    reason: str | None
    overhead_ticks: float | None
    core_hz: float | None
    core_hz_before: NotRequired[float | None]
    core_hz_after: NotRequired[float | None]
    chain_ratio: float | None
    raw_before_ticks: NotRequired[float | None]
    raw_after_ticks: NotRequired[float | None]
    metrics: dict[str, float | None]
    counts: NotRequired[dict[str, CountRecord]]
    elapsed_ns: float
    events: NotRequired[int]
    visits: NotRequired[list[int]]
    visits_hz: NotRequired[list[float | None]]
    turn_batches: NotRequired[int]
    histogram: NotRequired[HistogramRecord | None]


class WorkerRecord(TypedDict):
    """The process of a round; `startup_ms` and `elapsed_ms` are from when it was launched."""

    tick_source: str
    tick_hz: float
    tick_hz_error_ppm: NotRequired[float | None]
    quantum_ticks: float
    overhead_ticks: float
    startup_ms: float
    elapsed_ms: float
    cpus: list[int]
    pid: NotRequired[int]
    launcher: NotRequired[str]
    width_floor: NotRequired[float | None]
    interrupts: NotRequired[dict[str, dict[str, int]]]  # of the run's CPUs meanwhile, by file of /proc and line
    traced: NotRequired[bool]  # by another process, such as strace or a debugger


class RoundRecord(TypedDict):
    """The record of a round; `order` holds the cases as they were visited."""

    schema: int
    run: str
    round: int
    started_utc: str
    order: list[str]
    worker: WorkerRecord
    cases: dict[str, CaseRecord]


class ReducedWorkerRecord(TypedDict):
    """The process of a round in rows.parquet; numbers are None where they are not known (an import)."""

    round: int
    tick_source: str
    tick_hz: float | None
    quantum_ticks: float | None
    overhead_ticks: float | None
    startup_ms: float | None
    elapsed_ms: float | None
    interrupts: NotRequired[dict[str, dict[str, int]]]
    traced: NotRequired[bool]


class RowsRecord(TypedDict):
    """The record of rows.parquet."""

    schema: int
    run: str
    workers: list[ReducedWorkerRecord]


# ---- answers ----


class FailedJson(TypedDict):
    """A case that failed in some round: the kind of the failure, and the first reason."""

    case: str
    failure: str
    reason: str


class MissingJson(TypedDict):
    """A case without figures, and the reason."""

    case: str
    reason: str


class SamplesJson(TypedDict):
    """All that ``fencepost run --json`` prints in an installation without the analysis."""

    run: str
    folder: str
    rounds: int
    cases: int
    failed: list[FailedJson]
    unmeasurable: list[MissingJson]
