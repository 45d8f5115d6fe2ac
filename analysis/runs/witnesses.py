"""What the witnesses beside each batch tell: the figures of quiet batches, and who disturbed the others.

A case of one thread has two figures. *Alone* is the cost with the core to itself, from its quiet batches. *As found* is
the median over all batches: what this hour charged. See docs/statistics.md.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fencepost.analysis.runs.footprint import shares_memory
from fencepost.analysis.runs.model import BY_FRONT_END, WITNESSED
from fencepost.analysis.runs.regimes import TeamBatches, in_places, main_places, moved_pairs
from fencepost.analysis.runs.visits import Visits, rows_by_code
from fencepost.analysis.stats.interval import FEWEST_PROCESSES, Floats
from fencepost.bench import schema
from fencepost.bench.witness import WIDTH_SLACK, clock_held, relative_clock, relative_width, run_floor

if TYPE_CHECKING:
    import pandas as pd

FEWEST_QUIET = 5
"""Quiet batches of a process. Of processes with fewer, half were more than 2 % off their row (two runs, 11 to 20 % of
batches free); of all others a fifth, however many quiet batches they had (docs/experiments.md)."""

FEWEST_BY_FRONT_END = 3
"""Quiet batches of a process, and then processes, with fast branches and with slowed ones, that are compared to tell
whether a row minds. Single batches are hit by what no witness sees."""

_WORKER = re.compile(rb'"worker":\s*')

_WORKER_BYTES = 64 << 10
"""Of what a record says of its worker: some hundred bytes, and the numbers of its CPUs."""

INDIFFERENT = 0.01
"""A row whose cost differs by less does not mind how fast the core takes branches. Loops that mind mostly cost a
twentieth to a half more, and most others differ by less than 0.5 % (docs/experiments.md)."""

UNSEEN: dict[str, float] = dict.fromkeys((*WITNESSED[1:], *BY_FRONT_END), math.nan)
"""What a case without a witness has of these columns."""


_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a damaged record raises."""


def width_floor_of(folder: Path, arch: str) -> float:
    """The floor of a run's witnesses, see `fencepost.bench.witness.run_floor`; NaN where no round knows one.

    Damage is left to those who read the rounds themselves.
    """
    floors: list[float | None] = []
    for path in filter(Path.is_file, schema.round_files(folder).values()):
        try:
            floor = _worker_of(path).get("width_floor")
            floors.append(float(floor) if isinstance(floor, int | float) else None)
        except _DAMAGE:
            continue
    found = run_floor(floors, arch)
    return math.nan if found is None else found


def _worker_of(path: Path) -> Any:
    """What a round's record says of its worker. The rest is long, and parsed by those who read the round."""
    with path.open("rb") as file:
        # The record lies in the footer as it is. To let Arrow make sense of the footer takes five times as long.
        file.seek(-8, os.SEEK_END)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-8 - size, os.SEEK_END)
        footer = file.read(size)
    found = _WORKER.search(footer)
    if found:
        text = footer[found.end() : found.end() + _WORKER_BYTES].decode(errors="replace")
        with contextlib.suppress(ValueError):
            # In a text the quotes would have a backslash before them.
            worker = json.JSONDecoder().raw_decode(text)[0]
            if isinstance(worker, dict):
                return worker
    record = (pq.read_metadata(path).metadata or {}).get(schema.ROUND_KEY, b"{}")
    return json.loads(record.decode())["worker"]


