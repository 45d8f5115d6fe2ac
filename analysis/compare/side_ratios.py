"""From a run whose plan has sides to one log ratio a round and row."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fencepost.analysis.runs.rounds import Round, iter_rounds
from fencepost.analysis.runs.visits import rows_by_code, visits_in
from fencepost.analysis.runs.witnesses import (
    FEWEST_BY_FRONT_END,
    FEWEST_QUIET,
    indifferent,
    seen_in,
    why_never_alone,
    width_floor_of,
)
from fencepost.analysis.stats.resolution import log_step, step_of_events
from fencepost.bench import schema
from fencepost.bench.documents import CaseJson, RunJson
from fencepost.bench.schema import RunFolderError

Floats = npt.NDArray[np.float64]

QUANTILE = 0.25
"""Of the batches of a visit. Gaps, neighbours and interrupts make batches longer, never shorter, so the lower quartile
is the cost undisturbed as long as a quarter of the batches is; unlike the minimum it does not hang on one reading."""


_COLUMNS = ("case", "batch", "ticks", "operations", "overhead_ticks", "involuntary", "flags", *schema.WITNESS_COLUMNS)


FEWEST_ALONE = 12
"""Rounds with quiet batches of both sides, where these took no turns. If they agree, so many decide a report of two
hundred rows."""


_DISTURBED = schema.FLAGS["migrated"] | schema.FLAGS["switched"] | schema.FLAGS["faulted"] | schema.FLAGS["low_overlap"]


@dataclass
class RowRounds:
    """One row of a comparison. `old_ns` and `new_ns`: per round the cost of each side per operation, NaN where it was
    not measured; `old_step_ns`, `new_step_ns`: how far each of these may be off by the steps of the tick counter;
    `twin`: both sides are the same code. `alone`: the costs come from quiet batches; otherwise they are as found.
    """

    name: str
    unit: str
    kernel: str
    twin: bool
    old: str
    new: str
    old_ns: list[float] = field(default_factory=list)
    new_ns: list[float] = field(default_factory=list)
    old_step_ns: list[float] = field(default_factory=list)
    new_step_ns: list[float] = field(default_factory=list)
    alone: bool = False
    never_alone: str | None = None
    """Why it cannot be had alone, whatever its batches are."""
    floor_ns: list[float] = field(default_factory=list)
    """Per round the shortest batch of the old side."""
    disturbed: float = 0.0
    """Share of the batches that were disturbed."""
    quiet: float = math.nan
    """Share of the batches with a witness that were quiet; NaN of none."""
    alone_repeats: list[bool] = field(default_factory=list)
    """Of a run that is cut into repeats: whether each of them stands on quiet batches."""
    rounds_in_turns: int = 0
    """In so many the two sides took turns."""
    reasons: list[str] = field(default_factory=list)
    """Why rounds lack this row."""

    @property
    def logs(self) -> Floats:
        """Logarithms of new / old, one a round; NaN where a side is missing or reads zero or less."""
        old, new = np.asarray(self.old_ns, float), np.asarray(self.new_ns, float)
        fine = (old > 0) & (new > 0)
        result = np.full(len(old), math.nan)
        result[fine] = np.log(new[fine] / old[fine])
        return result

    @property
    def steps(self) -> Floats:
        """How far each of `logs` may be off by the steps of the tick counter: both sides', added up."""
        return log_step(self.old_step_ns, self.old_ns) + log_step(self.new_step_ns, self.new_ns)


