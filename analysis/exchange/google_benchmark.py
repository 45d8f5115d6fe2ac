"""Files of Google Benchmark."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fencepost.analysis.exchange.exported import Exported
from fencepost.analysis.exchange.formats import (
    KEY,
    NANOSECONDS,
    AboutJson,
    Benchmark,
    Parsed,
    Place,
    Reading,
    about_row,
    json_text,
    kept_rows,
    measured,
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


_FITS = {"aggregate_name", "big_o", "cpu_coefficient", "real_coefficient", "rms"}
"""Fields that no measurement has: those of an aggregate, and of a fitted curve in any version."""


class _Family(NamedTuple):
    """What one benchmark is told apart by. Old versions number no families: there `block` counts the
    blocks of rows of one name, as two families of one name do not follow one another.
    """

    name: str
    family: object
    instance: object
    block: int


@dataclass
class _Repeated:
    """The rows of one benchmark."""

    about: AboutJson
    processes: dict[int, list[float]] = field(default_factory=dict)
    median: float | None = None
    failed: list[str] = field(default_factory=list)

    def benchmark(self, name: str) -> Benchmark:
        """The repetitions; where there are none, their median."""
        processes = [self.processes[number] for number in sorted(self.processes)]
        if not processes and self.median is not None:
            processes = [[self.median]]
        return Benchmark(name, processes, self.about, failed=tuple(self.failed))


def read_google(at: Place, document: Mapping[str, object]) -> Parsed:
    context = at["context"].mapping(document["context"])
    reading = Reading(at["benchmarks"])
    items = at["benchmarks"].sequence(document["benchmarks"])
    stems = _stems(items)
    groups: dict[_Family, _Repeated] = {}
    block, last = 0, ("", False)
    for i, item in enumerate(items):
        with reading.row():
            here = at["benchmarks"][i]
            entry = here.mapping(item)
            name = here["run_name"].name(entry.get("run_name", entry.get("name")))
            statistic = _statistic(entry, stems)
            if statistic is not None and "run_name" not in entry:
                name = name.removesuffix(f"_{statistic}")
            block += name != last[0] or (last[1] and statistic is None)
            last = name, statistic is not None
            if statistic not in (None, "median"):
                continue
            family = str(entry.get("family_index", "")), str(entry.get("per_family_instance_index", ""))
            key = _Family(name, *family, block if family == ("", "") else 0)
            _take(groups, key, here, entry, aggregate=statistic is not None)
    reading.found += [group.benchmark(key.name) for key, group in groups.items()]
    reading.left_out += [
        f"{at.file}: {one_line(item.name, 80)}: {item.failures}" for item in reading.found if item.failed
    ]
    if not reading.found and reading.first_fault is None:
        raise at["benchmarks"].wrong("none of them is a measurement or a median")
    version = context.get("library_version") or context.get("json_schema_version")
    reading.fact(
        CPU=context.get("cpu_model"),
        CPUs=context.get("num_cpus"),
        Google_Benchmark=version,
        build=context.get("library_build_type"),
    )
    return reading.parsed("google-benchmark", version, context.get("cpu_model"))


def _take(
    groups: dict[_Family, _Repeated], key: _Family, here: Place, entry: Mapping[str, object], *, aggregate: bool
) -> None:
    """Put the row `entry` into its group."""
    why = None if aggregate else _why_none(entry)
    if why is not None:
        groups.setdefault(key, _Repeated({})).failed.append(why)
        return
    unit = entry.get("time_unit")
    if not isinstance(unit, str) or unit not in NANOSECONDS:
        raise here["time_unit"].wrong(
            f"{one_line(json.dumps(unit, default=str), 40)} is not a unit of time (ns, us, ms or s)"
        )
    value = here["real_time"].number(entry.get("real_time")) * NANOSECONDS[unit]
    if not value > 0:
        raise here["real_time"].wrong(f"{value:g} {unit} is not a duration")
    known = read_about(here[KEY], entry.get(KEY))
    group = groups.setdefault(key, _Repeated(known))
    if aggregate:
        group.median = value
    else:
        group.about = group.about or known
        group.processes.setdefault(known.get("process", 0), []).append(value)


def _why_none(entry: Mapping[str, object]) -> str | None:
    """Why a row is no measurement: it failed, it was skipped, or nothing was repeated in it."""
    for mark, message in (("error_occurred", "error_message"), ("skipped", "skip_message")):
        if entry.get(mark):
            return one_line(str(entry.get(message) or "no reason is given"))
    if entry.get("iterations", 1) == 0:
        return "no iteration was done"
    return None


def _statistic(entry: Mapping[str, object], stems: Mapping[str, object]) -> str | None:
    """What an aggregate is: its name, or its suffix in a version that does not say so; None for a measurement."""
    name = entry.get("aggregate_name")
    if isinstance(name, str):
        return name
    full = str(entry.get("name", ""))
    if entry.get("run_type", "iteration") != "iteration" or _FITS & entry.keys():
        return full.rpartition("_")[2]
    if "run_type" in entry or full in stems:
        return None
    for place in (place for place, character in enumerate(full) if character == "_"):
        if full[:place] in stems and stems[full[:place]] in (None, entry.get("iterations")):
            return full[place + 1 :]
    return None


def _stems(items: Sequence[object]) -> dict[str, object]:
    """What has aggregates in a file of a version that does not mark them.

    These are names that stand there several times (None), and what has a mean and a deviation in a row (the iterations
    of these). What begins with such a name, and is not repeated itself, is an aggregate.
    """
    entries = [item for item in items if isinstance(item, dict) and "run_type" not in item]
    names = [str(entry.get("name")) for entry in entries]
    found: dict[str, object] = {}
    for place, name in enumerate(names):
        stem = name.removesuffix("_mean")
        behind = names[place + 1 : place + 3]
        if stem != name and f"{stem}_stddev" in behind:
            other = entries[place + 1 + behind.index(f"{stem}_stddev")]
            if entries[place].get("iterations") == other.get("iterations"):
                found[stem] = other.get("iterations")
    return found | {name: None for name, count in Counter(names).items() if count > 1}
