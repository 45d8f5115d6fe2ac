"""Run folders made of numbers instead of measurements, so that the analysis can be tested against a known truth.

`write_run` writes a folder that conforms to `fencepost.bench.schema`; every fault and oddity that a real machine has
can be asked for: noise, gaps, modes, failed and unsupported cases, twins, migrations, incomplete runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.bench import schema
from fencepost.bench.documents import MachineJson

TICK_HZ = 2_500_000_000.0
CORE_HZ = 3_700_000_000.0
QUANTUM = 1

ARROW_TYPES = {
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}
ARROW_SCHEMA = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in schema.COLUMNS.items()])


@dataclass(frozen=True)
class Case:
    """One case and its truth: `ns` an operation, spread `process_noise` between processes and `noise` between
    batches."""

    kernel: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    ns: float = 1.0
    cpus: tuple[int, ...] = (1,)
    unit: str = "operation"
    kind: str = "loop"
    once: bool = False
    twin_of: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.003
    process_noise: float = 0.004
    metric_noise: float = 0.002
    modes: tuple[tuple[float, float], ...] = ()
    """(factor, share) pairs: each process takes one of them."""
    gap_share: float = 0.02
    """Share of batches that a gap hits; they carry the flag `switched`."""
    flags: int = 0
    """Bits set in every row."""
    status: str = "ok"
    reason: str | None = None
    core_hz: float | None = CORE_HZ
    chain_ratio: float | None = 3.0
    batches: int | None = None
    raw_ns: float | None = None
    """Raw round trip beside a case with several CPUs."""
    relation: str | None = None

    @property
    def id(self) -> str:
        inside = ",".join(f"{name}={value}" for name, value in self.parameters.items())
        place = ",".join(f"cpu{cpu}" for cpu in self.cpus)
        return f"{self.kernel}{f'[{inside}]' if inside else ''}@{place}{'~twin' if self.twin_of else ''}"

    def twin(self) -> Case:
        return replace(self, twin_of=self.id)

    def planned(self) -> dict[str, Any]:
        return {
            "case": self.id,
            "kernel": self.kernel,
            "parameters": dict(self.parameters),
            "values": [value if isinstance(value, int) else 0 for value in self.parameters.values()],
            "cpus": list(self.cpus),
            "relation": self.relation,
            "unit": self.unit,
            "summary": f"synthetic {self.kernel}",
            "kind": self.kind,
            "once": self.once,
            "twin_of": self.twin_of,
            "metrics": [{"name": name, "unit": name.rpartition("_")[2], "summary": name} for name in self.metrics],
        }


def plain_cases(count: int) -> list[Case]:
    """`count` cases that differ in nothing but one parameter."""
    return [Case("plain/loop", {"i": i}, ns=1 + i / 10) for i in range(count)]


def core_case(kernel: str, factor: float, **changes: Any) -> Case:
    """A chain of 16384 multiplications at `factor` times the usual clock."""
    hz = CORE_HZ * factor
    usual = Case(kernel, ns=3 * 16384e9 / hz, unit="chain", kind="events", core_hz=hz, metrics={"core_hz": hz})
    return replace(usual, **changes)


def suite_cases() -> list[Case]:
    """What a whole run of the first suite looks like, in kind and in magnitude."""
    cycle = 1e9 / CORE_HZ
    cases = [Case("clock/empty", ns=0.0005, unit="window", noise=2.0, process_noise=1.0)]
    reads = {
        "rdtsc": 6,
        "rdtscp": 9,
        "lfence_rdtsc": 9,
        "lfence_rdtsc_lfence": 12,
        "rdtscp_lfence": 12,
        "cpuid_rdtsc": 1500,
    }
    cases += [Case("clock/read", {"read": name}, ns=ns, unit="read") for name, ns in reads.items()]
    cases += [Case("clock/delta", {"read": name}, ns=ns, unit="delta", kind="events") for name, ns in reads.items()]
    for pair, intercept in {
        "lfence_rdtsc_lfence_to_rdtscp_lfence": 0,
        "rdtsc_to_rdtsc": -12,
        "rdtscp_to_rdtscp": 3,
    }.items():
        metrics = {
            f"k{k}_mean_ticks": max(0.0, 3 * k * TICK_HZ / CORE_HZ + intercept)
            for k in (0, 1, 2, 4, 8, 16, 24, 32, 48, 64)
        }
        cases.append(Case("clock/bias", {"pair": pair}, ns=12, unit="window", kind="events", metrics=metrics))
    cases += [
        core_case("clock/core", 1 / factor, parameters={"state": state})
        for state, factor in {"cold": 1.08, "warm": 1}.items()
    ]
    cases.append(core_case("clock/core_loaded", 0.94, cpus=(0, 1)))
    cases.append(
        core_case("clock/core_series", 1.0, parameters={"duration_ms": 300}, once=True, batches=300, noise=0.02)
    )
    for during in ("sleep", "spin"):
        cases.append(
            Case("clock/rate", {"during": during}, ns=1e6, kind="events", metrics={"tick_hz": TICK_HZ, "ppm": 1.5})
        )
    cases.append(
        Case(
            "clock/offset",
            ns=90,
            cpus=(0, 1),
            unit="one-way trip",
            kind="events",
            metrics={"offset_low_ticks": -150, "offset_high_ticks": 210},
        )
    )
    for clock, ns in {"monotonic": 21.7, "monotonic_raw": 22.1, "monotonic_coarse": 5.0}.items():
        cases.append(Case("clock/call", {"clock": clock, "via": "libc"}, ns=ns, unit="call"))
        cases.append(Case("clock/call", {"clock": clock, "via": "syscall"}, ns=ns + 140, unit="call"))
    cases.append(Case("clock/python", ns=60, unit="call"))
    cases.append(
        Case("clock/resolution", {"clock": "monotonic"}, ns=22, unit="step", kind="events", metrics={"getres_ns": 1.0})
    )
    for policy, ns in {"other": 102e3, "slack1": 56e3, "fifo": 55e3}.items():
        cases.append(
            Case(
                "clock/wakeup",
                {"policy": policy, "period_us": 1000},
                ns=ns,
                unit="wake-up",
                kind="events",
                process_noise=0.05,
            )
        )
    for op, (latency, throughput) in {"add": (1, 0.25), "imul": (3, 1), "fadd": (3, 0.5), "load": (4, 0.5)}.items():
        for chains in range(1, 9):
            cycles = max(latency / chains, throughput)
            cases.append(Case("pipeline/chain", {"op": op, "chains": chains}, ns=cycles * cycle, unit=op))
    cases.append(Case("pipeline/imul100", ns=300 * cycle, unit="100 imul"))
    for fill in ("nop", "add"):
        distances = {f"k{k}_ns": 90 + 0.05 * k + (85 if k >= 320 else 0) for k in range(32, 672, 32)}
        cases.append(Case("pipeline/window", {"fill": fill}, ns=100, unit="iteration", metrics=distances))
    ladder = {4: 1.1, 16: 1.1, 64: 3.8, 256: 3.8, 1024: 4.5, 4096: 13, 16384: 15, 65536: 90, 262144: 110}
    for kib, ns in ladder.items():
        cases.append(Case("memory/chase", {"size": kib << 10, "pages": "small", "order": "random"}, ns=ns, unit="load"))
        cases.append(
            Case("memory/chase", {"size": kib << 10, "pages": "huge", "order": "random"}, ns=ns * 0.9, unit="load")
        )
    for cpu in (0, 1):
        metrics = {"gaps_per_s": 410.0, "lost_pct": 1.8, "longest_us": 900.0}
        cases.append(
            Case("noise/gaps", cpus=(cpu,), ns=3000, unit="gap", kind="events", metrics=metrics, process_noise=0.1)
        )
    twins = [
        case.twin() for case in cases if case.id in ("pipeline/imul100@cpu1", "pipeline/chain[op=imul,chains=1]@cpu1")
    ]
    return cases + twins


CYCLE = 1e9 / CORE_HZ
COINS = tuple(range(0, 65, 8))


def penalty_case(cycles: float = 18.0, counted: bool = False, slots: str = "shuffled", **changes: Any) -> Case:
    """Blocks of 64 branches with k coins: 60 cycles and `cycles` for each of k / 2 mispredictions. With `counted` the
    hardware counted them, and saw three quarters of them.
    """
    ticks = TICK_HZ / CORE_HZ
    metrics = {f"k{k}_ticks": (60 + cycles * (k / 2 * (0.75 if counted else 1))) * ticks for k in COINS}
    if counted:
        metrics |= {f"k{k}_misses": 0.75 * k / 2 + 0.01 for k in COINS}
    usual = Case("branch/penalty", {"slots": slots}, ns=170, unit="block", kind="events", metrics=metrics)
    return replace(usual, **changes)


def loaded_cases(penalties: Mapping[int, float]) -> list[Case]:
    """Buffers by size, and the cycles that a misprediction costs there."""
    return [
        Case(
            "branch/penalty_loaded",
            {"size": size, "contents": contents},
            ns=(5 + (cycles / 2 if contents == "random" else 0)) * CYCLE,
        )
        for size, cycles in penalties.items()
        for contents in ("zero", "random")
    ]


def capacity_cases(knee: float, floor: float = 2.0, ceiling: float = 12.0) -> list[Case]:
    """Steady cost by period: `floor` up to `knee`, `ceiling` from twice that on."""
    return [
        Case(
            "branch/capacity",
            {"period": 2**power},
            ns=(floor + (ceiling - floor) * float(np.clip(np.log2(2**power / knee), 0, 1))) * CYCLE,
        )
        for power in range(4, 21)
    ]


def learning_case(n: int, first: float = 12.0, last: float = 3.0) -> Case:
    """Cycles an element, falling from `first` at the first pass to `last` at the third."""
    ticks = TICK_HZ / CORE_HZ
    metrics = {f"pass{p}_ticks": (last + max(0.0, (first - last) * (3 - p) / 2)) * ticks for p in (1, 2, 3, 10, 100)}
    return Case("branch/learning", {"n": n}, ns=first * n * CYCLE, kind="events", metrics=metrics)


def pattern_cases(random: float = 12.0, cmov: float = 1.5, learnt: float = 1.0) -> list[Case]:
    """Cycles an element by taken rate: random outcomes rise from `learnt` to `random` at 50 % and fall again."""
    cases = []
    for pct in range(0, 101, 10):
        for pattern in ("sorted", "random"):
            cycles = learnt + ((random - learnt) * (1 - abs(pct - 50) / 50) if pattern == "random" else 0)
            for form, value in {"branch": cycles, "cmov": cmov}.items():
                parameters = {"pattern": pattern, "taken_pct": pct, "form": form}
                cases.append(Case("branch/pattern", parameters, ns=value * CYCLE))
    return cases


def likely_cases(correct: float = 0.5, wrong: float = 2.0) -> list[Case]:
    """The loop with `unlikely`, by how it compares with no hint where the hint is right and where it is wrong."""
    factors = {"plain": (1, 1), "likely": (1, 1), "unlikely": (correct, wrong), "even": (1, 1)}
    return [
        Case(
            "branch/likely",
            {"hint": hint, "data": data},
            ns=2 * CYCLE * (by_data[data == "true"] if data != "random" else 6),
        )
        for hint, by_data in factors.items()
        for data in ("false", "true", "random")
    ]


def footprint_cases() -> list[Case]:
    """Taken jumps that no longer fit from 8192 on."""
    return [
        Case(
            "branch/footprint",
            {"jumps": jumps, "kind": kind},
            ns=CYCLE * (0.5 if kind == "never" else 1 if jumps < 8192 else 14),
        )
        for jumps in (64, 1024, 8192, 16384)
        for kind in ("never", "taken")
    ]


def branch_cases() -> list[Case]:
    """All kernels of the topic branch."""
    return [
        *pattern_cases(),
        penalty_case(),
        penalty_case(slots="first"),
        *loaded_cases({16 << 10: 22, 1 << 20: 30}),
        *capacity_cases(8192),
        *map(learning_case, (1000, 4000)),
        *footprint_cases(),
        *likely_cases(),
    ]


FENCE_NS: Mapping[str, tuple[float, float, float]] = {
    "compiler": (0, 0, 0),
    "sfence": (0, 0.3, 0),
    "mfence": (15, 160, 12),
    "lock_add": (2, 6, 0),
}


def fence_cases(added: Mapping[str, tuple[float, float, float]] = FENCE_NS) -> list[Case]:
    """What each fence adds to a turn: alone, with load misses under way, in a chain."""
    turns = {"bare": 0.27, "load_miss": 9.0, "chain": 8.0}
    return [
        Case("fence/cost", {"fence": fence, "context": context}, ns=turn + more[place], process_noise=0.0, noise=0.001)
        for fence, more in {"none": (0, 0, 0), **added}.items()
        for place, (context, turn) in enumerate(turns.items())
    ]


def team_of(threads: int, cpus: int) -> tuple[tuple[int, ...], str | None]:
    """CPUs of so many threads, and their relation: none for one, oversubscribed where some take turns."""
    relation = None if threads == 1 else "same_l3" if threads <= cpus else "oversubscribed"
    return tuple(i % cpus for i in range(threads)), relation


def crowd_cases(
    kernel: str, parameters: Mapping[str, str | int], ns: Mapping[int, float], cpus: int = 2, **metrics: float
) -> list[Case]:
    """An operation by the number of threads."""
    cases = []
    for threads, value in ns.items():
        place, relation = team_of(threads, cpus)
        cases.append(Case(kernel, parameters, ns=value, cpus=place, relation=relation, metrics=dict(metrics)))
    return cases


def pair_case(kernel: str, parameters: Mapping[str, str | int], ns: float, **changes: Any) -> Case:
    """A case of CPUs 1 and 0."""
    usual = Case(kernel, parameters, ns=ns, cpus=(1, 0), relation="same_l3")
    return replace(usual, **changes)


def pingpong_cases(one_way: Mapping[tuple[int, int], tuple[str, float]]) -> list[Case]:
    """Ping-pong by pair of CPUs: relation, and half of the round trip in ns."""
    parameters = {"variant": "load_store", "pause": "no"}
    return [
        Case("line/pingpong", parameters, ns=2 * ns, cpus=pair, relation=relation)
        for pair, (relation, ns) in one_way.items()
    ]


def stride_cases(line: int = 64, shared: float = 30.0, alone: float = 6.0) -> list[Case]:
    """Two words at a distance: `shared` ns an access within a line of `line` bytes, `alone` beyond."""
    return [Case("line/alone", {"op": "atomic_add"}, ns=alone)] + [
        pair_case("line/false_sharing", {"op": "atomic_add", "stride": stride}, shared if stride < line else alone)
        for stride in (8, 32, 56, 64, 128, 512)
    ]


def sloppy_cases(least: float = 0.5, own: float = 30.0, error: float = 1.0) -> list[Case]:
    """Sloppy counters with two threads: ``least + own / T`` ns, and a largest error of `error` times the bound."""
    cases = []
    for threshold in (1, 4, 16, 64, 256, 1024):
        costs = {1: least + own / threshold / 5, 2: least + own / threshold}
        cases += crowd_cases("counter/sloppy", {"threshold": threshold}, costs)
        bound = threshold - 1.0
        metrics = {"max_error": error * bound, "p99_error": 0.9 * error * bound, "bound": bound}
        cases.append(pair_case("counter/error", {"threshold": threshold}, 50, metrics=metrics, metric_noise=0.0))
    return cases


def owner_cases(semaphore: bool = True, mutex: bool = False) -> list[Case]:
    """Whether a semaphore and a mutex may be given back by another thread."""
    allowed = {"semaphore_own": True, "semaphore_other": semaphore, "mutex_own": True, "mutex_other": mutex}
    return [
        Case(
            "lock/owner",
            {"unlock": name},
            ns=5,
            kind="events",
            metrics={"allowed": float(may), "refused": float(not may)},
            metric_noise=0.0,
        )
        for name, may in allowed.items()
    ]


def sharing_cases() -> list[Case]:
    """The topics line, lock and counter."""
    cases = [*pingpong_cases({(0, 1): ("same_l3", 44), (1, 0): ("same_l3", 45)}), *stride_cases()]
    for op in ("fetch_add", "cas"):
        cases += crowd_cases("line/contended", {"op": op, "between": 0}, {1: 2, 2: 10, 4: 30}, fairness=0.4)
    for op, ns in {"load": 30.0, "store": 2.0}.items():
        for state, factor in {"modified": 1.0, "own": 0.05}.items():
            cases.append(pair_case("line/state", {"state": state, "op": op}, ns * factor, kind="events"))
    for every in (0, 1, 100):
        cases.append(pair_case("line/read_mostly", {"guard": "atomic", "reads_per_write": every}, 1 + every / 100))
    for lock, (both, share) in {"ticket": (110.0, 0.98), "ttas": (40.0, 0.3)}.items():
        empty: dict[str, str | int] = {"lock": lock, "section_ns": 0}
        cases += crowd_cases("lock/hold", empty, {1: 2, 2: both}, fairness=share)
        cases += crowd_cases("lock/oversubscribed", empty, {1: 2, 4: 10 * both}, fairness=share)
    for kind, (alone, both) in {"atomic": (2.0, 10.0), "mutex": (5.0, 40.0), "private": (0.3, 0.3)}.items():
        cases += crowd_cases("counter/increment", {"kind": kind}, {1: alone, 2: both})
    cases += crowd_cases("counter/increment", {"kind": "racy"}, {2: 1.5}, lost_pct=50.0)
    for slots in (2, 64):
        cases.append(pair_case("counter/read", {"slots": slots, "state": "idle"}, slots / 4))
    return [*cases, *sloppy_cases(), *owner_cases()]


def process_cases(vfork_waits: float = 100.0, fork_waits: float = 0.0) -> list[Case]:
    """The topic process; shares of children that ended before the call returned, in percent."""
    kinds = {"fork": (300e3, 27.0, fork_waits), "vfork": (25e3, 0.0, vfork_waits), "thread": (19e3, 0.0, 0.0)}
    return [
        Case(
            "process/spawn",
            {"how": how, "touched": touched},
            ns=ns + mib * slope * 1e3,
            unit="child",
            kind="events",
            metrics={"waited_pct": waits, "returned_ns": ns / 2, "resident_mib": 17.0 + mib},
            metric_noise=0.0,
        )
        for how, (ns, slope, waits) in kinds.items()
        for touched, mib in (("0", 0), ("64MiB", 64))
    ]


def fault_cases(again: float = 0.0) -> list[Case]:
    """memory/fault; `again` faults a page at the second touch."""
    truth = {"write": (500.0, 1.0), "read": (300.0, 1.0), "populate": (250.0, 1.0), "again": (5.0, again)}
    return [
        Case(
            "memory/fault",
            {"access": access},
            ns=ns,
            unit="page",
            kind="events",
            metrics={"faults_per_page": faults},
            metric_noise=0.0,
        )
        for access, (ns, faults) in truth.items()
    ]


UNMEASURABLE = [
    {
        "case": "clock/read[read=serialize_rdtsc]@cpu1",
        "kernel": "clock/read",
        "parameters": {"read": "serialize_rdtsc"},
        "cpus": [1],
        "unit": "read",
        "reason": "needs the SERIALIZE instruction, which this CPU has not",
    }
]


def machine_document(**changes: Any) -> MachineJson:
    """A machine.json; keyword arguments replace keys."""
    document: dict[str, Any] = {
        "schema": schema.SCHEMA_VERSION,
        "key": "synthetic-0123abcd",
        "cpu_model": "Synthetic CPU 9000",
        "arch": "x86_64",
        "kernel": "6.18.0",
        "hypervisor": "kvm",
        "governor": None,
        "topology": {
            "cpus": [0, 1],
            "cores": [[0], [1]],
            "packages": [[0, 1]],
            "l2": [[0], [1]],
            "l3": [[0, 1]],
            "numa": {"0": [0, 1]},
        },
        "caches": [
            {"level": 1, "kind": "data", "size_bytes": 32 << 10, "cpus": [0]},
            {"level": 2, "kind": "unified", "size_bytes": 1 << 20, "cpus": [0]},
            {"level": 3, "kind": "unified", "size_bytes": 32 << 20, "cpus": [0, 1]},
        ],
    }
    return cast(MachineJson, document | changes)


def write_run(
    folder: Path,
    cases: Sequence[Case] | None = None,
    *,
    rounds: int = 6,
    planned_rounds: int | None = None,
    batches: int = 12,
    seed: int = 1,
    tick_hz: float = TICK_HZ,
    quantum: int = QUANTUM,
    unmeasurable: Sequence[Mapping[str, Any]] = UNMEASURABLE,
    machine: Mapping[str, Any] | None = None,
    process_factor: npt.NDArray[np.float64] | None = None,
    profile: str = "quick",
    launcher: str = "taskset",
) -> Path:
    """Write a run folder of `rounds` complete rounds out of `planned_rounds`; returns `folder`.

    `process_factor`, shape (rounds,), multiplies all cases of a round: a machine that was slower in that round.
    """
    cases = suite_cases() if cases is None else cases
    generator = np.random.default_rng(seed)
    (folder / schema.ROUNDS_FOLDER).mkdir(parents=True, exist_ok=True)
    run = {
        "schema": schema.SCHEMA_VERSION,
        "id": folder.name,
        "created_utc": "2026-01-02T03:04:05Z",
        "command": ["fencepost", "run", "--profile", profile],
        "launcher": launcher,
        "machine_key": "synthetic-0123abcd",
        "versions": {"fencepost": "0.1.0", "python": "3.11.2"},
        "engine": {"arch": "x86_64", "compiler": "gcc 12.2.0", "flags": "-O2", "sha256": "0" * 64},
        "plan": {
            "profile": profile,
            "seed": seed,
            "rounds": planned_rounds or max(rounds, 1),
            "batches": batches,
            "batch_ns": 50_000,
            "cpus": [0, 1],
            "cases": [case.planned() for case in cases],
            "unmeasurable": [dict(item) for item in unmeasurable],
        },
    }
    (folder / schema.RUN_FILE).write_text(json.dumps(run, indent=1), encoding="utf-8")
    (folder / schema.MACHINE_FILE).write_text(
        json.dumps(machine_document(**(machine or {})), indent=1), encoding="utf-8"
    )
    for number in range(1, rounds + 1):
        factor = 1.0 if process_factor is None else float(process_factor[number - 1])
        table = round_table(cases, number, folder.name, batches, generator, tick_hz, quantum, factor)
        pq.write_table(table, schema.round_file(folder, number), compression="zstd", write_page_checksum=True)
    return folder


def round_table(
    cases: Sequence[Case],
    number: int,
    run: str,
    batches: int,
    generator: np.random.Generator,
    tick_hz: float = TICK_HZ,
    quantum: int = QUANTUM,
    factor: float = 1.0,
) -> pa.Table:
    """One round as an Arrow table with its record in the metadata."""
    overhead = 40.0
    here = [case for case in cases if number == 1 or not case.once]
    order = generator.permutation(len(here))
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in schema.COLUMNS if name != "case"}
    codes: list[npt.NDArray[np.int32]] = []
    records: dict[str, Any] = {}
    process_hz = tick_hz * (1 + generator.normal(0, 1e-6))
    for position in order:
        case = here[position]
        metrics = {name: value * (1 + generator.normal(0, case.metric_noise)) for name, value in case.metrics.items()}
        record: dict[str, Any] = {
            "status": case.status,
            "reason": case.reason or (None if case.status == "ok" else "synthetic reason"),
            "overhead_ticks": overhead if case.kind == "loop" else 0.0,
            "core_hz": case.core_hz and case.core_hz * (1 + generator.normal(0, 0.002)),
            "chain_ratio": case.chain_ratio and case.chain_ratio * (1 + generator.normal(0, 0.001)),
            "raw_before_ticks": case.raw_ns and case.raw_ns * tick_hz / 1e9 * 0.9,
            "raw_after_ticks": case.raw_ns and case.raw_ns * tick_hz / 1e9 * 1.1,
            "metrics": metrics if case.status == "ok" else {},
            "elapsed_ns": 2_000_000,
        }
        records[case.id] = record
        if case.status != "ok":
            continue
        centre = case.ns * factor * (1 + generator.normal(0, case.process_noise))
        if case.modes:
            factors, shares = zip(*case.modes, strict=True)
            centre *= generator.choice(factors, p=shares)
        count = case.batches or batches
        team = len(case.cpus)
        rows = count * team
        value = centre * (1 + np.abs(generator.normal(0, case.noise, rows)))
        gap = generator.random(rows) < case.gap_share
        value[gap] *= 1 + generator.exponential(0.2, int(gap.sum()))
        if case.kind == "events":
            spread = centre * (1 + generator.gamma(2.0, 0.05, 400))
            ticks, counts = np.unique(
                (spread * tick_hz / 1e9 // quantum * quantum).astype(np.int64), return_counts=True
            )
            record["histogram"] = {"ticks": ticks.tolist(), "count": counts.tolist()}
            record["events"] = 400
            operations = 1
            case_overhead = 0.0
        else:
            operations = max(1, round(50_000 / max(case.ns, 0.01)))
            case_overhead = overhead
        ticks = np.rint((value * operations * tick_hz / 1e9 + case_overhead) / quantum).astype(np.int64) * quantum
        codes.append(np.full(rows, position, np.int32))
        columns["round"].append(np.full(rows, number, np.int32))
        columns["batch"].append(np.repeat(np.arange(count, dtype=np.int32), team))
        columns["thread"].append(np.tile(np.arange(team, dtype=np.int32), count))
        columns["ticks"].append(ticks)
        columns["operations"].append(np.full(rows, operations, np.int64))
        columns["overhead_ticks"].append(np.full(rows, case_overhead))
        columns["begin_ticks"].append(np.cumsum(ticks))
        cpus = np.tile(np.asarray(case.cpus, np.int32), count)
        columns["cpu_begin"].append(cpus)
        columns["cpu_end"].append(cpus)
        columns["voluntary"].append(np.zeros(rows, np.int32))
        columns["involuntary"].append(gap.astype(np.int32))
        columns["minor_faults"].append(np.zeros(rows, np.int32))
        columns["major_faults"].append(np.zeros(rows, np.int32))
        columns["flags"].append(np.where(gap, schema.FLAGS["switched"], 0).astype(np.int32) | np.int32(case.flags))
        columns["overlap"].append(np.ones(rows, np.float32))
    document = {
        "schema": schema.SCHEMA_VERSION,
        "run": run,
        "round": number,
        "started_utc": "2026-01-02T03:04:05Z",
        "order": [here[position].id for position in order],
        "worker": {
            "tick_source": "tsc",
            "tick_hz": process_hz,
            "quantum_ticks": quantum,
            "overhead_ticks": overhead,
            "startup_ms": 25.0,
            "elapsed_ms": 400.0,
            "cpus": [0, 1],
        },
        "cases": records,
    }
    names = pa.array([case.id for case in here], pa.string())
    indices = pa.array(np.concatenate(codes) if codes else np.empty(0, np.int32))
    arrays = [pa.DictionaryArray.from_arrays(indices, names)]
    for name, parts in columns.items():
        arrays.append(pa.array(np.concatenate(parts) if parts else np.empty(0), ARROW_TYPES[schema.COLUMNS[name]]))
    return pa.Table.from_arrays(
        arrays, schema=ARROW_SCHEMA.with_metadata({schema.ROUND_KEY: json.dumps(document).encode()})
    )
