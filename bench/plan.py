"""From kernels to a plan: which cases, on which CPUs, in which order, and how long it will take."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fencepost.bench.case import TWIN_SUFFIX, Case, Unmeasurable, case_from_json, case_id
from fencepost.bench.catalog import Catalog, KernelInfo, Parameter, missing_needs
from fencepost.bench.documents import PlanJson, in_round
from fencepost.bench.engine import Engine
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.moments import MOMENTS, batches_of_visit, spread
from fencepost.bench.overrides import Override
from fencepost.bench.placement import PlaceKind, Placement, Placements, Shortage, place
from fencepost.bench.profiles import Amount, Profile
from fencepost.bench.topology import Topology

ORDERS = (("old", "new", "new", "old"), ("new", "old", "old", "new"))
"""In which order the sides of a row are visited in a round; which of the two is drawn by the seed. Either way a drift
that is linear in time adds as much to one side as to the other. Of the first two and of the last two, the batches take
turns (`taking_turns`)."""
STARTUP_NS = 60_000_000
"""What a round costs beside its cases: process, imports, its clock, the spin before the first case, and storing it;
seen 50-70 ms with few cases.
"""
VISIT_NS = 180_000
"""What each visit to a case adds to that: its frames, written by the worker between two cases (0.09 ms), then read,
encoded and stored (0.1 ms)."""

LONG_RUN_NS = 60_000_000_000
"""Nobody waits long for a shorter run, so all of its cases are measured in each round."""
DEAR_NS = 5_000_000
"""A case that takes as long is dear: in a standard run a fifth of the cases take three quarters of the time."""
DEAR_EVERY = 2
"""In a longer run it is measured in every second round."""
DEAR_ROUNDS = 10
"""If so many are left to it. The interval of the median of ten spares one value at each end, and `compare` needs
eight."""

AGAIN_SHARE = 0.25
"""Of a round's expected time, so much more may go to cases that lack quiet batches. Beside a neighbour that is there
for three quarters of the time, it doubles the share of processes that have some."""

AGAIN_LEAST_NS = 100_000_000
"""And so much in any case: a neighbour that comes and goes leaves a moment within a tenth of a second."""


CONTROLS = ("clock/empty", "pipeline/imul100", "memory/chase")
"""What a run of a user's own kernels measures beside them: the empty window, the frequency chain (its twin gives the
noise floor) and a pointer chase in L1. A comparison looks at these first: where they moved, the machine did."""
CONTROL_SIZE = "16KiB"
"""The size of the chase among them: half of the smallest L1 in use."""


Placer = Callable[[KernelInfo], Placements | Shortage]
"""Where a kernel's cases run, or why they cannot."""


def placer_on(topology: Topology, allowed: Iterable[int]) -> Placer:
    """Places kernels on the CPUs `allowed` of `topology`; which pairs are sampled does not depend on the run's seed."""
    usable = tuple(allowed)

    def place_kernel(kernel: KernelInfo) -> Placements | Shortage:
        kind = PlaceKind[kernel.place.upper()]
        return place(
            topology,
            usable,
            kind,
            kernel.threads_min,
            most_threads=kernel.threads_max,
            oversubscribe=kernel.oversubscribe,
        )

    return place_kernel


