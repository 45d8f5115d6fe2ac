"""Topologies read from sysfs: whole machines against what is known of them, small trees for what those do not show."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machines import NAMES, build, cpuinfo, expected, snapshot, write

from fencepost.bench.sysfs import Tree, format_cpulist, parse_cpulist, parse_cpumask
from fencepost.bench.topology import Topology, TopologyError, read_topology

CPU = "sys/devices/system/cpu"


def cache_bytes(topology: Topology, level: int, cpu: int | None = None) -> int | None:
    """Size of the first data or unified cache of a level, of `cpu` or of any."""
    found = (
        c for c in topology.caches if c.level == level and c.kind != "instruction" and (cpu is None or cpu in c.cpus)
    )
    return next((cache.size_bytes for cache in found), None)


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_is_read_as_what_it_is(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert read_topology(snapshot(name, tmp_path_factory)).as_dict() == expected(name)


def test_offline_cpus_are_listed_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    topology = read_topology(snapshot("two-node-server", tmp_path_factory))
    assert topology.offline == (13,)
    assert topology.siblings(5) == ()  # 13 is offline
    assert topology.siblings(0) == (8,)
    assert topology.smt_active is True


def test_masks_that_still_name_an_offline_cpu(tmp_path: Path) -> None:
    more = {f"{CPU}/cpu1/topology/core_cpus_list": "1,5", f"{CPU}/present": "0-1,5"}
    topology = read_topology(build(tmp_path, [[0], [1]], more=more))
    assert (topology.cores, topology.offline) == (((0,), (1,)), (5,))


def test_hybrid_kinds_and_caches(tmp_path_factory: pytest.TempPathFactory) -> None:
    topology = read_topology(snapshot("hybrid-laptop", tmp_path_factory))
    assert [cpu for cpu, kind in topology.kinds.items() if kind == "P"] == list(range(8))
    assert [cpu for cpu, kind in topology.kinds.items() if kind == "E"] == list(range(8, 16))
    assert (cache_bytes(topology, 1, 0), cache_bytes(topology, 1, 15)) == (48 << 10, 32 << 10)
    assert (12, 13, 14, 15) in topology.clusters
    assert topology.line_bytes == 64
    assert topology.identity.model_name == "Made-up Hybrid CPU 4P+8E"


def test_arm_names_its_core_and_nodes(tmp_path_factory: pytest.TempPathFactory) -> None:
    topology = read_topology(snapshot("arm-clusters", tmp_path_factory))
    identity = topology.identity
    assert (identity.arch, identity.model_name, identity.stepping) == ("aarch64", "Arm Neoverse-N1", "r3p1")
    assert "atomics" in identity.flags
    assert identity.hypervisor is None
    assert topology.kinds == {}
    assert topology.distances[0] == {0: 10, 1: 14, 2: 26, 3: 28}
    assert topology.clusters == tuple(tuple(range(first, first + 4)) for first in range(0, 32, 4))


def test_no_l3_is_no_group(tmp_path: Path) -> None:
    topology = read_topology(build(tmp_path, [[0], [1]], l3=[]))
    assert topology.l3 == ()
    assert cache_bytes(topology, 3) is None
    assert cache_bytes(topology, 2) == 2 << 20


def test_x86_identity(tmp_path: Path) -> None:
    identity = read_topology(build(tmp_path, [[0]])).identity
    assert (identity.arch, identity.vendor, identity.family, identity.model, identity.stepping, identity.microcode) == (
        "x86_64",
        "GenuineIntel",
        "6",
        "106",
        "6",
        "0xd0003a5",
    )
    assert identity.hypervisor is False


def test_riscv_identity(tmp_path: Path) -> None:
    text = (
        "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\nmvendorid\t: 0x489"
    )
    identity = read_topology(write(tmp_path, {"proc/cpuinfo": text})).identity
    assert (identity.arch, identity.model_name, identity.vendor) == ("riscv64", "sifive,u74-mc", "0x489")


def test_isolated_and_nohz_full(tmp_path: Path) -> None:
    more = {f"{CPU}/isolated": "2-3", f"{CPU}/nohz_full": "3"}
    topology = read_topology(build(tmp_path, [[0], [1], [2], [3]], more=more))
    assert (topology.isolated, topology.nohz_full) == ((2, 3), (3,))


@pytest.mark.parametrize("text", ["(null)", ""])
def test_nohz_full_of_old_kernels_means_none(text: str, tmp_path: Path) -> None:
    assert read_topology(build(tmp_path, [[0]], more={f"{CPU}/nohz_full": text})).nohz_full == ()


def test_one_cpu(tmp_path: Path) -> None:
    topology = read_topology(build(tmp_path, [[0]]))
    assert topology.as_dict() == {
        "cpus": [0],
        "cores": [[0]],
        "packages": [[0]],
        "l2": [[0]],
        "l3": [[0]],
        "numa": {"0": [0]},
    }


def test_no_sys_falls_back_to_cpuinfo(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path, {"proc/cpuinfo": cpuinfo([0, 1, 2])}))
    assert (topology.cpus, topology.cores, topology.numa, topology.source) == ((0, 1, 2), (), {}, "cpuinfo")


def test_no_sys_and_a_mask_from_the_caller(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path, {"proc/cpuinfo": cpuinfo([0, 1, 2])}), cpus={2, 1})
    assert topology.cpus == (1, 2)


def test_the_mask_from_the_caller_does_not_replace_what_sysfs_says(tmp_path: Path) -> None:
    assert read_topology(build(tmp_path, [[0], [1]]), cpus={1}).cpus == (0, 1)


def test_empty_root(tmp_path: Path) -> None:
    topology = read_topology(tmp_path)
    assert (topology.cpus, topology.source) == ((), "none")


def test_kernel_without_numa_is_one_node(tmp_path: Path) -> None:
    root = build(tmp_path, [[0], [1]])
    for node in (root / "sys/devices/system/node").iterdir():
        (node / "cpulist").unlink()
        node.rmdir()
    assert read_topology(root).numa == {0: (0, 1)}


def test_cpus_without_topology_files_have_no_groups(tmp_path: Path) -> None:
    topology = read_topology(write(tmp_path, {f"{CPU}/online": "0-1", "proc/cpuinfo": cpuinfo([0, 1])}))
    assert (topology.cpus, topology.cores, topology.packages, topology.numa) == ((0, 1), (), (), {})


def test_memory_only_node_is_kept(tmp_path: Path) -> None:
    more = {"sys/devices/system/node/node1/cpulist": ""}
    assert read_topology(build(tmp_path, [[0]], more=more)).numa == {0: (0,), 1: ()}


def test_instruction_caches_are_no_l2(tmp_path: Path) -> None:
    at = f"{CPU}/cpu0/cache/index5"
    more = {f"{at}/level": 2, f"{at}/type": "Instruction", f"{at}/shared_cpu_list": "0-1"}
    assert read_topology(build(tmp_path, [[0], [1]], more=more)).l2 == ((0,), (1,))


def test_hybrid_kinds_from_the_two_pmus_and_from_arm_capacity(tmp_path: Path) -> None:
    more: dict[str, object] = {"sys/devices/cpu_core/cpus": "0", "sys/devices/cpu_atom/cpus": "1"}
    assert read_topology(build(tmp_path / "intel", [[0], [1]], more=more)).kinds == {0: "P", 1: "E"}
    more = {f"{CPU}/cpu{cpu}/cpu_capacity": value for cpu, value in enumerate([380, 1024, 1010])}
    assert read_topology(build(tmp_path / "arm", [[0], [1], [2]], more=more)).kinds == {0: "E", 1: "P", 2: "P"}


@pytest.mark.parametrize(
    "weakest",
    [
        {"sys/devices/cpu_atom/cpus": "2-3", "sys/devices/cpu_lowpower/cpus": "4-5"},
        {"sys/devices/cpu_atom/cpus": "2-5"},
    ],
)
def test_low_power_cores_are_a_kind_of_their_own(weakest: dict[str, object], tmp_path: Path) -> None:
    """They have a PMU of their own, or they are efficiency cores that have no part of the L3 cache."""
    more = {"sys/devices/cpu_core/cpus": "0-1", **weakest}
    topology = read_topology(build(tmp_path, [[c] for c in range(6)], l3=[[0, 1, 2, 3]], more=more))
    assert "".join(topology.kinds[cpu] for cpu in topology.cpus) == "PPEELL"


def test_favoured_cores_are_not_hybrid(tmp_path: Path) -> None:
    more: dict[str, object] = {f"{CPU}/cpu{cpu}/cpu_capacity": value for cpu, value in enumerate([1024, 990])}
    more |= {f"{CPU}/cpu{cpu}/cpufreq/base_frequency": value for cpu, value in enumerate([2700000, 2100000])}
    assert read_topology(build(tmp_path, [[0], [1]], more=more)).kinds == {}


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        (f"{CPU}/online", "0-", "'0-' is not a list of CPUs"),
        (f"{CPU}/cpu1/topology/core_cpus", "x", "'x' is not a mask of CPUs"),
        (f"{CPU}/cpu0/topology/package_cpus_list", "1-0", "'1-0' is not a range of CPUs"),
        (f"{CPU}/cpu0/cache/index3/shared_cpu_map", "fffffffff,", "'fffffffff,' is not a mask of CPUs"),
        ("sys/devices/system/node/node0/cpulist", "?", "'?' is not a list of CPUs"),
        (f"{CPU}/isolated", "1;2", "'1;2' is not a list of CPUs"),
    ],
)
def test_damage_is_named_and_the_rest_is_read(path: str, content: str, fault: str, tmp_path: Path) -> None:
    whole = read_topology(build(tmp_path / "whole", [[0], [1]]))
    topology = read_topology(build(tmp_path / "damaged", [[0], [1]], more={path: content}))
    assert (topology.cpus, topology.cores, topology.l2) == (whole.cpus, whole.cores, whole.l2)
    (damage,) = topology.damage
    assert damage.startswith(f"/{path}: {fault}")
    assert whole.damage == ()


def test_masks_that_end_in_nul_are_read_like_lists(tmp_path: Path) -> None:
    more: dict[str, object] = {f"{CPU}/cpu{cpu}/topology/core_cpus": "00000003\n\0" for cpu in (0, 1)}
    more[f"{CPU}/online"] = "0-1\n\0"
    topology = read_topology(build(tmp_path, [[0, 1]], more=more))
    assert (topology.cpus, topology.cores, topology.damage) == ((0, 1), ((0, 1),), ())


def test_the_cores_of_a_module_are_no_siblings(tmp_path: Path) -> None:
    """An AMD module: two cores with first-level data caches of their own, which Linux calls siblings."""
    more: dict[str, object] = {f"{CPU}/cpu{cpu}/topology/core_id": 0 for cpu in (0, 1)}
    more |= {f"{CPU}/cpu{cpu}/cache/index0/shared_cpu_list": cpu for cpu in (0, 1)}
    topology = read_topology(build(tmp_path, [[0, 1]], more=more))
    assert (topology.cores, topology.l2) == (((0,), (1,)), ((0, 1),))
    assert topology.siblings(0) == ()


@pytest.mark.parametrize("numbers", [(0, 1), (-1, -1)])
def test_siblings_without_a_core_in_common(numbers: tuple[int, int], tmp_path: Path) -> None:
    """Boards that tell no caches: Linux may list all CPUs as siblings, with a core each or with none (-1)."""
    root = build(tmp_path, [[0, 1]], more={f"{CPU}/cpu{c}/topology/core_id": numbers[c] for c in (0, 1)})
    for cpu in (0, 1):
        shutil.rmtree(root / f"{CPU}/cpu{cpu}/cache")
    assert read_topology(root).cores == ((0,), (1,))


def test_groups_that_overlap_are_damage(tmp_path: Path) -> None:
    """CPU 3 claims a cache with CPUs 0 to 3, while 0 to 2 know nothing of it."""
    more = {f"{CPU}/cpu3/cache/index3/shared_cpu_list": "0-3"}
    topology = read_topology(build(tmp_path, [[c] for c in range(6)], l3=[[0, 2, 4], [1, 3, 5]], more=more))
    assert topology.l3 == ((0, 2, 4), (1, 3, 5))
    assert topology.damage == (
        f"/{CPU}/cpu3/cache/index3/shared_cpu_map: CPUs 0-3 overlap CPUs 0,2,4 of another group",
    )


def test_nodes_with_the_same_cpus_are_one(tmp_path: Path) -> None:
    topology = read_topology(build(tmp_path, [[0], [1]], numa=[[0, 1], [0, 1], [1]]))
    assert topology.numa == {0: (0, 1)}
    assert "node2" in topology.damage[0]


def test_a_cache_mask_without_cpus_tells_nothing(tmp_path: Path) -> None:
    more = {f"{CPU}/cpu{cpu}/cache/index3/shared_cpu_list": "" for cpu in range(4)}
    topology = read_topology(build(tmp_path, [[0, 1], [2, 3]], more=more))
    assert topology.l3 == ((0, 1), (2, 3))


def test_missing_root_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="no such directory"):
        read_topology(tmp_path / "nowhere")


def test_a_link_out_of_the_snapshot_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    root = tmp_path / "snapshot"
    (root / "proc").mkdir(parents=True)
    (root / "proc/version").symlink_to(tmp_path / "outside")
    (root / "proc/inside").symlink_to("file")
    (root / "proc/file").write_text("seen\n")
    tree = Tree(root)
    assert (tree.text("proc/version"), tree.text("proc/inside")) == (None, "seen")


def test_directories_and_pipes_read_as_absent(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    assert Tree(tmp_path).text("pipe") is None
    assert Tree(tmp_path.parent).text(tmp_path.name) is None


@pytest.mark.skipif(not Path("/proc/sys/kernel/randomize_va_space").exists(), reason="no /proc/sys here")
def test_files_below_proc_sys_are_read() -> None:
    """Linux refuses to read them in parts of megabytes."""
    path = Path("/proc/sys/kernel/randomize_va_space")
    assert Tree().text(str(path)) == path.read_text().strip()


def test_numbers_in_names_sort_as_numbers(tmp_path: Path) -> None:
    write(tmp_path, {f"cpu{number}/online": 1 for number in (10, 9, 0)})
    assert Tree(tmp_path).entries("", r"cpu\d+") == ["cpu0", "cpu9", "cpu10"]


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0-3,8\n", (0, 1, 2, 3, 8)),
        ("", ()),
        ("(null)\n", ()),
        ("7", (7,)),
        ("0-7:2/4", (0, 1, 4, 5)),
        ("3,1-2", (1, 2, 3)),
    ],
)
def test_cpulist(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpulist(text) == cpus


@pytest.mark.parametrize("text", ["a", "3-1", "1,,2", "-1", "0-99999999999", "1;2", "0-7:0/4", "0x3"])
def test_cpulist_faults(text: str) -> None:
    with pytest.raises(TopologyError, match=r"somewhere: .* CPUs such as"):
        parse_cpulist(text, "somewhere")


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("3", (0, 1)), ("00000000,00000101", (0, 8)), ("1,00000000", (32,)), ("f0000", (16, 17, 18, 19)), ("0", ())],
)
def test_cpumask(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpumask(text) == cpus


@pytest.mark.parametrize("text", ["g", "1,,1", "", "-1", "123456789,00000000"])
def test_cpumask_faults(text: str) -> None:
    with pytest.raises(TopologyError, match="is not a mask"):
        parse_cpumask(text)


@settings(deadline=None)
@given(st.sets(st.integers(0, 300)))
def test_cpulist_and_mask_say_the_same(cpus: set[int]) -> None:
    bits = sum(1 << cpu for cpu in cpus)
    mask = ",".join(f"{bits >> shift & 0xFFFFFFFF:08x}" for shift in range(288, -1, -32))
    assert parse_cpulist(format_cpulist(cpus)) == parse_cpumask(mask) == tuple(sorted(cpus))
