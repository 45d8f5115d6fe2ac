"""Files of pyperf."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import (
    KEY,
    MOST_NAME,
    Benchmark,
    Parsed,
    Place,
    Reading,
    about_row,
    distinct,
    json_text,
    kept_rows,
    measured,
    read_about,
)
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import one_line


def pyperf(analysis: Analysis) -> Exported:
    rows, own = measured(analysis)
    rows, left_out = kept_rows(
        rows, lambda item: min(item.samples) > 0, "pyperf stores only times above zero, and a process read less"
    )
    benchmarks = []
    names = distinct(one_line(item.row.case, MOST_NAME) for item in rows)
    for name, item in zip(names, rows, strict=True):
        metadata = {"name": name, "unit": "second", KEY: json.dumps(about_row(item.row, own))}
        runs = [{"values": [value / 1e9 for value in process]} for process in item.processes]
        benchmarks.append({"metadata": metadata, "runs": runs})
    common = {"cpu_model_name": one_line(analysis.machine["cpu_model"]) or "unknown", "unit": "second"}
    return Exported(json_text({"version": "1.0", "metadata": common, "benchmarks": benchmarks}), left_out)


def read_pyperf(at: Place, document: Mapping[str, object]) -> Parsed:
    common = at["metadata"].mapping(document.get("metadata", {}))
    reading = Reading(at["benchmarks"])
    for i, item in enumerate(at["benchmarks"].sequence(document["benchmarks"])):
        with reading.row():
            here = at["benchmarks"][i]
            entry = here.mapping(item)
            # pyperf moves metadata that all have to the outside.
            metadata = {**common, **here["metadata"].mapping(entry.get("metadata", {}))}
            reading.found.append(_benchmark(reading, here, entry, metadata))
    return reading.parsed("pyperf", common.get("perf_version"), common.get("cpu_model_name"))


def _benchmark(reading: Reading, here: Place, entry: Mapping[str, object], metadata: Mapping[str, object]) -> Benchmark:
    unit = metadata.get("unit", "second")
    if unit != "second":
        raise here["metadata"]["unit"].wrong(f"{one_line(str(unit), 40)!r} is not a unit of time (second)")
    name = here["metadata"]["name"].name(metadata.get("name"))
    processes = []
    facts = []
    for k, run in enumerate(here["runs"].sequence(entry.get("runs"))):
        place = here["runs"][k]
        one = place.mapping(run)
        values = one.get("values")
        if values is None:  # a run that only calibrated
            continue
        inside = place["values"]
        numbers = [inside[n].number(value) * 1e9 for n, value in enumerate(inside.sequence(values))]
        if numbers:
            processes.append(numbers)
            facts.append({**metadata, **place["metadata"].mapping(one.get("metadata", {}))})
    if not processes:
        raise here["runs"].wrong("none of them has values; pyperf stopped before it measured")
    about = metadata.get(KEY)
    known: object = None
    if isinstance(about, str):
        try:
            known = json.loads(about)
        except (ValueError, RecursionError) as error:
            raise here["metadata"][KEY].wrong("not valid JSON; the file was edited by hand") from error
    for fact in facts:
        reading.fact(
            CPU=fact.get("cpu_model_name"),
            Python=fact.get("python_version"),
            interpreter=fact.get("python_implementation"),
            pyperf=fact.get("perf_version"),
        )
    return Benchmark(name, processes, read_about(here["metadata"][KEY], known))