@dataclass(frozen=True)
class Plan:
    """All that a run will do. `cases` are in readable order; each round shuffles them by the seed.

    Cases with the same `Case.row` are the sides of one comparison: a round visits them one after the other, each twice
    (`ORDERS`), and shuffles the rows. A visit is a trial of its own, with its own allocations.
    """

    profile: str
    seed: int
    rounds: int
    batches: int
    warmup_batches: int
    batch_ns: int
    cpus: tuple[int, ...]
    cases: tuple[Case, ...]
    unmeasurable: tuple[Unmeasurable, ...]
    notes: tuple[str, ...] = ()
    """What was left out of the plan in a way that its cases do not show (sampled pairs)."""
    quiet_batches: int = 0
    most_batches: int = 0
    again_ns: int = 0
    """How long a round may go on with further visits to cases that lack quiet batches, on average over the run: a
    round beside a neighbour that never pauses leaves its time to those after it."""

    @property
    def settings(self) -> dict[str, int]:
        """The members of C's ``struct settings``."""
        return {
            **{name: getattr(self, name) for name in Amount.__annotations__},
            # Sides of a comparison have memory of their own.
            "keep_memory": int(all(case.row is None for case in self.cases)),
        }

    def order(self, round_number: int) -> list[Case]:
        """Visits of round `round_number` (from 1) in the order they run: the same for the same seed and plan."""
        groups: dict[str, list[Case]] = {}
        for case in self.cases:
            if case.in_round(round_number):
                groups.setdefault(case.case if case.row is None else f"row {case.row}", []).append(case)
        shuffled = [group for group in groups.values() for _ in range(group[0].visits)]
        source = random.Random(f"{self.seed}:{round_number}")
        source.shuffle(shuffled)
        visits: list[Case] = []
        for group in shuffled:
            sides = {case.side: case for case in group}
            visits += [sides[side] for side in source.choice(ORDERS)] if group[0].row is not None else group
        return visits

    def round_ns(self, round_number: int) -> int:
        """Expected duration of a round, in ns."""
        return self.expected_of((round_number,))

    def expected_of(self, rounds: Sequence[int]) -> int:
        """Expected duration of these rounds, in ns, without what `again_ns` grants."""
        visits_ns: Counter[tuple[bool, int]] = Counter()
        for case in self.cases:
            one_ns = case.visits * VISIT_NS + case.expected_ns
            # Sides are visited twice, and each of their turns begins with a window more.
            more_ns = 0 if case.row is None else one_ns + self.batches * self.batch_ns
            visits_ns[case.once, case.every] += one_ns + more_ns
        turns = {key: sum(in_round(number, once=key[0], every=key[1]) for number in rounds) for key in visits_ns}
        return len(rounds) * STARTUP_NS + sum(turns[key] * visits_ns[key] for key in visits_ns)

    def going_on(self, at_most_s: float | None = None) -> Plan:
        """The same plan with time for cases that lack quiet batches.

        Parameters
        ----------
        at_most_s
            the longest that all rounds together may take, by their expected time. None is `AGAIN_SHARE`.
        """
        if at_most_s is None:
            return replace(self, again_ns=AGAIN_LEAST_NS + int(AGAIN_SHARE * self.expected_ns / self.rounds))
        return replace(self, again_ns=max(0, int((at_most_s * 1e9 - self.expected_ns) / self.rounds)))

    @property
    def expected_ns(self) -> int:
        """Expected duration of all rounds, in ns, without what `again_ns` grants."""
        return self.expected_of(range(1, self.rounds + 1))

    def sparing(self) -> Plan:
        """The same cases. If the run is long, dear ones are in every second round only. Sides of a comparison stay."""
        whole = replace(self, cases=tuple(replace(case, every=1) for case in self.cases))
        if whole.expected_ns <= LONG_RUN_NS or self.rounds < DEAR_EVERY * DEAR_ROUNDS:
            return whole
        return replace(
            whole,
            cases=tuple(
                replace(case, every=DEAR_EVERY)
                if case.expected_ns >= DEAR_NS and case.visits == 1 and case.row is None and not case.once
                else case
                for case in whole.cases
            ),
        )

    def rounds_of(self, case: Case) -> int:
        """In how many rounds a case is measured."""
        return sum(case.in_round(number) for number in range(1, self.rounds + 1))

    def as_json(self) -> PlanJson:
        """As run.json holds it."""
        document: PlanJson = {
            "profile": self.profile,
            "seed": self.seed,
            "rounds": self.rounds,
            "batches": self.batches,
            "warmup_batches": self.warmup_batches,
            "batch_ns": self.batch_ns,
            "cpus": list(self.cpus),
            "cases": [case.as_json() for case in self.cases],
            "unmeasurable": [item.as_json() for item in self.unmeasurable],
            "notes": list(self.notes),
        }
        if self.most_batches:
            document |= {"quiet_batches": self.quiet_batches, "most_batches": self.most_batches}
        if self.again_ns:
            document["again_ns"] = self.again_ns
        return document

    def sha256(self) -> str:
        """A digest of `as_json`, by which a resumed run knows that its plan was not edited."""
        return digest(self.as_json())


