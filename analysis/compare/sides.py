"""Comparisons of two sides that were measured in turn, in the same rounds: rows, verdicts, the noise floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fencepost.analysis.compare.comparison import (
    ComparedRow,
    ComparisonError,
    NothingMeasuredError,
    RunComparison,
    why_found_notes,
)
from fencepost.analysis.compare.floors import effect_of, nearest_floors
from fencepost.analysis.compare.side_ratios import RowRounds, read_rows
from fencepost.analysis.stats.verdict import REPORT_ERROR, ROW_ERROR, ChangeVerdict, Decision, decide, fewest_rounds
from fencepost.analysis.text.numbers import short
from fencepost.bench import schema

Floats = npt.NDArray[np.float64]


def compare_sides(folder: Path | str, margin: float) -> RunComparison:
    """Verdicts on a run of ``fencepost ab``; ratios without verdicts where rounds of its plan are missing.

    Raises
    ------
    fencepost.bench.schema.RunFolderError
        when the folder is damaged or has no sides.
    NothingMeasuredError
        when no row was measured, or all batches of all rows were disturbed.
    """
    found = judge_rounds(read_rows(folder), margin)
    done, planned = len(schema.round_files(Path(folder))), int(schema.read_run(Path(folder))["plan"]["rounds"])
    return found if done >= planned else _without_verdicts(found, f"{done} of {planned} rounds")


def _without_verdicts(found: RunComparison, reason: str) -> RunComparison:
    """The same ratios, claimed by nobody: how many rounds there are was not decided beforehand."""
    rows = tuple(
        replace(row, decision=replace(row.decision, verdict=ChangeVerdict.UNDECIDED, more=None, reason=reason))
        for row in found.rows
    )
    return replace(found, rows=rows)


def judge_rounds(rows: Sequence[RowRounds], margin: float) -> RunComparison:
    """Verdicts on rows that were read by `read_rows`; raises `NothingMeasuredError`."""
    check_margin(margin)
    asked = [row for row in rows if not _is_control(row)]
    controls = [row for row in rows if _is_control(row)]
    floor, floors = noise_floor(controls), floors_of(asked, controls)
    logs, steps = {row.name: row.logs for row in rows}, {row.name: row.steps for row in rows}
    usable = [row for row in asked if np.isfinite(logs[row.name]).any() and row.disturbed < 1]
    if not usable:
        raise NothingMeasuredError(f"no row of this comparison was measured: {_why(asked)}")
    judged = decide({row.name: logs[row.name] for row in usable}, margin, noise_floor=floors, steps=steps)
    own = decide({row.name: logs[row.name] for row in controls}, margin, steps=steps)
    found = [_row(row, judged[row.name]) if row.name in judged else _unusable(row) for row in asked]
    notes = [
        f"{row.case}: {row.disturbed:.0%} of its batches were disturbed (switched out, moved, page faults)"
        for row in found
        if row.disturbed > 0.2
    ]
    # Without a witness nothing was to be had alone, and nobody expects it.
    notes += why_found_notes(row.never_alone or "" for row in usable if not math.isnan(row.quiet))
    noisy = [floors[row.name] for row in usable if floors[row.name] > margin]
    if noisy:
        notes.append(
            f"{len(noisy)} of {len(usable)} rows: identical code of their kernel differed by up to "
            f"{short(max(noisy) * 100)} %, more than the margin of {margin * 100:.3g} %. Nothing smaller is called "
            "changed, and nothing is called the same"
        )
    least = fewest_rounds(min(ROW_ERROR, REPORT_ERROR / len(usable)))
    if any(0 < row.decision.rounds < least for row in found):
        notes.append(f"fewer than {least} rounds decide nothing, whatever they show")
    twins = tuple(_row(row, own[row.name]) for row in controls)
    return RunComparison(margin, floor, tuple(found), twins, notes=tuple(notes))


def noise_floor(controls: Sequence[RowRounds]) -> float:
    """The largest effect of the A/A rows, as a share; NaN where there is none."""
    return max((effect for row in controls if not math.isnan(effect := effect_of(row.logs))), default=math.nan)


def floors_of(rows: Sequence[RowRounds], controls: Sequence[RowRounds]) -> dict[str, float]:
    """By row, the largest effect of identical code of its own kernel, as a share; else of its topic; else of any.

    One noisy kernel does not veto the verdicts on the others. 0 where there is no identical code at all.
    """
    return {
        name: 0.0 if math.isnan(floor) else floor
        for name, floor in nearest_floors(
            {row.name: row.kernel for row in rows}, [(row.kernel, effect_of(row.logs)) for row in controls]
        ).items()
    }


def _is_control(row: RowRounds) -> bool:
    return row.name.endswith("~twin")


def _finite(values: Floats) -> Floats:
    known: Floats = values[np.isfinite(values)]
    return known


def _median(values: Sequence[float]) -> float:
    known = _finite(np.asarray(values, float))
    return float(np.median(known)) if len(known) else math.nan


def _row(row: RowRounds, decision: Decision) -> ComparedRow:
    if decision.verdict is ChangeVerdict.UNDECIDED and not decision.rounds and row.reasons:
        decision = replace(decision, reason=row.reasons[0])
    old_ns = _median(row.old_ns)
    # The columns agree: the ratio is that of pairs, and the quotient of two medians is another figure.
    return ComparedRow(
        row.name, row.unit, old_ns, old_ns * decision.ratio, decision, _is_control(row), row.disturbed, basis_of(row)
    )


def _unusable(row: RowRounds) -> ComparedRow:
    reason = _why([row])
    decision = Decision(math.nan, math.nan, math.nan, ChangeVerdict.UNDECIDED, 0, ROW_ERROR, None, reason)
    return ComparedRow(row.name, row.unit, _median(row.old_ns), math.nan, decision, False, row.disturbed, basis_of(row))


def basis_of(row: RowRounds) -> str:
    """Which figures a row stands on."""
    return "alone" if row.alone else "as found"


def _why(rows: Sequence[RowRounds]) -> str:
    reasons = list(dict.fromkeys(reason for row in rows for reason in row.reasons))
    if reasons:
        return "; ".join(reasons[:3])
    if any(row.disturbed >= 1 for row in rows):
        return "all its batches were disturbed (switched out, moved to another CPU, page faults)"
    return "no complete round has both sides"


def check_margin(margin: float) -> None:
    """Refuse (`ComparisonError`) a margin that is no share between 0 and 1."""
    if not 0 < margin < 1:
        raise ComparisonError(f"a margin of {margin:.3g} is not between 0 and 100 %")
