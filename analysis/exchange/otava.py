"""CSV as Apache Otava takes it: one line a run in the order of time, one column a case.

Source: https://otava.apache.org/docs/csv: a column of times, columns of attributes, and columns of numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fencepost.analysis.exchange.exported import ExchangeError, Exported
from fencepost.analysis.exchange.formats import basis_lost, measured
from fencepost.analysis.exchange.table import digits
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.text.escape import cell

ATTRIBUTES = ("time", "run", "machine", "engine")


def otava(analysis: Analysis) -> Exported:
    """One run as a file of one line."""
    from fencepost.analysis.runs.labels import bare_id

    rows, _ = measured(analysis)
    run = analysis.run
    told = (run["created_utc"], bare_id(run), str(run["machine_key"]), run["engine"]["sha256"][:12])
    return Exported(
        _text([(told, {item.row.case: item.row.time.value for item in rows})]), basis_lost(item.row for item in rows)
    )


def otava_of_runs(base: Path) -> Exported:
    """All runs of a folder; of several machines, those of the machine of the newest run.

    Raises
    ------
    ExchangeError
        where it holds no run that can be read.
    """
    from fencepost.analysis.compare.collected import Collected
    from fencepost.analysis.runs.labels import identities
    from fencepost.bench.labels import LABELS_AFTER, run_folders

    with Collected(base, run_folders(base), None) as collected:
        left_out = [run.note for run in collected.runs if run.note]
        runs = sorted((run for run in collected.runs if run.complete_rounds), key=lambda run: (run.created, run.id))
        if not runs:
            raise ExchangeError(f"{base}: no run with a complete round, so there is nothing to export")
        machines = identities(run.machine for run in runs)
        own = [run for run, machine in zip(runs, machines, strict=True) if machine == machines[-1]]
        others = len(set(machines)) - 1
        if others:
            left_out.append(f"runs of {others} other machines: a series is of one machine, here of {machines[-1].key}")
        names = {no: name for no, name, *_ in collected.cases()}
        points = collected.points([run.no for run in own], list(names))
    figures: list[dict[str, float]] = [{} for _ in own]
    for row, place, ns in zip(points["row"].tolist(), points["place"].tolist(), points["ns"].tolist(), strict=True):
        figures[place][names[row]] = ns
    told = [
        (run.created, run.id.partition(LABELS_AFTER)[0], run.machine.key, run.made_with["engine"][:12]) for run in own
    ]
    return Exported(_text(zip(told, figures, strict=True)), left_out)


def _text(lines: Iterable[tuple[Sequence[str], Mapping[str, float]]]) -> str:
    every = list(lines)
    cases = list(dict.fromkeys(case for _, figures in every for case in figures))
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([*ATTRIBUTES, *map(cell, cases)])
    for told, figures in every:
        writer.writerow([*map(cell, told), *(digits(figures[case]) if case in figures else "" for case in cases)])
    return sink.getvalue()