def taking_turns(visits: Sequence[Case], apart: Collection[str]) -> list[bool]:
    """Of each visit of a round, whether its batches are to take turns with those of the next one.

    The two are the sides of a row, and neither is among those to be measured `apart`. The engine decides whether their
    kernels can.
    """
    found: list[bool] = []
    for number, case in enumerate(visits):
        with_last = bool(found) and found[-1]
        two = visits[number : number + 2]
        sides = len(two) == 2 and case.row is not None and two[1].row == case.row and two[1].side != case.side
        found.append(sides and not with_last and not any(one.case in apart for one in two))
    return found


def digest(document: Mapping[str, object]) -> str:
    """SHA-256 of a JSON document, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def plan_from_json(document: PlanJson) -> Plan:
    """The plan that a (checked) run.json holds under ``plan``."""
    return Plan(
        profile=document["profile"],
        seed=document["seed"],
        rounds=document["rounds"],
        batches=document["batches"],
        warmup_batches=document.get("warmup_batches", 0),
        batch_ns=document["batch_ns"],
        cpus=tuple(document["cpus"]),
        cases=tuple(case_from_json(case) for case in document["cases"]),
        unmeasurable=tuple(
            Unmeasurable(item["case"], item["kernel"], item["parameters"], item["unit"], item["reason"])
            for item in document["unmeasurable"]
        ),
        notes=tuple(document.get("notes", ())),
        quiet_batches=document.get("quiet_batches", 0),
        most_batches=document.get("most_batches", 0),
        again_ns=document.get("again_ns", 0),
    )


def own_selection(catalog: Catalog) -> tuple[list[str], list[Override]]:
    """What is measured where files of a user's own are named and no pattern: their kernels, and `CONTROLS`."""
    own = [name for name, kernel in catalog.kernels.items() if kernel.object]
    controls = [name for name in CONTROLS if name in catalog.kernels]
    defaults = [
        Override(
            name, parameter.name, CONTROL_SIZE if parameter.name == "size" else str(parameter.show(parameter.initial))
        )
        for name in controls
        for parameter in catalog.get(name).parameters
    ]
    return [*own, *controls], defaults


def make_plan(
    engine: Engine,
    catalog: Catalog,
    profile: Profile,
    placer: Placer,
    *,
    patterns: Sequence[str] = (),
    overrides: Sequence[Override] = (),
    rounds: int | None = None,
    seed: int,
    at_most_s: float | None = None,
) -> Plan:
    """Make the plan of a run.

    Parameters
    ----------
    placer
        says on which CPUs a kernel's cases run, or why they cannot.
    patterns
        kernels to measure (names, globs, topics); none means all.
    overrides
        parameter values in place of the profile's sweeps.
    rounds
        in place of the profile's number of rounds.
    seed
        decides the order of cases in every round.
    at_most_s
        as for `Plan.going_on`.

    Raises
    ------
    UsageError
        for an unknown kernel, parameter or value.
    MeasureError
        when none of what was asked for can be measured here.
    """
    patterns = patterns or profile.kernels
    chosen, notes = _chosen(catalog, patterns)
    values_of = _resolve(catalog, chosen, overrides, profile.sweeps or profile.name)
    settings = engine.ffi.new("struct settings *", profile.amount)
    cases, unmeasurable = _cases_of(engine, settings, profile, placer, chosen, values_of, notes)
    if not cases:
        reasons = "; ".join(dict.fromkeys(f"{item.kernel} {item.reason}" for item in unmeasurable))
        raise MeasureError(f"nothing of this can be measured here: {reasons}")
    measured = Plan(
        profile=profile.name,
        seed=seed,
        rounds=profile.rounds if rounds is None else rounds,
        **profile.amount,
        cpus=tuple(sorted({cpu for case in cases for cpu in case.cpus})),
        cases=tuple(cases),
        unmeasurable=tuple(unmeasurable),
        notes=tuple(notes),
    )
    return measured.sparing().going_on(at_most_s)


