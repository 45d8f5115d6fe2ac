"""The doctor: each knob's good and bad value, snapshots of real machines, and roots with little or nothing in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doctored import CLOCK, CPU, DEEP, SYSTEM, finding, register
from machines import MADE_UP, NAMES, build, cpuinfo, expected, snapshot, unpack, write

from fencepost.analysis.report.trust import examination
from fencepost.bench.doctor.cpus import cpus_to_isolate
from fencepost.bench.doctor.examine import examine
from fencepost.bench.doctor.finding import IMPACT, SEVERITIES, Diagnosis, Finding
from fencepost.bench.documents import PerfEventJson
from fencepost.bench.sysfs import TopologyError
from fencepost.bench.topology import Topology

V2 = {"proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "proc/self/cgroup": "0::/job"}


def clock(least: int, most: int, limit: int) -> dict[str, object]:
    """Limits of the clock of CPU 0, in kHz."""
    names = {"scaling_min_freq": least, "scaling_max_freq": most, "cpuinfo_max_freq": limit, "scaling_driver": "x"}
    return {f"{CPU}/cpu0/cpufreq/{name}": value for name, value in names.items()}


CASES: list[tuple[str, dict[str, object], str, str | None]] = [
    # knob, files, severity, what the change has to contain (None: no change)
    ("turbo", {f"{CPU}/intel_pstate/no_turbo": 0}, "hurts", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate"),
    ("turbo", {f"{CPU}/intel_pstate/no_turbo": 1}, "ok", None),
    ("turbo", {f"{CPU}/cpufreq/boost": 1}, "hurts", "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost"),
    ("turbo", {f"{CPU}/cpufreq/policy0/boost": 1}, "hurts", "echo 0 | sudo tee"),
    ("governor", {f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave"}, "hurts", "echo performance | sudo tee"),
    ("governor", {f"{CPU}/cpu0/cpufreq/scaling_governor": "performance"}, "ok", None),
    ("governor", {f"{CPU}/cpufreq/policy0/scaling_governor": "performance"}, "ok", None),
    ("energy_preference", {f"{CPU}/cpu0/cpufreq/energy_performance_preference": "power"}, "hurts", "echo performance"),
    ("energy_preference", {f"{CPU}/cpu0/cpufreq/energy_performance_preference": "performance"}, "ok", None),
    (
        "cstates",
        {
            f"{CPU}/cpu0/cpuidle/state3/{name}": value
            for name, value in (("latency", 890), ("disable", 0), ("name", "C10"))
        },
        "hurts",
        "echo 1 | sudo tee /sys/devices/system/cpu/cpu[0-9]*/cpuidle/state3/disable",
    ),
    ("cstates", {f"{CPU}/cpu0/cpuidle/state1/latency": 2, f"{CPU}/cpu0/cpuidle/state1/disable": 0}, "ok", None),
    ("isolation", {"proc/cmdline": "quiet"}, "note", "isolcpus=1 nohz_full=1 rcu_nocbs=1"),
    ("isolation", {"proc/cmdline": "isolcpus=1 nohz_full=1 rcu_nocbs=1", f"{CPU}/isolated": 1}, "ok", None),
    ("isolation", {"proc/cmdline": "isolcpus=1", f"{CPU}/isolated": 1}, "note", "add nohz_full=1 rcu_nocbs=1"),
    ("interrupts", {"proc/irq/24/smp_affinity_list": "0-1"}, "note", None),
    ("thp", {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"}, "hurts", "echo madvise"),
    ("thp", {"sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never"}, "ok", None),
    ("thp", {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]"}, "note", "echo madvise"),
    ("aslr", {"proc/sys/kernel/randomize_va_space": 0}, "hurts", "sysctl kernel.randomize_va_space=2"),
    ("aslr", {"proc/sys/kernel/randomize_va_space": 2}, "ok", None),
    ("numa_balancing", {"proc/sys/kernel/numa_balancing": 1}, "ok", None),  # one node
    (
        "numa_balancing",
        {"proc/sys/kernel/numa_balancing": 1, f"{SYSTEM}/node/node1/cpulist": ""},
        "hurts",
        "sysctl kernel.numa_balancing=0",
    ),
    ("ksm", {"sys/kernel/mm/ksm/run": 1}, "hurts", "echo 0 | sudo tee /sys/kernel/mm/ksm/run"),
    ("ksm", {"sys/kernel/mm/ksm/run": 0}, "ok", None),
    ("mitigations", {f"{CPU}/vulnerabilities/meltdown": "Mitigation: PTI"}, "note", "mitigations=off"),
    ("mitigations", {f"{CPU}/vulnerabilities/meltdown": "Not affected"}, "ok", None),
    ("clocksource", {f"{CLOCK}/current_clocksource": "tsc"}, "ok", None),
    ("clocksource", {f"{CLOCK}/current_clocksource": "arch_sys_counter"}, "ok", None),
    (
        "clocksource",
        {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "tsc hpet"},
        "hurts",
        "echo tsc | sudo tee",
    ),
    ("clocksource", {f"{CLOCK}/current_clocksource": "hpet"}, "hurts", None),
    ("clocksource", {f"{CLOCK}/current_clocksource": "kvm-clock"}, "note", None),
    (
        "clocksource",
        {f"{CLOCK}/current_clocksource": "kvm-clock", f"{CLOCK}/available_clocksource": "kvm-clock tsc"},
        "note",
        "echo tsc",
    ),
    ("perf_permission", {"proc/sys/kernel/perf_event_paranoid": 4}, "note", "perf_event_paranoid=1"),
    ("perf_permission", {"proc/sys/kernel/perf_event_paranoid": -1}, "ok", None),
    ("hypervisor", {"proc/cpuinfo": cpuinfo([0, 1], flags=" hypervisor")}, "note", None),
    ("hypervisor", {}, "ok", None),
    ("steal", {"proc/stat": "cpu0 90 0 0 0 0 0 0 10 0 0\ncpu1 100 0 0 0 0 0 0 0 0 0"}, "hurts", "dedicated"),
    ("steal", {"proc/stat": "cpu0 90 0 0 900 0 0 0 0 0 0"}, "ok", None),
    ("cgroup_quota", {**V2, "sys/fs/cgroup/job/cpu.max": "50000 100000"}, "unfit", "echo max | sudo tee"),
    ("cgroup_quota", {**V2, "sys/fs/cgroup/job/cpu.max": "150000 100000"}, "hurts", "echo max | sudo tee"),
    ("cgroup_quota", {**V2, "sys/fs/cgroup/job/cpu.max": "200000 100000"}, "ok", None),
    ("cgroup_quota", {**V2, "sys/fs/cgroup/job/cpu.max": "max 100000"}, "ok", None),
    (
        "throttled",
        {
            **V2,
            "sys/fs/cgroup/job/cpu.max": "200000 100000",
            "sys/fs/cgroup/job/cpu.stat": "nr_throttled 7\nthrottled_usec 90000",
        },
        "hurts",
        "quota",
    ),
    ("throttled", {**V2, "sys/fs/cgroup/job/cpu.stat": "nr_throttled 0\nthrottled_usec 0"}, "ok", None),
    ("swap", {"proc/meminfo": "SwapTotal: 2048 kB\nSwapFree: 1024 kB"}, "hurts", "swapoff"),
    ("swap", {"proc/meminfo": "SwapTotal: 2048 kB\nSwapFree: 2048 kB"}, "ok", None),
    ("swap", {"proc/meminfo": "MemTotal: 102401 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB"}, "note", None),
    (
        "swap",
        {
            "proc/meminfo": "MemTotal: 4096 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB",
            "proc/swaps": "Name Type Size Used Priority\n/dev/sda2 partition 9 0 1\n/dev/zram0 partition 9 1024 100",
        },
        "note",
        None,
    ),
    (
        "swap",
        {
            "proc/meminfo": "MemTotal: 4096 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB",
            "proc/swaps": "Name Type Size Used Priority\n/dev/sda2 partition 9 8 1\n/dev/zram0 partition 9 1016 100",
        },
        "hurts",
        "swapoff",
    ),
    ("load", {"proc/loadavg": "0.50 0.2 0.3 1/90 7"}, "ok", None),
    ("load", {"proc/loadavg": "1.00 0.2 0.3 1/90 7"}, "hurts", "stop other work"),
    ("load", {"proc/loadavg": "3.10 0.2 0.3 1/90 7"}, "unfit", "stop other work"),
    (
        "temperature",
        {"sys/class/thermal/thermal_zone0/type": "x86_pkg_temp", "sys/class/thermal/thermal_zone0/temp": 92000},
        "hurts",
        "cool",
    ),
    (
        "temperature",
        {
            "sys/class/hwmon/hwmon1/name": "coretemp",
            "sys/class/hwmon/hwmon1/temp1_input": 45000,
            "sys/class/hwmon/hwmon1/temp1_crit": 100000,
        },
        "ok",
        None,
    ),
    (
        "power_supply",
        {
            "sys/class/power_supply/BAT0/type": "Battery",
            "sys/class/power_supply/BAT0/status": "Discharging",
            "sys/class/power_supply/AC/type": "Mains",
            "sys/class/power_supply/AC/online": 0,
        },
        "hurts",
        "mains",
    ),
    (
        "power_supply",
        {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": 1},
        "ok",
        None,
    ),
    (
        "energy_preference",
        {f"{CPU}/cpu0/power/energy_perf_bias": 6, f"{CPU}/cpu1/power/energy_perf_bias": 6},
        "hurts",
        "echo 0 | sudo tee /sys/devices/system/cpu/cpu*/power/energy_perf_bias",
    ),
    ("energy_preference", {f"{CPU}/cpu0/power/energy_perf_bias": 0}, "ok", None),
    ("frequency", clock(800_000, 3_600_000, 3_600_000), "ok", None),
    ("frequency", clock(2_000_000, 2_000_000, 3_600_000), "ok", None),
    ("frequency", clock(800_000, 2_000_000, 3_600_000), "note", "echo 3600000 | sudo tee"),
    ("vdso", {"proc/self/maps": "7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [vdso]"}, "ok", None),
    ("vdso", {"proc/self/maps": "7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [stack]"}, "hurts", None),
    ("vdso", {"proc/cmdline": "quiet vdso=0", "proc/self/maps": ""}, "hurts", "remove vdso=0"),
    ("thermal_throttle", {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": 0}, "ok", None),
    (
        "thermal_throttle",
        {
            f"{CPU}/cpu0/thermal_throttle/core_throttle_count": 3,
            f"{CPU}/cpu1/thermal_throttle/package_throttle_count": 2,
        },
        "note",
        "cool the machine",
    ),
    ("affinity", {f"{CPU}/isolated": 1, "proc/self/status": "Cpus_allowed_list:\t0"}, "hurts", "taskset -c 0-1 "),
    ("affinity", {"proc/self/status": "Cpus_allowed_list:\t0"}, "note", None),
    ("affinity", {}, "ok", None),
    ("smt", {}, "ok", None),
]


@pytest.mark.parametrize(("knob", "files", "severity", "change"), CASES)
def test_knob(knob: str, files: dict[str, object], severity: str, change: str | None, tmp_path: Path) -> None:
    found = finding(examine(build(tmp_path, [[0], [1]], more=files)), knob)
    assert (found.severity, found.state) == (severity, "read"), found
    assert found.value is not None
    assert found.path.startswith("/")
    assert "\n" not in found.effect
    if change is None:
        assert found.change is None
    else:
        assert found.change is not None
        assert change in found.change


@pytest.mark.parametrize(
    ("cores", "kinds", "isolated"),
    [
        ([[0], [1]], "", (1,)),
        ([[0], [1], [2], [3]], "", (2, 3)),
        ([[0, 4], [1, 5], [2, 6], [3, 7]], "", (2, 3, 6, 7)),  # with their siblings
        ([[0, 1], [2, 3]], "", (2, 3)),
        ([[0], [1], [2], [3], [4], [5], [6]], "PPPEEEL", (2,)),  # the fast ones
        ([[0], [1], [2]], "EEP", (2,)),
        ([[0], [1], [2]], "PEE", (2,)),
        ([[0, 1]], "", ()),
        ([], "", ()),
    ],
)
def test_fast_and_whole_cores_are_to_be_isolated(cores: list[list[int]], kinds: str, isolated: tuple[int, ...]) -> None:
    cpus = tuple(sorted(cpu for core in cores for cpu in core))
    groups = tuple(tuple(core) for core in cores)
    topology = Topology(cpus=cpus, cores=groups, kinds=dict(enumerate(kinds)))
    assert cpus_to_isolate(topology) == isolated
    assert cpus_to_isolate(Topology(cpus=cpus)) == cpus[1:][len(cpus[1:]) // 2 :]


def test_the_isolation_of_a_hybrid_machine_leaves_its_slow_cores_alone(tmp_path: Path) -> None:
    files = unpack((MADE_UP / "hybrid-laptop.txt").read_text(encoding="utf-8"))
    write(tmp_path, {**files, "proc/cmdline": "quiet"})
    found = finding(examine(root=tmp_path), "isolation")
    assert "isolcpus=4-7 " in str(found.change)


def test_smt_names_the_siblings_outside_of_the_run(tmp_path: Path) -> None:
    root = build(tmp_path, [[0, 2], [1, 3]], more={f"{CPU}/smt/active": 1, f"{CPU}/smt/control": "on"})
    found = finding(examine(root, cpus=[0, 1]), "smt")
    assert found.value == "on, siblings outside of the run: 2-3"
    assert found.change == "echo off | sudo tee /sys/devices/system/cpu/smt/control"
    assert finding(examine(root, cpus=[0, 2]), "smt").severity == "hurts"


def test_smt_of_kernels_without_the_switch_takes_siblings_offline(tmp_path: Path) -> None:
    found = finding(examine(build(tmp_path, [[0, 2], [1, 3]])), "smt")
    assert found.change == ("echo 0 | sudo tee /sys/devices/system/cpu/cpu2/online /sys/devices/system/cpu/cpu3/online")


def test_interrupts_can_be_moved_away_from_chosen_cpus(tmp_path: Path) -> None:
    more = {
        "proc/irq/24/smp_affinity_list": "0-1",
        "proc/irq/24/effective_affinity_list": "1",
        "proc/irq/25/smp_affinity_list": "0-1",
        "proc/irq/25/effective_affinity_list": "0",
        "proc/irq/default_smp_affinity": "3",
    }
    found = finding(examine(build(tmp_path, [[0], [1]], more=more), cpus=[1]), "interrupts")
    assert (found.value, found.severity) == ("1 of 2 interrupts may be delivered to CPUs 1", "hurts")
    assert found.change is not None
    assert "echo 0 > $irq/smp_affinity_list" in found.change
    assert finding(examine(tmp_path, cpus=[0]), "interrupts").severity == "hurts"


def event(name: str, hardware: bool, error: int, count: int, expect: int) -> PerfEventJson:
    return {"name": name, "hardware": hardware, "error": error, "count": count, "expect": expect}


@pytest.mark.parametrize(
    ("only", "severity", "words"),
    [
        (event("cycles", True, 2, 0, 1000), "note", "none opens"),
        (event("cycles", True, 0, 0, 1000), "hurts", "count nothing: cycles"),
        (event("cycles", True, 0, 5000, 1000), "ok", "1 of 1"),
        (event("page-faults", False, 0, 5, 1), "note", "none opens"),
    ],
)
def test_hardware_counters(only: PerfEventJson, severity: str, words: str, tmp_path: Path) -> None:
    found = finding(examine(build(tmp_path, [[0]]), perf_events=[only]), "hardware_counters")
    assert found.severity == severity
    assert words in (found.value or "")


def test_without_a_live_process_counters_are_unreadable(tmp_path: Path) -> None:
    assert finding(examine(build(tmp_path, [[0]])), "hardware_counters").state == "unreadable"


@pytest.mark.parametrize("name", NAMES)
def test_snapshots(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    diagnosis = examine(snapshot(name, tmp_path_factory))
    facts = diagnosis.as_dict()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["topology"] == expected(name)
    assert {"schema", "topology", "machine", "findings", "fit", "profile"} <= set(facts)
    assert facts["fit"] is True
    assert all(f["severity"] in SEVERITIES and f["state"] in ("read", "unreadable") for f in facts["findings"])
    assert all((f["value"] is None) == (f["state"] == "unreadable") for f in facts["findings"])


def test_hybrid_laptop_is_told_to_change_its_governor(tmp_path_factory: pytest.TempPathFactory) -> None:
    diagnosis = examine(snapshot("hybrid-laptop", tmp_path_factory))
    best = diagnosis.best_change()
    assert best is not None
    assert (best.knob, best.value) == ("governor", "powersave")
    assert diagnosis.as_dict()["best_change"] == "governor"


def test_every_knob_has_a_rank_and_is_examined_once(tmp_path: Path) -> None:
    knobs = [found.knob for found in examine(build(tmp_path, [[0]])).findings]
    assert len(knobs) == len(set(knobs))
    assert {*knobs, "root", "topology", "neighbours"} == set(IMPACT)


def test_empty_folder_is_one_clear_state(tmp_path: Path) -> None:
    diagnosis = examine(tmp_path)
    (only,) = diagnosis.findings
    assert (only.state, only.severity, diagnosis.fit) == ("unreadable", "unfit", False)
    assert "neither sys nor proc" in only.effect
    assert diagnosis.best_change() is None
    assert diagnosis.as_dict()["topology"]["cpus"] == []


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match="no such directory"):
        examine(tmp_path / "nowhere")


def test_unknown_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="profile 'fast': choose one of quick, standard, rigorous"):
        examine(tmp_path, profile="fast")


def test_no_sys_at_all(tmp_path: Path) -> None:
    diagnosis = examine(write(tmp_path, {"proc/cpuinfo": cpuinfo([0, 1])}))
    assert finding(diagnosis, "cpus").value == "0-1 of 0-1"
    assert finding(diagnosis, "smt").state == "unreadable"
    assert diagnosis.fit


def test_no_cpu_listed_is_unfit(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    diagnosis = examine(tmp_path)
    assert finding(diagnosis, "cpus").severity == "unfit"
    assert not diagnosis.fit


def test_chosen_cpus_must_be_online(tmp_path: Path) -> None:
    found = finding(examine(build(tmp_path, [[0], [1]]), cpus=[1, 7]), "cpus")
    assert (found.severity, found.value) == ("unfit", "7 not online")


@pytest.mark.parametrize("path", [f"{CPU}/isolated", "proc/irq/5/smp_affinity_list"])
def test_damage_is_a_finding_and_leaves_the_others(path: str, tmp_path: Path) -> None:
    diagnosis = examine(build(tmp_path, [[0]], more={path: "x"}))
    found = finding(diagnosis, "damage")
    assert (found.path, found.severity, found.state) == (f"/{path}", "hurts", "unreadable")
    assert "'x' is not a list of CPUs" in found.effect
    assert finding(diagnosis, "cpus").severity == "note"  # one CPU only


def test_more_than_one_damaged_file(tmp_path: Path) -> None:
    more = {f"{CPU}/isolated": "x", f"{CPU}/nohz_full": "y", "proc/self/status": "Cpus_allowed_list: z"}
    assert finding(examine(build(tmp_path, [[0]], more=more)), "damage").effect.endswith("So are 2 more files")


def arm(cpu: int) -> str:
    return f"processor : {cpu}\nCPU implementer : 0x41\nCPU part : 0xd0c\nFeatures : fp asimd"


def test_the_advice_on_the_clock_fits_the_architecture(tmp_path: Path) -> None:
    clocks = {f"{CLOCK}/current_clocksource": "timer", f"{CLOCK}/available_clocksource": "arch_sys_counter timer"}
    root = build(tmp_path, [[0], [1]], more={**clocks, "proc/cpuinfo": "\n\n".join(map(arm, (0, 1)))})
    assert "echo arch_sys_counter" in (finding(examine(root), "clocksource").change or "")


def test_a_tsc_that_linux_has_withdrawn_is_not_forced(tmp_path: Path) -> None:
    clocks = {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "hpet acpi_pm"}
    found = finding(examine(build(tmp_path, [[0], [1]], more=clocks)), "clocksource")
    assert (found.severity, found.change) == ("hurts", None)
    assert "ticks are in doubt" in found.effect


def test_no_damage_is_no_finding(tmp_path: Path) -> None:
    assert "damage" not in {found.knob for found in examine(build(tmp_path, [[0]])).findings}


def test_a_machine_whose_host_takes_time_is_not_fit(tmp_path: Path) -> None:
    root = build(tmp_path, [[0], [1]], more={"proc/stat": "cpu0 985 0 0 0 0 0 0 15 0 0\ncpu1 985 0 0 0 0 0 0 15 0 0"})
    found = examine(root)
    assert found.word == "disturbed" and not found.fit and "(steal)" in found.verdict


def test_rigorous_does_not_accept_competition(tmp_path: Path) -> None:
    root = build(tmp_path, [[0], [1]], more={"proc/loadavg": "1.00 0.2 0.3 1/90 7"})
    assert examine(root).fit
    assert not examine(root, profile="rigorous").fit


@pytest.mark.parametrize(
    ("knob", "severity", "word", "sentence"),
    [
        ("steal", "note", "fit", "is fit for profile standard."),
        ("steal", "hurts", "disturbed", "Other work disturbs this machine (steal)"),
        ("neighbours", "hurts", "disturbed", "figures of profile standard can hardly be trusted now"),
        ("governor", "hurts", "fit", "is fit for profile standard."),
        ("cgroup_quota", "unfit", "not fit", "is not fit for profile standard: cgroup quota."),
    ],
)
def test_one_rule_says_whether_a_machine_is_fit(
    tmp_path: Path, knob: str, severity: str, word: str, sentence: str
) -> None:
    topology = examine(build(tmp_path, [[0], [1]])).topology
    found = Finding(knob, "/proc/x", "1", "it matters", severity=severity)
    diagnosis = Diagnosis(topology, None, (found,), "standard", (0, 1))
    assert (diagnosis.word, diagnosis.fit) == (word, word == "fit")
    assert sentence in diagnosis.verdict == diagnosis.as_dict()["verdict"]
    assert word == "fit" or "is fit" not in diagnosis.verdict
    assert diagnosis.as_record()["fit"] is (word == "fit")
    said = examination({"doctor": diagnosis.as_record()}).sentence
    assert {"fit": "no setting that forbids", "disturbed": "disturbed by other work", "not fit": "not fit"}[
        word
    ] in said


def test_best_change_prefers_gravity_then_no_reboot_then_impact() -> None:
    def made(knob: str, severity: str, reboot: bool = False, change: str | None = "do") -> Finding:
        return Finding(knob, "/x", "1", "bad", change, reboot, severity)

    def best(*findings: Finding) -> str | None:
        found = Diagnosis(Topology(), None, findings, "standard", ()).best_change()
        return found.knob if found else None

    assert best(made("governor", "hurts"), made("load", "unfit")) == "load"
    assert best(made("governor", "hurts", reboot=True), made("ksm", "hurts")) == "ksm"
    assert best(made("ksm", "hurts"), made("governor", "hurts")) == "governor"
    assert best(made("ksm", "hurts", change=None), made("isolation", "note")) is None


def test_live_machine_is_examined_without_a_fault() -> None:
    diagnosis = examine()
    assert diagnosis.topology.cpus
    json.dumps(diagnosis.as_dict())


def test_every_finding_names_path_value_effect_and_change(tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in NAMES:
        for found in examine(snapshot(name, tmp_path_factory)).findings:
            assert found.path and found.effect and "\n" not in found.effect
            assert found.severity not in ("hurts", "unfit") or found.change, found
            assert not found.reboot or found.change


def test_nothing_is_changed(tmp_path: Path) -> None:
    root = build(tmp_path, [[0, 2], [1, 3]], more={f"{CPU}/smt/control": "on", **DEEP})
    register(root, 0, 0x1A0, 0)

    def state() -> list[tuple[str, int, bytes]]:
        files = (path for path in sorted(root.rglob("*")) if path.is_file())
        return [(str(path), path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    before = state()
    examine(root)
    assert state() == before


def test_the_record_of_a_run_names_no_control_group(tmp_path: Path) -> None:
    secret = "user.slice/user-1000.slice/alice"
    more = {
        "proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0",
        "proc/self/cgroup": f"0::/{secret}",
        f"sys/fs/cgroup/{secret}/cpu.max": "50000 100000",
    }
    diagnosis = examine(build(tmp_path, [[0], [1]], more=more))
    assert secret in json.dumps(diagnosis.as_dict())
    record = diagnosis.as_record()
    assert "alice" not in json.dumps(record) and "slice" not in json.dumps(record)
    (quota,) = (found for found in record["findings"] if found["knob"] == "cgroup_quota")
    assert str(quota["change"]).startswith("echo max | sudo tee /sys/fs/cgroup/…/cpu.max")
    assert record["best_change"] == "cgroup_quota" and record["fit"] is False