def read_rows(folder: Path | str, repeats: Sequence[Sequence[int]] | None = None) -> list[RowRounds]:
    """The rows of a run that was made by ``fencepost ab`` or ``selfcheck``, with all complete rounds.

    `repeats`: places of rounds that are judged as a run of their own. Each has quiet batches enough or not by itself.

    Where enough rounds have quiet batches of both sides, a side's value in a round is the lower quartile of its quiet
    batches. Elsewhere the sides are compared turn by turn, each turn by its shortest batch, and the round's ratio is
    the median over its turns. If they took no turns, a visit is the lower quartile of all its batches, and a side's
    value the smaller of its two visits. Raises `RunFolderError` where the folder is damaged, or where its plan has no
    sides.
    """
    run = schema.read_run(Path(folder))
    rows = planned_rows(run)
    if not rows:
        raise RunFolderError(
            f"{Path(folder) / schema.RUN_FILE}: field plan.cases: no sides to compare; this run was not made by "
            "fencepost ab"
        )
    planned = {case["case"]: case for case in run["plan"]["cases"]}
    events = {name for name, case in planned.items() if case["kind"] == "events"}
    batches, disturbed, witnessed, quiet_ones = (np.zeros(len(rows)) for _ in range(4))
    quiet: list[tuple[list[_Quiet], list[_Quiet]]] = [([], []) for _ in rows]
    metrics: list[list[Mapping[str, float]]] = [[] for _ in rows]
    floor = width_floor_of(Path(folder), run["engine"]["arch"])
    for item in iter_rounds(folder, _COLUMNS):
        if item.record["run"] != run["id"]:
            raise RunFolderError(f"{item.path}: field run: {item.record['run']!r}, but run.json has id {run['id']!r}")
        values = dict(_values(item, events, floor))
        for place, row in enumerate(rows):
            sides = [values.get(name) for name in (row.old, row.new)]
            kept = ((row.old_ns, row.old_step_ns), (row.new_ns, row.new_step_ns))
            costs = _costs(*sides)
            row.rounds_in_turns += all(side is not None and len(side.turns) > 0 for side in sides)
            for name, value, cost, (series, steps) in zip((row.old, row.new), sides, costs, kept, strict=True):
                series.append(cost)
                steps.append(math.nan if value is None else value.step_ns)
                case = item.record["cases"].get(name)
                if case is not None:
                    metrics[place].append({key: number or math.nan for key, number in case["metrics"].items()})
                    if value is None and case["reason"]:
                        row.reasons.append(str(case["reason"]))
                if value is not None:
                    batches[place] += value.batches
                    disturbed[place] += value.disturbed
                    witnessed[place] += value.witnessed
                    quiet_ones[place] += value.quiet
            row.floor_ns.append(math.nan if sides[0] is None else sides[0].floor_ns)
            for side, alone in zip(sides, quiet[place], strict=True):
                alone.append(_NONE_QUIET if side is None else side.alone)
    parts = [range(len(rows[0].old_ns))] if repeats is None else repeats
    machine = schema.read_machine(Path(folder))
    for place, row in enumerate(rows):
        row.disturbed = float(disturbed[place] / batches[place]) if batches[place] else 0.0
        row.quiet = float(quiet_ones[place] / witnessed[place]) if witnessed[place] else math.nan
        reasons = (why_never_alone(planned[case], metrics[place], machine) for case in (row.old, row.new))
        row.never_alone = next((reason for reason in reasons if reason), None)
        row.alone_repeats = [not row.never_alone and _prefer_alone(row, *quiet[place], part) for part in parts]
        row.alone = all(row.alone_repeats)
    return rows


class _Quiet(NamedTuple):
    """What the quiet batches of one side cost in one round, or in several of shape (rounds,).

    `ns`: with fast branches. The others: see `fencepost.analysis.runs.model.BY_FRONT_END`.
    """

    ns: Floats
    units_ns: Floats
    fast_cycles: Floats
    slowed_cycles: Floats


_NONE_QUIET = _Quiet(*np.full(4, math.nan))


def _prefer_alone(row: RowRounds, old: Sequence[_Quiet], new: Sequence[_Quiet], rounds: Sequence[int]) -> bool:
    """Let a row stand on its quiet batches in these rounds, where enough of them have some of both sides.

    Sides that took turns are compared well as found. Then most rounds must have some.

    Where too few have them, those with slowed branches count as well, if neither side minds them.
    """
    sides = [_Quiet(*np.array([side[i] for i in rounds], float).reshape(-1, 4).T) for side in (old, new)]
    figures = [[side.ns for side in sides]]
    if all(indifferent(side.fast_cycles, side.slowed_cycles) for side in sides):
        figures.append([side.units_ns for side in sides])
    for old_ns, new_ns in figures:
        both = int(np.sum(np.isfinite(old_ns) & np.isfinite(new_ns)))
        if both * 2 > len(rounds) or (both >= FEWEST_ALONE and not row.rounds_in_turns):
            for i, old_value, new_value in zip(rounds, old_ns, new_ns, strict=True):
                row.old_ns[i], row.new_ns[i] = float(old_value), float(new_value)
            return True
    return False


def planned_rows(run: RunJson) -> list[RowRounds]:
    """Rows of the plan in run.json, in its order, without any round."""
    sides: dict[str, dict[str, CaseJson]] = {}
    for case in run["plan"]["cases"]:
        row, side = case.get("row"), case.get("side")
        if row is not None and side is not None:
            sides.setdefault(row, {})[side] = case
    return [
        RowRounds(
            name,
            pair["old"]["unit"],
            pair["old"]["kernel"],
            pair["new"]["twin_of"] is not None,
            pair["old"]["case"],
            pair["new"]["case"],
        )
        for name, pair in sides.items()
        if set(pair) == {"old", "new"}
    ]