def _cases_of(
    engine: Engine,
    settings: Any,
    profile: Profile,
    placer: Placer,
    chosen: Sequence[KernelInfo],
    values_of: Mapping[str, Sequence[Sequence[int]]],
    notes: list[str],
) -> tuple[list[Case], list[Unmeasurable]]:
    """What can be measured of these kernels, and what cannot; what is left out is added to `notes`."""
    cases: list[Case] = []
    unmeasurable: list[Unmeasurable] = []
    of_part = {**profile.amount, "batches": batches_of_visit(profile.batches, MOMENTS)}
    part = engine.ffi.new("struct settings *", of_part)
    for kernel in chosen:
        combinations = list(itertools.product(*values_of[kernel.name]))
        lacking = missing_needs(engine, kernel.needs)
        placed = placer(kernel)
        if lacking or isinstance(placed, Shortage):
            reason = f"needs {' and '.join(lacking)}" if lacking else str(placed)
            unmeasurable += _nowhere(kernel, combinations, reason)
            continue
        if placed.sentence:
            notes.append(f"{kernel.name}: {placed.sentence}")
        own = [
            spread(*(make_case(engine, kernel, values, placement, item) for item in (settings, part)))
            for values, placement in _places(kernel, combinations, placed, profile, notes)
        ]
        cases += [*own, *_twin(kernel, own)]
    return cases, unmeasurable


def _chosen(catalog: Catalog, patterns: Sequence[str]) -> tuple[list[KernelInfo], list[str]]:
    """The kernels that patterns name, and notes on those that a wildcard does not reach: they disturb others."""
    selected = catalog.select(patterns)
    left_out = [kernel for kernel in selected if kernel.opt_in and kernel.name not in patterns]
    names = ", ".join(kernel.name for kernel in left_out)
    notes = [f"left out, since each is measured only when its full name is given: {names}"] if names else []
    if len(left_out) == len(selected):
        raise UsageError(*notes)
    return [kernel for kernel in selected if kernel not in left_out], notes


def _nowhere(kernel: KernelInfo, combinations: Sequence[tuple[int, ...]], reason: str) -> list[Unmeasurable]:
    """The cases of a kernel that cannot be measured here."""
    return [
        Unmeasurable(
            case_id(kernel.name, _words(kernel, values), ()), kernel.name, _shown(kernel, values), kernel.unit, reason
        )
        for values in combinations
    ]


def _places(
    kernel: KernelInfo,
    combinations: Sequence[tuple[int, ...]],
    placed: Placements,
    profile: Profile,
    notes: list[str],
) -> list[tuple[tuple[int, ...], Placement]]:
    """Where each combination of values runs; what is left out is added to `notes`."""
    placements = [placement for placement in placed if placement.threads_per_cpu <= profile.most_threads_per_cpu]
    initial = _initial(kernel)
    few = _few_pairs(placements) if kernel.place == "pairs" and initial in combinations else placements
    if len(few) < len(placements) and len(combinations) > 1:
        notes.append(
            f"{kernel.name}: {len(placements)} pairs at its default parameters, {len(few)} at the others "
            f"({PAIRS_A_RELATION} of each relation)"
        )
    return [(values, placement) for values in combinations for placement in (placements if values == initial else few)]


def _initial(kernel: KernelInfo) -> tuple[int, ...]:
    return tuple(parameter.initial for parameter in kernel.parameters)


