"""Comparisons of stored runs: of one machine at different times (`compare_runs`), of several machines
(`compare_machines`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from fencepost.analysis import verdict as verdicts
from fencepost.analysis.compare import Comparison, ComparisonError, NothingMeasuredError, Row, check_margin
from fencepost.analysis.controls import is_control
from fencepost.analysis.estimate import Analysis, analyse
from fencepost.analysis.paired import core_hz
from fencepost.analysis.steps import log_step, step_of_events
from fencepost.analysis.verdict import ROW_ERROR, Decision, Verdict, bounds_at, fewest_rounds

Floats = npt.NDArray[np.float64]

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


@dataclass(frozen=True)
class Series:
    """One case of a run: a value a process, in ns, and how far each may be off by the steps of the tick counter."""

    ns: Floats
    step_ns: Floats

    @property
    def logs(self) -> Floats:
        """Logarithms of the values."""
        return np.log(self.ns)

    @property
    def steps(self) -> Floats:
        """How far each of `logs` may be off."""
        return log_step(self.step_ns, self.ns)

    def __len__(self) -> int:
        return len(self.ns)


def steady(ns: Floats) -> Series:
    """A series of means over so many readings that the counter's steps have gone."""
    return Series(ns, np.zeros(len(ns)))


@dataclass(frozen=True)
class MachineComparison:
    """Runs of several machines side by side: for each case one ratio a run, to the first; no verdicts. `differences`:
    what differs between the machines, by name, one text a run.
    """

    runs: tuple[str, ...]
    machines: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Decision, ...]], ...]
    """Case, unit, and for each further run its ratio to the first."""
    differences: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {
            "runs": list(self.runs),
            "machines": list(self.machines),
            "rows": [
                {
                    "case": case,
                    "unit": unit,
                    "ratios": [
                        {
                            "ratio": item.ratio,
                            "low": item.low,
                            "high": item.high,
                            "counter_step_pct": item.step * 100,
                        }
                        for item in ratios
                    ],
                }
                for case, unit, ratios in self.rows
            ],
            "differences": {name: list(texts) for name, texts in self.differences.items()},
            "notes": list(self.notes),
        }


def read_runs(folders: Sequence[Path]) -> list[Analysis]:
    """The runs to be compared.

    Raises
    ------
    fencepost.analysis.frame.RunFolderError
        when one is damaged or of a newer schema.
    ComparisonError
        when there are fewer than two, when one is given twice, or has too few rounds.
    """
    if len(folders) < 2:
        raise ComparisonError("one run alone cannot be compared; name two or more")
    runs = [analyse(folder) for folder in folders]
    names = [run.run["id"] for run in runs]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ComparisonError(f"{twice} is given twice; a run does not differ from itself")
    for run in runs:
        least = two_sample_rounds(ROW_ERROR)
        if run.rounds < least:
            rounds = "1 complete round" if run.rounds == 1 else f"{run.rounds} complete rounds"
            raise ComparisonError(
                f"{run.folder}: {rounds}, a comparison needs {least} or more; measure with --profile standard, or "
                "complete it with --resume"
            )
    return runs


def two_sample_rounds(error: float) -> int:
    """Fewest rounds of each of two runs from which their ratio has an interval at this one-sided error."""
    return fewest_rounds(error / 2)


def ratio_bounds(old: Series, new: Series, error: float) -> tuple[float, float, float]:
    """Logarithm of the ratio of two runs' medians, and its bounds, each wrong with a probability of at most `error`.

    Each run's median has bounds that are wrong with at most error / 2 (order statistics); the ratio is at least the
    lower one of the new over the upper one of the old. This holds whatever the two distributions look like, and is
    wider than need be where they are alike.
    """
    (old_low, old_high), (new_low, new_high) = (bounds_at(one.logs, error / 2, one.steps) for one in (old, new))
    return _middle(old, new), new_low - old_high, new_high - old_low


def _middle(old: Series, new: Series) -> float:
    return float(np.median(new.logs) - np.median(old.logs))


def _step(old: Series, new: Series) -> float:
    """By how much the steps of the tick counter widen either bound of the ratio's logarithm."""
    return float(np.median(old.steps) + np.median(new.steps))


