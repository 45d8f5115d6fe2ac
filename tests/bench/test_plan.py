"""From kernels to a plan: ids, sweeps, twins, order, and reasons for what cannot be measured."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import measure as runtime
from runs.measure import TINY, any_cpu, tiny_plan

from fencepost.bench import catalog, moments, profiles, schema
from fencepost.bench import plan as plans
from fencepost.bench.case import case_id
from fencepost.bench.engine import load
from fencepost.bench.errors import MeasureError, UsageError
from fencepost.bench.overrides import parse_overrides
from fencepost.bench.placement import Placement, Placements
from fencepost.bench.topology import Topology

CPU = any_cpu()


def ids(plan: plans.Plan) -> list[str]:
    return [case.case for case in plan.cases]


def test_ids_name_parameters_in_order_and_cpus() -> None:
    plan = tiny_plan(["good/steady", "good/once"])
    assert ids(plan) == [
        f"good/once@cpu{CPU}",
        f"good/steady[size=4KiB,mode=plain]@cpu{CPU}",
        f"good/steady[size=2MiB,mode=plain]@cpu{CPU}",
        f"good/steady[size=4KiB,mode=plain]@cpu{CPU}~twin",
    ]
    assert plan.cases[1].values == (4096, 0)
    assert plan.cases[1].parameters == {"size": 4096, "mode": "plain"}


def test_case_ids_of_the_contract() -> None:
    assert case_id("clock/delta", {"read": "rdtscp"}, (1,)) == "clock/delta[read=rdtscp]@cpu1"
    assert case_id("line/pingpong", {}, (0, 1)) == "line/pingpong@cpu0,cpu1"
    assert case_id("line/contended", {}, (1, 0, 1, 0)) == "line/contended@cpu1x2,cpu0x2"
    assert case_id("a/b", {"x": 1, "y": "z"}, ()) == "a/b[x=1,y=z]"


def test_the_profile_decides_the_sweep() -> None:
    rigorous = profiles.PROFILES["rigorous"]
    assert len(tiny_plan(["good/steady"], profile=rigorous).cases) == 2 + 1
    assert (rigorous.rounds, rigorous.batches, rigorous.batch_ns) == (40, 60, 25_000)
    assert profiles.PROFILES["standard"].rounds == 20
    assert profiles.PROFILES["quick"].rounds == 8


def test_the_twin_is_the_default_case_under_another_name() -> None:
    *others, twin = tiny_plan(["good/steady"]).cases
    assert twin.twin_of == others[0].case
    assert twin.case == others[0].case + "~twin"
    assert (twin.values, twin.cpus) == (others[0].values, others[0].cpus)
    assert all(case.twin_of is None for case in others)


def test_the_twin_where_the_default_is_not_among_the_values() -> None:
    plan = tiny_plan(["good/steady"], overrides=parse_overrides(["size=1,2"]))
    assert plan.cases[-1].twin_of == plan.cases[0].case


def test_overrides_by_kernel_and_by_name() -> None:
    plan = tiny_plan(["good"], overrides=parse_overrides(["good/steady.size=1KiB,2KiB", "mode=*"]))
    values = [case.values for case in plan.cases if case.kernel == "good/steady" and not case.twin_of]
    assert values == [(1024, 0), (1024, 1), (2048, 0), (2048, 1)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("size", "write kernel.parameter=value"),
        ("=3", "write kernel.parameter=value"),
        ("size=", "write kernel.parameter=value"),
        ("sise=3", "did you mean size"),
        ("good/steady.sise=3", "did you mean size"),
        ("good/stedy.size=3", "did you mean good/steady"),
        ("good/steady.mode=fency", "did you mean fancy"),
        ("size=many", "is not a number"),
        ("size=-1", "parameter size: -1 is negative"),
        ("size=0", "0 bytes cannot be measured"),
        ("size=1024,4096TiB", "4194304GiB is more than the [0-9]+ MiB of this machine"),
        ("bad/crash.size=3", "not among those selected"),
    ],
)
def test_faulty_overrides_say_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        tiny_plan(["good"], overrides=parse_overrides([text]))


def test_what_cannot_be_measured_has_its_reason() -> None:
    plan = tiny_plan(["bad/crowd", "bad/foreign", "good/once"])
    reasons = {item.case: item.reason for item in plan.unmeasurable}
    assert reasons["bad/crowd"] == "needs 1024 CPUs, this machine has 1"
    assert reasons["bad/foreign"].startswith("needs ")
    assert ids(plan) == [f"good/once@cpu{CPU}"]


def test_nothing_measurable_at_all_is_said_with_the_reason() -> None:
    with pytest.raises(MeasureError, match="needs 1024 CPUs"):
        tiny_plan(["bad/crowd"])


def test_placement_follows_the_topology() -> None:
    placer = plans.placer_on(Topology(cpus=(0, 1, 2)), (0, 2))
    plan = tiny_plan(["good/pair", "good/once"], placer=placer)
    assert [case.cpus for case in plan.cases] == [(2,), (0, 2), (2, 0)]
    assert plan.cases[1].relation is not None
    assert plan.cpus == (0, 2)


def test_a_sample_of_pairs_is_noted() -> None:
    placer = plans.placer_on(Topology(cpus=tuple(range(100))), range(100))
    plan = tiny_plan(["good/pair"], placer=placer)
    assert len(plan.notes) == 1
    assert "of 9900 pairs" in plan.notes[0]


def test_the_whole_matrix_is_for_the_default_parameters() -> None:
    engine = load()
    kernels = catalog.read_catalog(engine)
    placer = plans.placer_on(Topology(cpus=tuple(range(8))), range(8))
    profile = profiles.PROFILES["standard"]
    plan = plans.make_plan(engine, kernels, profile, placer, patterns=["line/pingpong"], seed=1)
    pairs = Counter(case.values for case in plan.cases if case.twin_of is None)
    initial = tuple(parameter.initial for parameter in kernels.get("line/pingpong").parameters)
    assert pairs.pop(initial) == 8 * 7
    assert len(pairs) > 1 and set(pairs.values()) == {plans.PAIRS_A_RELATION}
    assert any("56 pairs at its default parameters, 4 at the others" in note for note in plan.notes)


def swept(profile: str) -> plans.Plan:
    engine = runtime.fault_engine()
    placer = plans.placer_on(Topology(cpus=(0, 1, 5)), (1, 5))
    return plans.make_plan(
        engine, catalog.read_catalog(engine), profiles.PROFILES[profile], placer, patterns=["many/sweep"], seed=1
    )


def test_threads_are_swept_and_oversubscribed_by_profile() -> None:
    within = ["many/sweep@cpu5", "many/sweep@cpu5,cpu1"]
    assert ids(swept("quick")) == within
    assert ids(swept("standard")) == [*within, "many/sweep@cpu5x2,cpu1x2"]
    assert ids(swept("rigorous")) == [*within, "many/sweep@cpu5x2,cpu1x2", "many/sweep@cpu5x4,cpu1x4"]
    *_, fourfold = swept("rigorous").cases
    assert fourfold.cpus == (5, 1) * 4
    assert fourfold.relation == "oversubscribed"
    assert swept("rigorous").cpus == (1, 5)


def with_opt_in(name: str) -> catalog.Catalog:
    whole = catalog.read_catalog(runtime.fault_engine())
    return catalog.Catalog(replace(k, opt_in=k.name == name) for k in whole.kernels.values())


def test_an_opt_in_kernel_is_planned_by_its_full_name_only() -> None:
    one = runtime.fault_engine()
    kernels = with_opt_in("good/once")

    def kernels_for(*patterns: str) -> set[str]:
        plan = plans.make_plan(one, kernels, TINY, runtime.one_cpu, patterns=patterns, seed=1)
        assert any("good/once" in note for note in plan.notes) == ("good/once" not in patterns)
        assert len(plan.notes) <= 1
        return {case.kernel for case in plan.cases}

    assert kernels_for("good") == {"good/steady", "good/events"}
    assert "good/once" not in kernels_for()
    assert kernels_for("good/once", "good/e*") == {"good/once", "good/events"}
    with pytest.raises(UsageError, match="only when its full name is given"):
        kernels_for("good/on*")


def test_once_is_in_the_first_round_only() -> None:
    plan = tiny_plan(["good"], rounds=3)
    once = f"good/once@cpu{CPU}"
    assert [once in [case.case for case in plan.order(n)] for n in (1, 2, 3)] == [True, False, False]
    assert plan.round_ns(1) > plan.round_ns(2)
    assert plan.expected_ns == plan.round_ns(1) + 2 * plan.round_ns(2)


def long_plan(rounds: int = 20) -> plans.Plan:
    """A run of more than a minute, by one dear case and its twin among others."""
    plan = tiny_plan(["good"], rounds=rounds)
    dear_ns = plans.LONG_RUN_NS // rounds
    cases = [replace(case, expected_ns=dear_ns if "steady" in case.case else 1) for case in plan.cases]
    return replace(plan, cases=tuple(cases))


def test_a_long_run_measures_dear_cases_in_each_second_round() -> None:
    plan = long_plan().sparing()
    dear = {case.case for case in plan.cases if case.expected_ns >= plans.DEAR_NS}
    assert len(dear) > 1  # a case and its twin are in the same rounds
    for number in range(1, plan.rounds + 1):
        visited = {case.case for case in plan.order(number)}
        assert visited & dear == (dear if number % 2 else set())
        assert visited - dear == {case.case for case in plan.cases if number == 1 or not case.once} - dear
    assert {plan.rounds_of(case) for case in plan.cases if case.case in dear} == {10}
    assert plan.expected_ns == sum(plan.round_ns(number) for number in range(1, plan.rounds + 1))
    assert plans.plan_from_json(json.loads(json.dumps(plan.as_json()))) == plan
    jsonschema_rs.validate(schema.RUN_SCHEMA["properties"]["plan"], plan.as_json())


def test_a_short_run_a_run_of_few_rounds_and_sides_have_every_case_in_every_round() -> None:
    short, few = tiny_plan(["good"], rounds=20), long_plan(2 * plans.DEAR_ROUNDS - 1)
    sides = long_plan()
    sides = replace(sides, cases=tuple(replace(case, row="one", side="old") for case in sides.cases))
    for plan in (short, few, sides):
        assert plan.sparing() == plan


def test_a_round_is_expected_to_take_its_start_and_every_visit() -> None:
    plan = tiny_plan(["good"], rounds=3)
    visits = plan.order(2)
    expected = plans.STARTUP_NS + sum(plans.VISIT_NS + case.expected_ns for case in visits)
    assert plan.round_ns(2) == expected


def on_cpus(*cpus: int) -> plans.Placer:
    """All kernels on these CPUs, whatever they need."""
    return lambda kernel: Placements((Placement(cpus, None),), sampled=False, total=1)


def test_a_quick_loop_of_several_cpus_is_visited_at_several_moments() -> None:
    plan = tiny_plan(["good"], placer=on_cpus(0, 1))
    spread = {case.case for case in plan.cases if case.visits > 1}
    assert spread == {case.case for case in plan.cases if case.kind == "loop" and not case.once}
    assert spread
    visits = Counter(case.case for case in plan.order(1))
    assert {case.case: case.visits for case in plan.cases} == visits
    whole = plan.expected_of((1,))
    assert whole == plans.STARTUP_NS + sum(plans.VISIT_NS + case.expected_ns // case.visits for case in plan.order(1))
    assert plans.plan_from_json(json.loads(json.dumps(plan.as_json()))) == plan
    jsonschema_rs.validate(schema.RUN_SCHEMA["properties"]["plan"], plan.as_json())


def test_the_moments_of_a_case_are_apart() -> None:
    """In some round of some seeds they do not follow each other: their places are drawn, as those of all visits."""
    plans_ = [tiny_plan(["good"], placer=on_cpus(0, 1), seed=seed) for seed in range(20)]
    orders = [[case.case for case in plan.order(1)] for plan in plans_]
    for case in (case for case in plans_[0].cases if case.visits > 1):
        places = [[place for place, name in enumerate(order) if name == case.case] for order in orders]
        assert any(last - first > 1 for first, last in places)


@pytest.mark.parametrize("cpus", [(0,), (0, 0)], ids=["one thread", "threads that share a CPU"])
def test_a_loop_without_a_distance_is_visited_once(cpus: tuple[int, ...]) -> None:
    assert all(case.visits == 1 for case in tiny_plan(["good"], placer=on_cpus(*cpus)).cases)


def test_a_long_visit_and_a_kernel_with_batches_of_its_own_stay_whole() -> None:
    case = next(case for case in tiny_plan(["good/pair"], placer=on_cpus(0, 1)).cases)
    whole = replace(case, visits=1, expected_ns=moments.LONGEST_NS - 1)
    part = replace(whole, expected_ns=whole.expected_ns // 2)
    assert moments.spread(whole, part).visits == moments.MOMENTS
    assert moments.spread(whole, part).expected_ns == moments.MOMENTS * part.expected_ns
    assert moments.spread(replace(whole, expected_ns=moments.LONGEST_NS), part).visits == 1
    assert moments.spread(whole, whole) == whole


@given(st.integers(1, 1000), st.integers(1, 10))
def test_the_parts_of_a_case_are_its_batches_and_hardly_more(batches: int, visits: int) -> None:
    assert batches <= visits * moments.batches_of_visit(batches, visits) < batches + visits


def test_memory_that_a_ring_touches_is_expected_to_take_time() -> None:
    loaded = load()
    kernel = catalog.read_catalog(loaded).get("ring/naive")
    settings_ = loaded.ffi.new("struct settings *", {"batches": 20, "warmup_batches": 3, "batch_ns": 50_000})
    small = [parameter.initial for parameter in kernel.parameters]
    large = [1 << 20, 256, *small[2:]]
    place = Placement((0, 1), None)
    costs = [plans.make_case(loaded, kernel, tuple(v), place, settings_).expected_ns for v in (small, large)]
    assert costs[1] - costs[0] > (1 << 28) / 4  # a quarter of a nanosecond a byte, at the least


@settings(max_examples=30)
@given(st.integers(0, 2**63 - 1), st.integers(1, 100_000))
def test_the_order_of_a_round_depends_on_seed_and_number_only(seed: int, number: int) -> None:
    plan = tiny_plan(["good"], seed=seed)
    again = plans.plan_from_json(json.loads(json.dumps(plan.as_json())))
    assert plan.order(number) == again.order(number)
    assert Counter(case.case for case in plan.order(number)) <= Counter(ids(plan))


def test_orders_differ_between_rounds_and_seeds() -> None:
    plan = tiny_plan(["good/steady"], overrides=parse_overrides(["size=1,2,3,4,5,6,7,8,9"]))
    assert len({tuple(c.case for c in plan.order(n)) for n in range(2, 8)}) > 1
    other = tiny_plan(["good/steady"], overrides=parse_overrides(["size=1,2,3,4,5,6,7,8,9"]), seed=2)
    assert any(plan.order(n) != other.order(n) for n in range(2, 8))


def test_a_plan_survives_json_and_knows_its_digest() -> None:
    plan = tiny_plan(["good", "bad/crowd"])
    again = plans.plan_from_json(json.loads(json.dumps(plan.as_json())))
    assert again == plan
    assert again.sha256() == plan.sha256()
    assert tiny_plan(["good", "bad/crowd"], seed=2).sha256() != plan.sha256()


def test_a_plan_passes_the_schema() -> None:
    jsonschema_rs.validate(schema.RUN_SCHEMA["properties"]["plan"], tiny_plan(["good", "bad/crowd"]).as_json())


def test_rounds_may_be_given() -> None:
    assert tiny_plan(["good"], rounds=11).rounds == 11
    assert tiny_plan(["good"]).rounds == TINY.rounds


def test_time_for_quiet_batches_is_a_share_of_the_run_or_all_that_is_left() -> None:
    plan = tiny_plan(["good"])
    assert plan.again_ns > plans.AGAIN_SHARE * plan.round_ns(2)
    most_s = 3 * plan.expected_ns / 1e9
    whole = plan.going_on(most_s)
    assert whole.expected_ns == plan.expected_ns
    assert whole.expected_ns + whole.rounds * whole.again_ns == pytest.approx(most_s * 1e9, rel=1e-6)
    assert plan.going_on(plan.expected_ns / 2e9).again_ns == 0
    assert plans.plan_from_json(whole.as_json()).again_ns == whole.again_ns


def test_every_case_has_an_expected_duration() -> None:
    plan = tiny_plan(["good"])
    assert all(case.expected_ns > 0 for case in plan.cases)
    assert runtime.fault_engine() is runtime.fault_engine()


@given(sides=st.lists(st.sampled_from([("a", "old"), ("a", "new"), ("b", "old"), ("b", "new"), (None, None)])))
def test_only_the_two_sides_of_a_row_take_turns_and_each_visit_once(sides: list[tuple[str | None, str | None]]) -> None:
    some = tiny_plan(["good/once"]).cases[0]
    visits = [replace(some, case=f"{row}{side}", row=row, side=side) for row, side in sides]
    found = plans.taking_turns(visits, ())
    assert len(found) == len(visits)
    for place, with_next in enumerate(found):
        if with_next:
            first, second = visits[place : place + 2]
            assert first.row is not None and first.row == second.row
            assert {first.side, second.side} == {"old", "new"}
            assert not found[place + 1]
    assert not any(plans.taking_turns(visits, {visit.case for visit in visits}))


def test_every_visit_of_a_comparison_has_a_partner() -> None:
    some = tiny_plan(["good/once"]).cases[0]
    old, new = (replace(some, case=side, row="a", side=side) for side in ("old", "new"))
    assert plans.taking_turns([old, new, new, old], ()) == [True, False, True, False]
    assert plans.taking_turns([old, new, new, old], {"new"}) == [False] * 4