def _twin(kernel: KernelInfo, own: Sequence[Case]) -> list[Case]:
    """The second measurement of one of a kernel's cases, under another name; none where the kernel asks for none."""
    if not kernel.twin or not own:
        return []
    original = next((case for case in own if case.values == _initial(kernel)), own[0])
    return [replace(original, case=original.case + TWIN_SUFFIX, twin_of=original.case)]


def _resolve(
    catalog: Catalog, chosen: Sequence[KernelInfo], overrides: Sequence[Override], profile: str
) -> dict[str, list[tuple[int, ...]]]:
    """Values of each parameter of each chosen kernel, the user's before the profile's."""
    values_of = {kernel.name: [parameter.sweep(profile) for parameter in kernel.parameters] for kernel in chosen}
    for override in overrides:
        if override.pattern == "*":
            kernels = [kernel for kernel in chosen if any(p.name == override.parameter for p in kernel.parameters)]
            if not kernels:
                _refuse_parameter(chosen, override.parameter)
        else:
            matched = {kernel.name for kernel in catalog.select([override.pattern])}
            kernels = [kernel for kernel in chosen if kernel.name in matched]
            if not kernels:
                left = f"{override.pattern}.{override.parameter}"
                raise UsageError(f"--set {left}: kernel {override.pattern} is not among those selected")
        for kernel in kernels:
            parameter: Parameter = kernel.parameter(override.parameter)
            try:
                values_of[kernel.name][kernel.parameters.index(parameter)] = kernel.given(parameter, override.values)
            except UsageError as error:
                raise UsageError(f"kernel {kernel.name}: {error}") from error
    return values_of


def _refuse_parameter(chosen: Sequence[KernelInfo], name: str) -> None:
    names = sorted({parameter.name for kernel in chosen for parameter in kernel.parameters})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else "; see `fencepost show KERNEL`"
    raise UsageError(f"none of the selected kernels has a parameter {name!r}{hint}")


def _shown(kernel: KernelInfo, values: Sequence[int]) -> dict[str, str | int]:
    return {p.name: p.show(value) for p, value in zip(kernel.parameters, values, strict=True)}


def _words(kernel: KernelInfo, values: tuple[int, ...]) -> dict[str, str]:
    return {item.name: item.word(value) for item, value in zip(kernel.parameters, values, strict=True)}


PAIRS_A_RELATION = 4
"""Directed pairs of each relation for all but the default parameters of a kernel of pairs: one matrix is a map of the
machine; six matrices of 64 CPUs would take minutes a round and say the same six times."""


def _few_pairs(placements: Sequence[Placement]) -> list[Placement]:
    seen: Counter[str | None] = Counter()
    few = []
    for placement in placements:
        seen[placement.relation] += 1
        if seen[placement.relation] <= PAIRS_A_RELATION:
            few.append(placement)
    return few


def make_case(engine: Engine, kernel: KernelInfo, values: tuple[int, ...], placement: Placement, settings: Any) -> Case:
    """A kernel with these values of its parameters on these CPUs; `settings` is a ``struct settings *``."""
    parameters = _shown(kernel, values)
    descriptor = engine.descriptors(kernel.object)[kernel.index]
    array = engine.ffi.new(f"int64_t[{engine.lib.MAX_PARAMETERS}]", list(values))
    expected = engine.lib.trial_cost_ns(descriptor, array, len(placement.cpus), settings)
    return Case(
        case=case_id(kernel.name, _words(kernel, values), placement.cpus),
        kernel=kernel.name,
        parameters=parameters,
        values=values,
        cpus=placement.cpus,
        relation=placement.relation,
        unit=kernel.unit,
        summary=kernel.summary,
        kind=kernel.kind,
        once=kernel.once,
        twin_of=None,
        metrics=tuple({"name": m.name, "unit": m.unit, "summary": m.summary} for m in kernel.metrics),
        expected_ns=int(expected),
        object=kernel.object,
        paired=kernel.paired,
        counts=tuple({"name": c.name, "unit": c.unit, "summary": c.summary} for c in kernel.counts),
    )