def compare_runs(old: Analysis, new: Analysis, margin: float, *, anyway: bool = False) -> Comparison:
    """Verdicts on two runs of one machine, stored at different times.

    The control cases come first: what the machine itself costs (core clock, empty window, a chain, a chase in L1).
    Where one of them moved, the verdict of rows that moved alike is withheld.

    Parameters
    ----------
    anyway
        compare runs of different engines or compiler flags too.

    Raises
    ------
    ComparisonError
        when the runs have no case in common, or were measured with different engines or flags.
    NothingMeasuredError
        when no common row is usable in both.
    """
    check_margin(margin)
    notes: list[str] = []
    different = _different_code(old, new)
    if different and not anyway:
        raise ComparisonError(
            f"{old.run['id']} and {new.run['id']} were measured with {different}: a difference may be the code's; use "
            "fencepost ab to compare code, or --anyway"
        )
    if different:
        notes.append(f"the runs were measured with {different}: a difference may be the code's")
    first, second = _series(old), _series(new)
    common = [case for case in first if case in second]
    if not common:
        raise ComparisonError(
            f"{old.run['id']} and {new.run['id']} have no case in common; there is nothing to compare"
        )
    usable = [case for case in common if _usable(old, case) and _usable(new, case)]
    controls, moved = _drift(old, new, first, second, margin, usable)
    rows = [case for case in usable if not _is_control_case(old, case)]
    if not usable:
        raise NothingMeasuredError(
            f"all batches of all {len(common)} common cases were disturbed, or read zero: there is nothing to compare"
        )
    for case in common:
        if case not in usable:
            notes.append(f"{case}: left out, all its batches were disturbed in one of the runs, or it reads zero")
    only = (len(first) - len(common), len(second) - len(common))
    if any(only):
        notes.append(f"{only[0]} cases are in {old.run['id']} only, {only[1]} in {new.run['id']} only")
    floor = _noise(old, new)
    decided = _decide_two({case: (first[case], second[case]) for case in rows}, margin, floor)
    units = _units(old)
    found = []
    for case in rows:
        decision = decided[case]
        cause = _moved_alike(decision, moved) if decision.verdict is Verdict.CHANGED else None
        if cause is not None:
            reason = f"{cause.case} moved by {cause.decision.ratio - 1:+.2%} as well"
            decision = replace(decision, verdict=Verdict.WITHHELD, more=None, reason=reason)
        medians = [float(np.median(series[case].ns)) for series in (first, second)]
        found.append(Row(case, units[case], medians[0], medians[1], decision))
    if not controls:
        notes.append("no control case is in both runs: whether the machine itself moved is not known")
    return Comparison(margin, floor, tuple(found), controls=tuple(controls), notes=tuple(notes))


def compare_machines(runs: Sequence[Analysis]) -> MachineComparison:
    """Ratios of several machines' runs to the first one's, with 98 % intervals and no verdicts: a ratio of machines is
    neither good nor bad. Raises `ComparisonError` when they have no kernel with the same parameters in common.
    """
    series = [{_place_free(run, case): (case, values) for case, values in _series(run).items()} for run in runs]
    common = [name for name in series[0] if all(name in other for other in series[1:])]
    if not common:
        raise ComparisonError("the runs have no case in common; there is nothing to compare")
    units = _units(runs[0])
    rows = []
    for name in common:
        case, base = series[0][name]
        ratios = []
        for other in series[1:]:
            values = other[name][1]
            ratios.append(_decision(base, values, Verdict.UNDECIDED, ROW_ERROR))
        rows.append((name, units[case], tuple(ratios)))
    notes = [f"{run.run['id']}: {_different_code(runs[0], run)}" for run in runs[1:] if _different_code(runs[0], run)]
    return MachineComparison(
        tuple(str(run.run["id"]) for run in runs),
        tuple(str(run.run["machine_key"]) for run in runs),
        tuple(rows),
        _differences(runs),
        tuple(notes),
    )


def same_machine(runs: Sequence[Analysis]) -> bool:
    """Whether all runs are of one machine, by its key."""
    return len({run.run["machine_key"] for run in runs}) == 1


def _different_code(old: Analysis, new: Analysis) -> str:
    """In which way the machine code of two runs differs, as the end of a sentence; empty where it does not."""
    first, second = old.run["engine"], new.run["engine"]
    for name, words in (
        ("flags", "compiler flags"),
        ("compiler", "compilers"),
        ("sha256", "kernels (hash of the engine)"),
    ):
        if first[name] != second[name]:
            return f"different {words}: {str(first[name])[:60]} and {str(second[name])[:60]}"
    hashes = [{item["label"]: item["sha256"] for item in run.run.get("objects", ())} for run in (old, new)]
    for label in hashes[0]:
        if hashes[1].get(label, hashes[0][label]) != hashes[0][label]:
            return f"different builds of {label} (hash of the object)"
    return ""


