"""Comparisons of stored runs: of one machine at different times (`compare_runs`), of several machines
(`compare_machines`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fencepost.analysis.compare.comparison import (
    ComparedRow,
    ComparisonError,
    NothingMeasuredError,
    RunComparison,
    left_out_notes,
    why_found_notes,
)
from fencepost.analysis.compare.floors import kernel_floors, nearest_floors
from fencepost.analysis.compare.imported import notes_on_imports
from fencepost.analysis.compare.series import PairedTimes, ProcessTimes, cases_of_run, pairs_of_runs, steady
from fencepost.analysis.compare.sides import check_margin
from fencepost.analysis.compare.told import headlines_of, run_sentences
from fencepost.analysis.runs.controls import is_control
from fencepost.analysis.runs.estimate import Analysis
from fencepost.analysis.runs.estimated import analysis_of
from fencepost.analysis.runs.labels import Kinship, identity_of, relation_of
from fencepost.analysis.runs.paired import clock_of
from fencepost.analysis.runs.pruning import notes_on_pruned
from fencepost.analysis.stats.interval import middle_of
from fencepost.analysis.stats.shift import fewest_values
from fencepost.analysis.stats.verdict import (
    REPORT_ERROR,
    ROW_ERROR,
    ChangeVerdict,
    Decision,
    fewest_rounds,
    holm_errors,
    why_never,
)
from fencepost.analysis.text.numbers import counted, short
from fencepost.bench import schema

Floats = npt.NDArray[np.float64]


def read_runs(folders: Sequence[Path]) -> list[Analysis]:
    """The runs to be compared.

    Raises
    ------
    fencepost.bench.schema.RunFolderError
        when one is damaged or of a newer schema.
    ComparisonError
        when there are fewer than two, when one is given twice, or has too few rounds.
    """
    if len(folders) < 2:
        raise ComparisonError("one run alone cannot be compared; name two or more")
    runs = [analysis_of(folder) for folder in folders]
    # Two hosts of one name may start in the same second: their ids are equal then, and their files are not.
    names = [run.run["id"] for run in runs]
    hashes = [(run.run["id"], run.run.get("sha256"), run.run.get("labels")) for run in runs]
    twice = next((names[place] for place, one in enumerate(hashes) if one in hashes[:place]), None)
    if twice is not None:
        raise ComparisonError(f"{twice} is given twice; a run does not differ from itself")
    least = fewest_values(ROW_ERROR) if same_machine(runs) else two_sample_rounds(ROW_ERROR)
    for run in runs:
        if run.rounds < least:
            rounds = "1 complete round" if run.rounds == 1 else f"{run.rounds} complete rounds"
            planned = run.planned_rounds >= least
            more = "complete it with `fencepost run --resume`" if planned else f"measure with --rounds {least} or more"
            if schema.IMPORTED in run.run:
                rounds = rounds.replace("complete round", "process").replace("processs", "processes")
                more = f"run the suite {least} times with its own tool, and import the files together"
            raise ComparisonError(f"{run.folder}: {rounds}, a comparison needs {least} or more; {more}")
    return runs


def two_sample_rounds(error: float) -> int:
    """Fewest rounds of each of two runs from which their ratio has an interval at this one-sided error."""
    return fewest_rounds(error / 2)


def ratio_bounds(old: ProcessTimes, new: ProcessTimes, error: float) -> tuple[float, float, float]:
    """Logarithm of the ratio of two runs' medians, and its bounds, each wrong with a probability of at most `error`.

    Each run's median has bounds that are wrong with at most error / 2 (order statistics); the ratio is at least the
    lower one of the new over the upper one of the old. This holds whatever the two distributions look like, and is
    wider than need be where they are alike.
    """
    (old_low, old_high), (new_low, new_high) = (one.bounds(error / 2) for one in (old, new))
    return _middle(old, new), new_low - old_high, new_high - old_low


def _middle(old: ProcessTimes, new: ProcessTimes) -> float:
    return new.middle - old.middle


def _step(old: ProcessTimes, new: ProcessTimes) -> float:
    """By how much the steps of the tick counter widen either bound of the ratio's logarithm."""
    return old.step + new.step