class Seen(NamedTuple):
    """What the witnesses say of each batch of a round, each of shape (rows,).

    `known`: whether there were any. `moved`: the clock did. `narrow`: a neighbour took some of the core's width.
    `slowed`: of that it took branches only, and left the additions alone. `follows`: the batch is the next one of the
    same visit.
    """

    known: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.bool_]
    narrow: npt.NDArray[np.bool_]
    slowed: npt.NDArray[np.bool_]
    follows: npt.NDArray[np.bool_]

    @property
    def quiet(self) -> npt.NDArray[np.bool_]:
        """Batches with the core to itself, at its clock: each in the middle of three that its witnesses call free.

        A busy neighbour pauses for a microsecond now and then. Two pauses may fall on both witnesses of one batch, and
        hardly on those of three.
        """
        return self._in_the_middle(self.known & ~self.moved & ~self.narrow)

    @property
    def units_quiet(self) -> npt.NDArray[np.bool_]:
        """The same by the additions alone, however fast branches were taken."""
        return self._in_the_middle(self.known & ~self.moved & (~self.narrow | self.slowed))

    def _in_the_middle(self, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        with_next = free[:-1] & free[1:] & self.follows[1:]
        middle: npt.NDArray[np.bool_] = np.zeros(len(free), bool)
        middle[1:-1] = with_next[:-1] & with_next[1:]
        return middle


def seen_in(
    codes: npt.NDArray[np.int32], columns: Mapping[str, npt.NDArray[Any]], visits: Visits, tick_hz: float, floor: float
) -> Seen | None:
    """What the witnesses of a round saw; None where its version had none, or no floor is known.

    Parameters
    ----------
    codes
        numbers of the cases, shape (rows,).
    columns
        ``batch`` and those of `fencepost.bench.schema.WITNESS_COLUMNS`, each of shape (rows,).
    visits
        of the round. The batches of a visit whose core clock it does not know are not `known`.
    floor
        of the run, see `width_floor_of`.
    """
    if not math.isfinite(floor) or "width_ticks" not in columns:
        return None
    hz = visits.core_hz
    width, clock = (columns[name].astype(float) for name in ("width_ticks", "clock_ticks"))
    moved = ~clock_held(relative_clock(clock, tick_hz, hz))
    wide = relative_width(width, tick_hz, hz) <= floor * WIDTH_SLACK
    follows = visits.follows
    follows[1:] &= (codes[1:] == codes[:-1]) & (columns["batch"][1:] == columns["batch"][:-1] + 1)
    known = np.isfinite(width) & np.isfinite(clock) & np.isfinite(hz)
    slowed = ~moved & ~wide
    if "additions_ticks" in columns and (known & ~moved & wide).any():
        # Where the whole width is free, the additions are: so their own floor is known from the same batches.
        share = columns["additions_ticks"].astype(float) / width
        own = float(np.median(share[known & ~moved & wide]))
        slowed &= relative_width(width * share, tick_hz, hz) <= floor * own * WIDTH_SLACK
    else:
        slowed = np.zeros(len(width), bool)
    return Seen(known, moved, ~moved & ~wide, slowed, follows)


def quiet_figures(
    names: Sequence[str],
    codes: npt.NDArray[np.int32],
    value_ns: Floats,
    seen: Seen,
    visits: Visits,
) -> dict[str, dict[str, float]]:
    """By case the columns of `UNSEEN`, of those that have a witness: shares of the planned batches, figures of all.

    Further visits met another clock. Their times are put to that of the planned ones: cycles stay what they are.

    `value_ns`: per operation, shape (rows,). `names`, `codes`: as in `fencepost.analysis.runs.visits`.
    """
    known, quiet, cases = seen.known & visits.planned, seen.quiet, len(names)
    told = visits.planned & np.isfinite(visits.core_hz)
    clock_hz = _means_of(visits.core_hz, codes, told, cases)[codes]
    value_ns = value_ns * visits.core_hz / clock_hz
    cycles = value_ns * clock_hz / 1e9
    # Each by its own count: 1 less the other two left 1e-17 where no batch was free.
    free, neighbour, moved = (
        _means_of(which, codes, known, cases) for which in (~seen.moved & ~seen.narrow, seen.narrow, seen.moved)
    )
    columns = {
        "alone_ns": _medians_of(value_ns, codes, quiet, FEWEST_QUIET, cases),
        "free": free,
        "neighbour": neighbour,
        "clock_moved": moved,
        "units_ns": _medians_of(value_ns, codes, seen.units_quiet, FEWEST_QUIET, cases),
        "fast_cycles": _medians_of(cycles, codes, quiet, FEWEST_BY_FRONT_END, cases),
        "slowed_cycles": _medians_of(cycles, codes, seen.units_quiet & seen.slowed, FEWEST_BY_FRONT_END, cases),
    }
    known_at = np.isfinite(neighbour).tolist()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    every = zip(names, rows, known_at, strict=True)
    return {name: dict(zip(columns, row, strict=True)) for name, row, known_here in every if known_here}


def _means_of(
    values: npt.NDArray[Any], codes: npt.NDArray[np.int32], where: npt.NDArray[np.bool_], cases: int
) -> Floats:
    """By case the mean of these batches, shape (cases,); NaN of none."""
    with np.errstate(invalid="ignore"):
        return np.bincount(codes[where], values[where], cases) / np.bincount(codes[where], minlength=cases)


def _medians_of(
    values: Floats, codes: npt.NDArray[np.int32], where: npt.NDArray[np.bool_], fewest: int, cases: int
) -> Floats:
    """By case the median of these batches, shape (cases,); NaN of fewer than `fewest`."""
    codes, values = codes[where], values[where]
    lengths = np.bincount(codes, minlength=cases)
    first, enough = np.cumsum(lengths) - lengths, lengths >= fewest
    ordered = values[np.lexsort((values, codes))]
    low, high = (first[enough] + middle[enough] for middle in ((lengths - 1) // 2, lengths // 2))
    found = np.full(cases, math.nan)
    found[enough] = (ordered[low] + ordered[high]) / 2
    return found


def indifferent(fast: Floats, slowed: Floats) -> bool:
    """Whether what a row costs does not depend on how fast the core takes branches; False where that is not known.

    `fast`, `slowed`: what processes cost in either state, in cycles, shape (processes,). NaN is left out.
    """
    fast, slowed = fast[np.isfinite(fast)], slowed[np.isfinite(slowed)]
    if min(len(fast), len(slowed)) < FEWEST_BY_FRONT_END or not np.median(fast) > 0:
        return False
    return abs(float(np.median(slowed) / np.median(fast)) - 1) <= INDIFFERENT


def choose_figures(
    frame: pd.DataFrame,
    planned: Mapping[str, Mapping[str, Any]],
    teams: Sequence[TeamBatches],
    machine: Mapping[str, object],
) -> pd.DataFrame:
    """Make ``ns`` the figure that stands for each case, so that all that is made of it is of one kind.

    That is ``alone_ns`` of a case that can be had alone, and NaN in its processes with too few quiet batches. Where too
    few processes have them, batches with slowed branches count as well, if the case does not mind them (`indifferent`).
    Of a case whose CPUs were in several places it is the figure in the place that held longest, and NaN where that did
    not hold. Of any other it stays ``found_ns``. The metrics of the hand-over go with it.

    Parameters
    ----------
    frame
        as `fencepost.analysis.runs.model.process_frame` makes it. It is changed.
    planned
        cases of the plan by name.
    teams
        batches of the cases of several CPUs.
    machine
        machine.json.
    """
    found = in_places(teams)
    pairs = {one.case: one.pair for one in teams}
    moved = moved_pairs(pairs, found)
    main = main_places(pairs, found)
    # Plain lists and arrays: pandas takes a microsecond and more for each value that is asked for by itself.
    kind = frame["case"].cat
    names, codes = kind.categories.tolist(), kind.codes.to_numpy().astype(np.int32)
    numbers = frame["round"].tolist()
    keys = [(names[code], number) for code, number in zip(codes.tolist(), numbers, strict=True)]
    frame["places"] = _objects([found.get(key, ()) for key in keys])
    ns, alone = (frame[name].to_numpy(float, copy=True) for name in ("ns", "alone_ns"))
    units, fast, slowed = (frame[name].to_numpy(float) for name in BY_FRONT_END)
    metrics = frame["metrics"].to_numpy()
    in_main = {
        (case, number): next((place.ns for place in every if place.distance_ns == main[pairs[case]]), math.nan)
        for (case, number), every in found.items()
        if pairs[case] in moved
    }
    if in_main:
        with_hand_over = [
            _hand_over(known, in_main[key], main[pairs[key[0]]]) if key in in_main else known
            for key, known in zip(keys, metrics, strict=True)
        ]
        frame["metrics"] = _objects(with_hand_over)
    measured = np.flatnonzero(frame["status"] == "ok")
    for rows in (measured[inside] for inside in rows_by_code(codes[measured], len(names)) if len(inside)):
        name, first = keys[rows[0]]
        if (name, first) in in_main:
            ns[rows] = [in_main.get((name, numbers[row]), math.nan) for row in rows]
        elif name in planned and why_never_alone(planned[name], metrics[rows], machine) is None:
            if not has_alone(int(np.isfinite(alone[rows]).sum()), len(rows)) and indifferent(fast[rows], slowed[rows]):
                alone[rows] = units[rows]
            if has_alone(int(np.isfinite(alone[rows]).sum()), len(rows)):
                ns[rows] = alone[rows]
    frame["ns"], frame["alone_ns"] = ns, alone
    return frame


def _objects(values: Sequence[object]) -> npt.NDArray[np.object_]:
    """Values as a column of objects, of shape (values,), whatever they hold."""
    return np.fromiter(values, object, len(values))


def _hand_over(metrics: Mapping[str, float], ns: float, distance_ns: float) -> dict[str, float]:
    """The metrics of a process with those of the hand-over at one distance, where its case took so many ns."""
    if "xraw" not in metrics:
        return dict(metrics)
    return {**metrics, "raw_round_trip_ns": distance_ns, "xraw": ns / distance_ns}


def why_never_alone(
    case: Mapping[str, Any], metrics: Iterable[Mapping[str, float]], machine: Mapping[str, object]
) -> str | None:
    """Why a case of the plan is as found, however quiet its core was, in words; None where it can be had alone.

    `metrics`: those of each of its processes.
    """
    if len(case["cpus"]) > 1:
        return "several threads"
    if case["once"]:
        return "measured once"
    return "other cores share this memory" if shares_memory(case, metrics, machine) else None


def has_alone(quiet_processes: int, processes: int) -> bool:
    """Whether so many processes with quiet batches give a figure *alone*: enough for an interval, or most of them."""
    return quiet_processes >= FEWEST_PROCESSES or quiet_processes * 2 > processes
