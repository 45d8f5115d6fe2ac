"""Where kernels are placed: inside the mask, on distinct cores, named by what the CPUs share."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import NAMES, build, cpuinfo, snapshot, write

from fencepost.bench.placement import (
    OVERSUBSCRIBED,
    RELATIONS,
    PlaceKind,
    Placement,
    Placements,
    Relations,
    Shortage,
    allowed_cpus,
    place,
)
from fencepost.bench.sysfs import Tree
from fencepost.bench.topology import Topology, read_topology

CPU = "sys/devices/system/cpu"


def smt_pair() -> Topology:
    """Two packages of four cores with two threads each; two cores share an L2; a package is a node."""
    low, high = tuple(range(8)), tuple(range(8, 16))
    cores = tuple((cpu, cpu + 1) for cpu in range(0, 16, 2))
    l2 = tuple(tuple(range(cpu, cpu + 4)) for cpu in range(0, 16, 4))
    return Topology(
        cpus=low + high,
        cores=cores,
        packages=(low, high),
        l2=l2,
        l3=(low, high),
        numa={0: low, 1: high},
        source="sysfs",
    )


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Regular machines of some shape, with CPUs numbered in an arbitrary order."""
    threads, cores, l3s, packages = (draw(st.integers(1, most)) for most in (2, 3, 2, 3))
    count = threads * cores * l3s * packages
    numbers = draw(st.permutations(range(count)))

    def split(size: int) -> tuple[tuple[int, ...], ...]:
        return tuple(sorted(tuple(sorted(numbers[at : at + size])) for at in range(0, count, size)))

    node_size = draw(st.sampled_from([threads * cores, threads * cores * l3s, count]))
    nodes = split(node_size)
    return Topology(
        cpus=tuple(range(count)),
        cores=split(threads),
        packages=split(threads * cores * l3s),
        l2=split(threads),
        l3=split(threads * cores) if draw(st.booleans()) else (),
        numa=dict(enumerate(nodes)),
        isolated=tuple(sorted(draw(st.sets(st.integers(0, count - 1), max_size=2)))),
        source="sysfs",
    )


def placed(*args: object, **options: object) -> Placements:
    result = place(*args, **options)  # type: ignore[arg-type]
    assert isinstance(result, Placements)
    return result


def test_kinds_are_those_of_the_kernel_contract() -> None:
    header = (Path(__file__).parents[2] / "csrc" / "kernel.h").read_text()
    values = {name: int(value) for name, value in re.findall(r"#define PLACE_(\w+) (\d+)", header)}
    assert values == {kind.name: kind.value for kind in PlaceKind}