def compare_runs(old: Analysis, new: Analysis, margin: float, *, anyway: bool = False) -> RunComparison:
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
    notes = _notes_on_code(old, new, anyway=anyway) + notes_on_imports(old, new) + notes_on_pruned(old, new)
    found = pairs_of_runs(old, new)
    if not found:
        raise ComparisonError(
            f"{old.run['id']} and {new.run['id']} have no case in common; there is nothing to compare"
        )
    undisturbed = _undisturbed(old) & _undisturbed(new)
    pairs = {case: pair for case, pair in found.items() if pair and pair.usable and case in undisturbed}
    if not pairs:
        raise NothingMeasuredError(
            f"all batches of all {len(found)} common cases were disturbed, or read zero: there is nothing to compare"
        )
    controls, moved = _drift(old, new, pairs, margin)
    notes += _notes_on_cases(old, new, found, pairs)
    if not controls:
        notes.append("no control case is in both runs: whether the machine itself moved is not known")
    judged = {case: pair for case, pair in pairs.items() if not _is_control_case(old, case)}
    _check_arithmetic(judged, families := _families(old, new, judged))
    drifts = {basis: _largest(controls, moved, basis) for basis in {pair.basis for pair in judged.values()}}
    notes += _drift_notes(drifts, margin)
    if any(pair.basis == "alone" for pair in judged.values()):
        notes.append("rows alone are compared in cycles, and shown at the core clock of the old run")
    floors = _floors(old, new, {case: drifts[pair.basis] for case, pair in judged.items()})
    units = units_of_run(old)
    decided = _decide_two(judged, margin, floors, families).items()
    rows = tuple(
        _compared(case, units[case], pair, _unless_found(_unless_moved(decision, moved), old, new, pair, case))
        for (case, decision), pair in zip(decided, judged.values(), strict=True)
    )
    labels, scales = headlines_of((old, new), {row.case: row.case for row in (*controls, *rows)})
    return RunComparison(
        margin,
        _noise(old, new),
        rows,
        controls=tuple(controls),
        notes=tuple(notes),
        labels=labels,
        sentences=tuple(run_sentences(rows)),
        scales=scales,
    )


@dataclass(frozen=True)
class _SharedError:
    """Cases that share the error of *changed*. Holm's rule covers each family by itself."""

    cases: tuple[str, ...]
    error: float

    @property
    def fewest_values(self) -> int:
        """Processes of each run that can decide the first of its rows."""
        return fewest_values(min(ROW_ERROR, self.error / len(self.cases)))


def _families(old: Analysis, new: Analysis, pairs: Mapping[str, PairedTimes]) -> list[_SharedError]:
    """Rows alone, and rows of several CPUs, with half of a report's error each; or with all of it, if one has no row.

    Rows of one thread as found come last. A change of theirs is withheld whatever it is (`_unless_found`), so they make
    no claim, and take nothing from the error of others.
    """
    kinds: dict[str, list[str]] = {"alone": [], "several": [], "withheld": []}
    for case, pair in pairs.items():
        kind = "alone" if pair.basis == "alone" else "withheld" if _is_withheld(old, new, pair, case) else "several"
        kinds[kind].append(case)
    claiming = [tuple(kinds[kind]) for kind in ("alone", "several") if kinds[kind]]
    found = [_SharedError(cases, REPORT_ERROR / len(claiming)) for cases in claiming]
    return found + [_SharedError(tuple(kinds["withheld"]), REPORT_ERROR)] * bool(kinds["withheld"])


def _check_arithmetic(pairs: Mapping[str, PairedTimes], families: Sequence[_SharedError]) -> None:
    """Refuse runs of which no row can be decided, whatever they show: one sentence instead of a table without end."""
    most = {
        family: max(min(len(pairs[case].old), len(pairs[case].new)) for case in family.cases) for family in families
    }
    if all(rounds < family.fewest_values for family, rounds in most.items()):
        least = min(family.fewest_values for family in families)
        raise ComparisonError(
            f"{max(most.values())} rounds cannot decide any of {len(pairs)} rows, whatever they show: {least} can. "
            "Measure both runs with --profile standard, or fewer kernels"
        )


