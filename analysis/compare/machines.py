"""Runs of different machines side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fencepost.analysis.compare.comparison import (
    ComparisonError,
    MachineComparison,
    MachineRow,
    Span,
    left_out_notes,
    span_of,
    why_found_notes,
)
from fencepost.analysis.compare.imported import facts_of, unnamed
from fencepost.analysis.compare.runs import decision_on, different_code, units_of_run
from fencepost.analysis.compare.series import ProcessTimes, alike, series_of_run
from fencepost.analysis.compare.told import headlines_of, machine_sentences
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.labels import Kinship, identity_of, relation_of, relation_text
from fencepost.analysis.runs.named import machine_name, short_names
from fencepost.analysis.runs.pruning import notes_on_pruned
from fencepost.analysis.stats.verdict import ROW_ERROR
from fencepost.analysis.text.numbers import size
from fencepost.bench.caches import caches

_NOT_COMPARED = ("schema", "key", "topology", "tick", "perf_events", "capabilities", "cpu_flags", "cgroup", "clusters")


_FIRST_FACTS = (
    "cpu_model",
    "arch",
    "kernel",
    "microcode",
    "hypervisor",
    "governor",
    "turbo",
    "smt",
    "thp",
    "aslr",
    "clocksource",
    "mitigations",
)


def compare_machines(runs: Sequence[Analysis]) -> MachineComparison:
    """Ratios of several machines' runs to the first one's, with 98 % intervals and no verdicts: a ratio of machines is
    neither good nor bad. Raises `ComparisonError` when they have no kernel with the same parameters in common.
    """
    places = [{_place_free(run, case): case for case in series_of_run(run)} for run in runs]
    common = [name for name in places[0] if all(name in other for other in places[1:])]
    if not common:
        raise ComparisonError("the runs have no case in common; there is nothing to compare")
    units = units_of_run(runs[0])
    rows, why, zero = [], [], []
    for name in common:
        cases = [other[name] for other in places]
        base, *others = alike(list(zip(runs, cases, strict=True)))
        if base is None or any(other is None for other in others):
            continue
        if not all((one.ns > 0).all() for one in (base, *others) if one):
            zero.append(name)
            continue
        ratios = tuple(decision_on(base, other, ROW_ERROR) for other in others if other)
        times = tuple(_time(series) for series in (base, *others) if series)
        rows.append(MachineRow(name, units[cases[0]], float(np.median(base.ns)), ratios, times))
        bases = {run.by_case[case].basis for run, case in zip(runs, cases, strict=True)}
        why.append("alone in some of the runs only" if len(bases) > 1 else "")
    machines = [identity_of(run.run) for run in runs]
    notes = [f"{run.run['id']}: {different_code(runs[0], run)}" for run in runs[1:] if different_code(runs[0], run)]
    notes += notes_on_pruned(*runs)
    notes += (
        ([] if relation_of(machines) is Kinship.ONE else [f"The runs are of {relation_text(machines)}."])
        + unnamed(runs)
        + why_found_notes(why)
        + left_out_notes(dict.fromkeys(zero, "the time is zero on one of the machines"))
    )
    labels, scales = headlines_of(runs, {places[0][row.case]: row.case for row in rows})
    names = tuple(short_names(runs))
    return MachineComparison(
        tuple(str(run.run["id"]) for run in runs),
        tuple(str(run.run["machine_key"]) for run in runs),
        names,
        tuple(machine_name(run) for run in runs),
        tuple(rows),
        _differences(runs),
        tuple(notes),
        labels,
        tuple(sentence for other, name in enumerate(names[1:]) for sentence in _sentences(name, rows, labels, other)),
        scales,
        relation_of(machines),
    )


def _time(series: ProcessTimes) -> Span:
    """The median of a series. Each bound may be wrong with half of a row's error, as in `ratio_bounds`."""
    low, high = (math.exp(bound) for bound in series.bounds(ROW_ERROR / 2))
    return Span(math.exp(series.middle), low, high)


def _sentences(name: str, rows: Sequence[MachineRow], labels: Mapping[str, str], other: int) -> list[str]:
    ratios = {row.case: span_of(row.ratios[other]) for row in rows}
    return machine_sentences(name, [ratio for case, ratio in ratios.items() if case in labels], ratios)


def _place_free(run: Analysis, case: str) -> str:
    """A case's id without its CPUs where it has one placement only: CPU numbers of two machines have nothing in
    common.
    """
    bare = case.partition("@")[0]
    relation = run.by_case[case].relation
    if sum(row.case.startswith(f"{bare}@") and row.twin_of is None for row in run.rows) == 1:
        return f"{bare} ({relation})" if relation else bare
    return case


def _differences(runs: Sequence[Analysis]) -> dict[str, tuple[str, ...]]:
    """Facts of machine.json, one text a run, where they are not the same."""
    names = dict.fromkeys(name for run in runs for name in (*_FIRST_FACTS, *run.machine) if name in run.machine)
    found = {}
    for name in names:
        if name in _NOT_COMPARED:
            continue
        texts = tuple(_text_of(name, run.machine) for run in runs)
        if len(set(texts)) > 1:
            found[name] = texts
    told = [facts_of(run) for run in runs]
    for name in dict.fromkeys(name for facts in told for name in facts if name != "CPU"):
        texts = tuple(facts.get(name, "not known") for facts in told)
        if len(set(texts)) > 1:
            found[name] = texts
    return found


def _text_of(name: str, machine: Mapping[str, object]) -> str:
    """A fact of a machine. Sizes are rounded: two machines of one make differ by some pages."""
    value = machine.get(name)
    if name == "caches":
        return ", ".join(f"{cache} {size(bytes_)}" for cache, bytes_ in caches(machine)) or "not known"
    if name.endswith("_bytes") and isinstance(value, int):
        return size(value)
    return _fact(value)


def _fact(value: object) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_fact(item)}" for name, item in value.items())[:200]
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_fact, value))[:200]
    return str(value)[:200]
