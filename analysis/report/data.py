"""A report as plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

import numpy as np

from fencepost.analysis.report.lecture import ClaimJson, Sentence, as_rows, sentences
from fencepost.analysis.report.marks import Mark, marks_of
from fencepost.analysis.report.trust import TopicTrustJson, trust_of_topics, trust_verdict
from fencepost.analysis.report.warnings import collect
from fencepost.analysis.runs.estimate import Analysis, analyse
from fencepost.analysis.runs.labels import label_of
from fencepost.analysis.runs.row import Row
from fencepost.analysis.text.escape import json_in_html
from fencepost.analysis.topics.rungs import Rung
from fencepost.analysis.topics.topic import headline_rungs
from fencepost.bench.documents import FailedJson, MachineJson, MissingJson
from fencepost.bench.schema import SCHEMA_VERSION

# ---- JSON ----


class TwinJson(TypedDict):
    """An A/A row: the same code under two names; `effect_pct` has the fields of an `Interval`, in per cent."""

    case: str
    twin_of: str
    effect_pct: dict[str, float | None]


class WarningJson(TypedDict):
    """A warning: what was seen, why, what to do, and the cases that it is about."""

    kind: str
    seen: str
    cause: str
    next_step: str
    cases: list[str]


class MetricJson(TypedDict):
    """A metric of a row: `fencepost.analysis.runs.row.Metric`; the keys in ns are there for a metric in ticks."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    summary: str
    ns: NotRequired[float | None]
    ns_low: NotRequired[float | None]
    ns_high: NotRequired[float | None]


class CountedJson(TypedDict):
    """A count of a row: `fencepost.analysis.runs.row.Counted`."""

    found: int
    expected: int
    equal: bool
    processes: int
    varies: bool
    unit: str
    summary: str


class RegimeJson(TypedDict):
    """A row of several CPUs at one distance: `fencepost.analysis.runs.row.Regime`."""

    name: str
    distance_ns: float
    share: float
    ns: float | None
    ns_low: float | None
    ns_high: float | None
    n: int


class ModeJson(TypedDict):
    """A group of processes: `fencepost.analysis.stats.modes.Mode`."""

    ns: float
    processes: int
    share: float


class SeveralJson(TypedDict):
    """Of a time that is not one: its regimes and its modes, mostly empty."""

    regimes: list[RegimeJson]
    modes: list[ModeJson]


class RowJson(SeveralJson):
    """A case with what was measured of it: `fencepost.analysis.runs.row.Row`, figures None where they are not known.

    `trust` and `trust_why`: its mark, see `fencepost.analysis.report.marks`; None where it has no time.
    """

    case: str
    kernel: str
    parameters: dict[str, str | int]
    cpus: list[int]
    relation: str | None
    unit: str
    kind: str
    once: bool
    twin_of: str | None
    reason: str | None
    ns: float | None
    ns_low: float | None
    ns_high: float | None
    coverage: float | None
    cycles: float | None
    cycles_low: float | None
    cycles_high: float | None
    floor_ns: float | None
    basis: str | None
    found_ns: float | None
    found_ns_low: float | None
    found_ns_high: float | None
    free_pct: float | None
    neighbour_pct: float | None
    clock_pct: float | None
    core_hz: float | None
    rounds: int
    batches: int
    disturbed_pct: float | None
    trust: str | None
    trust_why: str | None
    flags: list[str]
    metrics: dict[str, MetricJson]
    quantiles: dict[str, float] | None
    paired: NotRequired[bool]
    counts: NotRequired[dict[str, CountedJson]]


class TrustJson(TypedDict):
    """`fencepost.analysis.report.trust`: one verdict on the run, and one a topic."""

    word: str
    sentence: str
    topics: list[TopicTrustJson]


class HeadlineJson(SeveralJson):
    """A headline: its label, the row or rows that it is measured as, and the figure as in a row.

    With several `regimes` or `modes` no process showed one figure for all of it. Then ``ns`` is that of the regime
    which held longest.
    """

    headline: str
    measured_as: str
    ns: float | None
    ns_low: float | None
    ns_high: float | None
    basis: str | None


class ReportJson(TypedDict):
    """All that ``fencepost report --json`` prints, see `as_json`."""

    schema: int
    run: str
    label: str | None
    machine: MachineJson
    rounds: int
    planned_rounds: int
    noise_floor_pct: float | None
    trust: TrustJson
    headlines: list[HeadlineJson]
    twins: list[TwinJson]
    rows: list[RowJson]
    warnings: list[WarningJson]
    claims: list[ClaimJson]


class CaseCountJson(CountedJson):
    """A count, with its name and its case."""

    case: str
    count: str


class MeasuredJson(TypedDict):
    """All that ``fencepost run --json`` prints. `label`, `trust`, `headlines` and `rows` are those of the report."""

    run: str
    folder: str
    label: str | None
    rounds: int
    cases: int
    noise_floor_pct: float | None
    trust: TrustJson
    headlines: list[HeadlineJson]
    rows: list[RowJson]
    counts: list[CaseCountJson]
    failed: list[FailedJson]
    unmeasurable: list[MissingJson]


