"""Files of Google Benchmark."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import (
    KEY,
    NANOSECONDS,
    AboutJson,
    Benchmark,
    Parsed,
    Place,
    about_row,
    json_text,
    kept_rows,
    measured,
    parsed,
    read_about,
)
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import one_line

NOT_ABOVE_ZERO = "it has no value, or one that is not above zero: compare.py of Google Benchmark takes logarithms"


def google(analysis: Analysis) -> Exported:
    rows, own = measured(analysis)
    rows, left_out = kept_rows(rows, lambda item: bool(item.samples) and min(item.samples) > 0, NOT_ABOVE_ZERO)
    machine = analysis.machine
    benchmarks = []
    for family, item in enumerate(rows):
        about = about_row(item.row, own)
        values = [(number, value) for number, process in enumerate(item.processes) for value in process]
        for index, (number, value) in enumerate(values):
            benchmarks.append(
                {
                    "name": item.row.case,
                    "family_index": family,
                    "per_family_instance_index": 0,
                    "run_name": item.row.case,
                    "run_type": "iteration",
                    "repetitions": len(values),
                    "repetition_index": index,
                    "threads": max(1, len(item.row.cpus)),
                    "iterations": 1,
                    "real_time": value,
                    # A pinned thread that only computes spends what passes; the format cannot leave it open.
                    "cpu_time": value,
                    "time_unit": "ns",
                    KEY: {**about, "process": number} if index == 0 else {"process": number},
                }
            )
    context = {
        "date": analysis.run["created_utc"],
        "host_name": "",
        "executable": "fencepost",
        "num_cpus": max(1, len(machine.get("cpus_present") or ())),
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": False,
        "caches": [],
        "load_avg": [],
        "library_build_type": "release",
        "cpu_time": "not measured: equals real_time",
        "cpu_model": machine["cpu_model"],
    }
    return Exported(json_text({"context": context, "benchmarks": benchmarks}), left_out)


def read_google(at: Place, document: Mapping[str, object]) -> Parsed:
    context = at["context"].mapping(document["context"])
    iterations: dict[str, dict[int, list[float]]] = {}
    about: dict[str, AboutJson] = {}
    aggregates: dict[str, float] = {}
    failed: dict[str, str] = {}
    for i, item in enumerate(at["benchmarks"].sequence(document["benchmarks"])):
        here = at["benchmarks"][i]
        entry = here.mapping(item)
        kind = entry.get("run_type", "iteration")
        if kind == "aggregate" and entry.get("aggregate_name") != "median":
            continue
        name = here["run_name"].name(entry.get("run_name", entry.get("name")))
        if entry.get("error_occurred"):
            failed[name] = one_line(str(entry.get("error_message", "no reason is given")))
            continue
        unit = entry.get("time_unit")
        if not isinstance(unit, str) or unit not in NANOSECONDS:
            raise here["time_unit"].wrong(
                f"{one_line(json.dumps(unit, default=str), 40)} is not a unit of time (ns, us, ms or s)"
            )
        value = here["real_time"].number(entry.get("real_time")) * NANOSECONDS[unit]
        if kind == "aggregate":
            aggregates[name] = value
            continue
        known = read_about(here[KEY], entry.get(KEY))
        about.setdefault(name, known)
        iterations.setdefault(name, {}).setdefault(known.get("process", 0), []).append(value)
    found = [
        Benchmark(name, [by_process[number] for number in sorted(by_process)], about[name])
        for name, by_process in iterations.items()
    ]
    found += [Benchmark(name, [[value]]) for name, value in aggregates.items() if name not in iterations]
    found += [Benchmark(name, [], failed=why) for name, why in failed.items() if name not in iterations]
    if not found:
        raise at["benchmarks"].wrong("none of them is a measurement or a median")
    version = context.get("library_version") or context.get("json_schema_version")
    return parsed(at, "google-benchmark", version, context.get("cpu_model"), found)
