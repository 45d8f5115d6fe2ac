"""The facts of machine.json: true where they can be read, None where not, and nothing that names a host or a person."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from jsonschema_rs import Draft202012Validator
from machines import NAMES, build, cpuinfo, expected, snapshot, write

from fencepost.bench.cgroup import read_cgroup
from fencepost.bench.documents import MachineFactsJson, MachineJson, PerfEventJson, TickJson
from fencepost.bench.machine import BOOT_PARAMETERS, describe_machine, machine_key
from fencepost.bench.schema import MACHINE_SCHEMA
from fencepost.bench.sysfs import Tree

SYSTEM = "sys/devices/system"
CPU = f"{SYSTEM}/cpu"

FACTS: dict[str, object] = {
    "proc/version": "Linux version 6.1.0-13-amd64 (builder@secret-host) (gcc) #1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/secret-host ip=10.0.0.1 isolcpus=1 nosmt quiet -- nohz_full=9",
    "proc/meminfo": "MemTotal:       16777216 kB\nSwapTotal:       1048576 kB\nHugepagesize:       2048 kB",
    "proc/sys/kernel/hostname": "secret-host",
    "proc/sys/kernel/randomize_va_space": 2,
    "sys/class/dmi/id/sys_vendor": "Dell Inc.",
    "sys/class/dmi/id/product_serial": "secret-serial",
    "sys/class/dmi/id/product_uuid": "secret-uuid",
    f"{CPU}/isolated": "1",
    f"{CPU}/intel_pstate/no_turbo": 1,
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave",
    f"{CPU}/cpu0/cpufreq/energy_performance_preference": "balance_performance",
    f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI",
    f"{CPU}/vulnerabilities/mds": "Not affected",
    f"{SYSTEM}/clocksource/clocksource0/current_clocksource": "tsc",
    f"{SYSTEM}/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/kernel/mm/transparent_hugepage/defrag": "[always] never",
}


def valid(description: MachineJson) -> MachineJson:
    Draft202012Validator(MACHINE_SCHEMA).validate(description)
    assert json.loads(json.dumps(description)) == description
    return description


def test_facts(tmp_path: Path) -> None:
    facts = valid(describe_machine(build(tmp_path, [[0], [1]], more=FACTS), cpus=[1]))
    assert {name: facts[name] for name in ("stepping", "microcode", "arch", "kernel", "turbo", "smt", "aslr")} == {
        "stepping": "6",
        "microcode": "0xd0003a5",
        "arch": "x86_64",
        "kernel": "6.1.0-13-amd64",
        "turbo": "off",
        "smt": False,
        "aslr": 2,
    }
    assert facts["kernel_version"] == "#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1"
    assert facts["boot_parameters"] == ["isolcpus=1", "nosmt"]
    assert facts["mitigations"] == {"meltdown": "Mitigation: PTI", "mds": "Not affected"}
    assert facts["governor"] == "performance+powersave"
    assert facts["energy_performance_preference"] == "balance_performance"
    assert (facts["thp"], facts["thp_defrag"]) == ("madvise", "always")
    assert facts["clocksources_available"] == ["tsc", "hpet", "acpi_pm"]
    assert facts["hypervisor"] == {"guest": False, "kind": None, "system_vendor": "Dell Inc."}
    assert (facts["memory_bytes"], facts["swap_bytes"]) == (16 << 30, 1 << 30)
    assert (facts["cpus_usable"], facts["cpus_isolated"]) == ([1], [1])
    assert {"level": 1, "kind": "data", "size_bytes": 48 << 10, "line_bytes": 64, "shared_by": 1, "count": 2} in facts[
        "caches"
    ]
    assert (facts["page_bytes"], facts["libc"]) == (None, None)  # of this machine, not of that one


def test_nothing_private_is_kept(tmp_path: Path) -> None:
    text = json.dumps(describe_machine(build(tmp_path, [[0], [1]], more=FACTS)))
    assert "secret" not in text
    assert "10.0.0.1" not in text
    assert "builder" not in text
    assert not {"root", "ip", "nfsroot", "hostname"} & BOOT_PARAMETERS


def test_live_machine() -> None:
    facts = valid(describe_machine())
    assert facts["page_bytes"] == os.sysconf("SC_PAGE_SIZE")
    assert facts["arch"] == os.uname().machine
    assert facts["kernel"] == os.uname().release


@pytest.mark.parametrize("name", NAMES)
def test_snapshots_are_described(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = snapshot(name, tmp_path_factory)
    facts = valid(describe_machine(root))
    assert facts["topology"] == expected(name)
    assert facts["libc"] is None
    assert not re.search(r"\d[gm]hz", facts["key"])


def test_empty_root_is_unknown_not_invented(tmp_path: Path) -> None:
    facts = valid(describe_machine(tmp_path))
    assert (facts["cpu_model"], facts["arch"], facts["kernel"]) == ("unknown", "unknown", "unknown")
    for name in ("microcode", "mitigations", "governor", "turbo", "smt", "thp", "aslr", "clocksource", "memory_bytes"):
        assert facts[name] is None, name
    assert facts["hypervisor"] == {"guest": None, "kind": None, "system_vendor": None}
    assert facts["key"].startswith("unknown-0cpu-")


def test_slots_for_the_engine_are_kept(tmp_path: Path) -> None:
    event: PerfEventJson = {"name": "cycles", "hardware": True, "error": 2, "count": 0, "expect": 1000}
    tick: TickJson = {"source": "tsc", "hz": 1e9, "hz_error_ppm": None, "quantum_ticks": 1, "overhead_ticks": 20.0}
    facts = describe_machine(build(tmp_path, [[0]]), capabilities={"ticks": True}, perf_events=[event], tick=tick)
    assert facts["capabilities"] == {"ticks": True}
    assert facts["perf_events"] == [event]
    assert facts["tick"] == tick


def test_guest_is_recognised(tmp_path: Path) -> None:
    clocks = f"{SYSTEM}/clocksource/clocksource0/available_clocksource"
    more = {"proc/cpuinfo": cpuinfo([0], flags=" hypervisor"), clocks: "tsc kvm-clock acpi_pm"}
    assert describe_machine(build(tmp_path / "a", [[0]], more=more))["hypervisor"]["kind"] == "kvm"
    more = {"proc/cpuinfo": cpuinfo([0], flags=" hypervisor")}
    hypervisor = describe_machine(build(tmp_path / "b", [[0]], more=more))["hypervisor"]
    assert hypervisor == {"guest": True, "kind": None, "system_vendor": None}
    assert describe_machine(write(tmp_path / "c", {"sys/hypervisor/type": "xen"}))["hypervisor"]["guest"] is True


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({f"{CPU}/intel_pstate/no_turbo": 0}, "on"),
        ({f"{CPU}/cpufreq/boost": 0}, "off"),
        ({f"{CPU}/cpufreq/policy0/boost": 1, f"{CPU}/cpufreq/policy1/boost": 0}, "mixed"),
        ({}, None),
    ],
)
def test_turbo(files: dict[str, object], value: str | None, tmp_path: Path) -> None:
    assert describe_machine(build(tmp_path, [[0], [1]], more=files))["turbo"] == value


def test_key_is_readable_and_holds_no_clock_rate(tmp_path: Path) -> None:
    key = describe_machine(build(tmp_path, [[0], [1]]))["key"]
    assert re.fullmatch(r"intel-xeon-platinum-8358-2cpu-[0-9a-f]{8}", key)


@pytest.mark.parametrize(
    ("model", "vendor", "start"),
    [
        ("AMD EPYC 9B14", "AuthenticAMD", "amd-epyc-9b14-2cpu-"),
        ("AMD Ryzen 9 7950X 16-Core Processor", "AuthenticAMD", "amd-ryzen-9-7950x-2cpu-"),
        ("Genuine Intel(R) CPU @ 2.66GHz", "GenuineIntel", "intel-2cpu-"),
        ("Intel(R) Xeon(TM) CPU 2600MHz", "GenuineIntel", "intel-xeon-2cpu-"),
        ("Neoverse-N1", "0x41", "neoverse-n1-2cpu-"),
        ("///", None, "unknown-2cpu-"),
    ],
)
def test_key_of_models(model: str, vendor: str | None, start: str) -> None:
    facts: MachineFactsJson = {
        "cpu_model": model,
        "cpu_vendor": vendor,
        "arch": "x86_64",
        "kernel": "6.1.0",
        "cpus_present": [0, 1],
        "topology": {},
    }
    key = machine_key(facts)
    assert key.startswith(start)
    assert len(key.removeprefix(start)) == 8


def test_key_survives_what_a_reboot_changes(tmp_path: Path) -> None:
    before = describe_machine(build(tmp_path / "a", [[0], [1]], more=FACTS))
    after = describe_machine(
        build(
            tmp_path / "b",
            [[0]],
            more={
                f"{CPU}/present": "0-1",  # CPU 1 went offline
                "proc/cpuinfo": cpuinfo([0], mhz=3400.0).replace("0xd0003a5", "0xd0003f0").replace("5200", "5199"),
                "proc/version": "Linux version 6.18.0 #2 SMP",
                "proc/sys/kernel/hostname": "another",
            },
        )
    )
    assert before["key"] == after["key"]


def test_key_tells_machines_apart(tmp_path: Path) -> None:
    keys = {
        describe_machine(build(tmp_path / "a", [[0], [1]]))["key"],
        describe_machine(build(tmp_path / "b", [[0], [1], [2]]))["key"],
        describe_machine(build(tmp_path / "c", [[0], [1]], more={f"{CPU}/cpu0/cache/index2/size": "4M"}))["key"],
        describe_machine(
            build(tmp_path / "d", [[0], [1]], more={"proc/cpuinfo": cpuinfo([0, 1], flags=" hypervisor")})
        )["key"],
    }
    assert len(keys) == 4


V2 = {"proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "proc/self/cgroup": "0::/a/b"}


def test_cgroup_2_takes_the_tightest_quota_on_the_way_up(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            **V2,
            "sys/fs/cgroup/a/cpu.max": "150000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "200000 100000",
            "sys/fs/cgroup/cpu.max": "max 100000",
            "sys/fs/cgroup/a/b/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 2500",
        },
    )
    cgroup = read_cgroup(Tree(tmp_path))
    assert (cgroup.version, cgroup.quota_cpus, cgroup.quota_path) == ("2", 1.5, "/sys/fs/cgroup/a/cpu.max")
    assert (cgroup.throttled_periods, cgroup.throttled_us) == (3, 2500)


def test_cgroup_1(tmp_path: Path) -> None:
    at = "sys/fs/cgroup/cpu,cpuacct/job"
    write(
        tmp_path,
        {
            "proc/self/mounts": "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0",
            "proc/self/cgroup": "4:cpu,cpuacct:/job\n0::/",
            f"{at}/cpu.cfs_quota_us": 50000,
            f"{at}/cpu.cfs_period_us": 100000,
            f"{at}/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 7000000",
        },
    )
    cgroup = read_cgroup(Tree(tmp_path))
    assert (cgroup.version, cgroup.quota_cpus, cgroup.throttled_us) == ("1", 0.5, 7000)
    write(tmp_path, {f"{at}/cpu.cfs_quota_us": -1})
    assert read_cgroup(Tree(tmp_path)).quota_cpus is None


def test_cgroup_of_a_container_that_sees_only_its_own_part(tmp_path: Path) -> None:
    write(tmp_path, {**V2, "proc/self/cgroup": "0::/docker/0123abc", "sys/fs/cgroup/cpu.max": "200000 100000"})
    assert read_cgroup(Tree(tmp_path)).quota_cpus == 2


def mountinfo(*mounts: str) -> str:
    """Lines of /proc/self/mountinfo, each from "root point type options"."""
    return "\n".join(
        f"{30 + n} 25 0:{n} {root} {point} rw - {kind} none {options}"
        for n, (root, point, kind, options) in enumerate(map(str.split, mounts))
    )


@pytest.mark.parametrize(
    ("mounts", "own", "holder"),
    [
        # A container without a namespace of its own: the mount shows the part below the container's group.
        (["/docker/1 /sys/fs/cgroup cgroup2 rw"], "0::/docker/1/job", "sys/fs/cgroup/job"),
        (["/docker/1 /sys/fs/cgroup/cpu cgroup rw,cpu"], "3:cpu:/docker/1", "sys/fs/cgroup/cpu"),
        # Two mounts of one hierarchy: the second shows the group, the first another container's.
        (["/docker/2 /a cgroup2 rw", "/docker/1 /b cgroup2 rw"], "0::/docker/1", "b"),
        # The mount begins above the root of the namespace.
        (["/.. /sys/fs/cgroup cgroup2 rw"], "0::/", "sys/fs/cgroup"),
        (["/.. /sys/fs/cgroup cgroup2 rw"], "0::/../job", "sys/fs/cgroup/job"),
        # Hybrid: version 2 is mounted without controllers.
        (["/ /u cgroup2 rw", "/ /c cgroup rw,cpu,cpuacct"], "3:cpu,cpuacct:/job\n0::/other", "c/job"),
        (["/ /with\\040space cgroup2 rw"], "0::/", "with space"),
    ],
)
def test_cgroup_where_it_is_mounted(mounts: list[str], own: str, holder: str, tmp_path: Path) -> None:
    quota = {f"{holder}/cpu.max": "200000 100000", f"{holder}/cpu.cfs_quota_us": 200000}
    files = {"proc/self/mountinfo": mountinfo(*mounts), "proc/self/cgroup": own, **quota}
    write(tmp_path, {**files, f"{holder}/cpu.cfs_period_us": 100000, "a/cpu.max": "50000 100000"})
    cgroup = read_cgroup(Tree(tmp_path))
    assert (cgroup.readable, cgroup.quota_cpus) == (True, 2)


def test_cgroup_outside_of_the_namespace_is_not_readable(tmp_path: Path) -> None:
    files = {"proc/self/mountinfo": mountinfo("/ /sys/fs/cgroup cgroup2 rw"), "proc/self/cgroup": "0::/../x"}
    write(tmp_path, {**files, "sys/fs/cgroup/cpu.max": "200000 100000"})
    assert (read_cgroup(Tree(tmp_path)).readable, read_cgroup(Tree(tmp_path)).quota_cpus) == (False, None)


@pytest.mark.parametrize(
    ("mount", "own"),
    [
        ("none /dev/cpuset cpuset rw 0 0", {"proc/self/cpuset": "/shield"}),
        ("none /dev/cpuset cgroup rw,cpuset,noprefix 0 0", {"proc/self/cgroup": "4:cpuset:/shield"}),
    ],
)
def test_cpusets_whose_files_have_no_prefix(mount: str, own: dict[str, object], tmp_path: Path) -> None:
    write(tmp_path, {"proc/mounts": mount, **own, "dev/cpuset/shield/cpus": "1-2", "dev/cpuset/cpus": "0-3"})
    cgroup = read_cgroup(Tree(tmp_path))
    assert (cgroup.cpuset, cgroup.cpuset_path) == ((1, 2), "/dev/cpuset/shield/cpus")


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({**V2, "sys/fs/cgroup/a/memory.max": "4096", "sys/fs/cgroup/a/b/memory.max": "max"}, 4096),
        (
            {"proc/mounts": "c /m cgroup rw,memory", "proc/self/cgroup": "1:memory:/", "m/memory.limit_in_bytes": 8192},
            8192,
        ),
        ({**V2, "sys/fs/cgroup/a/memory.max": (1 << 63) - 4096}, None),
    ],
)
def test_cgroup_limit_of_memory(files: dict[str, object], limit: int | None, tmp_path: Path) -> None:
    assert read_cgroup(Tree(write(tmp_path, files))).memory_bytes == limit


def test_cgroup_absent(tmp_path: Path) -> None:
    cgroup = read_cgroup(Tree(tmp_path))
    assert (cgroup.version, cgroup.readable, cgroup.quota_cpus) == (None, False, None)