def _costs(old: _Value | None, new: _Value | None) -> tuple[float, float]:
    """What each side costs in a round; NaN where it was not measured.

    Sides that took turns met the same neighbours. So their ratio is the median over their turns, and the cost of the
    new side is by that ratio.
    """
    if old is None or new is None or not len(old.turns) or len(old.turns) != len(new.turns):
        return math.nan if old is None else old.ns, math.nan if new is None else new.ns
    positive = (old.turns > 0) & (new.turns > 0)
    if not positive.any():
        return math.nan, math.nan
    cost = float(np.quantile(old.turns[positive], QUANTILE))
    return cost, cost * float(np.exp(np.median(np.log(new.turns[positive] / old.turns[positive]))))


@dataclass(frozen=True)
class _Value:
    ns: float
    turns: Floats
    """The shortest batch of each turn; none where the sides took no turns."""
    alone: _Quiet
    step_ns: float
    floor_ns: float
    batches: int
    disturbed: int
    witnessed: int
    quiet: int


def _values(item: Round, events: Container[str], floor: float) -> Iterator[tuple[str, _Value]]:
    """Each case of a round that has rows: its cost, the smaller of its visits, and from quiet batches of both."""
    column = item.rows.column("case").combine_chunks()
    names: list[str] = column.dictionary.to_pylist()
    codes = column.indices.to_numpy()
    data = {name: item.rows.column(name).to_numpy() for name in item.rows.column_names if name != "case"}
    if len(codes) and data["operations"].min() < 1:
        raise RunFolderError(f"{item.path}: column operations: a batch without operations")
    worker = item.record["worker"]
    ns = (data["ticks"] - data["overhead_ticks"]) / data["operations"] / worker["tick_hz"] * 1e9
    visits = visits_in(item, names, codes)
    seen = seen_in(codes, data, visits, worker["tick_hz"], floor)
    nothing = np.zeros(len(codes), bool)
    quiet, units, slowed = (
        (nothing, nothing, nothing) if seen is None else (seen.quiet, seen.units_quiet, seen.units_quiet & seen.slowed)
    )
    cycles = ns * visits.core_hz / 1e9
    for name, every in zip(names, rows_by_code(codes, len(names)), strict=True):
        where = every[visits.planned[every]]
        if not len(where):
            continue
        quantum = worker["quantum_ticks"]
        if name in events:
            quantum = step_of_events(data["ticks"][where], quantum)
        flags = data["flags"][where]
        if name in events:  # it sleeps on purpose: only a switch that it did not ask for disturbs it
            flags = flags & ~np.where(data["involuntary"][where] == 0, schema.FLAGS["switched"], 0)
        yield (
            name,
            _Value(
                min(
                    float(np.quantile(ns[where[visits.number[where] == visit]], QUANTILE))
                    for visit in np.unique(visits.number[where])
                ),
                _turns(ns[where], visits.number[where], item.record["cases"][name].get("turn_batches", 0)),
                _Quiet(
                    _quartile(ns[every[quiet[every]]], FEWEST_QUIET),
                    _quartile(ns[every[units[every]]], FEWEST_QUIET),
                    _quartile(cycles[every[quiet[every]]], FEWEST_BY_FRONT_END),
                    _quartile(cycles[every[slowed[every]]], FEWEST_BY_FRONT_END),
                ),
                float(quantum / data["operations"][where].min() / worker["tick_hz"] * 1e9),
                float(ns[where].min()),
                len(where),
                int(np.sum((flags & _DISTURBED) != 0)),
                int(np.sum(np.isfinite(data["width_ticks"][where]))) if "width_ticks" in data else 0,
                int(np.sum(quiet[where])),
            ),
        )


def _turns(ns: Floats, visits: npt.NDArray[np.int32], length: int) -> Floats:
    """The shortest batch of each turn of so many batches, in their order; a turn that is not whole counts as well."""
    if not length:
        return np.empty(0)
    costs = (ns[visits == visit] for visit in np.unique(visits))
    return np.concatenate([np.minimum.reduceat(cost, np.arange(0, len(cost), length)) for cost in costs])


def _quartile(cost: Floats, fewest: int) -> Floats:
    """The lower quartile of quiet batches; NaN of too few. What disturbs a batch unseen makes it longer as well."""
    return np.asarray(np.quantile(cost, QUANTILE) if len(cost) >= fewest else math.nan)