_LEFT_OUT = ("summary", "paired", "resolution_ns", "counts")
"""Columns of a row that the JSON does not have, or has only where they say something."""


def as_json(folder: Path | str) -> ReportJson:
    """A run's estimates as plain data.

    Returns
    -------
    ReportJson
        ``schema``, ``run``, ``label`` (null without one), ``machine`` (machine.json), ``rounds``, ``planned_rounds``,
        ``noise_floor_pct``, ``trust`` (of the run, and by topic), ``headlines`` (cheapest first), ``twins`` (A/A rows),
        ``rows`` (one a case; ``reason`` says why where figures are null), ``warnings``, ``claims``. NaN and infinities
        are None throughout.

    Raises
    ------
    RunFolderError
        where the folder is damaged.
    """
    analysis = analyse(folder)
    return json_of(analysis, measured_sentences(analysis))


def measured_sentences(analysis: Analysis) -> list[Sentence]:
    return sentences(analysis) if analysis.rounds else []


def json_of(analysis: Analysis, said: Sequence[Sentence]) -> ReportJson:
    verdict, marks = trust_verdict(analysis), marks_of(analysis, analysis.measured())
    document: ReportJson = {
        "schema": SCHEMA_VERSION,
        "run": analysis.run["id"],
        "label": label_of(analysis.run) or None,
        "machine": analysis.machine,
        "rounds": analysis.rounds,
        "planned_rounds": analysis.planned_rounds,
        "noise_floor_pct": analysis.noise_floor_pct,
        "trust": {
            "word": verdict.word,
            "sentence": verdict.sentence,
            "topics": [topic.as_json() for topic in trust_of_topics(analysis)],
        },
        "headlines": [_json_headline(rung) for rung in headline_rungs(analysis)],
        "twins": [
            {"case": twin.case, "twin_of": twin.original, "effect_pct": twin.effect_pct._asdict()}
            for twin in analysis.twins
        ],
        "rows": [_json_row(row, marks.get(row.case)) for row in analysis.rows],
        "warnings": [
            {
                "kind": str(item.kind),
                "seen": item.seen,
                "cause": item.cause,
                "next_step": item.next_step,
                "cases": list(item.cases),
            }
            for item in collect(analysis)
        ],
        "claims": as_rows(said),
    }
    return cast(ReportJson, _plain_data(document))


def _json_headline(rung: Rung) -> HeadlineJson:
    return {
        "headline": rung.label,
        "measured_as": rung.measured_as,
        "ns": rung.ns.value,
        "ns_low": rung.ns.low,
        "ns_high": rung.ns.high,
        "basis": rung.basis,
        **_several(rung),
    }


def _several(shown: Rung | Row) -> SeveralJson:
    return {
        "regimes": [cast(RegimeJson, regime.as_dict()) for regime in shown.regimes],
        "modes": [cast(ModeJson, mode._asdict()) for mode in shown.modes],
    }


def _json_row(row: Row, mark: Mark | None) -> RowJson:
    found = {name: value for name, value in row.as_dict().items() if name not in _LEFT_OUT}
    found["trust"], found["trust_why"] = (mark.word, mark.why or None) if mark else (None, None)
    found |= _several(row)
    found["metrics"] = {name: metric.as_dict() for name, metric in row.metrics.items()}
    # These two only where they say something: published documents stay as they are.
    if row.paired:
        found["paired"] = True
    if row.counts:
        found["counts"] = {name: count._asdict() for name, count in row.counts.items()}
    return cast(RowJson, found)


EMBEDDED_DIGITS = 10
"""Of numbers within the page: enough that rounding them again gives what the tables show, and less than all 17."""


def embedded_json(document: ReportJson) -> str:
    """A document as JSON that may stand inside of a script element."""
    hoisted = _said_once(_shortened(document))
    return json_in_html(json.dumps(hoisted, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def _said_once(document: ReportJson) -> dict[str, object]:
    """What a metric is and its unit stand once a kernel instead of in each row: a third of the page would say the same
    again.
    """
    summaries: dict[str, dict[str, str]] = {}
    units: dict[str, dict[str, str]] = {}
    rows: list[dict[str, object]] = []
    for row in document["rows"]:
        metrics = {}
        for name, metric in row["metrics"].items():
            summaries.setdefault(row["kernel"], {})[name] = metric["summary"]
            units.setdefault(row["kernel"], {})[name] = metric["unit"]
            metrics[name] = {key: value for key, value in metric.items() if key not in ("summary", "unit")}
        rows.append({**row, "metrics": metrics})
    # The page says these two in words.
    kept = {name: value for name, value in document.items() if name not in ("label", "headlines")}
    return {**kept, "metric_summaries": summaries, "metric_units": units, "rows": rows}


def _shortened(value: Any) -> Any:
    if isinstance(value, float):
        short = float(f"{value:.{EMBEDDED_DIGITS}g}")
        return int(short) if short.is_integer() else short  # 0 for 0.0: the same number
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value


def _plain_data(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain_data(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_data(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
