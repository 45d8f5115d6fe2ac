"""How honest the verdicts are on the machine at hand: false alarms, detection, coverage, repeatability.

A self-check is one run with sides whose rounds are cut into repeats of a fixed number: each repeat is what
``fencepost ab`` would have measured and judged on its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from fencepost.analysis.compare.floors import effect_of, nearest_floors
from fencepost.analysis.compare.side_ratios import RowRounds, read_rows
from fencepost.analysis.runs.rounds import iter_rounds
from fencepost.analysis.stats.interval import interval_of
from fencepost.analysis.stats.verdict import ChangeVerdict, decide
from fencepost.bench import schema
from fencepost.bench.documents import DisturbJson

Floats = npt.NDArray[np.float64]


TRUE_EFFECT = 0.02
"""What the rows of the self-check differ by that are not the same code."""


@dataclass(frozen=True)
class Share:
    """So many of so many, with exact (Clopper-Pearson) 95 % bounds."""

    count: int
    of: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which shares the truth lies; (0, 1) where nothing was tried."""
        if not self.of:
            return 0.0, 1.0
        k, rest = self.count, self.of - self.count
        low = special.betaincinv(k, rest + 1, 0.025) if k else 0.0
        high = special.betaincinv(k + 1, rest, 0.975) if rest else 1.0
        return float(low), float(high)

    def as_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        low, high = self.bounds
        pct = self.count / self.of * 100 if self.of else math.nan
        return {"count": self.count, "of": self.of, "pct": pct, "low_pct": low * 100, "high_pct": high * 100}