def _series(run: Analysis) -> dict[str, Series]:
    """Per case the medians of its processes, where all are above 0; without twins and cases measured once."""
    rows = run.rows[run.rows["reason"].isna() & run.rows["twin_of"].isna() & ~run.rows["once"].astype(bool)]
    kinds = dict(zip(rows["case"], rows["kind"], strict=True))
    frame = run.processes[run.processes["status"] == "ok"]
    quantum = float(run.reduced.workers["quantum_ticks"].median())
    found = {}
    for case, part in frame.groupby("case", observed=True):
        part = part[np.isfinite(part["ns"])]
        if case not in kinds or not len(part):
            continue
        step_ns = part["resolution_ns"].to_numpy(float)
        if kinds[case] == "events":
            step_ns = step_ns * step_of_events(part["ticks"], quantum) / quantum
        # Of what another tool measured nothing is known of its clock.
        found[str(case)] = Series(part["ns"].to_numpy(float), np.nan_to_num(step_ns))
    return {case: found[case] for case in run.rows["case"] if case in found}


def _usable(run: Analysis, case: str) -> bool:
    row = run.rows[run.rows["case"] == case].iloc[0]
    return bool(row["disturbed_pct"] < 100) and bool((_series_of(run, case) > 0).all())


def _series_of(run: Analysis, case: str) -> Floats:
    frame = run.processes
    values: Floats = frame[(frame["case"] == case) & (frame["status"] == "ok")]["ns"].to_numpy(float)
    return values


def _units(run: Analysis) -> dict[str, str]:
    return dict(zip(run.rows["case"], run.rows["unit"], strict=True))


def _is_control_case(run: Analysis, case: str) -> bool:
    row = run.rows[run.rows["case"] == case].iloc[0]
    # The empty window never has a verdict: where it is not zero, it is the apparatus.
    return row["kernel"] == "clock/empty" or is_control(row["kernel"], row["parameters"])


def _drift(
    old: Analysis,
    new: Analysis,
    first: Mapping[str, Series],
    second: Mapping[str, Series],
    margin: float,
    usable: Sequence[str],
) -> tuple[list[Row], list[Row]]:
    """The control cases with their verdicts, and those of them that moved."""
    pairs: dict[str, tuple[Series, Series]] = {}
    clocks = [_core_period(run) for run in (old, new)]
    if all(len(clock) for clock in clocks):
        pairs["core clock (period)"] = (steady(clocks[0]), steady(clocks[1]))
    empty = [run.reduced.workers["overhead_ticks"].to_numpy(float) for run in (old, new)]
    if all((ticks > 0).all() for ticks in empty):
        hz = [run.reduced.workers["tick_hz"].to_numpy(float) for run in (old, new)]
        pairs["empty window"] = (steady(empty[0] / hz[0] * 1e9), steady(empty[1] / hz[1] * 1e9))
    pairs |= {case: (first[case], second[case]) for case in usable if _is_control_case(old, case)}
    decided = _decide_two(pairs, margin, 0.0)
    rows = [
        Row(name, "", float(np.median(pairs[name][0].ns)), float(np.median(pairs[name][1].ns)), decision)
        for name, decision in decided.items()
    ]
    return rows, [row for row in rows if row.decision.verdict is Verdict.CHANGED]


def _core_period(run: Analysis) -> Floats:
    """Per round the period of the core clock in ns, the median over its cases; only where it is to be believed."""
    frame = run.processes[run.processes["status"] == "ok"]
    hz = core_hz(frame)
    known = np.isfinite(hz)
    rounds = frame["round"].to_numpy()[known]
    values: Floats = np.array([1e9 / float(np.median(hz[known][rounds == number])) for number in np.unique(rounds)])
    return values


def _moved_alike(decision: Decision, moved: Sequence[Row]) -> Row | None:
    """The control that moved in the same direction and by no less than this row may have: the row's interval touches
    the control's.
    """
    for control in moved:
        # Both are beyond the margin, so that intervals which touch lie on the same side of 1.
        if decision.low <= control.decision.high and control.decision.low <= decision.high:
            return control
    return None


