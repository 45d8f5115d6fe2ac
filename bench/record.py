"""A case's entry in the record of a round, from what its worker sent of each visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fencepost.bench.case import Case
from fencepost.bench.documents import CaseRecord, CountRecord, HistogramRecord, WorkerRecord
from fencepost.bench.interrupts import Counts
from fencepost.bench.messages import CaseFrame, EndFrame, HelloFrame
from fencepost.bench.witness import floor_of_rows

if TYPE_CHECKING:
    from fencepost.bench.runfolder import CaseRows


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the visits that have a value; a single one stays as it is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) > 1 else known[0] if known else None


def metrics_of(case: Case, records: Sequence[CaseFrame]) -> dict[str, float | None]:
    """The metrics of a case by name, the kernel's own and the engine's: the mean over the visits."""
    each = zip(*(record.get("metrics") or [] for record in records), strict=False)
    own = {metric["name"]: mean_of(values) for metric, values in zip(case.metrics, each, strict=False)}
    return own | engine_metrics_of(records)


def engine_metrics_of(records: Sequence[CaseFrame]) -> dict[str, float | None]:
    """What the engine itself says of some cases (`worker.ENGINE_METRICS`): the mean over the visits."""
    each = [record.get("engine_metrics", {}) for record in records]
    return {name: mean_of([item.get(name) for item in each]) for item in each[:1] for name in item}


def counts_of(case: Case, records: Sequence[CaseFrame]) -> dict[str, CountRecord]:
    """What the first visit counted, by name; a count that it did not come to is left out."""
    taken = zip(case.counts, records[0].get("counts") or [], strict=False)
    return {count["name"]: {"found": pair[0], "expected": pair[1]} for count, pair in taken if pair is not None}


def record_of(case: Case, visits: Sequence[CaseFrame], histogram: HistogramRecord | None) -> CaseRecord:
    """The entry of a case that its worker reported. Figures are means over its visits; the first says how it went."""
    entry = _entry(visits[0]["status"], visits[0]["failure"], visits[0]["reason"], visits)
    entry["metrics"] = metrics_of(case, visits)
    entry["histogram"] = histogram
    turns = {visit.get("turn_batches", 0) for visit in visits}
    if len(turns) == 1 and (turn := turns.pop()):
        entry["turn_batches"] = turn
    if case.counts:
        entry["counts"] = counts_of(case, visits)
    return entry


def worker_of(
    hello: HelloFrame, end: EndFrame, launcher: str, interrupts: Counts, rows: Sequence[CaseRows]
) -> WorkerRecord:
    """What the record of a round says of its process, by its first frame and its last."""
    record: WorkerRecord = {
        "tick_source": hello["tick_source"],
        "tick_hz": hello["tick_hz"],
        "tick_hz_error_ppm": hello["tick_hz_error_ppm"],
        "quantum_ticks": hello["quantum_ticks"],
        "overhead_ticks": hello["overhead_ticks"],
        "startup_ms": hello["startup_ms"],
        "cpus": hello["cpus"],
        "pid": hello["pid"],
        "elapsed_ms": end["elapsed_ms"],
        "launcher": launcher,
        "width_floor": floor_of_rows(rows, hello["tick_hz"]),
        "interrupts": interrupts,
    }
    if hello["traced"] or end["traced"]:
        record["traced"] = True
    return record


def failed(reason: str) -> CaseRecord:
    """The entry of a case that its worker did not live to report."""
    return _entry("failed", "worker", reason, [])


def _entry(status: str, failure: str | None, reason: str | None, visits: Sequence[CaseFrame]) -> CaseRecord:
    """The entry of a case with what the engine says of it, whatever its kernel."""
    return {
        "status": status,
        "failure": failure,
        "reason": reason,
        "overhead_ticks": mean_of([visit.get("overhead_ticks") for visit in visits]),
        "core_hz": mean_of([visit.get("core_hz") for visit in visits]),
        "core_hz_before": mean_of([visit.get("core_hz_before") for visit in visits]),
        "core_hz_after": mean_of([visit.get("core_hz_after") for visit in visits]),
        "chain_ratio": mean_of([visit.get("chain_ratio") for visit in visits]),
        "raw_before_ticks": mean_of([visit.get("raw_before_ticks") for visit in visits]),
        "raw_after_ticks": mean_of([visit.get("raw_after_ticks") for visit in visits]),
        "metrics": {},
        "elapsed_ns": sum(visit.get("elapsed_ns", 0) for visit in visits),
        "events": sum(visit.get("events", 0) for visit in visits),
        "histogram": None,
    }
