"""A case's entry in the record of a round, from what its worker sent of each visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fencepost.bench.case import Case

ENGINE_FIGURES = (
    "overhead_ticks",
    "core_hz",
    "core_hz_before",
    "core_hz_after",
    "chain_ratio",
    "raw_before_ticks",
    "raw_after_ticks",
)
"""What the engine says about each case beside the kernel's own metrics: fields of its entry in the round's record."""


def mean_of(values: Sequence[float | None]) -> float | None:
    """Mean of the visits that have a value; a single one stays as it is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) > 1 else known[0] if known else None


def engine_metrics_of(records: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """What the engine itself says of some cases (`worker.ENGINE_METRICS`): the mean over the visits."""
    each = [record.get("engine_metrics", {}) for record in records]
    return {name: mean_of([item.get(name) for item in each]) for item in each[:1] for name in item}


def counts_of(case: Case, records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """What the first visit counted, by name; a count that it did not come to is left out."""
    taken = zip(case.counts, records[0].get("counts") or [], strict=False)
    return {count["name"]: {"found": pair[0], "expected": pair[1]} for count, pair in taken if pair is not None}


def failed(reason: str) -> dict[str, Any]:
    empty = dict.fromkeys(ENGINE_FIGURES)
    nothing = {"metrics": {}, "elapsed_ns": 0, "events": 0, "histogram": None}
    return {"status": "failed", "failure": "worker", "reason": reason, **empty, **nothing}