def _noise(old: Analysis, new: Analysis) -> float:
    floors = [run.noise_floor_pct / 100 for run in (old, new) if math.isfinite(run.noise_floor_pct)]
    return max(floors, default=math.nan)


def _decide_two(pairs: Mapping[str, tuple[Series, Series]], margin: float, floor: float) -> dict[str, Decision]:
    """Verdicts on ratios of two runs; Holm over the rows as for rounds, with p-values from the bounds' own rule."""
    inner, outer = math.log1p(margin), math.log1p(max(margin, 0.0 if math.isnan(floor) else floor))
    changed = dict(zip(pairs, verdicts.holm_errors([_p_beyond(*pair, outer) for pair in pairs.values()]), strict=True))
    same = dict(zip(pairs, verdicts.holm_errors([_p_inside(*pair, inner) for pair in pairs.values()]), strict=True))
    found = {}
    for name, (old, new) in pairs.items():
        _, low, high = ratio_bounds(old, new, changed[name])
        if low > outer or high < -outer:
            found[name] = _decision(old, new, Verdict.CHANGED, changed[name])
            continue
        _, low, high = ratio_bounds(old, new, same[name])
        if outer <= inner and -inner < low and high < inner:
            found[name] = _decision(old, new, Verdict.SAME, same[name])
            continue
        error = min(changed[name], same[name])
        n, least, step, middle = min(len(old), len(new)), two_sample_rounds(error), _step(old, new), _middle(old, new)
        more, reason = None, ""
        if step >= inner and abs(middle) <= outer + step:
            reason = verdicts.why_never(middle, step, inner, outer)
        elif n < least:
            more, reason = least - n, f"fewer than {least} rounds"
        found[name] = _decision(old, new, Verdict.UNDECIDED, error, more, reason)
    return found


def _errors_of(old: Series, new: Series) -> list[float]:
    """The errors at which the bounds of a ratio of two runs step, smallest first."""
    return sorted({2 * float(stats.binom.cdf(k, n, 0.5)) for n in (len(old), len(new)) for k in range((n + 1) // 2)})


def _smallest_error(old: Series, new: Series, holds: Any) -> float:
    """The smallest error at which the bounds of the ratio satisfy `holds(low, high)`: a p-value; 1 where none does."""
    return next((error for error in _errors_of(old, new) if holds(*ratio_bounds(old, new, error)[1:])), 1.0)


def _p_beyond(old: Series, new: Series, limit: float) -> float:
    return _smallest_error(old, new, lambda low, high: low > limit or high < -limit)


def _p_inside(old: Series, new: Series, limit: float) -> float:
    return _smallest_error(old, new, lambda low, high: -limit < low and high < limit)


def _decision(
    old: Series, new: Series, verdict: Verdict, error: float, more: int | None = 0, reason: str = ""
) -> Decision:
    shown = [math.exp(value) if math.isfinite(value) else math.nan for value in ratio_bounds(old, new, error)]
    n, step = min(len(old), len(new)), math.expm1(_step(old, new))
    return Decision(shown[0], shown[1], shown[2], verdict, n, error, more, reason, step)


def _place_free(run: Analysis, case: str) -> str:
    """A case's id without its CPUs where it has one placement only: CPU numbers of two machines have nothing in
    common.
    """
    row = run.rows[run.rows["case"] == case].iloc[0]
    bare = case.partition("@")[0]
    relation = row["relation"]
    alike = run.rows["case"].str.startswith(f"{bare}@") & run.rows["twin_of"].isna()
    if int(alike.sum()) == 1:
        return f"{bare} ({relation})" if relation else bare
    return case


def _differences(runs: Sequence[Analysis]) -> dict[str, tuple[str, ...]]:
    """Facts of machine.json, one text a run, where they are not the same."""
    names = dict.fromkeys(name for run in runs for name in (*_FIRST_FACTS, *run.machine) if name in run.machine)
    found = {}
    for name in names:
        if name in _NOT_COMPARED:
            continue
        texts = tuple(_fact(run.machine.get(name)) for run in runs)
        if len(set(texts)) > 1:
            found[name] = texts
    return found


def _fact(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_fact(item)}" for name, item in value.items())[:200]
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_fact, value))[:200]
    return str(value)[:200]
