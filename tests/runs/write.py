"""Run folders made of numbers instead of measurements, so that the analysis can be tested against a known truth.

`write_run` writes a folder that conforms to `fencepost.bench.schema`, and `make_run` has the same run in memory. Every
fault and oddity that a real machine has can be asked for: noise, gaps, modes, failed and unsupported cases, twins,
migrations, incomplete runs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.bench import schema
from fencepost.bench.documents import MachineJson, in_round

TICK_HZ = 2_500_000_000.0
CORE_HZ = 3_700_000_000.0
QUANTUM = 1

NEIGHBOUR_FACTOR = 1.4
STRETCH = 4
"""Batches for which a neighbour stays, or stays away."""
WIDTH_FLOOR = 1 / 12
"""The time of an addition over that of a multiplication, with the core alone: four in a cycle."""

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
    every: int = 1
    """In each round, in each second one, and so on."""
    twin_of: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    """Counts that come out as expected."""
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
    clock_noise: float = 0.002
    chain_ratio: float | None = 3.0
    batches: int | None = None
    raw_ns: float | None = None
    """Raw round trip beside a case with several CPUs."""
    neighbour: float | None = None
    """Share of batches beside a busy sibling thread, which cost `NEIGHBOUR_FACTOR` times as much; None: no witness."""
    slowed: tuple[float, float] | None = None
    """(share of the batches without a neighbour in which branches are slow, how many times as much these cost)."""
    places: tuple[tuple[float, float, float], ...] = ()
    """(round trip in ns, share of batches, factor) of each distance at which its CPUs are."""
    relation: str | None = None

    @functools.cached_property
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
            **({} if self.every == 1 else {"every": self.every}),
            "twin_of": self.twin_of,
            "metrics": [{"name": name, "unit": name.rpartition("_")[2], "summary": name} for name in self.metrics],
            "counts": [{"name": name, "unit": name, "summary": name} for name in self.counts],
        }


def plain_cases(count: int) -> list[Case]:
    """`count` cases that differ in nothing but one parameter."""
    return [Case("plain/loop", {"i": i}, ns=1 + i / 10) for i in range(count)]


CYCLE = 1e9 / CORE_HZ


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
            {"level": 1, "kind": "data", "size_bytes": 32 << 10, "shared_by": 1, "count": 2},
            {"level": 2, "kind": "unified", "size_bytes": 1 << 20, "shared_by": 1, "count": 2},
            {"level": 3, "kind": "unified", "size_bytes": 32 << 20, "shared_by": 2, "count": 1},
        ],
    }
    return cast(MachineJson, document | changes)


class Made(NamedTuple):
    """A run in memory. Its rounds are made as they are asked for: their rows, and the records about them."""

    run: dict[str, Any]
    machine: MachineJson
    rounds: Iterator[tuple[pa.Table, dict[str, Any]]]


def make_run(
    name: str,
    cases: Sequence[Case],
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
) -> Made:
    """A run of `rounds` complete rounds out of `planned_rounds`.

    `process_factor`, shape (rounds,), multiplies all cases of a round: a machine that was slower in that round.
    """
    generator = np.random.default_rng(seed)
    run = {
        "schema": schema.SCHEMA_VERSION,
        "id": name,
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
    factors = np.ones(rounds) if process_factor is None else process_factor
    made = (
        make_round(cases, number, name, batches, generator, tick_hz, quantum, float(factors[number - 1]))
        for number in range(1, rounds + 1)
    )
    return Made(run, machine_document(**(machine or {})), made)


def write_run(folder: Path, cases: Sequence[Case], **options: Any) -> Path:
    """Write the folder of a run that is made with these `options` of `make_run`; returns `folder`."""
    made = make_run(folder.name, cases, **options)
    (folder / schema.ROUNDS_FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / schema.RUN_FILE).write_text(json.dumps(made.run), encoding="utf-8")
    (folder / schema.MACHINE_FILE).write_text(json.dumps(made.machine), encoding="utf-8")
    for number, (table, record) in enumerate(made.rounds, 1):
        write_round(schema.round_file(folder, number), table, record)
    return folder


def write_round(path: Path, table: pa.Table, record: Mapping[str, Any]) -> None:
    """Write a round as a file. Not compressed and without statistics: of so few rows that is most of the writing."""
    pq.write_table(
        table.replace_schema_metadata({schema.ROUND_KEY: json.dumps(record).encode()}),
        path,
        compression="none",
        use_dictionary=["case"],
        write_statistics=False,
        write_page_checksum=True,
    )


VARYING = (
    *("batch", "thread", "ticks", "begin_ticks", "cpu_begin", "cpu_end", "involuntary", "flags"),
    *("width_ticks", "additions_ticks", "clock_ticks", "distance_ticks"),
)
"""Columns that differ from one batch of a case to the next."""


class Fixed(NamedTuple):
    """Columns that all rounds of a case of so many batches have alike. Nobody may change one."""

    batch: npt.NDArray[np.int32]
    thread: npt.NDArray[np.int32]
    cpus: npt.NDArray[np.int32]
    unknown: npt.NDArray[np.float64]
    """Not a number: what no witness told."""


@functools.cache
def fixed_columns(count: int, cpus: tuple[int, ...]) -> Fixed:
    """Those of `count` batches on these CPUs."""
    team = len(cpus)
    rows = count * team
    return Fixed(
        np.repeat(np.arange(count, dtype=np.int32), team),
        np.tile(np.arange(team, dtype=np.int32), count),
        np.tile(np.asarray(cpus, np.int32), count),
        np.full(rows, np.nan),
    )


ALIKE = {"schema": schema.SCHEMA_VERSION, "started_utc": "2026-01-02T03:04:05Z"}
"""What the records of all rounds say."""

OVERHEAD_TICKS = 40.0
"""Of a window around a loop."""


def make_round(
    cases: Sequence[Case],
    number: int,
    run: str,
    batches: int,
    generator: np.random.Generator,
    tick_hz: float = TICK_HZ,
    quantum: int = QUANTUM,
    factor: float = 1.0,
) -> tuple[pa.Table, dict[str, Any]]:
    """The rows of one round, and its record."""
    here = [case for case in cases if in_round(number, once=case.once, every=case.every)]
    order = generator.permutation(len(here))
    columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in VARYING}
    alike: list[tuple[int, int, int, float]] = []  # of each case: its rows, and what is the same in them
    records: dict[str, Any] = {}
    process_hz = tick_hz * (1 + generator.normal(0, 1e-6))
    for position in order:
        case = here[position]
        record = records[case.id] = _record(case, generator, tick_hz)
        if case.status != "ok":
            continue
        centre = case.ns * factor * (1 + generator.normal(0, case.process_noise))
        if case.modes:
            factors, shares = zip(*case.modes, strict=True)
            centre *= generator.choice(factors, p=shares)
        count = case.batches or batches
        seen = _batches(case, centre, count, generator)
        operations, overhead = max(1, round(50_000 / max(case.ns, 0.01))), OVERHEAD_TICKS
        if case.kind == "events":
            record |= {"histogram": _histogram(centre, generator, tick_hz, quantum), "events": EVENTS}
            operations, overhead = 1, 0.0
        ticks = np.rint((seen.ns * operations * tick_hz / 1e9 + overhead) / quantum).astype(np.int64) * quantum
        alike.append((len(ticks), position, operations, overhead))
        fixed = fixed_columns(count, case.cpus)
        width, additions, clock = _witnesses(case, record["core_hz"], seen, generator, tick_hz)
        varying = {
            "batch": fixed.batch,
            "thread": fixed.thread,
            **dict.fromkeys(("cpu_begin", "cpu_end"), fixed.cpus),
            "ticks": ticks,
            "begin_ticks": np.cumsum(ticks),
            "involuntary": seen.gap.astype(np.int32),
            "flags": seen.gap * np.int32(schema.FLAGS["switched"]) | np.int32(case.flags),
            "width_ticks": width,
            "additions_ticks": additions,
            "clock_ticks": clock,
            "distance_ticks": seen.distance_ns * tick_hz / 1e9,
        }
        for name, parts in columns.items():
            parts.append(varying[name])
    names = [case.id for case in here]
    document = ALIKE | {
        "run": run,
        "round": number,
        "order": [names[position] for position in order],
        "worker": _worker(here, process_hz, quantum),
        "cases": records,
    }
    return _table(names, number, columns, alike), document


def _record(case: Case, generator: np.random.Generator, tick_hz: float) -> dict[str, Any]:
    """What a round's record says of a case."""
    metrics = {name: value * (1 + generator.normal(0, case.metric_noise)) for name, value in case.metrics.items()}
    return {
        "status": case.status,
        "reason": case.reason or (None if case.status == "ok" else "synthetic reason"),
        "overhead_ticks": OVERHEAD_TICKS if case.kind == "loop" else 0.0,
        "core_hz": case.core_hz and case.core_hz * (1 + generator.normal(0, case.clock_noise)),
        "chain_ratio": case.chain_ratio and case.chain_ratio * (1 + generator.normal(0, 0.001)),
        "raw_before_ticks": case.raw_ns and case.raw_ns * tick_hz / 1e9 * 0.9,
        "raw_after_ticks": case.raw_ns and case.raw_ns * tick_hz / 1e9 * 1.1,
        "metrics": metrics if case.status == "ok" else {},
        "counts": {name: {"found": value, "expected": value} for name, value in case.counts.items()},
        "elapsed_ns": 2_000_000,
    }