@pytest.mark.parametrize(
    ("pair", "relation"),
    [((0, 1), "same_core"), ((1, 3), "same_l2"), ((0, 7), "same_l3"), ((0, 8), "cross_package")],
)
def test_relations(pair: tuple[int, int], relation: str) -> None:
    assert Relations(smt_pair()).between(*pair) == relation


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        # Two nodes in a package: a package is the wider one.
        ("arm-clusters", {(0, 7): "same_l3", (0, 8): "cross_numa", (0, 16): "cross_package"}),
        ("hybrid-laptop", {(0, 1): "same_core", (8, 11): "same_l2", (0, 8): "same_l3"}),
        # Each package is a node.
        (
            "two-node-server",
            {(0, 8): "same_core", (5, 7): "same_l2", (0, 4): "same_l3", (0, 1): "cross_package"},
        ),
    ],
)
def test_relations_of_whole_machines(
    name: str, pairs: dict[tuple[int, int], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    relations = Relations(read_topology(snapshot(name, tmp_path_factory)))
    assert {pair: relations.between(*pair) for pair in pairs} == pairs


def test_relations_where_a_node_is_wider_than_a_package(tmp_path: Path) -> None:
    packages = [[0, 1], [2, 3], [4, 5], [6, 7]]
    nodes = [[0, 1, 2, 3], [4, 5, 6, 7]]
    cores = [[cpu] for cpu in range(8)]
    root = build(tmp_path, cores, packages=packages, l2=packages, l3=packages, numa=nodes)
    relations = Relations(read_topology(root))
    pairs = {(0, 1): "same_l2", (0, 2): "cross_package", (0, 4): "cross_numa"}
    assert {pair: relations.between(*pair) for pair in pairs} == pairs


def test_relations_without_an_l3(tmp_path: Path) -> None:
    packages = [[0, 1, 2, 3], [4, 5, 6, 7]]
    halves = [[0, 1], [2, 3], [4, 5], [6, 7]]
    cores = [[cpu] for cpu in range(8)]
    relations = Relations(read_topology(build(tmp_path, cores, packages=packages, l2=halves, l3=[])))
    pairs = {(0, 1): "same_l2", (0, 2): "same_package", (0, 4): "cross_package"}
    assert {pair: relations.between(*pair) for pair in pairs} == pairs


def test_one_thread_goes_to_the_last_cpu() -> None:
    assert placed(smt_pair(), range(16), PlaceKind.ANY, 1).placements == (Placement((15,), None),)


def test_isolated_cpus_come_first(tmp_path: Path) -> None:
    topology = read_topology(build(tmp_path, [[0], [1], [2], [3]], more={f"{CPU}/isolated": "1-2"}))
    assert placed(topology, range(4), PlaceKind.ANY, 1).placements[0].cpus == (2,)
    assert set(placed(topology, range(4), PlaceKind.ANY, 2).placements[0].cpus) == {1, 2}


def test_distinct_cores_before_an_isolated_sibling(tmp_path: Path) -> None:
    topology = read_topology(build(tmp_path, [[0, 1], [2, 3]], more={f"{CPU}/isolated": "2-3"}))
    assert placed(topology, range(4), PlaceKind.ANY, 2).placements[0].cpus == (3, 1)


def test_p_cores_come_first(tmp_path_factory: pytest.TempPathFactory) -> None:
    topology = read_topology(snapshot("hybrid-laptop", tmp_path_factory))
    (single,) = placed(topology, topology.cpus, PlaceKind.ANY, 1)
    assert single.cpus == (7,)
    (four,) = placed(topology, topology.cpus, PlaceKind.ANY, 4)
    assert {cpu // 2 for cpu in four.cpus} == set(range(4))


def test_several_threads_take_distinct_near_cores() -> None:
    (team,) = placed(smt_pair(), range(16), PlaceKind.ANY, 4)
    assert {cpu // 2 for cpu in team.cpus} == {4, 5, 6, 7}
    assert team.relation == "same_l3"
    (two,) = placed(smt_pair(), range(16), PlaceKind.ANY, 2)
    assert two == Placement((15, 13), "same_l2")


def test_near_counts_more_than_a_high_number(tmp_path: Path) -> None:
    packages = [[0, 2], [1, 3]]
    topology = read_topology(build(tmp_path, [[0], [1], [2], [3]], packages=packages, l3=packages))
    (team,) = placed(topology, range(4), PlaceKind.ANY, 2)
    assert team == Placement((3, 1), "same_l3")


def test_siblings_are_taken_when_cores_run_out() -> None:
    (team,) = placed(smt_pair(), [0, 1], PlaceKind.ANY, 2)
    assert team == Placement((1, 0), "same_core")


def test_each_cpu_and_all() -> None:
    each = placed(smt_pair(), [3, 1, 2], PlaceKind.EACH_CPU, 1)
    assert [place.cpus for place in each] == [(1,), (2,), (3,)]
    (team,) = placed(smt_pair(), [3, 1, 2], PlaceKind.ALL, 2)
    assert sorted(team.cpus) == [1, 2, 3]
    (team,) = placed(smt_pair(), range(16), PlaceKind.ALL, 2, most_threads=3)
    assert len(team.cpus) == 3


def sizes(placements: Placements) -> list[int]:
    return [len(place.cpus) for place in placements]


@pytest.mark.parametrize(
    ("usable", "least", "most", "expected"),
    [
        (1, 1, None, [1]),
        (2, 1, 1024, [1, 2]),
        (6, 1, 1024, [1, 2, 4, 6]),
        (16, 1, None, [1, 2, 4, 8, 16]),
        (16, 2, 12, [2, 4, 8, 12]),
        (16, 3, 16, [3, 4, 8, 16]),
        (5, 5, 5, [5]),
    ],
)
def test_sweep_doubles_up_to_all_cpus_or_what_the_kernel_takes(
    usable: int, least: int, most: int | None, expected: list[int]
) -> None:
    sweep = placed(smt_pair(), range(usable), PlaceKind.SWEEP, least, most_threads=most)
    assert sizes(sweep) == expected
    assert (sweep.sampled, sweep.total, sweep.sentence) == (False, len(expected), None)


def test_larger_teams_of_a_sweep_hold_the_smaller() -> None:
    one, two, four, eight, all_of_them = placed(smt_pair(), range(16), PlaceKind.SWEEP, 1)
    assert one == Placement((15,), None)
    assert two == Placement((15, 13), "same_l2")
    assert (four.relation, eight.relation) == ("same_l3", "cross_package")  # distinct cores first
    assert all_of_them.relation == "cross_package"
    for smaller, larger in ((one, two), (two, four), (four, eight), (eight, all_of_them)):
        assert larger.cpus[: len(smaller.cpus)] == smaller.cpus


def test_oversubscribed_placements_say_so_and_take_the_cpus_in_turn() -> None:
    sweep = placed(smt_pair(), [3, 0], PlaceKind.SWEEP, 1, most_threads=1024, oversubscribe=True)
    *within, double, fourfold = sweep.placements
    assert [place.threads_per_cpu for place in sweep] == [1, 1, 2, 4]
    assert OVERSUBSCRIBED not in {place.relation for place in within}
    assert double == Placement((3, 0) * 2, OVERSUBSCRIBED)
    assert fourfold == Placement((3, 0) * 4, OVERSUBSCRIBED)


@pytest.mark.parametrize(("most", "expected"), [(3, [1, 2]), (4, [1, 2, 4]), (7, [1, 2, 4]), (8, [1, 2, 4, 8])])
def test_oversubscription_stops_at_what_the_kernel_takes(most: int, expected: list[int]) -> None:
    assert sizes(placed(smt_pair(), [0, 2], PlaceKind.SWEEP, 1, most_threads=most, oversubscribe=True)) == expected


def test_a_kernel_that_cannot_fill_the_machine_is_not_oversubscribed() -> None:
    assert sizes(placed(smt_pair(), range(16), PlaceKind.SWEEP, 1, most_threads=8, oversubscribe=True)) == [1, 2, 4, 8]


def test_one_cpu_can_be_oversubscribed() -> None:
    sweep = placed(smt_pair(), [5], PlaceKind.SWEEP, 1, most_threads=64, oversubscribe=True)
    assert [(place.cpus, place.relation) for place in sweep] == [
        ((5,), None),
        ((5, 5), OVERSUBSCRIBED),
        ((5,) * 4, OVERSUBSCRIBED),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_sweeps_of_whole_machines(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    topology = read_topology(snapshot(name, tmp_path_factory))
    count = len(topology.cpus)
    sweep = placed(topology, topology.cpus, PlaceKind.SWEEP, 1, most_threads=1024, oversubscribe=True)
    within = [place for place in sweep if place.threads_per_cpu == 1]
    assert [len(place.cpus) for place in within] == sorted({count, *(2**n for n in range(20) if 2**n < count)})
    assert set(within[-1].cpus) == set(topology.cpus)
    ranks = [RELATIONS.index(place.relation) for place in within if place.relation]
    assert ranks == sorted(ranks)  # a larger team never comes closer together
    assert [len(place.cpus) for place in sweep if place.threads_per_cpu > 1] == [
        count * times for times in (2, 4) if count * times <= 1024
    ]


def test_pairs_in_both_directions() -> None:
    pairs = placed(smt_pair(), [0, 1, 2], PlaceKind.PAIRS, 2)
    assert [place.cpus for place in pairs] == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert (pairs.sampled, pairs.total, pairs.sentence) == (False, 6, None)


def test_many_cpus_are_sampled_and_say_so(tmp_path: Path) -> None:
    quarters = [range(first, first + 24) for first in range(0, 96, 24)]
    halves = [range(48), range(48, 96)]
    cores = [[cpu] for cpu in range(96)]
    topology = read_topology(build(tmp_path, cores, packages=quarters, l3=quarters, numa=halves))
    pairs = placed(topology, topology.cpus, PlaceKind.PAIRS, 2)
    count = len(topology.cpus)
    assert pairs.sampled
    assert pairs.total == count * (count - 1)
    assert len(pairs) <= 256
    assert pairs.sentence == f"{len(pairs)} of {pairs.total} pairs of CPUs were sampled, some of each relation"


def test_sampling_follows_the_seed() -> None:
    def sample(seed: int) -> Placements:
        return placed(smt_pair(), range(16), PlaceKind.PAIRS, 2, most_pairs=20, seed=seed)

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


@pytest.mark.parametrize(
    ("allowed", "threads", "sentence"),
    [
        (range(16), 17, "needs 17 CPUs, this machine has 16"),
        ([0, 1], 4, "needs 4 CPUs, this process may use 2 of 16"),
        ([0, 1], 17, "needs 17 CPUs, this machine has 16 and this process may use 2"),
        ([], 1, "needs 1 CPU, this process may use 0 of 16"),
    ],
)
def test_shortage_says_what_is_missing(allowed: list[int], threads: int, sentence: str) -> None:
    result = place(smt_pair(), allowed, PlaceKind.ANY, threads)
    assert isinstance(result, Shortage)
    assert str(result) == sentence


def test_two_cpu_machine_without_sys(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path, {"proc/cpuinfo": cpuinfo([0, 1])}))
    assert {place.relation for place in placed(topology, [0, 1], PlaceKind.PAIRS, 2)} == {"unknown"}
    assert str(place(topology, [0, 1], PlaceKind.ANY, 4)) == "needs 4 CPUs, this machine has 2"


@pytest.mark.parametrize(("kind", "threads"), [(PlaceKind.ANY, 0), (PlaceKind.PAIRS, 3), (9, 1)])
def test_wrong_use_is_refused(kind: int, threads: int) -> None:
    with pytest.raises(ValueError, match=r"thread|PlaceKind"):
        place(smt_pair(), range(16), kind, threads)


def test_allowed_cpus_of_this_process_are_its_mask() -> None:
    topology = read_topology(cpus=os.sched_getaffinity(0))
    assert set(allowed_cpus(topology)) <= os.sched_getaffinity(0)


def test_allowed_cpus_below_a_root(tmp_path: Path) -> None:
    more = {
        "proc/self/status": "Name:\tx\nCpus_allowed_list:\t0-2",
        "proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0",
        "proc/self/cgroup": "0::/a/b",
        "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 1",
        "sys/fs/cgroup/a/cpuset.cpus.effective": "1-3",
    }
    topology = read_topology(build(tmp_path, [[0], [1], [2], [3]], more=more))
    assert allowed_cpus(topology, Tree(tmp_path)) == (1, 2)
    assert allowed_cpus(topology, Tree(tmp_path), mask=[2, 3, 9]) == (2, 3)


def test_allowed_cpus_of_a_version_1_cpuset(tmp_path: Path) -> None:
    more = {
        "proc/mounts": "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0",
        "proc/self/cgroup": "3:cpuset:/job",
        "sys/fs/cgroup/cpuset/job/cpuset.cpus": "1",
    }
    topology = read_topology(build(tmp_path, [[0], [1]], more=more))
    assert allowed_cpus(topology, Tree(tmp_path)) == (1,)


def test_allowed_cpus_where_the_mask_is_damaged(tmp_path: Path) -> None:
    tree = Tree(build(tmp_path, [[0], [1]], more={"proc/self/status": "Cpus_allowed_list:\t0-"}))
    assert allowed_cpus(read_topology(tmp_path), tree) == (0, 1)
    assert tree.damage == ["/proc/self/status: '0-' is not a list of CPUs such as 0-3,8"]


@pytest.mark.parametrize("listed", ["P0E1L2", "P0E1", "P0L1E2"])
def test_the_weakest_cores_are_chosen_last(listed: str, tmp_path: Path) -> None:
    """Also those whose kind nothing tells: CPUs 3 and 4."""
    pmus = {"P": "cpu_core", "E": "cpu_atom", "L": "cpu_lowpower"}
    more = {f"sys/devices/{pmus[kind]}/cpus": cpu for kind, cpu in zip(listed[::2], listed[1::2], strict=True)}
    topology = read_topology(build(tmp_path, [[cpu] for cpu in range(5)], more=more))
    order = "".join(sorted(listed[1::2], key=lambda cpu: "PEL".index(topology.kinds[int(cpu)])))
    team = next(iter(placed(topology, topology.cpus, PlaceKind.ALL, 1))).cpus
    assert "".join(map(str, team)).startswith(order)
    assert next(iter(placed(topology, topology.cpus, PlaceKind.ANY, 1))).cpus == (0,)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_can_be_placed_on_whole_machines(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = snapshot(name, tmp_path_factory)
    topology = read_topology(root)
    allowed = allowed_cpus(topology, Tree(root))
    assert allowed == topology.cpus
    for kind in PlaceKind:
        assert len(placed(topology, allowed, kind, 2)) > 0


@settings(deadline=None)
@given(topologies(), st.data())
def test_every_placement_is_inside_and_distinct(topology: Topology, data: st.DataObject) -> None:
    allowed = data.draw(st.sets(st.sampled_from([*topology.cpus, 999])))
    kind = data.draw(st.sampled_from([kind for kind in PlaceKind if kind is not PlaceKind.ONE_CPU]))
    threads = 2 if kind is PlaceKind.PAIRS else data.draw(st.integers(1, 6))
    usable = allowed & set(topology.cpus)
    result = place(topology, allowed, kind, threads)
    if len(usable) < threads:
        assert isinstance(result, Shortage)
        return
    assert isinstance(result, Placements)
    assert len(result) == result.total
    for placement in result:
        assert set(placement.cpus) <= usable
        assert len(set(placement.cpus)) == len(placement.cpus) >= threads
        assert placement.relation in (RELATIONS if len(placement.cpus) > 1 else (None,))


@settings(deadline=None)
@given(topologies(), st.data())
def test_one_cpu_has_all_threads_on_the_best_one(topology: Topology, data: st.DataObject) -> None:
    usable = sorted(data.draw(st.sets(st.sampled_from(topology.cpus))))
    threads = data.draw(st.integers(1, 6))
    found = place(topology, usable, PlaceKind.ONE_CPU, threads)
    if not usable:
        assert isinstance(found, Shortage)
        return
    (single,) = placed(topology, usable, PlaceKind.ANY, 1)
    assert isinstance(found, Placements)
    assert found.placements == (Placement(single.cpus * threads, OVERSUBSCRIBED if threads > 1 else None),)


@settings(deadline=None)
@given(topologies(), st.integers(1, 8))
def test_cores_are_shared_only_when_they_run_out(topology: Topology, threads: int) -> None:
    result = place(topology, topology.cpus, PlaceKind.ANY, threads)
    if isinstance(result, Placements):
        (team,) = result
        used = {core for core in topology.cores for cpu in team.cpus if cpu in core}
        assert len(used) == min(threads, len(topology.cores))


@settings(deadline=None)
@given(topologies(), st.integers(0, 2**32), st.integers(0, 60))
def test_a_sample_covers_every_relation(topology: Topology, seed: int, most_pairs: int) -> None:
    full = place(topology, topology.cpus, PlaceKind.PAIRS, 2)
    if isinstance(full, Shortage):
        return
    some = placed(topology, topology.cpus, PlaceKind.PAIRS, 2, most_pairs=most_pairs, seed=seed)
    relations = {placement.relation for placement in full}
    assert {placement.relation for placement in some} == relations
    assert set(some) <= set(full)
    assert len(some) <= max(most_pairs, 2 * len(relations))
    assert some.sampled == (len(some) < len(full))
    assert some.total == len(full)
    assert {placement.cpus[::-1] for placement in some} == {placement.cpus for placement in some}


@settings(deadline=None)
@given(topologies())
def test_relation_is_symmetric(topology: Topology) -> None:
    relations = Relations(topology)
    for one in topology.cpus:
        for other in topology.cpus:
            if one != other:
                assert relations.between(one, other) == relations.between(other, one)