@dataclass(frozen=True)
class CheckedRow:
    """A row over all repeats. `effect` is its true effect: 0 for identical code. `covered`: repeats whose 95 % interval
    of the ratio holds the true one. `width_pct`: the median width of that interval, `counter_step_pct`: how much of it
    on either side the steps of the tick counter are.
    """

    case: str
    effect: float
    changed: Share
    same: Share
    undecided: Share
    covered: Share
    width_pct: float
    counter_step_pct: float
    more_rounds: float
    alone: Share
    quiet: float


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found. `any_alarm`: repeats in which any row of identical code was called changed.
    `time_covered`: repeats of a row whose 95 % interval of the time itself holds the median over all repeats.
    `floor_range_pct`: (largest - smallest) / median of the repeats' shortest batches, by row.
    """

    repeats: int
    rounds: int
    rows: tuple[CheckedRow, ...]
    any_alarm: Share
    time_covered: dict[str, Share]
    floor_range_pct: dict[str, float]
    seconds_a_row: float
    margin: float
    disturb: DisturbJson | None = None
    """The disturber that ran beside it on purpose."""

    def as_json(self) -> dict[str, object]:
        """As ``--json`` prints it."""
        return {
            "repeats": self.repeats,
            "rounds_a_repeat": self.rounds,
            "margin_pct": self.margin * 100,
            "seconds_a_row": self.seconds_a_row,
            "disturb": self.disturb,
            "rows": [
                {
                    "case": row.case,
                    "true_effect_pct": row.effect * 100,
                    "changed": row.changed.as_json(),
                    "same": row.same.as_json(),
                    "undecided": row.undecided.as_json(),
                    "interval_covered": row.covered.as_json(),
                    "interval_width_pct": row.width_pct,
                    "counter_step_pct": row.counter_step_pct,
                    "more_rounds": row.more_rounds,
                    "alone": row.alone.as_json(),
                    "quiet_pct": row.quiet * 100,
                    "time_covered": self.time_covered[row.case].as_json(),
                    "floor_range_pct": self.floor_range_pct[row.case],
                }
                for row in self.rows
            ],
            "false_alarm_in_any_row": self.any_alarm.as_json(),
        }


def check(folder: Path | str, rounds: int, margin: float) -> SelfCheck:
    """Judge each repeat of a self-check's run as if it were alone.

    Parameters
    ----------
    rounds
        of one repeat; rounds that do not fill a whole one are left out.

    Raises
    ------
    fencepost.bench.schema.RunFolderError
        when the folder is damaged or has no sides.
    """
    numbers = list(schema.round_files(Path(folder)))
    # Whole repeats only: one that lacks a round was interrupted.
    blocks = [
        [numbers.index(number) for number in range(first, first + rounds)]
        for first in range(1, max(numbers, default=0) - rounds + 2, rounds)
        if all(number in numbers for number in range(first, first + rounds))
    ]
    rows = read_rows(folder, blocks)
    found = judge_repeats(rows, blocks, margin)
    return SelfCheck(
        len(blocks),
        rounds,
        *found,
        seconds_a_row=_seconds(folder) * rounds / max(1, len(rows)),
        margin=margin,
        disturb=schema.read_run(Path(folder)).get("disturb"),
    )


def judge_repeats(
    rows: Sequence[RowRounds], blocks: Sequence[Sequence[int]], margin: float
) -> tuple[tuple[CheckedRow, ...], Share, dict[str, Share], dict[str, float]]:
    """Verdicts on each of `blocks` (places of rounds): checked rows, repeats with any false alarm, coverage of times,
    and ranges of floors.
    """
    logs, steps = {row.name: row.logs for row in rows}, {row.name: row.steps for row in rows}
    effects = {row.name: 0.0 if row.twin else TRUE_EFFECT for row in rows}
    counts = {row.name: dict.fromkeys(ChangeVerdict, 0) for row in rows}
    covered = dict.fromkeys(logs, 0)
    widths: dict[str, list[float]] = {name: [] for name in logs}
    more: dict[str, list[float]] = {name: [] for name in logs}
    alarms = 0
    for block in blocks:
        part, step = ({name: array[list(block)] for name, array in both.items()} for both in (logs, steps))
        twins = [(row.kernel, effect_of(part[row.name])) for row in rows if row.twin]
        floors = nearest_floors({row.name: row.kernel for row in rows}, twins)
        # As in fencepost ab, what differs must exceed what identical code showed. Identical code itself is judged
        # without that help.
        plain = decide(part, margin, steps=step)
        helped = decide(part, margin, noise_floor=floors, steps=step)
        judged = {row.name: (plain if row.twin else helped)[row.name] for row in rows}
        alarms += any(judged[row.name].verdict is ChangeVerdict.CHANGED for row in rows if row.twin)
        for name, decision in judged.items():
            counts[name][decision.verdict] += 1
            if decision.verdict is ChangeVerdict.UNDECIDED and decision.more is not None:
                more[name].append(decision.more)
            known = np.isfinite(part[name])
            interval = interval_of(part[name][known], steps=step[name][known])
            covered[name] += interval.low <= math.log1p(effects[name]) <= interval.high
            widths[name].append((interval.high - interval.low) * 100)
    n = len(blocks)
    checked = tuple(
        CheckedRow(
            row.name,
            effects[row.name],
            Share(counts[row.name][ChangeVerdict.CHANGED], n),
            Share(counts[row.name][ChangeVerdict.SAME], n),
            Share(counts[row.name][ChangeVerdict.UNDECIDED], n),
            Share(covered[row.name], n),
            float(np.median(widths[row.name])) if n else math.nan,
            float(np.nanmedian(np.expm1(steps[row.name]))) * 100 if n else math.nan,
            float(np.median(more[row.name])) if more[row.name] else 0.0,
            Share(sum(row.alone_repeats), n),
            row.quiet,
        )
        for row in rows
    )
    times = {row.name: _time_coverage(row, blocks) for row in rows}
    floors = {row.name: _floor_range(np.asarray(row.floor_ns, float), blocks) for row in rows}
    return checked, Share(alarms, n), times, floors


def _time_coverage(row: RowRounds, blocks: Sequence[Sequence[int]]) -> Share:
    """Repeats whose interval of the old side's time holds the median over all repeats of the same basis."""
    ns, steps = np.array(row.old_ns), np.array(row.old_step_ns)
    known = np.isfinite(ns)
    alone = row.alone_repeats or [False] * len(blocks)
    covered = 0
    for basis in set(alone):
        places = [
            [place for place in block if known[place]]
            for block, found in zip(blocks, alone, strict=True)
            if found == basis
        ]
        truth = float(np.median(ns[np.concatenate(places).astype(int)]))
        intervals = [interval_of(ns[part], steps=steps[part]) for part in places]
        covered += sum(item.low <= truth <= item.high for item in intervals)
    return Share(covered, len(blocks))


def _floor_range(floor_ns: Floats, blocks: Sequence[Sequence[int]]) -> float:
    if not blocks:
        return math.nan
    floors = np.array([float(np.nanmin(floor_ns[list(block)])) for block in blocks])
    return float((floors.max() - floors.min()) / np.median(floors) * 100)


def _seconds(folder: Path | str) -> float:
    """What a round takes from one file to the next, in s: the median, so that a pause does not count."""
    times = [path.stat().st_mtime for path in schema.round_files(Path(folder)).values()]
    if len(times) > 1:
        return float(np.median(np.diff(sorted(times))))
    spent = [item.record["worker"]["elapsed_ms"] / 1e3 for item in iter_rounds(folder, ("case",))]
    return float(np.median(spent)) if spent else math.nan