def _worker(here: Sequence[Case], process_hz: float, quantum: int) -> dict[str, Any]:
    """What a round's record says of its worker."""
    return {
        "tick_source": "tsc",
        "tick_hz": process_hz,
        "quantum_ticks": quantum,
        "overhead_ticks": OVERHEAD_TICKS,
        "startup_ms": 25.0,
        "elapsed_ms": 400.0,
        "cpus": [0, 1],
        "width_floor": WIDTH_FLOOR if any(case.neighbour is not None for case in here) else None,
    }


class Batches(NamedTuple):
    """What the batches of a case met, each of shape (batches times threads,)."""

    ns: npt.NDArray[np.float64]
    beside: npt.NDArray[np.bool_]
    """A neighbour was there."""
    slowed: npt.NDArray[np.bool_]
    """The core took branches slowly."""
    gap: npt.NDArray[np.bool_]
    """The batch was switched out."""
    distance_ns: npt.NDArray[np.float64]
    """Of the first thread: how far its CPUs were apart."""


def _batches(case: Case, centre: float, count: int, generator: np.random.Generator) -> Batches:
    """`count` batches of a process whose operation takes `centre` ns."""
    team = len(case.cpus)
    rows = count * team
    value = centre * (1 + np.abs(generator.normal(0, case.noise, rows)))
    stretches = generator.random(count)[: -(-count // STRETCH)] < (case.neighbour or 0)
    beside = np.repeat(np.repeat(stretches, STRETCH)[:count], team)
    value[beside] *= NEIGHBOUR_FACTOR
    slowed = np.zeros(rows, bool)
    if case.slowed:
        share, cost = case.slowed
        slowed = np.repeat(np.repeat(generator.random(len(stretches)) < share, STRETCH)[:count], team) & ~beside
        value[slowed] *= cost
    distance = fixed_columns(count, case.cpus).unknown
    if case.places:
        distance = distance.copy()
        of_places = np.array(case.places)
        place = generator.choice(len(of_places), count, p=of_places[:, 1])
        distance[::team] = of_places[place, 0] * (1 + generator.normal(0, 0.02, count))
        value *= np.repeat(of_places[place, 2], team)
    gap = generator.random(rows) < case.gap_share
    value[gap] *= 1 + generator.exponential(0.2, int(gap.sum()))
    return Batches(value, beside, slowed, gap, distance)


EVENTS = 400
"""Of a case of events, in a process."""


def _histogram(centre: float, generator: np.random.Generator, tick_hz: float, quantum: int) -> dict[str, list[int]]:
    """Ticks of `EVENTS` events around `centre` ns, and how often each was seen."""
    spread = centre * (1 + generator.gamma(2.0, 0.05, EVENTS))
    ticks, counts = np.unique((spread * tick_hz / 1e9 // quantum * quantum).astype(np.int64), return_counts=True)
    return {"ticks": ticks.tolist(), "count": counts.tolist()}


def _table(
    cases: Sequence[str],
    number: int,
    columns: Mapping[str, Sequence[npt.NDArray[Any]]],
    alike: Sequence[tuple[int, int, int, float]],
) -> pa.Table:
    """The rows of round `number`: parts of `columns` that differ, and of each case its rows, its place in `cases`, its
    operations and its overhead.
    """
    names = pa.array(cases, pa.string())
    whole = {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in columns.items()}
    lengths, codes, operations, overheads = np.array(alike).reshape(-1, 4).T
    lengths = lengths.astype(int)
    total = int(lengths.sum())
    zeros = np.zeros(total, np.int32)
    whole |= {
        "round": np.full(total, number, np.int32),
        "operations": np.repeat(operations.astype(np.int64), lengths),
        "overhead_ticks": np.repeat(overheads, lengths),
        "overlap": np.ones(total, np.float32),
        **dict.fromkeys(("voluntary", "minor_faults", "major_faults"), zeros),
    }
    indices = pa.array(np.repeat(codes.astype(np.int32), lengths))
    arrays = [pa.DictionaryArray.from_arrays(indices, names)]
    arrays += [
        pa.array(whole[name].astype(schema.COLUMNS[name], copy=False)) for name in schema.COLUMNS if name != "case"
    ]
    return pa.Table.from_arrays(arrays, schema=ARROW_SCHEMA)


def _witnesses(
    case: Case, core_hz: float | None, seen: Batches, generator: np.random.Generator, tick_hz: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the three witnesses took beside each batch, in ticks; NaN where there was none."""
    if case.neighbour is None or not core_hz:
        unknown = np.full(len(seen.ns), np.nan)
        return unknown, unknown, unknown
    multiplications = 3000 * tick_hz / core_hz * (1 + np.abs(generator.normal(0, 0.002, len(seen.ns))))
    additions = multiplications * WIDTH_FLOOR * np.where(seen.beside, 1.8, 1.0)
    return additions * np.where(seen.slowed, 1.13, 1.0), additions, multiplications
