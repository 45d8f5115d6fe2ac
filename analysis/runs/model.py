"""A reduced run: processes, histograms, and the run.json that they belong to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fencepost.analysis.runs.rounds import NUMBERS
from fencepost.analysis.stats.interval import Floats, Integers
from fencepost.bench import schema


@dataclass(frozen=True)
class Histogram:
    """All events of a case over all processes of a run: ascending `ticks`, how often each was seen, and the tick
    rate.
    """

    ticks: Integers
    count: Integers
    tick_hz: float

    @property
    def ns(self) -> Floats:
        """The values in nanoseconds, by the median rate of the processes (rates of one machine differ by parts per
        million).
        """
        return np.asarray(self.ticks * (1e9 / self.tick_hz), np.float64)


@dataclass(frozen=True)
class Reduced:
    """What a run folder comes to: see `reduce_run`."""

    folder: Path
    run: dict[str, Any]
    machine: dict[str, Any]
    processes: pd.DataFrame
    workers: pd.DataFrame
    histograms: dict[str, Histogram] = field(default_factory=dict)
    series: dict[str, pd.DataFrame] = field(default_factory=dict)


def read_run(folder: Path) -> dict[str, Any]:
    """`schema.read_run`, which is not asked about a document that is plainly right: for a thousand runs that is
    worth it.
    """
    try:
        document = json.loads((folder / schema.RUN_FILE).read_bytes())
    except (OSError, ValueError):
        document = None
    if _run_plainly_right(document):
        assert isinstance(document, dict)
        return document
    return schema.read_run(folder)


def _run_plainly_right(document: Any) -> bool:
    try:
        plan, engine = document["plan"], document["engine"]
        texts = [document[name] for name in ("id", "created_utc", "machine_key")]
        texts += [plan["profile"], *document["command"], *document["versions"].values()]
        texts += [engine[name] for name in ("arch", "compiler", "flags", "sha256")]
        integers = [document["schema"], plan["seed"], plan["rounds"], plan["batches"], plan["batch_ns"], *plan["cpus"]]
        dicts, lists = [document, plan, engine, document["versions"]], [document["command"], plan["cpus"]]
        lists += [plan["cases"], plan["unmeasurable"]]
        if "doctor" in document:
            doctor = document["doctor"]
            texts += [doctor["profile"], *(text for text in [doctor.get("best_change")] if text is not None)]
            dicts, lists = [*dicts, doctor, *doctor["findings"]], [*lists, doctor["findings"]]
            flags = [doctor["fit"], *(found["reboot"] for found in doctor["findings"])]
            for found in doctor["findings"]:
                texts += (found[name] for name in ("knob", "effect", "severity"))
                texts += (found[name] for name in ("value", "change") if found[name] is not None)
            if any(type(flag) is not bool for flag in flags):
                return False
        for case in plan["cases"]:
            texts += (case["case"], case["kernel"], case["unit"], case.get("summary", ""))
            texts += (text for text in (case.get("relation"), case["twin_of"]) if text is not None)
            integers += case["values"]
            integers += case["cpus"]
            dicts += (case, case["parameters"], *case.get("metrics", ()))
            lists += (case["values"], case["cpus"], case.get("metrics", []))
            if type(case["once"]) is not bool or case["kind"] not in _KINDS or not case["cpus"]:
                return False
            if type(case.get("expected_ns", 0)) not in NUMBERS:
                return False
            if not all(metric.keys() >= _METRIC_KEYS for metric in case.get("metrics", ())):
                return False
        for item in plan["unmeasurable"]:
            texts += (item["case"], item["kernel"], item["unit"], item["reason"])
            integers += item["cpus"]
            dicts += (item, item["parameters"])
            lists.append(item["cpus"])
        least = min(plan["rounds"], plan["batches"], plan["batch_ns"]) if set(map(type, integers)) == {int} else 0
        return (
            document["schema"] == schema.SCHEMA_VERSION
            and document["launcher"] in _LAUNCHERS
            and least >= 1
            and bool(plan["cpus"])
            and set(map(type, texts)) == {str}
            and set(map(type, dicts)) == {dict}
            and set(map(type, lists)) == {list}
        )
    except (KeyError, TypeError, AttributeError):
        return False


_KINDS = ("loop", "events")


_LAUNCHERS = ("taskset", "sched_setaffinity")


_METRIC_KEYS = frozenset(("name", "unit", "summary"))


_MEASURED = ("ticks", "floor_ticks", "ns", "floor_ns", "resolution_ns", "flagged", "disturbed", *schema.FLAGS)


NOT_MEASURED: dict[str, float] = {"batches": 0, **dict.fromkeys(_MEASURED, float("nan"))}


_PROCESS_COLUMNS = (
    "run",
    "round",
    "case",
    "kernel",
    "status",
    "reason",
    "batches",
    *_MEASURED,
    "tick_hz",
    "core_hz",
    "chain_ratio",
    "metrics",
    "elapsed_ns",
)


def process_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows, one a case and process, as the frame that `process_medians` describes."""
    frame = pd.DataFrame(rows, columns=list(_PROCESS_COLUMNS))
    for name in ("run", "case", "kernel", "status"):
        frame[name] = frame[name].astype("category")
    return frame