def _why_found(old: Analysis, new: Analysis, case: str) -> str:
    """Why a row of one thread is compared as found, although a run has it alone or had a witness; empty otherwise."""
    rows = [run.by_case[case] for run in (old, new)]
    if any(row.alone for row in rows):
        return "alone in one of the runs only"
    return next((row.why_found for row in rows if row.single), "")


def _why_left_out(pair: PairedTimes | None) -> str:
    if pair is None:
        return (
            "the runs have no figures of one kind: their CPUs were at other or unknown distances, or nothing was "
            "measured"
        )
    return "all batches were disturbed in one of the runs, or the time is zero"


def _undisturbed(run: Analysis) -> set[str]:
    """Cases with a batch that nothing disturbed."""
    return {row.case for row in run.rows if row.disturbed_pct < 100}


@dataclass(frozen=True)
class _Floors:
    """What identical code differed by, as shares by case: nothing smaller is called changed, or the same."""

    changed: Mapping[str, float]
    """By the nearest twins: of the kernel, else of the topic, else of the run."""
    same: Mapping[str, float]
    """By the twins of the kernel alone: the row's own interval says the rest."""


def _floors(old: Analysis, new: Analysis, drifts: Mapping[str, float]) -> _Floors:
    """The larger of what twins differed by in either run and of the drift between them; `drifts`: by case."""
    kernels = {case: old.by_case[case].kernel for case in drifts}
    twins = [
        [(run.by_case[twin.original].kernel, abs(twin.effect_pct.value) / 100) for twin in run.twins]
        for run in (old, new)
    ]
    nearest = [nearest_floors(kernels, one) for one in twins]
    own = [kernel_floors(kernels, one) for one in twins]
    changed, same = (
        {
            case: max(drift, *(0.0 if math.isnan(one[case]) else one[case] for one in either))
            for case, drift in drifts.items()
        }
        for either in (nearest, own)
    )
    return _Floors(changed, same)


def _notes_on_cases(
    old: Analysis, new: Analysis, found: Mapping[str, PairedTimes | None], pairs: Mapping[str, PairedTimes]
) -> list[str]:
    """Which of the common cases `found` are not among the compared `pairs`, or by other figures, and which are not
    common.
    """
    notes = left_out_notes({case: _why_left_out(found[case]) for case in found if case not in pairs})
    notes += why_found_notes(_why_found(old, new, case) for case, pair in pairs.items() if pair.basis == "as found")
    only = tuple(len(cases_of_run(run) - found.keys()) for run in (old, new))
    if any(only):
        told = (
            f"{counted(number, 'case')} in {run.run['id']} only" for number, run in zip(only, (old, new), strict=True)
        )
        notes.append(", ".join(told))
    return notes


def _drift_notes(drifts: Mapping[str, float], margin: float) -> list[str]:
    """A sentence where controls differ by more than the margin; `drifts` are shares by the figures compared."""
    beyond = {basis: drift for basis, drift in drifts.items() if drift > margin}
    if not beyond:
        return []
    sentence = (
        f"control cases differ by up to {short(max(beyond.values()) * 100, 2)} %, more than the margin of "
        f"{short(margin * 100, 2)} %. So no smaller change is called changed, and no row is called the same, among "
        f"these figures: {', '.join(sorted(beyond))}"
    )
    return [sentence]


def _notes_on_code(old: Analysis, new: Analysis, *, anyway: bool) -> list[str]:
    """What to say where the runs measured different code; refuses them unless they shall be compared `anyway`."""
    different = different_code(old, new)
    if not different:
        return []
    if not anyway:
        raise ComparisonError(
            f"{old.run['id']} and {new.run['id']} were measured with {different}: a difference may be the code's; use "
            "fencepost ab to compare code, or --anyway"
        )
    return [f"the runs were measured with {different}: a difference may be the code's"]


def _compared(case: str, unit: str, pair: PairedTimes, decision: Decision) -> ComparedRow:
    old = middle_of(pair.old.ns)
    # By the ratio that is shown: the quotient of two medians is another figure than the median of all quotients.
    return ComparedRow(case, unit, old, old * decision.ratio, decision, basis=pair.basis)


def same_machine(runs: Sequence[Analysis]) -> bool:
    """Whether all runs are of one machine, by its key, label and host."""
    return relation_of(identity_of(run.run) for run in runs) is Kinship.ONE


