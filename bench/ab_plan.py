"""Plans with sides: what is compared with what, row by row, each side visited twice in every round."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fencepost.bench.case import SIDES, TWIN_SUFFIX, Case, Unmeasurable, case_id
from fencepost.bench.catalog import KernelInfo, missing_needs
from fencepost.bench.engine import Engine
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.placement import Placement, Shortage
from fencepost.bench.plan import Placer, Plan, make_case
from fencepost.bench.profiles import Profile

NEW_SUFFIX = "~new"
"""Of the case id of the new side, where both sides have a kernel of the same name and parameters."""


@dataclass(frozen=True)
class AbSide:
    """A kernel with the values of its parameters."""

    kernel: KernelInfo
    values: tuple[int, ...]

    @property
    def words(self) -> dict[str, str]:
        """Parameters as a case id shows them."""
        items = self.kernel.parameters
        return {item.name: item.word(value) for item, value in zip(items, self.values, strict=True)}


@dataclass(frozen=True)
class Pair:
    """What is compared: one row for each placement of the kernel."""

    old: AbSide
    new: AbSide

    def name(self, cpus: Sequence[int]) -> str:
        """``memory/chase[size=4KiB,pages=small:huge]@cpu1``: what differs is written old:new."""
        kernels = list(dict.fromkeys((self.old.kernel.name, self.new.kernel.name)))
        old, new = self.old.words, self.new.words
        words = {
            name: old.get(name, "-") if old.get(name) == new.get(name) else f"{old.get(name, '-')}:{new.get(name, '-')}"
            for name in dict.fromkeys((*old, *new))
        }
        return case_id(":".join(kernels), words, cpus)


def make_ab_plan(
    engine: Engine,
    pairs: Sequence[Pair],
    profile: Profile,
    placer: Placer,
    *,
    rounds: int,
    seed: int,
    twins: Collection[str] | None = None,
) -> Plan:
    """The plan of a comparison: the rows of `pairs`, and for each kernel one A/A row, its old side against itself.

    Parameters
    ----------
    placer
        says on which CPUs a kernel's cases run, or why they cannot.
    twins
        kernels that get an A/A row; all, if None.

    Raises
    ------
    UsageError
        for sides that cannot stand side by side.
    MeasureError
        when none of the pairs can be measured here.
    """
    settings = engine.ffi.new("struct settings *", profile.amount)
    cases: dict[str, Case] = {}
    unmeasurable: list[Unmeasurable] = []
    with_twin: set[str] = set()
    for pair in pairs:
        kernel = pair.old.kernel.name
        placements = _placements(engine, pair, placer, profile)
        if isinstance(placements, str):
            words = dict(pair.old.words)
            unmeasurable.append(Unmeasurable(pair.name(()), kernel, words, pair.old.kernel.unit, placements))
            continue
        for placement in placements:
            row = pair.name(placement.cpus)
            sides = _sides(engine, pair, placement, settings)
            if kernel not in with_twin and (twins is None or kernel in twins):
                with_twin.add(kernel)
                _add(cases, f"{row}{TWIN_SUFFIX}", _twins(sides[0]))
            _add(cases, row, sides)
    if not cases:
        reasons = "; ".join(dict.fromkeys(f"{item.case}: {item.reason}" for item in unmeasurable))
        raise MeasureError(f"nothing of this can be measured here: {reasons}")
    return Plan(
        profile=profile.name,
        seed=seed,
        rounds=rounds,
        **profile.amount,
        cpus=tuple(sorted({cpu for case in cases.values() for cpu in case.cpus})),
        cases=tuple(cases.values()),
        unmeasurable=tuple(unmeasurable),
    ).going_on()


def _placements(engine: Engine, pair: Pair, placer: Placer, profile: Profile) -> list[Placement] | str:
    """Where both sides run, or why they cannot."""
    found: list[list[Placement]] = []
    for kernel in (pair.old.kernel, pair.new.kernel):
        if kernel.once:
            raise UsageError(
                f"{kernel.name}: is measured once in a run, as a picture of time; it has no rounds to compare"
            )
        if kernel.kind == "counts":
            raise UsageError(f"{kernel.name}: counts and takes no time, so there is nothing to compare")
        if lacking := missing_needs(engine, kernel.needs):
            return f"needs {' and '.join(lacking)}"
        placed = placer(kernel)
        if isinstance(placed, Shortage):
            return str(placed)
        found.append([one for one in placed if one.threads_per_cpu <= profile.most_threads_per_cpu])
    common = [one for one in found[0] if all(one.cpus in {other.cpus for other in others} for others in found[1:])]
    if not common:
        raise UsageError(
            f"{pair.old.kernel.name} and {pair.new.kernel.name} run on different CPUs or with different numbers of "
            "threads, so a ratio of them says nothing"
        )
    return common


def _sides(engine: Engine, pair: Pair, placement: Placement, settings: Any) -> tuple[Case, Case]:
    """The cases of both sides; `settings` is a ``struct settings *``."""
    old, new = (make_case(engine, side.kernel, side.values, placement, settings) for side in (pair.old, pair.new))
    if old.case == new.case:
        new = replace(new, case=f"{new.case}{NEW_SUFFIX}", twin_of=old.case if old.object == new.object else None)
    return old, new


def _twins(case: Case) -> list[Case]:
    first = replace(case, case=f"{case.case}{TWIN_SUFFIX}", twin_of=case.case)
    return [first, replace(case, case=f"{case.case}{TWIN_SUFFIX}2", twin_of=first.case)]


def _add(cases: dict[str, Case], row: str, sides: Sequence[Case]) -> None:
    for name, case in zip(SIDES, sides, strict=True):
        if case.case in cases:
            # Two rows may have a side in common: each measures its own.
            number = 2
            while f"{case.case}~{number}" in cases:
                number += 1
            case = replace(case, case=f"{case.case}~{number}")
        cases[case.case] = replace(case, row=row, side=name)
