"""Examinations of clocks, frequency and idle states."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fencepost.bench import machine
from fencepost.bench.doctor.finding import Finding, Subject, tee, unreadable
from fencepost.bench.sysfs import format_cpulist
from fencepost.bench.topology import CPU

DEEP_SLEEP_US = 10
"""A C-state that takes longer than this to leave shows in wake-up figures."""


def examine_turbo(subject: Subject) -> Finding:
    # In a guest the registers are the hypervisor's, whatever they say.
    vendor = None if subject.guest else subject.topology.identity.vendor
    path, value = machine.turbo(subject.tree, vendor)
    if path is None:
        effect = (
            "the host controls turbo"
            if subject.guest
            else "turbo may be on: the clock may rise and fall with load and heat"
        )
        if vendor in ("GenuineIntel", "AuthenticAMD", "HygonGenuine"):
            effect += "; root can read it with the msr module (modprobe msr)"
        return unreadable("turbo", f"/{machine.CPUFREQ}/boost", effect)
    if value == "off":
        return Finding("turbo", path, value, "the clock stays at or below its rated limit")
    command = tee(1 if path.endswith("no_turbo") else 0, path)
    register, values = machine.turbo_register(subject.tree, vendor)
    if path.endswith("msr") and register is not None:
        wanted = max(values.values()) | 1 << register.bit
        path = f"{path} ({register.number:#x})"
        command = f"sudo modprobe msr && sudo wrmsr --all {register.number:#x} {wanted:#x}"
    effect = "the clock rises and falls with load and heat, so times vary by a few percent; cycles hardly vary"
    return Finding("turbo", path, value, effect, command, severity="hurts")


def examine_frequency(subject: Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/scaling_max_freq"
    tree, cpus = subject.tree, subject.cpus
    names = ("scaling_min_freq", "scaling_max_freq", "cpuinfo_max_freq")
    found = [machine.cpufreq(tree, name, cpus) for name in names]
    try:
        least, most, limit = (max(int(value) for value in values) if values else None for values in found)
    except ValueError:
        return unreadable("frequency", path, "the limits of the clock are not numbers")
    if least is None or most is None:
        effect = (
            "the host controls the clock" if subject.guest else "no frequency driver reports the limits of the clock"
        )
        return unreadable("frequency", path, effect)
    driver = machine.same(machine.cpufreq(tree, "scaling_driver", cpus))
    value = f"{least / 1e6:.3g} to {most / 1e6:.3g} GHz" + (f", {driver}" if driver else "")
    if least == most:
        return Finding("frequency", path, value, "the clock is fixed")
    if limit is not None and most < 0.99 * limit:
        effect = (
            f"the clock is kept below its limit of {limit / 1e6:.3g} GHz: steadier, but slower than the machine can run"
        )
        return Finding("frequency", path, value, effect, tee(limit, path), severity="note")
    return Finding("frequency", path, value, "the clock may reach its limit; see governor and turbo")


def _spread(values: Mapping[str, list[int]]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} on {format_cpulist(cpus)}" for value, cpus in values.items())


def examine_governor(subject: Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/scaling_governor"
    values = machine.cpufreq(subject.tree, "scaling_governor", subject.cpus)
    if values is None:
        effect = (
            "the host controls the clock" if subject.guest else "no frequency driver: the firmware controls the clock"
        )
        return unreadable("governor", path, effect)
    if set(values) == {"performance"}:
        return Finding("governor", path, "performance", "the clock is high before the load rises")
    effect = "the clock follows the load with a delay, so first batches and short cases are slower"
    return Finding("governor", path, _spread(values), effect, tee("performance", path), severity="hurts")


def examine_energy_preference(subject: Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpufreq/energy_performance_preference"
    values = machine.cpufreq(subject.tree, "energy_performance_preference", subject.cpus)
    if values is None:
        return _energy_bias(subject, path)
    if set(values) <= {"performance", "0"}:
        return Finding("energy_preference", path, _spread(values), "the processor favours its highest clock")
    effect = "the processor trades clock for energy on its own: slower to rise, sooner to fall"
    return Finding("energy_preference", path, _spread(values), effect, tee("performance", path), severity="hurts")


def _energy_bias(subject: Subject, elsewhere: str) -> Finding:
    """The older form of the same preference, of Intel processors without the newer one: 0 is performance, 15 power."""
    path = f"/{CPU}/cpu*/power/energy_perf_bias"
    values: dict[str, list[int]] = {}
    for cpu in subject.cpus:
        bias = subject.tree.text(f"{CPU}/cpu{cpu}/power/energy_perf_bias")
        if bias:
            values.setdefault(bias, []).append(cpu)
    if not values:
        return unreadable("energy_preference", elsewhere, "the processor offers no energy preference")
    if set(values) == {"0"}:
        return Finding("energy_preference", path, _spread(values), "the processor favours its highest clock")
    effect = "the processor trades clock for energy on its own: slower to rise, sooner to fall"
    return Finding("energy_preference", path, _spread(values), effect, tee(0, path), severity="hurts")


def _idle_states(subject: Subject) -> dict[str, tuple[int, str]]:
    """Idle states that are not switched off: latency in us and name, by their entry in sysfs."""
    states: dict[str, tuple[int, str]] = {}
    for cpu in subject.cpus:
        at = f"{CPU}/cpu{cpu}/cpuidle"
        for entry in subject.tree.entries(at, r"state\d+"):
            latency = subject.tree.integer(f"{at}/{entry}/latency")
            if latency is not None and subject.tree.integer(f"{at}/{entry}/disable") == 0:
                states.setdefault(entry, (latency, subject.tree.text(f"{at}/{entry}/name") or entry))
    return states


def examine_cstates(subject: Subject) -> Finding:
    path = f"/{CPU}/cpu*/cpuidle/state*"
    states = _idle_states(subject)
    if not states:
        driver = subject.tree.text(f"{CPU}/cpuidle/current_driver")
        effect = "it is unknown how deeply idle CPUs sleep; wake-ups may take up to a millisecond longer"
        return unreadable("cstates", path, f"{effect} (driver {driver})" if driver else effect)
    latency, name = max(states.values(), key=lambda state: state[0])
    value = f"{name}, {latency} us to leave"
    if latency <= DEEP_SLEEP_US:
        return Finding("cstates", path, value, "idle CPUs wake up fast")
    deep = [entry for entry, state in states.items() if state[0] > DEEP_SLEEP_US]
    paths = [f"/{CPU}/cpu[0-9]*/cpuidle/{entry}/disable" for entry in deep]
    effect = (
        f"an idle CPU takes {latency} us to wake up and then speeds up slowly, so wake-ups and first batches are longer"
    )
    return Finding("cstates", path, value, effect, tee(1, *paths), severity="hurts")


_HOLD_AWAKE = (
    "sudo sh -c 'exec 3>/dev/cpu_dma_latency; printf 0x00000000 >&3; sleep 3600' & "
    "(it lasts while the file is open; end it after the run)"
)
"""The file takes a latency in us as hexadecimal text, and forgets it when it is closed (kernel: pm_qos_interface)."""


def examine_dma_latency(subject: Subject) -> Finding:
    path = "/dev/cpu_dma_latency"
    limit = subject.tree.word(path, size=4)
    deepest = max((latency for latency, _ in _idle_states(subject).values()), default=0)
    if limit is None:
        there = subject.tree.exists(path)
        effect = (
            "only root can read how long a CPU may take to wake up"
            if there
            else "no process can ask for CPUs that wake up fast"
        )
        return unreadable("dma_latency", path, effect)
    value = f"{limit} us" if limit < 1_000_000 else "no limit"
    if deepest <= DEEP_SLEEP_US or limit <= DEEP_SLEEP_US:
        return Finding("dma_latency", path, value, "no idle CPU takes long to wake up")
    effect = f"no process asks for fast wake-ups, so an idle CPU may wake up {min(limit, deepest)} us later"
    return Finding("dma_latency", path, value, effect, _HOLD_AWAKE, severity="note")


_USER_SPACE_COUNTERS = {
    "x86_64": "tsc", "i686": "tsc", "aarch64": "arch_sys_counter", "arm": "arch_sys_counter",
    "riscv64": "riscv_clocksource", "riscv32": "riscv_clocksource",
}  # fmt: skip
"""What Linux calls the counter of each architecture that clock_gettime can read in user space."""


def examine_clocksource(subject: Subject) -> Finding:
    path = f"{machine.CLOCKSOURCE}/current_clocksource"
    value = subject.tree.text(path)
    if value is None:
        return unreadable("clocksource", f"/{path}", "it is unknown whether reading the clock takes a system call")
    if value in (*_USER_SPACE_COUNTERS.values(), "timebase"):
        return Finding("clocksource", f"/{path}", value, "clock_gettime reads the counter in user space (vDSO)")
    available = (subject.tree.text(f"{machine.CLOCKSOURCE}/available_clocksource") or "").split()
    counter = _USER_SPACE_COUNTERS.get(subject.topology.identity.arch or "")
    change = tee(counter, f"/{path}") if counter in available and counter else None
    if value == "kvm-clock" or value.startswith("hyperv"):
        effect = (
            "clock_gettime stays in user space (vDSO), but converts the host's clock, which costs a few ns per read"
        )
        return Finding("clocksource", f"/{path}", value, effect, change, severity="note")
    effect = "clock_gettime is a system call and reads a slow device: 0.1 to a few microseconds instead of 20 ns"
    if counter and available and change is None:
        # To force it (tsc=reliable) would only silence the watchdog that found it wrong.
        effect += (
            f". Linux does not offer {counter}, so it may have found it unsteady: ticks are in doubt (dmesg tells)"
        )
    return Finding("clocksource", f"/{path}", value, effect, change, severity="hurts")


def examine_vdso(subject: Subject) -> Finding:
    path = "/proc/self/maps"
    maps = subject.tree.text(path)
    if ("vdso", "0") in machine.boot_parameters(subject.tree):
        change = (
            "remove vdso=0 from the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"
        )
        effect = "the vDSO is off, so each reading of a clock is a system call: 0.1 us or more instead of 20 ns"
        return Finding("vdso", "/proc/cmdline", "vdso=0", effect, change, reboot=True, severity="hurts")
    if maps is None:
        return unreadable("vdso", path, "it is unknown whether clocks can be read without a system call")
    if "[vdso]" in maps:
        return Finding("vdso", path, "mapped", "clocks can be read without a system call (see clocksource)")
    effect = "the vDSO is not mapped, so each reading of a clock is a system call"
    return Finding("vdso", path, "not mapped", effect, severity="hurts")


_CPU_SENSORS = {"coretemp", "k10temp", "zenpower", "cpu_thermal", "soc_thermal", "acpitz"}


_CPU_ZONES = re.compile(r"x86_pkg_temp|acpitz|.*(cpu|soc|pkg).*", re.IGNORECASE)


def examine_temperature(subject: Subject) -> Finding:
    tree = subject.tree
    readings: list[tuple[int, int | None, str]] = []
    for zone in tree.entries("sys/class/thermal", r"thermal_zone\d+"):
        at = f"sys/class/thermal/{zone}"
        degrees = tree.integer(f"{at}/temp") if _CPU_ZONES.fullmatch(tree.text(f"{at}/type") or "") else None
        limits = [
            tree.integer(f"{at}/{trip}_temp")
            for trip in (name.removesuffix("_type") for name in tree.entries(at, r"trip_point_\d+_type"))
            if tree.text(f"{at}/{trip}_type") in ("passive", "hot", "critical")
        ]
        if degrees is not None:
            readings.append((degrees, min((limit for limit in limits if limit), default=None), f"/{at}/temp"))
    for chip in tree.entries("sys/class/hwmon", r"hwmon\d+"):
        at = f"sys/class/hwmon/{chip}"
        if tree.text(f"{at}/name") not in _CPU_SENSORS:  # a warm disk does not slow a CPU
            continue
        for name in tree.entries(at, r"temp\d+_input"):
            degrees = tree.integer(f"{at}/{name}")
            limit = tree.integer(f"{at}/{name.replace('_input', '_max')}") or tree.integer(
                f"{at}/{name.replace('_input', '_crit')}"
            )
            if degrees is not None:
                readings.append((degrees, limit, f"/{at}/{name}"))
    plausible = [reading for reading in readings if 0 < reading[0] < 150_000]
    if not plausible:
        effect = (
            "a virtual machine has no sensor"
            if subject.guest
            else "no sensor: it is unknown whether heat lowers the clock"
        )
        return unreadable("temperature", "/sys/class/thermal/thermal_zone*/temp", effect)
    # The sensor that is nearest to its limit; 95 degrees where it names none.
    degrees, limit, path = max(plausible, key=lambda reading: reading[0] - (reading[1] or 95_000))
    value = f"{degrees / 1000:.0f} degrees C" + (f", limit {limit / 1000:.0f}" if limit else "")
    if degrees < (limit or 95_000) - 10_000:
        return Finding("temperature", path, value, "cool enough that heat does not lower the clock")
    effect = "so hot that heat may lower the clock; times may grow during the run"
    change = "let it cool down, clear the fans, or lower the clock: sudo cpupower frequency-set -u FREQUENCY"
    return Finding("temperature", path, value, effect, change, severity="hurts")


def examine_thermal_throttle(subject: Subject) -> Finding:
    path = f"/{CPU}/cpu*/thermal_throttle/core_throttle_count"
    counts = [
        subject.tree.integer(f"{CPU}/cpu{cpu}/thermal_throttle/{name}_throttle_count")
        for cpu in subject.cpus
        for name in ("core", "package")
    ]
    known = [count for count in counts if count is not None]
    if not known:
        return unreadable("thermal_throttle", path, "it is unknown whether heat has lowered the clock since boot")
    value = f"{sum(known)} times since boot"
    if not any(known):
        return Finding("thermal_throttle", path, value, "heat has never lowered the clock of these CPUs")
    effect = "heat has lowered the clock of these CPUs; long runs may slow down"
    change = "cool the machine better; until then lower the clock: sudo cpupower frequency-set -u FREQUENCY"
    return Finding("thermal_throttle", path, value, effect, change, severity="note")


def examine_power_supply(subject: Subject) -> Finding:
    at = "sys/class/power_supply"
    discharging, mains = None, None
    for name in subject.tree.entries(at):
        if subject.tree.text(f"{at}/{name}/scope") == "Device":  # the battery of a mouse
            continue
        kind = subject.tree.text(f"{at}/{name}/type")
        if kind == "Battery" and subject.tree.text(f"{at}/{name}/status") == "Discharging":
            discharging = f"/{at}/{name}/status"
        elif kind == "Mains" and subject.tree.text(f"{at}/{name}/online") == "1":
            mains = f"/{at}/{name}/online"
    if discharging and not mains:
        effect = "on battery, firmware and Linux may lower the clock"
        return Finding("power_supply", discharging, "battery", effect, "connect mains power", severity="hurts")
    if mains:
        return Finding("power_supply", mains, "mains", "on mains power")
    return unreadable("power_supply", f"/{at}", "no power supply is listed, so there is probably no battery")
