"""Bencher Metric Format."""

from __future__ import annotations

from collections.abc import Mapping

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import (
    Benchmark,
    Parsed,
    Place,
    Reading,
    basis_lost,
    json_text,
    kept_rows,
    measured,
)
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import one_line


def bmf(analysis: Analysis) -> Exported:
    rows, _ = measured(analysis)
    rows, left_out = kept_rows(
        rows, lambda item: len(item.row.case) <= 1024, "its name is longer than Bencher's 1024 characters"
    )
    document: dict[str, object] = {}
    for item in rows:
        row = item.row
        latency = {"value": row.time.value}
        if row.time.bounded:
            latency |= {"lower_value": row.time.low, "upper_value": row.time.high}
        document[row.case] = {"latency": latency}
    return Exported(json_text(document), left_out + basis_lost(item.row for item in rows))


def is_bmf(document: object) -> bool:
    """Whether every benchmark of a document has measures with a value, as this format says."""
    return (
        isinstance(document, dict)
        and bool(document)
        and all(
            isinstance(measures, dict)
            and bool(measures)
            and all(isinstance(metric, dict) and "value" in metric for metric in measures.values())
            for measures in document.values()
        )
    )


def read_bmf(at: Place, document: Mapping[str, object]) -> Parsed:
    """The latency of each benchmark, which Bencher keeps in ns. Bounds say nothing of processes, and are left out."""
    reading = Reading(at)
    for name, item in document.items():
        with reading.row():
            here = at[one_line(name, 80)]
            measures = here.mapping(item)
            if "latency" not in measures:
                raise here.wrong(f"{one_line(', '.join(measures), 60)} is not a time, and latency is missing")
            # Our own files have rows that are an operation less its control.
            metric = here["latency"].mapping(measures["latency"])
            value = here["latency"]["value"].number(metric["value"], difference=True)
            reading.found.append(Benchmark(here.name(name), [[value]]))
    return reading.parsed("bmf", None, None)