def different_code(old: Analysis, new: Analysis) -> str:
    """In which way the machine code of two runs differs, as the end of a sentence; empty where it does not."""
    first, second = old.run["engine"], new.run["engine"]
    for words, before, after in (
        ("compiler flags", first["flags"], second["flags"]),
        ("compilers", first["compiler"], second["compiler"]),
        ("kernels (hash of the engine)", first["sha256"], second["sha256"]),
    ):
        if before != after:
            return f"different {words}: {before[:60]} and {after[:60]}"
    hashes = [{item["label"]: item["sha256"] for item in run.run.get("objects", ())} for run in (old, new)]
    for label in hashes[0]:
        if hashes[1].get(label, hashes[0][label]) != hashes[0][label]:
            return f"different builds of {label} (hash of the object)"
    return ""


def units_of_run(run: Analysis) -> dict[str, str]:
    return {row.case: row.unit for row in run.rows}


def _is_control_case(run: Analysis, case: str) -> bool:
    row = run.by_case[case]
    # The empty window never has a verdict: where it is not zero, it is the apparatus.
    return row.kernel == "clock/empty" or is_control(row.kernel, row.parameters)


def _drift(
    old: Analysis, new: Analysis, usable: Mapping[str, PairedTimes], margin: float
) -> tuple[list[ComparedRow], list[ComparedRow]]:
    """The control cases with their verdicts, and those of them that moved."""
    pairs: dict[str, PairedTimes] = {}
    clocks = [_core_period(run) for run in (old, new)]
    if all(len(clock) for clock in clocks):
        pairs["core clock (period)"] = PairedTimes(steady(clocks[0]), steady(clocks[1]), "as found")
    empty = [run.reduced.by_round.numbers("overhead_ticks") for run in (old, new)]
    if all((ticks > 0).all() for ticks in empty):
        hz = [run.reduced.by_round.numbers("tick_hz") for run in (old, new)]
        pairs["empty window"] = PairedTimes(steady(empty[0] / hz[0] * 1e9), steady(empty[1] / hz[1] * 1e9), "as found")
    pairs |= {case: pair for case, pair in usable.items() if _is_control_case(old, case)}
    nothing = dict.fromkeys(pairs, 0.0)
    decided = _decide_two(pairs, margin, _Floors(nothing, nothing), [_SharedError(tuple(pairs), REPORT_ERROR)])
    rows = [_compared(name, "", pairs[name], decision) for name, decision in decided.items()]
    return rows, [row for row in rows if row.decision.verdict is ChangeVerdict.CHANGED]


def _largest(controls: Sequence[ComparedRow], moved: Sequence[ComparedRow], basis: str) -> float:
    """The largest difference of the controls that did not move, as a share.

    For rows alone, which count cycles, it is that of the controls alone, if there are any.
    """
    held = [row for row in controls if row not in moved]
    alike = [row for row in held if row.basis == "alone"] if basis == "alone" else []
    return max((abs(row.decision.ratio - 1) for row in alike or held), default=0.0)


def _core_period(run: Analysis) -> Floats:
    """Per round the period of the core clock in ns, the median over its cases; only where it is to be believed."""
    columns = run.reduced.by_process
    good = columns["status"] == "ok"
    hz = clock_of(*(columns.numbers(name)[good] for name in ("chain_ratio", "core_hz")))
    known = np.isfinite(hz)
    rounds = columns["round"][good][known]
    values: Floats = np.array([1e9 / float(np.median(hz[known][rounds == number])) for number in np.unique(rounds)])
    return values


def _unless_moved(decision: Decision, moved: Sequence[ComparedRow]) -> Decision:
    """The decision on a row, which is withheld where it says that the row changed and a control moved alike."""
    cause = _moved_alike(decision, moved) if decision.verdict is ChangeVerdict.CHANGED else None
    if cause is None:
        return decision
    reason = f"{cause.case} moved by {cause.decision.ratio - 1:+.2%} as well"
    return replace(decision, verdict=ChangeVerdict.WITHHELD, more=None, reason=reason)


