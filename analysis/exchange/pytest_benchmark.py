"""Files of pytest-benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fencepost.analysis.exchange.exported import ExchangeError, Exported
from fencepost.analysis.exchange.formats import (
    KEY,
    Benchmark,
    Parsed,
    Place,
    Reading,
    about_row,
    interval,
    json_text,
    measured,
    read_about,
)
from fencepost.analysis.runs.estimate import Analysis

_STATISTICS = (
    *("min", "max", "mean", "stddev", "rounds", "median", "iqr", "q1", "q3", "iqr_outliers", "stddev_outliers"),
    *("outliers", "ld15iqr", "hd15iqr", "ops", "total"),
)


def pytest_benchmark(analysis: Analysis) -> Exported:
    from pytest_benchmark.stats import Stats

    rows, own = measured(analysis)
    if not rows:
        raise ExchangeError("nothing left to export: no row of this run was measured")
    benchmarks = []
    for item in rows:
        stats: Any = Stats()  # type: ignore[no-untyped-call]
        for value in item.samples:
            stats.update(value / 1e9)
        row = item.row
        benchmarks.append(
            {
                "group": row.kernel,
                "name": row.case,
                "fullname": row.case,
                "params": row.parameters or None,
                "param": None,
                "extra_info": {KEY: about_row(row, own), "ns": row.time.value, **interval(row)},
                "options": {
                    "disable_gc": True,
                    "timer": "fencepost",
                    "min_rounds": 1,
                    "max_time": 0,
                    "min_time": 0,
                    "warmup": False,
                },
                "stats": {**{name: getattr(stats, name) for name in _STATISTICS}, "data": stats.data, "iterations": 1},
            }
        )
    machine = analysis.machine
    document = {
        # Without the name of the host, which pytest-benchmark itself would write here.
        "machine_info": {
            "node": "",
            "processor": "",
            "machine": machine["arch"],
            "system": "Linux",
            "release": machine["kernel"],
            "python_version": analysis.run["versions"].get("python", ""),
            "cpu": {"brand_raw": machine["cpu_model"], "arch": machine["arch"]},
            "fencepost_key": machine["key"],
        },
        "commit_info": {"id": "unknown", "time": None, "dirty": False, "project": "fencepost", "branch": "(unknown)"},
        "benchmarks": benchmarks,
        "datetime": analysis.run["created_utc"].replace("Z", "+00:00"),
        "version": "5.0.0",
    }
    return Exported(json_text(document), [])


def read_pytest(at: Place, document: Mapping[str, object]) -> Parsed:
    reading = Reading(at["benchmarks"])
    for i, item in enumerate(at["benchmarks"].sequence(document["benchmarks"])):
        with reading.row():
            here = at["benchmarks"][i]
            reading.found.append(_benchmark(here, here.mapping(item)))
    machine = _inside(document, "machine_info")
    commit = _inside(document, "commit_info").get("id")
    brand = _inside(machine, "cpu").get("brand_raw")
    reading.fact(
        CPU=brand,
        Python=machine.get("python_version"),
        interpreter=machine.get("python_implementation"),
        pytest_benchmark=document.get("version"),
        commit=None if commit == "unknown" else commit,
    )
    return reading.parsed("pytest-benchmark", document.get("version"), brand)


def _inside(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An object of the document; empty where there is none."""
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _benchmark(here: Place, entry: Mapping[str, object]) -> Benchmark:
    stats = here["stats"].mapping(entry.get("stats"))
    name = here["fullname"].name(entry.get("fullname", entry.get("name")))
    extra = entry.get("extra_info")
    about = read_about(here["extra_info"], extra.get(KEY) if isinstance(extra, dict) else None)
    if not about and isinstance(extra, dict) and extra.keys() >= {"case", "kernel", "engine_sha256"}:
        # Stored by our own plugin: a row of the suite, whose samples are the medians of its processes.
        own_row = {name: extra[name] for name in ("kernel", "unit") if name in extra}
        about = read_about(here["extra_info"], own_row | {"value_per": "process"})
        name = here["extra_info"]["case"].name(extra["case"])
    if stats.get("data"):
        place = here["stats"]["data"]
        values = [place[k].number(value) * 1e9 for k, value in enumerate(place.sequence(stats["data"]))]
        own = about.get("value_per") == "process"
        return Benchmark(name, [[value] for value in values] if own else [values], about)
    # Saved without --benchmark-save-data.
    median = here["stats"]["median"].number(stats.get("median")) * 1e9
    floor = here["stats"]["min"].number(stats.get("min")) * 1e9
    rounds = here["stats"]["rounds"].count(stats.get("rounds"))
    return Benchmark(name, [[median]], about, floor, rounds)