def _is_withheld(old: Analysis, new: Analysis, pair: PairedTimes, case: str) -> bool:
    """Whether a change of this row is withheld: it has one thread and is as found.

    What was found is what the hour charged. Two hours of one machine differ without any change of it.
    """
    return pair.basis == "as found" and bool(_why_found(old, new, case))


def _unless_found(decision: Decision, old: Analysis, new: Analysis, pair: PairedTimes, case: str) -> Decision:
    """The decision on a row, which is withheld where such a row is said to have changed (`_is_withheld`)."""
    if decision.verdict is not ChangeVerdict.CHANGED or not _is_withheld(old, new, pair, case):
        return decision
    reason = f"as found ({_why_found(old, new, case)}): the hour may have changed, and not the machine"
    return replace(decision, verdict=ChangeVerdict.WITHHELD, more=None, reason=reason)


def _moved_alike(decision: Decision, moved: Sequence[ComparedRow]) -> ComparedRow | None:
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


def _decide_two(
    pairs: Mapping[str, PairedTimes], margin: float, floors: _Floors, families: Sequence[_SharedError]
) -> dict[str, Decision]:
    """Verdicts on ratios of two runs, with p-values from the bounds' own rule.

    *changed* is Holm's over the rows of a family, as for rounds: a report of hundreds of rows makes no false alarm.
    *same* is said of a row with the error of a row: it raises no alarm, and hundreds of rows would ask for more rounds
    than a run has.
    """
    inner = math.log1p(margin)
    limits = {name: math.log1p(max(margin, floors.changed[name])) for name in pairs}
    changed: dict[str, float] = {}
    for family in families:
        beyond = [pairs[name].shift.p_beyond(limits[name]) for name in family.cases]
        changed |= zip(family.cases, holm_errors(beyond, report=family.error), strict=True)
    return {
        name: _decide(pair, inner, limits[name], changed[name], may_be_same=floors.same[name] <= margin)
        for name, pair in pairs.items()
    }


def _decide(pair: PairedTimes, inner: float, outer: float, changed_error: float, *, may_be_same: bool) -> Decision:
    """The verdict on one row. `inner`, `outer`: logarithms of the margin, and of the larger of it and the floor."""
    shift, step = pair.shift, _step(pair.old, pair.new)

    def decided(verdict: ChangeVerdict, error: float, more: int | None = 0, reason: str = "") -> Decision:
        logs = (shift.middle, *shift.bounds(error))
        return _decision(logs, pair.old, pair.new, verdict, error, more, reason)

    low, high = shift.bounds(changed_error)
    if low > outer or high < -outer:
        return decided(ChangeVerdict.CHANGED, changed_error)
    low, high = shift.bounds(ROW_ERROR)
    if may_be_same and -inner < low and high < inner:
        return decided(ChangeVerdict.SAME, ROW_ERROR)
    error = min(changed_error, ROW_ERROR)
    n, least = min(len(pair.old), len(pair.new)), fewest_values(error)
    if n < least:
        error = ROW_ERROR  # where the stricter one has no bounds at all
    if step >= inner and abs(shift.middle) <= outer + step:
        return decided(ChangeVerdict.UNDECIDED, error, None, why_never(shift.middle, step, inner, outer))
    if n < least:
        return decided(ChangeVerdict.UNDECIDED, error, least - n, f"fewer than {least} rounds")
    return decided(ChangeVerdict.UNDECIDED, error, None)


def decision_on(old: ProcessTimes, new: ProcessTimes, error: float) -> Decision:
    """The ratio of two runs of different machines, without a verdict: by the medians of either, whatever their
    distributions are.
    """
    return _decision(ratio_bounds(old, new, error), old, new, ChangeVerdict.UNDECIDED, error)


def _decision(
    logs: tuple[float, float, float],
    old: ProcessTimes,
    new: ProcessTimes,
    verdict: ChangeVerdict,
    error: float,
    more: int | None = 0,
    reason: str = "",
) -> Decision:
    """`logs`: of the ratio and its bounds."""
    shown = [math.exp(value) if math.isfinite(value) else math.nan for value in logs]
    n, step = min(len(old), len(new)), math.expm1(_step(old, new))
    return Decision(shown[0], shown[1], shown[2], verdict, n, error, more, reason, step)
